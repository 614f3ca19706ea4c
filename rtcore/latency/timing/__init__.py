# SPDX-License-Identifier: MIT
"""Computing time, paced like audio: of one system, and of all that is shipped."""
