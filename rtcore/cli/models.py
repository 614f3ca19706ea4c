# SPDX-License-Identifier: MIT
"""``rtcore models``: which model bundles there are, what they declare, and whether it is true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.numbers import Number
from rtcore.cli.output import json_option, print_json, print_prose, print_table, progress
from rtcore.cli.side_table import print_sides
from rtcore.errors import CheckFailed

if TYPE_CHECKING:
    from rtcore.models import Bundle, BundleInfo

_VERDICT = {True: "holds", False: "BROKEN", None: "open"}


@click.group(invoke_without_command=True)
@click.pass_context
def models(ctx: click.Context) -> None:
    """List, show and verify model bundles."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@models.command("list")
@json_option
def list_(as_json: bool = False) -> None:
    """List every model bundle that can be found."""
    from rtcore.models import all_bundles

    infos = all_bundles()
    if as_json:
        print_json([_entry(info) for info in infos])
        return
    good = [(info, info.bundle) for info in infos if info.bundle is not None and not info.error]
    columns = ["id", "what it does", "rate Hz", "hop ms", "licence", "from"]
    print_table(columns, [_row(info, bundle) for info, bundle in good])
    if not good:
        _say_where()
    bad = [info for info in infos if info.error]
    if bad:
        click.echo("\nCannot be used:")
    for info in bad:
        click.echo(f"  {info.error}")


def _say_where() -> None:
    from rtcore._searchpath import ENVIRONMENT, user_folder

    print_prose(
        "No model bundle is installed. Put folders with a model.toml into "
        f"{user_folder('models')}, or name their parent in {ENVIRONMENT['models']}."
    )


def _row(info: BundleInfo, bundle: Bundle) -> tuple[Any, ...]:
    m = bundle.manifest
    hop_ms = 1000.0 * m.hop / m.sample_rate
    return (m.id, m.description, m.sample_rate, hop_ms, m.licence, info.origin)


def _entry(info: BundleInfo) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": info.name, "folder": str(info.folder), "origin": info.origin, "error": info.error,
    }  # fmt: skip
    if info.bundle is not None:
        entry["manifest"] = info.bundle.manifest.model_dump(mode="json", exclude_none=True)
    return entry


@models.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show what a bundle declares: files, tensors, rate, hop, latency, licence."""
    from rtcore.models import BundleInfo, find_bundle

    bundle = find_bundle(name)
    m = bundle.manifest
    if as_json:
        print_json(_entry(BundleInfo(m.id, bundle.folder, "", bundle)))
        return
    click.echo(f"{m.id}: {bundle.folder}\n")
    print_prose(m.description)
    click.echo()
    per_ms = 1000.0 / m.sample_rate
    facts = [
        ("licence", m.licence),
        ("source", m.source or "-"),
        ("sample rate", f"{m.sample_rate} Hz"),
    ]
    for word in ("hop", "window", "latency", "lookahead"):
        samples = getattr(m, word)
        facts.append((word, f"{samples} samples ({samples * per_ms:.4g} ms)"))
    print_table(("", ""), facts)
    for stage in m.stage:
        click.echo()
        rows = [(k, _source(v)) for k, v in stage.inputs.items()]
        rows += [(k, "-> " + (v.control or " + ".join(v.parts))) for k, v in stage.outputs.items()]
        print_table((stage.file, ""), rows)
    if m.parameters:
        click.echo()
        print_table(
            ("parameter", "default", "range", "unit", "what it is"),
            [
                (k, p.default, f"{p.min:g} to {p.max:g}", p.unit, p.doc)
                for k, p in m.parameters.items()
            ],
        )
    print_sides({name: side.declared() for name, side in m.sides.items()})


def _source(source: Any) -> str:
    if source.state is not None:
        return f"state, takes over {source.state}; {source.initial:g} at first"
    if source.constant is not None:
        return f"always {source.constant:g}"
    if source.parameter is not None:
        return f"parameter {source.parameter}"
    if source.side is not None:
        return f"side input {source.side}"
    return " + ".join(part.feature for part in source.parts)


def _counting(advance: Callable[[float], None]) -> Callable[[str], None]:
    return lambda _what: advance(1)


def _tick(advance: Callable[[float], None], _what: str) -> None:
    advance(1)


@models.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--rate", type=click.IntRange(1000, 384000), help="Of the stream; the model's own.")
@click.option(
    "--seconds",
    type=Number(0.1, 3600),
    default=5.0,
    show_default=True,
    help="How long the time per hop is measured.",
)
@json_option
def verify(names: tuple[str, ...], rate: int | None, seconds: float, as_json: bool) -> None:
    """Check each claim of a bundle by running it; exit code 1 where one is broken.

    rtcore models verify dtln
    rtcore models verify ./my-model --rate 48000
    """
    from rtcore.latency.bundles import verify_bundle
    from rtcore.models import find_bundle

    results = {}
    for name in names:
        bundle = find_bundle(name)
        with progress(f"{bundle.manifest.id}: verifying", None, "checks") as advance:
            results[name] = verify_bundle(
                bundle, sample_rate=rate, seconds=seconds, progress=_counting(advance)
            )
    if as_json:
        print_json({name: [asdict(claim) for claim in claims] for name, claims in results.items()})
    for name, claims in results.items():
        if not as_json:
            rows = [(c.what, c.declared, c.measured, _VERDICT[c.holds]) for c in claims]
            print_table(("claim", "declared", "measured", ""), rows, title=name)
            for claim in (c for c in claims if c.note):
                print_prose(f"{claim.what}: {claim.note}", hanging="  ")
    broken = [f"{n}: {c.what}" for n, claims in results.items() for c in claims if c.holds is False]
    if broken:
        raise CheckFailed(f"not as declared: {'; '.join(broken)}")
