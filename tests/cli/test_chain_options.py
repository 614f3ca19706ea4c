# SPDX-License-Identifier: MIT
"""Plugins on the command line, as tables of a chain file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcore.cli.chain_options import plugin_table
from rtcore.errors import RtcoreError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gain", {"id": "gain"}),
        ("gain:", {"id": "gain"}),
        ("gain:gain_db=-6", {"id": "gain", "gain_db": -6}),
        ("a: x = 1.5 , y=true,", {"id": "a", "x": 1.5, "y": True}),
        ("nalr:audiogram=N3,nfir=80", {"id": "nalr", "audiogram": "N3", "nfir": 80}),
        ('a:x="1,2",y=2', {"id": "a", "x": "1,2", "y": 2}),
        ("fir:taps=[[1, 2], [3, 4]],k=5", {"id": "fir", "taps": [[1, 2], [3, 4]], "k": 5}),
        ("a:t={left=[1, 2], right=[3]}", {"id": "a", "t": {"left": [1, 2], "right": [3]}}),
        ("a:file=c:d=e.wav", {"id": "a", "file": "c:d=e.wav"}),
    ],
)
def test_table(text, expected):
    """Values are TOML, bare words are texts, and commas in brackets and quotes part nothing."""
    assert expected == plugin_table(text)


@given(st.text() | st.text("a=,:[]{}\"'1. "))
def test_anything(text):
    """Any text is a table with an id or is refused with a sentence."""
    try:
        table = plugin_table(text)
    except RtcoreError as error:
        table = {"id": str(error)}
    assert "id" in table
