# SPDX-License-Identifier: MIT
"""The round trip of a sound device, over restarts and over time."""
