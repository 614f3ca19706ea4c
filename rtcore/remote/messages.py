# SPDX-License-Identifier: MIT
"""The messages of the control protocol: JSON, version 1; see docs/protocol.md.

Everything a client sends is checked here before anybody acts on it: its size, that it is JSON
without duplicate keys, without numbers that are not finite or longer than 64 bits, and nested no
deeper than a chain can be; then its keys and their types.  Whatever is wrong becomes a sentence.
"""

from __future__ import annotations

import json
import math
import reprlib
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from rtcore.errors import RemoteError, did_you_mean

VERSION = 1
#: Longest message that is read; longer ones are answered with a sentence.
MAX_MESSAGE_BYTES = 65536
_MAX_DEPTH = 32
_LARGEST = 2**63
_LAST_ID = 2**53  # the largest whole number that JavaScript counts to

Path_ = Annotated[str, Field(min_length=1, max_length=256)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class _Message(BaseModel):
    """What each request has."""

    model_config = ConfigDict(strict=True, extra="forbid")

    rtcore: Literal[1]
    id: int = Field(ge=1, le=_LAST_ID)


class Hello(_Message):
    """Begin a session."""

    verb: Literal["hello"]


class _Request(_Message):
    """What each request in a session has."""

    session: str = Field(max_length=64)


class Plain(_Request):
    """A request without words of its own."""

    verb: Literal[
        "list", "snapshot", "presets", "start", "stop", "reopen", "subscribe", "stats", "state"
    ]


class Get(_Request):
    """Ask for the value of a path."""

    verb: Literal["get"]
    path: Path_


class Set(_Request):
    """Give values to paths: all of them, or none where one is refused."""

    verb: Literal["set"]
    values: dict[Path_, Any] = Field(min_length=1, max_length=256)


class Load(_Request):
    """Cross-fade to another chain, given by the keys of a chain file."""

    verb: Literal["load"]
    chain: dict[str, Any]


class Restore(_Request):
    """Bring back what ``snapshot`` gave."""

    verb: Literal["restore"]
    snapshot: Snapshot


class Snapshot(BaseModel):
    """The state that a listener hears."""

    model_config = ConfigDict(strict=True, extra="forbid")

    chain: dict[str, Any]
    volume_db: float = Field(0.0, ge=-120.0, le=0.0)
    bypass: bool = False
    mute: bool = False
    bypassed: list[Path_] = Field([], max_length=256)


class Switch(_Request):
    """Turn bypass or mute on or off."""

    verb: Literal["bypass", "mute"]
    on: bool


class Preset(_Request):
    """Save what plays under a name, play a saved preset, or remove it."""

    verb: Literal["save", "recall", "forget"]
    name: Name


Request = Hello | Plain | Get | Set | Load | Restore | Switch | Preset
_FORMS: tuple[type[_Message], ...] = (Hello, Plain, Get, Set, Load, Restore, Switch, Preset)


def _verbs(form: type[_Message]) -> tuple[str, ...]:
    found: tuple[str, ...] = form.model_fields["verb"].annotation.__args__  # type: ignore[union-attr]
    return found


Restore.model_rebuild()
_FORM_OF = {verb: form for form in _FORMS for verb in _verbs(form)}
VERBS = tuple(_FORM_OF)
_READERS: dict[str, TypeAdapter[Any]] = {verb: TypeAdapter(form) for verb, form in _FORM_OF.items()}


def read_json(body: bytes) -> Any:
    """Read a message as JSON.

    Raises
    ------
    RemoteError
        Where it is too long, or no JSON that the protocol allows.
    """
    if len(body) > MAX_MESSAGE_BYTES:
        raise RemoteError(too_long(len(body)))
    if body.count(b"[") + body.count(b"{") > _MAX_DEPTH:
        _check_depth(body)
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise RemoteError("a message must be JSON in UTF-8, got other bytes") from None
    except RecursionError:
        raise RemoteError(_too_deep()) from None
    except json.JSONDecodeError as error:
        reason = f"{error.msg[:1].lower()}{error.msg[1:]} at letter {error.pos}"
        raise RemoteError(f"a message must be JSON: {reason}; send one JSON object") from None


def too_long(size: int) -> str:
    """Say that a message of so many bytes is not taken."""
    return f"a message may have at most {MAX_MESSAGE_BYTES} bytes, got {size}; send a smaller one"


def _check_depth(body: bytes) -> None:
    """Refuse deep nesting before it is read; brackets in texts count not."""
    depth, in_text, escaped = 0, False, False
    for byte in body:
        if in_text:
            in_text = escaped or byte != 0x22
            escaped = byte == 0x5C and not escaped
        elif byte == 0x22:
            in_text = True
        elif byte in b"[{":
            depth += 1
            if depth > _MAX_DEPTH:
                raise RemoteError(_too_deep())
        elif byte in b"]}":
            depth -= 1


def _too_deep() -> str:
    return f"a message may be nested at most {_MAX_DEPTH} deep; take some brackets away"


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"the key {reprlib.repr(twice)} stands twice in one object; give it once"
        raise RemoteError(msg)
    return table


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        _refuse_number(text)
    return value


def _int(text: str) -> int:
    if len(text) > 20 or not -_LARGEST <= int(text) < _LARGEST:
        _refuse_number(text)
    return int(text)


def _refuse_number(text: str) -> NoReturn:
    msg = f"a number must be finite and have at most 64 bits, got {reprlib.repr(text)}"
    raise RemoteError(msg)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=_float, parse_int=_int, parse_constant=_refuse_number
)


def read_request(body: bytes) -> Request:
    """Read and check a request.

    Raises
    ------
    RemoteError
        In a sentence that names the key.
    """
    return request_of(read_json(body))


def request_of(table: Any) -> Request:
    """Check a request that was read as JSON; see :func:`read_request`."""
    if not isinstance(table, dict):
        msg = f"a message must be a JSON object, got {reprlib.repr(table)}"
        raise RemoteError(msg)
    if table.get("rtcore") != VERSION or isinstance(table["rtcore"], bool):
        found = reprlib.repr(table["rtcore"]) if "rtcore" in table else "none"
        msg = f"rtcore: this server speaks version {VERSION} of the protocol, got {found}"
        raise RemoteError(msg)
    verb = table.get("verb")
    if not isinstance(verb, str) or verb not in _READERS:
        hint = did_you_mean(verb, VERBS) if isinstance(verb, str) and len(verb) < 64 else ""
        msg = f"verb: {reprlib.repr(verb)} is no verb{hint}; there are {', '.join(VERBS)}"
        raise RemoteError(msg)
    try:
        request: Request = _READERS[verb].validate_python(table)
    except ValidationError as error:
        raise _refusal(verb, error) from None
    return request


def _refusal(verb: str, error: ValidationError) -> RemoteError:
    """Put pydantic's first complaint into our words."""
    problems = error.errors(include_url=False, include_context=False)
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    where = ".".join(reprlib.repr(step).strip("'") for step in problem["loc"]) or verb
    if problem["type"] == "extra_forbidden":
        known = [name for name in _FORM_OF[verb].model_fields if name != "verb"]
        return RemoteError(f"{where}: is no key of '{verb}'; there are {', '.join(known)}")
    if problem["type"] == "missing":
        return RemoteError(f"{where}: is missing in '{verb}'; add it")
    said = problem["msg"].removeprefix("Input ").removeprefix("Value error, ")
    said = f"{said[:1].lower()}{said[1:]}"
    found = reprlib.repr(problem["input"])
    return RemoteError(f"{where}: does not suit '{verb}': {said}, got {found}")


_ENCODER = json.JSONEncoder(allow_nan=False, default=str, separators=(",", ":"))


def write(message: Any) -> bytes:
    """Write a message as ASCII JSON; what JSON does not know becomes null or a text."""
    try:
        text = _ENCODER.encode(message)
    except ValueError:
        text = _ENCODER.encode(_finite(message))
    return text.encode("ascii")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
