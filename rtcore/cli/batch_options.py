# SPDX-License-Identifier: MIT
"""Options of all commands that do many jobs, and what is printed of them.

::

    @click.command()
    @batch_options("scenes")
    def enhance(batch: BatchChoice, ...):
        scenes = batch.share(scenes)
        ledger = Ledger(made_folder(target), batch.shard)
        with ledger.writing():
            outcomes = run_jobs(jobs, work, ledger, workers=batch.processes, ...)
            tally = follow(outcomes, Tally(batch.unit), "enhancing", len(scenes))
        tally.tell(target, as_json=as_json)
        click.get_current_context().exit(tally.exit_code)
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rtcore.cli.output import print_json, progress, warn
from rtcore.errors import ConfigError

if TYPE_CHECKING:
    from rtcore.batch import Job, Ledger, Outcome, Shard

__all__ = ["BatchChoice", "Tally", "batch_options", "follow", "tell_plan"]

_T = TypeVar("_T")
_SHOWN = 20
_OWN = ("jobs", "scheduler", "limit", "shard", "again", "dry_run")


@dataclass(frozen=True)
class BatchChoice:
    """What the options say.

    Attributes
    ----------
    unit : str
        What the jobs are called: "scenes".
    jobs : int or None
        Processes, where somebody said how many.
    scheduler : str or None
        Address of a Dask scheduler.
    limit : int or None
        Only the first so many.
    shard : Shard or None
        Only this share of those.
    again, dry_run : bool
        Do what is done already; do nothing and say what would be done.
    """

    unit: str
    jobs: int | None = None
    scheduler: str | None = None
    limit: int | None = None
    shard: Shard | None = None
    again: bool = False
    dry_run: bool = False

    @property
    def processes(self) -> int:
        """Processes on this machine: as many as were asked for, else one for each core."""
        from rtcore.batch import usable_cores

        return self.jobs or usable_cores()

    def share(self, items: Sequence[_T]) -> list[_T]:
        """Take this run's part: of the first `limit`, those of the shard."""
        chosen = list(items[: self.limit])
        return chosen if self.shard is None else self.shard.take(chosen)


def batch_options(unit: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options, and hand them to a command as its argument ``batch``.

    Parameters
    ----------
    unit : str
        What the jobs are called, in the plural: "scenes".
    """
    options = (
        click.option("--jobs", type=click.IntRange(1, 1024), metavar="N",
                     help="Processes; all cores by default."),
        click.option("--scheduler", metavar="ADDRESS",
                     help="Of a Dask cluster that does it instead: tcp://host:8786."),
        click.option("--limit", type=click.IntRange(1), metavar="N",
                     help=f"Only the first N {unit}."),
        click.option("--shard", metavar="I/N", callback=_shard,
                     help=f"Only each N-th of the {unit}, from the I-th on; other machines do "
                          "other shares, at the same time and into the same folder."),
        click.option("--again", is_flag=True, help=f"Do {unit} again that are done already."),
        click.option("--dry-run", is_flag=True, help="Say what would be done, and leave."),
    )  # fmt: skip

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(*args: Any, **given: Any) -> Any:
            own = {name: given.pop(name) for name in _OWN}
            if own["jobs"] is not None and own["scheduler"] is not None:
                raise click.UsageError("give --jobs or --scheduler, not both")
            return function(*args, batch=BatchChoice(unit, **own), **given)

        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _shard(_context: click.Context, _option: click.Parameter, text: str | None) -> Shard | None:
    from rtcore.batch import Shard

    return None if text is None else Shard.parse(text)


@dataclass
class Tally:
    """What became of all jobs.

    Attributes
    ----------
    unit : str
        What they are called, in the plural.
    done, skipped, failed : list of Outcome
        In the order in which they ended.
    """

    unit: str = "files"
    done: list[Outcome] = field(default_factory=list)
    skipped: list[Outcome] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)
    begun_s: float = field(default_factory=time.perf_counter)

    @property
    def good(self) -> list[Outcome]:
        """Those that have a result, from now or from before."""
        return [*self.skipped, *self.done]

    @property
    def exit_code(self) -> int:
        """1 where any failed, else 0."""
        return 1 if self.failed else 0

    @property
    def seconds(self) -> float:
        """Since the first job was begun."""
        return time.perf_counter() - self.begun_s

    def add(self, outcome: Outcome) -> None:
        """Count a job."""
        lists = {"done": self.done, "skipped": self.skipped, "failed": self.failed}
        lists[outcome.status].append(outcome)

    def tell(self, target: Path, *, as_json: bool = False) -> None:
        """Print why jobs failed, then how many there were of each kind; or all as JSON."""
        self.tell_failures(target)
        if as_json:
            print_json(self.as_dict(target))
        else:
            click.echo(f"{target}: {self.counts()}{self.speed()}")

    def tell_failures(self, target: Path) -> None:
        """Print why jobs failed, and which older outputs they took with them."""
        for outcome in self.failed[:_SHOWN]:
            click.echo(f"error: {self.named(outcome)}", err=True)
        if len(self.failed) > _SHOWN:
            more = f"{len(self.failed) - _SHOWN} more {self.unit} failed"
            click.echo(f"error: {more}; --json lists all of them", err=True)
        names = [outcome.name for outcome in self.failed if outcome.removed]
        if names:
            what = f"{len(names)} older outputs of {self.unit} that failed now"
            first = ", ".join(names[:3])
            warn(f"{what} ({first}) were removed from {target}: they were made from something else")

    def named(self, outcome: Outcome) -> str:
        """Give a job's error, with its name where the error has it not."""
        named = outcome.name in outcome.error
        return outcome.error if named else f"{outcome.name}: {outcome.error}"

    def counts(self) -> str:
        """Say how many there were of each kind."""
        return f"{len(self.done)} done, {len(self.skipped)} skipped, {len(self.failed)} failed"

    def speed(self) -> str:
        """Say how long that took, where anything was done."""
        return f"; {self.seconds:.1f} s" if self.done else ""

    def as_dict(self, target: Path) -> dict[str, Any]:
        """Give all of it for programs."""
        return {
            "target": target,
            "done": len(self.done),
            "skipped": len(self.skipped),
            "failed": len(self.failed),
            "seconds": self.seconds,
            self.unit: [asdict(o) for o in (*self.done, *self.skipped, *self.failed)],
        }


_Tallied = TypeVar("_Tallied", bound=Tally)


def follow(outcomes: Iterable[Outcome], tally: _Tallied, what: str, total: int) -> _Tallied:
    """Count jobs as they end, with a bar that shows their rate and the time left.

    Parameters
    ----------
    outcomes : iterable of Outcome
        As :func:`rtcore.batch.run_jobs` gives them.
    tally : Tally
        Where they are counted; it is given back.
    what : str
        What is being done: "enhancing".
    total : int
        Jobs in all.
    """
    with progress(what, total, tally.unit, rate=True) as advance:
        for outcome in outcomes:
            tally.add(outcome)
            advance(1)
    return tally


def tell_plan(
    jobs: Iterable[Job], ledger: Ledger, unit: str, *, as_json: bool = False, **more: Any
) -> None:
    """Say what ``--dry-run`` would do: which jobs are done already, and which are not.

    Parameters
    ----------
    jobs : iterable of Job
        This run's part.
    ledger : Ledger
        Of the folder of outputs, which need not exist.
    unit : str
        What the jobs are called.
    **more
        For programs.
    """
    to_do: list[str] = []
    finished: list[str] = []
    for job in jobs:
        (to_do if ledger.result(job) is None else finished).append(job.name)
    if as_json:
        print_json({"target": ledger.folder, "to_do": to_do, "done": finished, **more})
        return
    click.echo(f"{ledger.folder}: {len(to_do)} {unit} to do, {len(finished)} done already")
    for name in to_do[:_SHOWN]:
        click.echo(f"  {name}")
    if len(to_do) > _SHOWN:
        click.echo(f"  and {len(to_do) - _SHOWN} more; --json lists all of them")


def told_beside(path: Path) -> dict[str, Any] | None:
    """Read the side-car of outputs; say it where it is damaged, and do without."""
    from rtcore.challenges.provenance import read_side_car

    try:
        return read_side_car(path)
    except ConfigError as error:
        warn(str(error))
        return None


def warn_of_mixture(folder: Path, systems: Mapping[str, int]) -> None:
    """Say it where outputs that are scored together were made by several systems.

    Parameters
    ----------
    folder : Path
        Of the outputs.
    systems : mapping
        How many each of them has made.
    """
    if len(systems) > 1:
        counts = " and ".join(str(count) for count in systems.values())
        warn(f"{folder} mixes what {len(systems)} systems have made ({counts} outputs); "
             "enhance all of them with one")  # fmt: skip
