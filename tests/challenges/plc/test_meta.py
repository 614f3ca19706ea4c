# SPDX-License-Identifier: MIT
"""The csv of 2024 is understood by what its columns hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcore.challenges.plc.meta import has_traces, parse_digits, read_meta
from rtcore.errors import ConfigError


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return tmp_path_factory.mktemp("meta") / "val_meta.csv"


@pytest.mark.parametrize(
    "text",
    [
        "a.wav,5,x,0 1 0\nb.wav,6,y,1 1 0\n",
        "filename,n,kind,trace\na.wav,5,x,0 1 0\nb.wav,6,y,1 1 0\n",
        "\ufefffile;n;kind;t\r\na.wav;5;x;0 1 0 \r\nb.wav;6;y; 1 1 0\r\n\r\n",
        "file\tt\na.wav\t[0, 1, 0]\nb.wav\t[1, 1, 0]\n",
        'file,"a, b",trace\n"a.wav",x,"0,1,0"\n"b.wav",y,"1,1,0"\n',
        "lossy,clean,trace\na.wav,ref_a.wav,0 1 0\nb.wav,ref_b.wav,1 1 0",
        "file,speakers,is lost,4\na.wav,0 1,0 1 0,x\nb.wav,1 1,1 1 0,x",
        "file,speakers,4,x\na.wav,0 1,7,0 1 0\nb.wav,1 1,8,1 1 0",
    ],
)
def test_forms(table, text):
    """With a heading or none, and with any usual separator, clips and traces are found."""
    table.write_bytes(text.encode())
    rows = read_meta(table)
    assert ["a.wav", "b.wav"] == [row.name for row in rows]
    traces = [parse_digits(row.trace, "x").astype(int).tolist() for row in rows]
    assert [[0, 1, 0], [1, 1, 0]] == traces
    assert has_traces(table)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no row names a .wav file"),
        ("file,trace\n1,0 1 0\n", "no row names a .wav file"),
        ("file,loss\na.wav,0.1\n", "no column holds traces"),
        ("file,s,t\na.wav,0 1,1 0\n", "columns 2, 3 all look like traces"),
        ("a.wav,\xff", "is no text in UTF-8"),
    ],
)
def test_what_is_no_such_csv(table, text, words):
    """Any other table is refused with a sentence, or quietly told apart."""
    table.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=words):
        read_meta(table)
    assert not has_traces(table)


def test_a_short_row_hides_no_other(table):
    """A row without a trace is listed with an empty one, which is told when it is read."""
    table.write_text("file,n,m,trace\na.wav,1,2,0 1\nb.wav,1\n")
    assert [("a.wav", "0 1", 2), ("b.wav", "", 3)] == [
        (row.name, row.trace, row.line) for row in read_meta(table)
    ]


@given(data=st.binary(max_size=300) | st.text(alphabet=',;\n"01 .wav', max_size=200))
def test_any_bytes_are_rows_or_a_sentence(table, data):
    """No content leads to anything but rows or one sentence that names the file."""
    table.write_bytes(data if isinstance(data, bytes) else data.encode())
    sentence = ""
    try:
        rows = read_meta(table)
    except ConfigError as error:
        sentence = str(error)
    if sentence:
        assert str(table) in sentence
        assert "\n" not in sentence
    else:
        assert rows
        assert all(".wav" in row.name.lower() for row in rows)


@given(lost=st.lists(st.booleans(), min_size=1, max_size=50))
def test_digits(lost):
    """Digits with spaces between them are read back."""
    assert np.array_equal(lost, parse_digits(" ".join(str(int(e)) for e in lost), "x"))


@pytest.mark.parametrize(
    ("text", "words"), [("0 1 2", "packet 3 of the trace is '2'"), (" ", "the trace is empty")]
)
def test_damaged_digits(text, words):
    """Other entries than 0 and 1 are named."""
    with pytest.raises(ConfigError, match=words):
        parse_digits(text, "val_meta.csv, line 2")
