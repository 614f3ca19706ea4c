# SPDX-License-Identifier: MIT
"""What the lab can measure: chains, Python functions, commands, ONNX models."""
