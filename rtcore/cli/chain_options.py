# SPDX-License-Identifier: MIT
"""The options with which commands are told what to do with the sound."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcore.errors import ConfigError

if TYPE_CHECKING:
    from rtcore.chain.config import ChainConfig
    from rtcore.hearing import Listener

_PATH = click.Path(path_type=Path)
_KEYS = ("left", "right", "frequencies")


@dataclass(frozen=True)
class ListenerChoice:
    """Who listens, as the command line says it."""

    audiogram: str | None = None
    left: str | None = None
    right: str | None = None
    frequencies: str | None = None
    listeners: Path | None = None

    @property
    def given(self) -> bool:
        """Whether anything was said."""
        return bool(self.audiogram or self.left or self.right or self.frequencies)

    def listener(self) -> Listener:
        """Find the listener.

        Raises
        ------
        ConfigError
            Where there is none of that name, or the levels are no proper audiogram.
        """
        from rtcore.hearing import Listener, resolve_listener

        if self.audiogram is None:
            return Listener.from_levels(self.left, self.right, self.frequencies)
        for key in _KEYS:
            if getattr(self, key) is not None:
                what = "cannot be joined with --audiogram; give one of the two"
                raise ConfigError(f"--{key}", what)
        return resolve_listener(self.audiogram, listeners=self.listeners, where="--audiogram")


@dataclass(frozen=True)
class ChainChoice:
    """What is to be done with the sound, as the command line says it.

    Attributes
    ----------
    chain : Path or None
        A chain file.
    plugins : tuple of str
        Plugins in a row, such as ``gain:gain_db=-6``.
    listener : ListenerChoice
        Who listens; without a chain or plugins a hearing aid is made for them.
    dtype : str or None
        ``"float32"`` or ``"float64"``; the chain file's own where None.
    """

    chain: Path | None
    plugins: tuple[str, ...]
    listener: ListenerChoice
    dtype: str | None

    @property
    def given(self) -> bool:
        """Whether anything was said about what to do."""
        return self.chain is not None or bool(self.plugins) or self.listener.given

    def recipe(self, *, default: str | None = None) -> Recipe:
        """Read and check everything that does not depend on the sound.

        Parameters
        ----------
        default : str, optional
            Audiogram for which a hearing aid is made where nothing was said.

        Raises
        ------
        RtcoreError
            Where something is wrong with the chain file, a plugin or the audiogram.
        """
        said = [self.chain is not None, bool(self.plugins), self.listener.given]
        if sum(said) > 1:
            what = "give one of -c CHAIN, -p PLUGIN and --audiogram (or --left and --right)"
            raise click.UsageError(what)
        if not self.given and default is None:
            what = "say what to do with the sound: -c CHAIN.toml, -p PLUGIN or --audiogram N3"
            raise click.UsageError(what)
        from rtcore.chain.config import load, parse

        words = {"dtype": self.dtype, "listeners": self.listener.listeners}
        if self.chain is not None:
            return Recipe(config=load(self.chain).override(**words))
        if self.plugins:
            tables = [plugin_table(text) for text in self.plugins]
            return Recipe(config=parse({"plugin": tables}).override(**words))
        who = self.listener if self.listener.given else ListenerChoice(default)
        return Recipe(listener=who.listener(), dtype=self.dtype or "float32")


@dataclass(frozen=True)
class Recipe:
    """What chains are made from, once rate and channels are known."""

    config: ChainConfig | None = None
    listener: Listener | None = None
    dtype: str = "float32"

    def config_for(self, sample_rate: float, channels: int) -> ChainConfig:
        """Give the chain for a stream; what a chain file says itself is left as it is.

        Parameters
        ----------
        sample_rate : float
            In Hz, of the file or device.
        channels : int
            Of the file or device.
        """
        from rtcore.chain.config import ChainConfig
        from rtcore.presets import hearing_aid

        if self.listener is not None:
            aid = hearing_aid(self.listener, sample_rate=sample_rate, channels=channels)
            return ChainConfig(aid, float(sample_rate), channels, self.dtype)
        assert self.config is not None
        return self.config.override(
            sample_rate=sample_rate if self.config.sample_rate is None else None,
            channels=channels if self.config.channels is None else None,
        )


def plugin_table(text: str) -> dict[str, Any]:
    """Read ``ID`` or ``ID:key=value,key=value`` as a table of a chain file.

    Values are TOML; a bare word is a text.

    Raises
    ------
    ConfigError
        Where a part is no ``key=value``.
    """
    name, _, rest = text.partition(":")
    table: dict[str, Any] = {"id": name.strip()}
    for part in _parts(rest):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            what = f"'{part.strip()}' is no key=value; write it like -p gain:gain_db=-6"
            raise ConfigError(f"-p {name.strip()}", what)
        table[key.strip()] = toml_value(value.strip())
    return table


def _parts(text: str) -> list[str]:
    """Split at commas outside of brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if letter == "," and depth <= 0 and not quote:
            parts.append("")
            continue
        parts[-1] += letter
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        else:
            depth += (letter in "[{") - (letter in "]}")
    return [part for part in parts if part.strip()]


def toml_value(text: str) -> Any:
    """Read a TOML value, or take the word as it is."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def listener_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --audiogram and its kin; the command gets ``listener``, a ListenerChoice."""

    @functools.wraps(command)
    def collected(**kwargs: Any) -> Any:
        words = ("audiogram", *_KEYS, "listeners")
        choice = ListenerChoice(**{word: kwargs.pop(word) for word in words})
        return command(listener=choice, **kwargs)

    options = [
        click.option(
            "--audiogram",
            metavar="WHO",
            help="N1 to N7, S1 to S3, a CSV or JSON file, or a listener's id.",
        ),
        click.option("--left", metavar="DB,DB,..", help="Thresholds of the left ear in dB HL."),
        click.option("--right", metavar="DB,DB,..", help="Thresholds of the right ear in dB HL."),
        click.option(
            "--frequencies",
            metavar="HZ,HZ,..",
            help="Of --left and --right; 250,500,1000,2000,3000,4000,6000,8000 when absent.",
        ),
        click.option("--listeners", type=_PATH, metavar="FILE", help="Where ids are looked up."),
    ]
    return _with(collected, options)


def chain_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose a chain; the command gets ``choice``, a ChainChoice."""

    @functools.wraps(command)
    def collected(listener: ListenerChoice, **kwargs: Any) -> Any:
        words = ("chain", "plugins", "dtype")
        choice = ChainChoice(**{word: kwargs.pop(word) for word in words}, listener=listener)
        return command(choice=choice, **kwargs)

    options = [
        click.option("-c", "--chain", type=_PATH, metavar="CHAIN.toml", help="A chain file."),
        click.option(
            "-p",
            "--plugin",
            "plugins",
            multiple=True,
            metavar="ID[:KEY=VALUE,..]",
            help="One plugin; give several for a row of them.",
        ),
        click.option(
            "--dtype",
            type=click.Choice(["float32", "float64"]),
            help="Type of the samples in the chain.",
        ),
    ]
    return _with(listener_options(collected), options)


def _with(command: Callable[..., Any], options: list[Callable[..., Any]]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command
