# SPDX-License-Identifier: MIT
"""The result as one page for a browser."""
