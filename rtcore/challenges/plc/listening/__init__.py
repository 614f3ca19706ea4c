# SPDX-License-Identifier: MIT
"""A page to look at scores and to listen to clips, in one file without anything beside it."""
