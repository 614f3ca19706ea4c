# SPDX-License-Identifier: MIT
"""Chains as TOML files, and as mappings with the same keys.

The words of a file are the keyword arguments of :class:`rtcore.Chain` and of the plugins::

    sample_rate = 44100                  # the file's or device's own when absent
    channels = 2                         # likewise
    dtype = "float64"                    # float32 when absent
    listeners = "metadata/listeners.json"

    [[plugin]]
    id = "nalr"
    audiogram = "L0064"

    [[plugin]]
    id = "parallel"                      # branches that are added
    gains_db = [0, -6]
    [[plugin.branch]]                    # an empty branch is the dry signal
    [[plugin.branch]]
    [[plugin.branch.plugin]]
    id = "gain"

    [[plugin]]
    id = "per_ear"
    [[plugin.left]]
    id = "gain"
    [[plugin.right]]
    id = "delay"

Every complaint names the file and the place in it.
"""

from __future__ import annotations

import os
import reprlib
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rtcore.chain.chain import Chain
from rtcore.chain.export import chain_to_toml, config_from_chain
from rtcore.chain.graph import Element, Parallel, PerEar
from rtcore.errors import (
    ConfigError,
    ParameterError,
    PluginError,
    RtcoreError,
    did_you_mean,
)
from rtcore.host import find

__all__ = [
    "ChainConfig",
    "chain_from_mapping",
    "chain_from_toml",
    "chain_to_toml",
    "config_from_chain",
    "load",
    "parse",
    "read_table",
]

MAX_DEPTH = 8
_WORDS = ("sample_rate", "channels", "dtype", "listeners", "max_frames", "block_frames")
_LARGEST = 2**63


class _File(BaseModel):
    """The top level of a chain file."""

    model_config = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True)

    sample_rate: float | None = Field(None, ge=1000, le=384000, allow_inf_nan=False)
    channels: int | None = Field(None, ge=1, le=64)
    dtype: Literal["float32", "float64"] = "float32"
    listeners: str | None = None
    max_frames: int = Field(512, ge=1, le=65536)
    block_frames: int = Field(1, ge=1, le=65536)
    plugin: list[dict[str, Any]] = []


@dataclass(frozen=True)
class ChainConfig:
    """A chain that was read and checked, before it is built for a stream.

    Attributes
    ----------
    elements : list
        Plugins, :class:`~rtcore.Parallel` and :class:`~rtcore.PerEar`.
    sample_rate : float or None
        In Hz; None where the file leaves it open.
    channels : int or None
        That come in; None where the file leaves it open.
    dtype : str
        ``"float32"`` or ``"float64"``.
    listeners : Path or None
        File in which listeners named by id are looked up.
    max_frames, block_frames : int
        As for :class:`rtcore.Chain`.
    source : str
        What error messages begin with: the file's name, or nothing.
    """

    elements: list[Element]
    sample_rate: float | None = None
    channels: int | None = None
    dtype: str = "float32"
    listeners: Path | None = None
    max_frames: int = 512
    block_frames: int = 1
    source: str = field(default="", compare=False)

    def override(self, **values: Any) -> ChainConfig:
        """Give a copy with other values of the words of a stream; None leaves one as it is.

        Raises
        ------
        ConfigError
            Where a word is unknown.
        """
        for key in values:
            if key not in _WORDS:
                what = f"is no option of a chain{did_you_mean(key, _WORDS)}"
                raise ConfigError(key, f"{what}; there are {', '.join(_WORDS)}")
        return replace(self, **{key: value for key, value in values.items() if value is not None})

    def build(self) -> Chain:
        """Build the chain; 48000 Hz and 2 channels where the file leaves them open.

        Raises
        ------
        ConfigError, PluginError
            Naming the file and the place in it.
        """
        with naming(self.source):
            return Chain(
                self.elements,
                sample_rate=48000.0 if self.sample_rate is None else self.sample_rate,
                channels=2 if self.channels is None else self.channels,
                dtype=self.dtype,
                listeners=self.listeners,
                max_frames=self.max_frames,
                block_frames=self.block_frames,
            )


def chain_from_toml(path: Path, overrides: Mapping[str, Any]) -> Chain:
    """Build the chain of a TOML file; see :meth:`rtcore.Chain.from_toml`."""
    return load(path).override(**overrides).build()


def chain_from_mapping(
    config: Mapping[str, Any], base: Path, overrides: Mapping[str, Any]
) -> Chain:
    """Build the chain of a mapping; see :meth:`rtcore.Chain.from_config`."""
    return parse(config, base).override(**overrides).build()


def load(path: str | os.PathLike[str]) -> ChainConfig:
    """Read and check a chain file without building it.

    Raises
    ------
    ConfigError, PluginError
        Naming the file, the place in it, what was found and the remedy.
    """
    file = Path(path)
    with naming(str(file)):
        return replace(parse(_read(file), file.parent), source=str(file))


def read_table(path: Path) -> dict[str, Any]:
    """Read a chain file's keys without checking what they say.

    Raises
    ------
    ConfigError
        Where it is no TOML.
    """
    with naming(str(path)):
        return _read(path)


def parse(config: Mapping[str, Any], base: Path = Path()) -> ChainConfig:
    """Check a chain given as a mapping, without building it.

    Parameters
    ----------
    config : mapping
        The keys of a chain file.
    base : Path
        Folder from which relative paths in it start.
    """
    if not isinstance(config, Mapping):
        raise ConfigError("", f"a chain must be a table of keys, got {reprlib.repr(config)}")
    try:
        checked = _File.model_validate(dict(config))
    except ValidationError as error:
        raise _refusal(error) from None
    elements = _series(checked.plugin, "plugin", base, depth=0)
    words = {word: getattr(checked, word) for word in _WORDS if word != "listeners"}
    listeners = None if checked.listeners is None else base / checked.listeners
    return ChainConfig(elements, listeners=listeners, **words)


@contextmanager
def naming(source: str) -> Iterator[None]:
    """Let the complaints that arise inside begin with the name of their file."""
    try:
        yield
    except (ConfigError, ParameterError) as error:
        where = error.where if isinstance(error, ConfigError) else error.key
        if not source or where.startswith(source):
            raise
        raise ConfigError(f"{source}: {where}" if where else source, error.what) from error
    except PluginError as error:
        raise type(error)(f"{source}: {error}" if source else str(error)) from error


def _read(path: Path) -> dict[str, Any]:
    """Read TOML, or say where it is no TOML."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError("", "there is no such chain file; check its name and folder") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError("", f"cannot be read ({reason}); name a chain file") from None
    except UnicodeDecodeError:
        raise ConfigError("", "is not a text file; a chain file is TOML in UTF-8") from None
    except RecursionError:
        raise ConfigError("", "is nested too deeply; take some brackets away") from None
    except ValueError as error:  # tomllib's own error, a name with a zero byte, a huge number
        raise ConfigError("", f"is not TOML: {_toml_reason(error)}") from None


def _toml_reason(error: ValueError) -> str:
    """Say what is wrong in TOML, where, and what it should look like."""
    text = str(error)
    if "overwrite" in text.lower() or "twice" in text.lower():
        remedy = "give each key once, and write [[plugin]] with two brackets"
    elif "Invalid value" in text or "Expected '='" in text:
        remedy = "write lines as key = value with texts in double quotes, below [[plugin]]"
    else:
        remedy = "mend that line"
    return f"{text[:1].lower()}{text[1:]}; {remedy}"


def _refusal(error: ValidationError) -> ConfigError:
    """Put pydantic's first complaint into our words."""
    problem = error.errors(include_url=False)[0]
    key, *rest = map(str, problem["loc"])
    where = key + "".join(f"[{part}]" for part in rest)
    found = reprlib.repr(problem["input"])
    context = problem.get("ctx", {})
    if problem["type"] == "extra_forbidden":
        return ConfigError(where, _unknown(key, _File.model_fields))
    sentences = {
        "greater_than_equal": f"must be at least {context.get('ge')}",
        "less_than_equal": f"must be at most {context.get('le')}",
        "finite_number": "must be a finite number",
        "float_type": "must be a number",
        "int_type": "must be a whole number",
        "int_parsing_size": "must be a number of ordinary size",
        "string_type": "must be a text in quotes",
        "literal_error": f"must be {context.get('expected')}",
        "list_type": "must be a list of tables; write [[plugin]] with two brackets",
        "dict_type": 'must be a table with an id, such as {id = "gain"}',
    }
    return ConfigError(where, f"{sentences.get(problem['type'], problem['msg'])}, got {found}")


def _unknown(key: str, known: Any) -> str:
    return f"is an unknown key{did_you_mean(key, known)}; there are {', '.join(known)}"


def _series(tables: object, where: str, base: Path, *, depth: int) -> list[Element]:
    """Make the processors of a list of tables."""
    if depth > MAX_DEPTH:
        raise ConfigError(where, f"branches are nested more than {MAX_DEPTH} deep; flatten them")
    if not isinstance(tables, list):
        what = "must be a list of tables; write it with two brackets"
        raise ConfigError(where, f"{what}, such as [[plugin]], got {reprlib.repr(tables)}")
    return [_element(t, f"{where}[{k}]", base, depth=depth) for k, t in enumerate(tables)]


def _element(table: object, where: str, base: Path, *, depth: int) -> Element:
    """Make one processor, or the branches that stand in its place."""
    if not isinstance(table, dict):
        raise ConfigError(where, f"must be a table with an id, got {reprlib.repr(table)}")
    rest = dict(table)
    name = rest.pop("id", None)
    if not isinstance(name, str):
        found = "there is none" if name is None else f"got {reprlib.repr(name)}"
        raise ConfigError(f"{where}.id", f'must be the name of a plugin, such as "gain"; {found}')
    if name == Parallel.id:
        return _parallel(rest, f"{where}.{name}", base, depth=depth)
    if name == PerEar.id:
        return _per_ear(rest, f"{where}.{name}", base, depth=depth)
    return _plugin(name, rest, where, base)


def _plugin(name: str, values: dict[str, Any], where: str, base: Path) -> Element:
    """Find a plugin and hand it its values."""
    try:
        cls = find(name)
    except PluginError as error:
        raise PluginError(f"{where}.id: {error}") from error
    place = f"{where}.{name}"
    values = {key: _value(value, f"{place}.{key}", base) for key, value in values.items()}
    try:
        return cls(**values)
    except ParameterError as error:
        raise ConfigError(f"{place}.{error.key}", error.what) from error
    except ConfigError as error:
        raise ConfigError(f"{place}.{error.where}" if error.where else place, error.what) from error
    except PluginError as error:
        raise type(error)(f"{place}: {error}") from error
    except RtcoreError:
        raise
    except Exception as error:  # another author's code may fail in any way
        what = f"the plugin refused its settings with {type(error).__name__}: {error}"
        raise PluginError(f"{place}: {what}; mend them or its file") from error


def _value(value: Any, where: str, base: Path) -> Any:
    """Refuse numbers beyond TOML's range; find what lies beside the chain file."""
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        raise ConfigError(where, "must be a number of at most 64 bits, got a longer one")
    if isinstance(value, list):
        return [_value(entry, f"{where}[{k}]", base) for k, entry in enumerate(value)]
    if isinstance(value, dict):
        return {key: _value(entry, f"{where}.{key}", base) for key, entry in value.items()}
    if isinstance(value, str) and _lies_in(base, value):
        return str(base / value)
    return value


def _lies_in(base: Path, name: str) -> bool:
    """Tell whether a text names a file in a folder, or a folder by its path; no plain word does."""
    if base == Path() or len(name) > 1000 or not ("/" in name or Path(name).suffix):
        return False
    try:
        return (base / name).is_file() or ("/" in name and (base / name).is_dir())
    except (OSError, ValueError):
        return False


def _parallel(table: dict[str, Any], where: str, base: Path, *, depth: int) -> Parallel:
    """Make branches that are added."""
    _only(table, ("gains_db", "branch"), where)
    branches = table.get("branch", [])
    if not isinstance(branches, list) or not branches:
        what = f"must be a list of [[plugin.branch]] tables, got {reprlib.repr(branches)}"
        raise ConfigError(f"{where}.branch", what)
    gains = _gains(table.get("gains_db"), f"{where}.gains_db")
    made = []
    for k, branch in enumerate(branches):
        place = f"{where}.branch[{k}]"
        if not isinstance(branch, dict):
            raise ConfigError(place, f"must be a table, got {reprlib.repr(branch)}")
        _only(branch, ("plugin",), place)
        made.append(_series(branch.get("plugin", []), f"{place}.plugin", base, depth=depth + 1))
    try:
        return Parallel(*made, gains_db=gains)
    except ParameterError as error:
        raise ConfigError(f"{where}.{error.key}", error.what) from error


def _gains(values: object, where: str) -> list[float] | None:
    """Check a list of gains in dB."""
    if values is None:
        return None
    if not isinstance(values, list):
        raise ConfigError(where, f"must be a list of numbers, got {reprlib.repr(values)}")
    for k, value in enumerate(values):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not -200.0 <= value <= 60.0:
            what = f"must be a number of dB from -200 to 60, got {reprlib.repr(value)}"
            raise ConfigError(f"{where}[{k}]", what)
    return [float(value) for value in values]


def _per_ear(table: dict[str, Any], where: str, base: Path, *, depth: int) -> PerEar:
    """Make one series for each ear."""
    _only(table, ("left", "right"), where)
    ears = {
        ear: _series(table.get(ear, []), f"{where}.{ear}", base, depth=depth + 1)
        for ear in ("left", "right")
    }
    return PerEar(**ears)


def _only(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    """Refuse keys that are not known."""
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}.{key}", _unknown(str(key), known))
