# SPDX-License-Identifier: MIT
"""``rtcore plugins``: what there is, what it does, and a new one of your own."""

from __future__ import annotations

import inspect
import os
import re
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.output import json_option, print_json, print_table
from rtcore.cli.side_table import print_sides
from rtcore.errors import CheckFailed, PluginError, RtcoreError

if TYPE_CHECKING:
    from rtcore.chain.node import Node
    from rtcore.host import PluginInfo
    from rtcore.plugin import Plugin

_RATE_HZ = 48000.0
_MAX_FRAMES = 512


@click.group(invoke_without_command=True)
@click.pass_context
def plugins(ctx: click.Context) -> None:
    """List, show, write and check plugins."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@plugins.command("list")
@json_option
def list_(as_json: bool = False) -> None:
    """List every plugin that can be found."""
    from rtcore.host import all_plugins

    infos = all_plugins()
    if as_json:
        print_json([_entry(info) for info in infos])
        return
    good = [info for info in infos if not info.error]
    print_table(["id", "what it does", "from"], [(i.id, i.doc, i.origin) for i in good])
    bad = [info for info in infos if info.error]
    if bad:
        click.echo("\nCannot be used:")
    for info in bad:
        click.echo(f"  {info.error}")


@plugins.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show a plugin's parameters, latency and description."""
    from rtcore.host import all_plugins, find

    cls = find(name)
    info = next(info for info in all_plugins() if info.cls is cls)
    facts = _facts(cls)
    if as_json:
        sides = {name: asdict(side) for name, side in cls.side_inputs.items()}
        print_json({**_entry(info), "parameters": _parameters(cls), "side_inputs": sides, **facts})
        return
    click.echo(f"{cls.id} ({cls.__name__}), {info.origin}: {info.file}\n")
    click.echo(f"{_description(cls)}\n")
    columns = ["parameter", "default", "unit", "range", "live", "what it is"]
    rows = [_row(entry) for entry in _parameters(cls)]
    if rows:
        print_table(columns, rows)
    print_sides(cls.side_inputs)
    if rows or cls.side_inputs:
        click.echo()
    for key in ("at_48_khz", "placement", "worker", "deterministic"):
        if key in facts:
            click.echo(f"{key.replace('_', ' ')}: {facts[key]}")


@plugins.command()
@click.argument("name")
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Write it there instead.")
def new(name: str, folder: Path | None) -> None:
    """Write a working plugin for you to edit, and say how to hear it."""
    from rtcore._searchpath import search_path, user_folder
    from rtcore.cli.scaffold import check_name, write_plugin
    from rtcore.host import all_plugins

    check_name(name)
    for info in all_plugins():
        if info.id == name:
            what = f"there is a plugin '{name}' already ({info.file}); choose another name"
            raise PluginError(what)
    target = (folder or user_folder("plugins")).absolute()
    file = write_plugin(name, target)
    click.echo(f"Written: {file}\n\nNext:")
    if target not in search_path("plugins"):
        path = os.pathsep.join(filter(None, [str(target), os.environ.get("RTCORE_PLUGIN_PATH")]))
        click.echo(f"  export RTCORE_PLUGIN_PATH={shlex.quote(path)}")
    steps = [
        (f"rtcore process IN.wav OUT.wav -p {name}:gain_db=-12", "hear it on a file of yours"),
        (f"rtcore run -p {name} --watch", "hear it live; each edit is heard at once"),
        (f"rtcore plugins check {name}", "does it keep the real-time rules?"),
        (f"rtcore plugins show {name}", "its parameters"),
    ]
    width = max(len(command) for command, _ in steps)
    for command, why in steps:
        click.echo(f"  {command:{width}}  # {why}")
    click.echo("\nThen edit the file: change process(), and run any of these again.")


@plugins.command()
@click.argument("name", metavar="ID[:KEY=VALUE,..]")
@json_option
def check(name: str, as_json: bool) -> None:
    """Try whether a plugin keeps the promises that every plugin makes."""
    from rtcore.cli.chain_options import plugin_table
    from rtcore.host import find
    from rtcore.testing import CHECKS, check_plugin

    settings = plugin_table(name)
    cls = find(settings.pop("id"))
    cls(**settings)  # a wrong value is the user's mistake, not the plugin's
    findings = check_plugin(cls, settings)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            click.echo(finding)
    if findings:
        count = len({finding.check for finding in findings})
        raise CheckFailed(f"{cls.id} breaks {count} of {len(CHECKS) + 1} promises; mend it")
    if not as_json:
        promises = ", ".join([*CHECKS, "allocations"])
        click.echo(f"{cls.id} keeps all {len(CHECKS) + 1} promises: {promises}")


def _entry(info: PluginInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "class": info.cls.__name__ if info.cls else None,
        "doc": info.doc,
        "origin": info.origin,
        "file": info.file,
        "error": info.error or None,
    }


def _parameters(cls: type[Plugin]) -> list[dict[str, Any]]:
    """Describe what can be turned."""
    entries = []
    known: dict[str, Any] = {**cls.params, **cls.settings}
    for name, declared in known.items():
        entries.append(
            {
                "name": name,
                "default": declared.default,
                "required": name in cls.needs(),
                "unit": declared.unit,
                "min": declared.min,
                "max": declared.max,
                "choices": list(getattr(declared, "choices", None) or ()),
                "live": name in cls.params,
                "doc": declared.doc,
            }
        )
    return entries


def _description(cls: type[Plugin]) -> str:
    """Give the docstring without its parameters, which the table shows."""
    text = inspect.getdoc(cls) or "Its author wrote no description."
    return re.sub(
        r"\nParameters\n-{10}\n.*?(?=\n\w[^\n]*\n---|\Z)", "", text, flags=re.DOTALL
    ).strip()


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    low, high = entry["min"], entry["max"]
    span = ", ".join(map(str, entry["choices"]))
    if not span and low is not None and high is not None:
        span = f"{low:g} to {high:g}"
    elif not span and (low is not None or high is not None):
        span = f"at least {low:g}" if low is not None else f"at most {high:g}"
    live = "yes" if entry["live"] else "cross-fade"
    default = "must be given" if entry["required"] else str(entry["default"])
    return (entry["name"], default, entry["unit"], span, live, entry["doc"])


def _facts(cls: type[Plugin]) -> dict[str, Any]:
    """Prepare it with its defaults, where they suffice, and say what it costs."""
    import numpy as np

    from rtcore.chain.node import Node
    from rtcore.plugin import Spec

    placement = getattr(cls.placement, "default", cls.placement)  # it may be a setting
    facts: dict[str, Any] = {"placement": placement, "deterministic": cls.deterministic}
    if cls.needs():
        facts["at_48_khz"] = f"depends on {', '.join(cls.needs())}, which must be given"
        return facts
    for channels in (2, 1):
        try:
            node = Node(cls(), Spec(_RATE_HZ, channels, _MAX_FRAMES, np.dtype(np.float32)))
        except RtcoreError as error:
            facts["at_48_khz"] = f"cannot be prepared with its defaults: {error}"
            continue
        late_ms = 1e3 * node.latency_frames / _RATE_HZ
        facts["at_48_khz"] = (
            f"latency {node.latency_frames} frames ({late_ms:.2f} ms), "
            f"look-ahead {node.lookahead_frames} frames, tail {node.tail_frames} frames"
        )
        if node.worker is not None:
            facts["worker"] = _worker(node)
        if node.hop_frames:
            facts["hop_frames"] = node.hop_frames
        facts["latency_frames"] = node.latency_frames
        facts["lookahead_frames"] = node.lookahead_frames
        facts["tail_frames"] = node.tail_frames
        break
    return facts


def _worker(node: Node) -> str:
    """Say what a worker costs, and what is heard when it is late."""
    frames = node.worker.allowance_frames if node.worker is not None else 0
    return (
        f"{frames} frames ({1e3 * frames / _RATE_HZ:.2f} ms) later than inline, late hops: "
        f"{node.plugin.worker_late}"
    )
