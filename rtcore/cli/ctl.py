# SPDX-License-Identifier: MIT
"""``rtcore ctl``: steer an engine that runs elsewhere."""

from __future__ import annotations

import itertools
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from rtcore.cli.output import as_json, print_json, print_table
from rtcore.cli.remote_options import There, remote_options
from rtcore.errors import ConfigError, RtcoreError

_SILENT_S = 5.0
_FILE = click.Path(path_type=Path)


@click.group()
@remote_options
@click.pass_context
def ctl(ctx: click.Context, there: There) -> None:
    """Steer an engine that `rtcore serve` plays, here or on another machine."""
    ctx.obj = there


def _client(ctx: click.Context) -> Any:
    """Give the connection, which all lines of a script share; it ends with the command."""
    root = ctx.find_root()
    if "client" not in ctx.meta:
        ctx.meta["client"] = ctx.obj.client()
        root.call_on_close(ctx.meta["client"].close)
    return ctx.meta["client"]


def _show(value: Any) -> None:
    click.echo(value if isinstance(value, str) else as_json(value))


@ctl.command()
@click.argument("path")
@click.pass_context
def get(ctx: click.Context, path: str) -> None:
    """Print the value of a path, such as plugin/nalr/audiogram."""
    _show(_client(ctx).get(path))


@ctl.command("set", context_settings={"ignore_unknown_options": True})  # -6 is a value
@click.argument("words", nargs=-1, required=True, metavar="PATH VALUE [PATH VALUE]...")
@click.pass_context
def set_(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Give values to paths: all of them, or none where one is refused.

    Values are TOML; a bare word is a text.
    """
    from rtcore.cli.chain_options import toml_value

    if len(words) % 2:
        raise click.UsageError(f"give each path its value; '{words[-1]}' has none")
    pairs = zip(words[::2], words[1::2], strict=True)
    _client(ctx).set({path: toml_value(text) for path, text in pairs})


@ctl.command("list")
@click.option("--json", "json_", is_flag=True, help="Print JSON for programs.")
@click.pass_context
def list_(ctx: click.Context, json_: bool) -> None:
    """List everything that can be read and turned."""
    found = _client(ctx).ask("list")
    if json_:
        print_json({"plugins": found["plugins"], "paths": found["paths"]})
        return
    times: dict[str, int] = {}
    for plugin in found["plugins"]:
        times[plugin["id"]] = times.get(plugin["id"], 0) + 1
    names = {
        plugin["number"]: plugin["id"] if times[plugin["id"]] == 1 else plugin["number"]
        for plugin in found["plugins"]
    }
    rows = [
        (
            f"plugin/{names[plugin['number']]}/{name}",
            as_json(about["value"]) if isinstance(about["value"], dict | list) else about["value"],
            about["unit"],
            _range(about),
            about["doc"],
        )
        for plugin in found["plugins"]
        for name, about in plugin["parameters"].items()
    ]
    rows += [
        (f"plugin/{names[plugin['number']]}/bypass", plugin["bypass"], "", "", "")
        for plugin in found["plugins"]
        if "bypass" not in plugin["parameters"]
    ]
    rows += [(path, _client(ctx).get(path), "", "", "") for path in found["paths"]]
    print_table(("path", "value", "unit", "range", ""), rows)


def _range(about: dict[str, Any]) -> str:
    if about["choices"]:
        return ", ".join(map(str, about["choices"]))
    low, high = about["min"], about["max"]
    if low is None and high is None:
        return ""
    return f"{'' if low is None else f'{low:g}'} .. {'' if high is None else f'{high:g}'}"


@ctl.command()
@click.argument("topics", nargs=-1)
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many messages.")
@click.pass_context
def watch(ctx: click.Context, topics: tuple[str, ...], count: int | None) -> None:
    """Print telemetry as it comes, one JSON object a line: stats, event, or both.

    Where nothing comes for a while the server is asked whether it is still there.
    """
    import json

    for topic, told in itertools.islice(_watched(_client(ctx), topics or ("",)), count):
        click.echo(json.dumps({"topic": topic, **told}))


def _watched(client: Any, topics: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give telemetry for as long as there is a server."""
    while True:
        yield from client.watch(topics, timeout_s=_SILENT_S)
        client.ask("state")  # says so where nobody answers any more


@ctl.command()
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.pass_context
def script(ctx: click.Context, file: Any) -> None:
    """Carry out a file of ctl's own commands, one a line; `wait SECONDS` and # comments too.

    All of it is one connection.  The first line that fails ends it.
    """
    parent = ctx.parent
    assert parent is not None
    for number, line in enumerate(file, 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            what = f"a quotation mark has no partner ({error}); close it"
            raise ConfigError(f"{file.name}, line {number}", what) from None
        if words:
            _line(parent, words, f"{file.name}, line {number}")


def _line(parent: click.Context, words: list[str], where: str) -> None:
    name, *rest = words
    if name == "wait":
        time.sleep(_seconds(rest, where))
        return
    command = ctl.commands.get(name)
    if command is None or command is script:
        known = ", ".join(k for k, c in ctl.commands.items() if c is not script)
        what = f"'{name}' is no command of a script; there are wait, {known}"
        raise ConfigError(where, what)
    try:
        with command.make_context(name, rest, parent=parent) as inner:
            command.invoke(inner)
    except click.UsageError as error:
        said = error.format_message().rstrip(".")
        raise ConfigError(where, f"{said[:1].lower()}{said[1:]}; mend that line") from None
    except RtcoreError as error:
        click.echo(f"{where}: {name} failed", err=True)
        raise error from None


def _seconds(words: list[str], where: str) -> float:
    try:
        (text,) = words
        seconds = float(text)
        if not 0.0 <= seconds <= 86400.0:
            raise ValueError
    except ValueError:
        raise ConfigError(where, "wait needs a number of seconds from 0 to 86400") from None
    return seconds


def _switch(verb: str, sentence: str) -> None:
    """Make the command that turns something on or off."""

    @ctl.command(verb, help=sentence)
    @click.argument("position", type=click.Choice(["on", "off"]))
    @click.pass_context
    def turn(ctx: click.Context, position: str) -> None:
        _client(ctx).ask(verb, on=position == "on")


def _plain(verb: str, sentence: str, key: str | None = None) -> None:
    """Make the command of a request without words of its own; it prints what is answered."""

    @ctl.command(verb, help=sentence)
    @click.pass_context
    def ask(ctx: click.Context) -> None:
        answer = _client(ctx).ask(verb)
        for word in ("rtcore", "id", "ok"):
            answer.pop(word)
        _show(answer if key is None else answer[key])


def _named(verb: str, sentence: str) -> None:
    """Make a command about one preset."""

    @ctl.command(verb, help=sentence)
    @click.argument("name")
    @click.pass_context
    def ask(ctx: click.Context, name: str) -> None:
        _client(ctx).ask(verb, name=name)


_switch("bypass", "Let the sound pass unprocessed, at the same latency, or process it again.")
_switch("mute", "Be silent, or let the sound fade in again.")
_plain("start", "Let the engine play.")
_plain("stop", "Let it be silent, and close the device.")
_plain("reopen", "Close the device and open it again.")
_plain("state", "Say how it stands.")
_plain("stats", "Print everything that was counted.", "stats")
_plain("presets", "Name the saved presets.", "presets")
_plain("snapshot", "Print all that decides what is heard, for restore.", "snapshot")
_named("save", "Save the chain as it plays now, under a name.")
_named("recall", "Cross-fade to a saved preset.")
_named("forget", "Remove a saved preset.")


@ctl.command()
@click.argument("chain", type=_FILE, metavar="CHAIN.toml")
@click.pass_context
def load(ctx: click.Context, chain: Path) -> None:
    """Cross-fade to the chain of a file here; files that it names are looked up on the server."""
    from rtcore.chain.config import read_table

    _client(ctx).ask("load", chain=read_table(chain))


@ctl.command()
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.pass_context
def restore(ctx: click.Context, file: Any) -> None:
    """Bring back what `snapshot` printed into a file."""
    import json

    try:
        shot = json.load(file)
    except (ValueError, RecursionError):
        raise ConfigError(file.name, "is no snapshot; make one with rtcore ctl snapshot") from None
    _client(ctx).ask("restore", snapshot=shot)
