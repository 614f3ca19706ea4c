# SPDX-License-Identifier: MIT
"""What drives the engine: sound servers and devices, a clock, a file."""
