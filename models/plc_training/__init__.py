# SPDX-License-Identifier: MIT
"""Training of the packet-loss concealers ``plc-wb`` and ``plc-fb``; needs the extra ``train``."""
