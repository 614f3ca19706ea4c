# SPDX-License-Identifier: MIT
"""The top of the command line: the table of commands, and what becomes of errors.

Nothing heavy may be imported here: ``rtcore --help`` shows the table without loading a command.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from rtcore.errors import RtcoreError, did_you_mean

#: Name to where the command lies and the line that ``rtcore --help`` shows.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("rtcore.cli.demo:demo", "Hear a hearing aid in real time; needs no sound card."),
    "run": ("rtcore.cli.run:run", "Play live, from microphone to headphones."),
    "serve": ("rtcore.cli.serve:serve", "Play, and be steered over the network."),
    "ctl": ("rtcore.cli.ctl:ctl", "Steer an engine that is served, here or elsewhere."),
    "top": ("rtcore.cli.top:top", "Show how a served engine is doing, live."),
    "process": ("rtcore.cli.process:process", "Play audio files through a chain."),
    "latency": ("rtcore.cli.latency:latency", "Measure look-ahead and latency; judge by rules."),
    "devices": ("rtcore.cli.devices:devices", "List the sound devices."),
    "doctor": ("rtcore.cli.doctor:doctor", "Judge this machine for sound in real time."),
    "roundtrip": ("rtcore.cli.roundtrip:roundtrip", "Measure a device's round trip and drift."),
    "plc": ("rtcore.cli.plc:plc", "Packet-loss concealment: make, conceal and score sets."),
    "cadenza": ("rtcore.cli.cadenza:cadenza", "Cadenza 2024: music for hearing aids, end to end."),
    "clarity": ("rtcore.cli.clarity:clarity", "Clarity challenges: make, enhance, score, hand in."),
    "send": ("rtcore.cli.send:send", "Send live sound to other machines."),
    "receive": ("rtcore.cli.receive:receive", "Play live sound from another machine."),
    "bench": ("rtcore.cli.bench:bench", "Measure what the shipped chains cost here."),
    "calibrate": ("rtcore.cli.calibrate:calibrate", "Tie a device's full scale to sound pressure."),
    "plugins": ("rtcore.cli.plugins:plugins", "List, show, write and check plugins."),
    "models": ("rtcore.cli.models:models", "List, show and verify model bundles."),
    "audiogram": ("rtcore.cli.audiogram:audiogram", "Show hearing losses and the gain they need."),
}

USAGE = 2
ENVIRONMENT = 3
INTERNAL = 70
INTERRUPTED = 130
BROKEN_PIPE = 141
#: How soon Ctrl-C is tried again where it was swallowed.
_INSIST_S = 0.05
_swallowed: list[threading.Timer] = []  # each tries Ctrl-C again


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used.

    Parameters
    ----------
    commands_at : mapping
        Name to (``"module:attribute"``, one line of help).
    """

    def __init__(self, *args: Any, commands_at: dict[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands_at = commands_at

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, in the order of the table."""
        return [*self.commands_at, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self.commands_at:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.commands_at[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        _keep_examples(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command where there is none of a name."""
        name = args[0]
        known = self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            ctx.fail(f"there is no command '{name}'{did_you_mean(name, known)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.commands_at.items()])


def _keep_examples(command: click.Command) -> None:
    """Put click's mark for "keep these lines" where raw docstrings have a backslash and a b."""
    if command.help:
        command.help = command.help.replace("\\b\n", "\b\n")
    for inner in getattr(command, "commands", {}).values():
        _keep_examples(inner)


class Cli(LazyGroup):
    """The root: turns errors into sentences and exit codes, for all commands."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line; leave with its exit code."""
        name = prog_name or "rtcore"

        def run() -> Any:
            return super(Cli, self).main(args, name, complete_var, standalone_mode=False, **extra)

        with _ended_like_ctrl_c():
            code = exit_code_of(run)
        if standalone_mode:
            sys.exit(code)
        return code

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a reader that has gone away (``| head``) is no error."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _mute(sys.stdout, sys.stderr)
            ctx.exit(BROKEN_PIPE)
        return result


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command as cleanly as Ctrl-C, so that nothing is left behind.

    What is ignored (``nohup``) stays ignored, and afterwards all is as before.
    """
    earlier: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                earlier[number] = signal.signal(number, signal.default_int_handler)
    told = sys.unraisablehook
    sys.unraisablehook = lambda what: _insist(what, told)
    try:
        yield
    finally:
        sys.unraisablehook = told
        _swallowed.clear()
        for number, handler in earlier.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _insist(what: Any, tell: Callable[[Any], Any]) -> None:
    """Interrupt again where C code that called Python, such as the compiler, swallowed Ctrl-C."""
    if what.exc_type is not None and issubclass(what.exc_type, KeyboardInterrupt):
        main = threading.main_thread().ident
        again = threading.Timer(_INSIST_S, signal.pthread_kill, (main, signal.SIGINT))
        again.daemon = True
        _swallowed.append(again)
        again.start()
    else:
        tell(what)


def exit_code_of(run: Callable[[], Any]) -> int:
    """Run something; print the sentence of its error and give the exit code.

    Parameters
    ----------
    run : function
        May return an exit code.

    Returns
    -------
    int
        0 good, 1 a check failed, 2 wrong usage or bad input, 3 a device or the environment
        failed, 70 a mistake in rtcore, 130 interrupted, 141 the reader of the output went away.
    """
    try:
        code = run()
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "rtcore"
        return _say(f"{_sentence(error)}; see: {path} --help", USAGE)
    except click.ClickException as error:
        return _say(_sentence(error), USAGE)
    except RtcoreError as error:
        return _say(str(error), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _interrupted()
    except OSError as error:
        return _say(f"{error}; mend that and run it again", ENVIRONMENT)
    except MemoryError:
        return _say("out of memory; close other programs, or use shorter blocks", ENVIRONMENT)
    except Exception as error:  # noqa: BLE001 - no mistake of ours may look like the user's
        if _swallowed:  # what was in the middle of something, such as the compiler, fails by it
            return _interrupted()
        if not _debugging():
            what = f"this is a mistake in rtcore ({type(error).__name__}: {error})"
            return _say(
                f"{what}; set RTCORE_DEBUG=1, run it again and report what it shows", INTERNAL
            )
        return _say(f"{type(error).__name__}: {error}", INTERNAL)
    return code if isinstance(code, int) else 0


def _interrupted() -> int:
    for again in _swallowed:
        again.cancel()
    click.echo("interrupted; nothing half-written was left behind", err=True)
    return INTERRUPTED


def _sentence(error: click.ClickException) -> str:
    """Write click's message as ours: a small letter first, no full stop, on one line."""
    text = " ".join(error.format_message().split()).rstrip(".")
    return text[:1].lower() + text[1:]


def _say(sentence: str, code: int) -> int:
    """Print an error, with its traceback where that was asked for."""
    if _debugging():
        import traceback

        traceback.print_exc()
    click.echo(f"error: {sentence}", err=True)
    return code


def _debugging() -> bool:
    return os.environ.get("RTCORE_DEBUG", "") not in ("", "0")


def _mute(*streams: Any) -> None:
    """Send what is left in the buffers of a closed pipe nowhere."""
    for stream in streams:
        try:
            number = stream.fileno()
        except (OSError, ValueError):  # a test's own stream
            continue
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """Print the version; reading it from the metadata takes a while, so only when asked."""
    if not value or ctx.resilient_parsing:
        return
    from rtcore import __version__

    click.echo(f"rtcore {__version__}")
    ctx.exit()


@click.group(
    name="rtcore",
    cls=Cli,
    commands_at=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Show the version and leave.",
)
def cli() -> None:
    """Hear audio processors written in Python: live, or on files.

    Exit codes: 0 good, 1 a check failed, 2 wrong usage or bad input, 3 a device or the
    environment failed.
    """
