# SPDX-License-Identifier: MIT
"""Engines over the network: control, telemetry and audio, on ZeroMQ."""
