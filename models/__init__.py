# SPDX-License-Identifier: MIT
"""First-party model bundles, one folder each: the network, its manifest, its card, its training.

Installed as ``rtcore._models`` and found by ``rtcore.models``, never imported by name.
"""
