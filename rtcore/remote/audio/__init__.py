# SPDX-License-Identifier: MIT
"""Live sound between machines: packets, what sends them, and what plays them."""
