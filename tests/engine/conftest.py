# SPDX-License-Identifier: MIT
"""A JACK server of the test's own, and Python processes that meet it."""

from jack_fixtures import jack_name, jack_server, python

__all__ = ["jack_name", "jack_server", "python"]
