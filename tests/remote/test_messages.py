# SPDX-License-Identifier: MIT
"""What a request may look like, and the sentence for what it may not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcore.errors import RemoteError
from rtcore.remote import messages
from rtcore.remote.messages import MAX_MESSAGE_BYTES, read_json, read_request

HEAD = {"rtcore": 1, "id": 1, "session": "s"}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def request(**words):
    return json.dumps({**HEAD, **words}).encode()


def test_every_verb_has_a_form():
    """The verbs of the documented protocol, and no others."""
    expected = {
        "hello", "list", "state", "stats", "subscribe", "get", "set", "load", "start", "stop",
        "reopen", "bypass", "mute", "snapshot", "restore", "presets", "save", "recall", "forget",
    }  # fmt: skip
    assert expected == set(messages.VERBS)


def test_a_request_is_read():
    """A good request keeps its words."""
    read = read_request(request(verb="set", values={"plugin/gain/gain_db": -6}))
    assert ("set", {"plugin/gain/gain_db": -6}) == (read.verb, read.values)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "must be JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b"[1]", "must be a JSON object, got [1]"),
        (b"{}", "rtcore: this server speaks version 1 of the protocol, got none"),
        (b'{"rtcore": true, "verb": "get"}', "got True"),
        (b'{"rtcore": 2, "verb": "get"}', "got 2"),
        (b'{"a": 1, "a": 2}', "'a' stands twice"),
        (b'{"a": NaN}', "must be finite"),
        (b'{"a": 1e999}', "must be finite"),
        (b'{"a": ' + b"9" * 5000 + b"}", "at most 64 bits"),
        (b"[" * 60000, "nested at most 32 deep"),
        (b'{"a":' * 9000, "nested at most 32 deep"),
        (b" " * (MAX_MESSAGE_BYTES + 1), f"at most {MAX_MESSAGE_BYTES} bytes, got 65537"),
        (request(verb="gte"), "did you mean 'get'?"),
        (request(verb=7), "7 is no verb"),
        (request(verb="get"), "path: is missing in 'get'; add it"),
        (request(verb="get", path="x", pth=1), "pth: is no key of 'get'; there are"),
        (request(verb="get", path=""), "path: does not suit 'get'"),
        (request(verb="bypass", on=1), "on: does not suit 'bypass'"),
        (request(verb="save", name="../x"), "name: does not suit 'save'"),
        (request(verb="set", values={}), "values: does not suit 'set'"),
        (request(verb="restore", snapshot={"chain": {}, "volume_db": 7}), "snapshot.volume_db"),
        (json.dumps({**HEAD, "id": 2**60, "verb": "list"}).encode(), "id: does not suit"),
        (json.dumps({**HEAD, "id": 0, "verb": "list"}).encode(), "id: does not suit"),
    ],
)
def test_what_is_wrong_becomes_a_sentence(body, words):
    """Each refusal names the key and what was found."""
    with pytest.raises(RemoteError) as caught:
        read_request(body)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


def test_brackets_in_texts_are_no_nesting():
    """Forty brackets inside a text, one of them escaped, are only letters."""
    text = '"' + "[" * 40 + "{" * 40
    assert {"a": text} == read_json(json.dumps({"a": text}).encode())


@given(ANY_JSON)
def test_all_json_is_read_as_it_is(value):
    """What a client writes in JSON is what the server reads."""
    assert value == read_json(json.dumps(value).encode())


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body):
    """No bytes lead to anything but a request or a sentence."""
    outcome = "read"
    try:
        read_request(body)
    except RemoteError as error:
        outcome = str(error)
    assert outcome


def test_what_json_does_not_know_is_written_as_null():
    """NaN and infinity in an answer become null, whatever they are nested in."""
    assert b'{"a":[null,{"b":null}],"c":1.5}' == messages.write(
        {"a": [float("nan"), {"b": float("inf")}], "c": 1.5}
    )
