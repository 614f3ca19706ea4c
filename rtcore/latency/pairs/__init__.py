# SPDX-License-Identifier: MIT
"""Files for systems that run elsewhere: written, judged, and added to."""
