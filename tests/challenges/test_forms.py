# SPDX-License-Identifier: MIT
"""Files of challenges: read as they are, written the same, and refused with file and key."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcore.challenges.forms import Form, json_text, read_list, read_object, read_table, write_json
from rtcore.errors import ConfigError


class Part(Form):
    name: str
    start: int = 0


class Whole(Form):
    level_db: float
    parts: list[Part]
    note: str | None = None


GOOD = {"level_db": 3, "parts": [{"name": "a", "start": 7}]}

BAD = [
    ({"level_db": 3}, "parts", "is missing in this file, which must be a whole"),
    (GOOD | {"lvl": 1}, "lvl", "is no key of a whole"),
    (GOOD | {"parts": [{"name": "a", "starts": 7}]}, "parts[0].starts", "did you mean 'start'?"),
    (GOOD | {"level_db": "3"}, "level_db", "does not fit a whole: should be a valid number"),
    (GOOD | {"parts": [{"name": "a", "start": 1.5}]}, "parts[0].start", "found 1.5"),
]


@pytest.mark.parametrize(("content", "key", "said"), BAD)
@pytest.mark.parametrize("shape", ["object", "list", "table"])
def test_misfits_are_told_with_file_and_key(tmp_path, content, key, said, shape):
    """Whatever shape a file has, what does not fit is told in one line with its place."""
    path = tmp_path / "things.json"
    wrap, read, place = {
        "object": (lambda x: x, read_object, ": "),
        "list": (lambda x: [GOOD, x], read_list, ": [1]: "),
        "table": (lambda x: {"A": GOOD, "B": x}, read_table, ": B: "),
    }[shape]
    path.write_text(json.dumps(wrap(content)))
    with pytest.raises(ConfigError) as error:
        read(path, Whole, what="a whole")
    text = str(error.value)
    assert f"{path}{place}{key}: " == text[: len(f"{path}{place}{key}: ")]
    assert said in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (read_list, "{}", "must hold a JSON list, got {}"),
        (read_table, "[1, 2]", "must hold a JSON object, got [1, 2]"),
        (read_object, "{", "is not JSON"),
        (read_object, '{"note": "a", "note": "b"}', "key 'note' comes twice"),
    ],
)
def test_files_of_another_shape_are_refused(tmp_path, read, text, said):
    """A list in place of an object and torn JSON are told as such."""
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"x\.json") as error:
        read(path, Whole, what="a whole")
    assert said in str(error.value)


parts = st.builds(Part, name=st.text(max_size=5), start=st.integers(-9, 9))
wholes = st.builds(
    Whole,
    level_db=st.floats(-90, 9),
    parts=st.lists(parts, max_size=3),
    note=st.none() | st.text(max_size=5),
)


@given(st.lists(wholes, max_size=4))
def test_what_is_written_is_read_back(tmp_path_factory, content):
    """A list of forms survives the file, and absent values leave no key."""
    path = tmp_path_factory.mktemp("forms") / "list.json"
    write_json(path, content)
    assert content == read_list(path, Whole, what="a whole")
    assert "null" not in json_text([one for one in content if one.note is None])
