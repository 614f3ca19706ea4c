# SPDX-License-Identifier: MIT
"""Commands as systems of the latency lab: what they give, and every way in which they fail."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest
import soundfile
from waiting import PATIENCE_S, reaches

from rtcore.latency.systems.base import SystemFaultError
from rtcore.latency.systems.command import CommandSystem

RATE = 16000
#: A quick program that needs no interpreter: its output is its input.
COPY = "cp {in} {out}"

HANG = """
import json, os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path({place!r}, f"{{os.getpid()}}.pids").write_text(json.dumps([os.getpid(), child.pid]))
{then}
"""
RUN = """
import sys
import numpy as np
from rtcore.latency.systems.command import CommandSystem
system = CommandSystem(sys.argv[1], 16000, timeout_s=60, at_once=2)
try:
    list(system.run_many([np.zeros((1, 100))] * 4))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Give the folder for temporary files, and see that nothing is left in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert [] == list(folder.iterdir())


@pytest.fixture
def python(tmp_path, temporary):
    """Give a maker of commands that run a script of the test's."""

    def command(source, arguments="{in} {out}"):
        script = tmp_path / "my_system.py"
        script.write_text(textwrap.dedent(source))
        return f"{shlex.quote(sys.executable)} {shlex.quote(str(script))} {arguments}"

    return command


def sounds(count, channels=1, frames=200):
    """Make some different sounds."""
    rng = np.random.default_rng(0)
    return [rng.uniform(-0.9, 0.9, (channels, frames)) for _ in range(count)]


def refusal(command, channels=1, **options):
    """Run a command; give the sentence that it is refused with."""
    with pytest.raises(SystemFaultError) as caught:
        CommandSystem(command, RATE, channels, **options).run(sounds(1, channels)[0])
    assert 2 == caught.value.exit_code
    return str(caught.value)


def wait_for(condition):
    """Wait for something that must come true."""
    assert reaches(condition), "it never came true"


def alive(pid):
    """Tell whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def noted(place):
    """Read which processes a hanging command consists of."""
    wanted = [f for f in place.glob("*.pids") if f.read_text()]
    return [pid for file in wanted for pid in json.loads(file.read_text())]


@pytest.mark.parametrize(
    ("subtype", "largest"), [("FLOAT", 1e-7), ("DOUBLE", 0.0), ("PCM_16", 2e-5), ("pcm_24", 1e-7)]
)
def test_sounds_go_through_files(temporary, subtype, largest):
    """A command gets each sound in the sample format that is asked for."""
    system = CommandSystem(COPY, RATE, 2, subtype=subtype)
    x = sounds(1, channels=2)[0]
    y = system.run(x)
    assert (x.shape, np.float64) == (y.shape, y.dtype)
    assert np.abs(x - y).max() <= largest
    assert ("command", None) == (system.kind, system.streaming())


def test_many_sounds_come_back_in_order(temporary):
    """Calls go on side by side, and their results keep the order of the sounds."""
    given = sounds(9)
    system = CommandSystem(COPY, RATE, subtype="DOUBLE", at_once=3)
    assert 3 == system.at_once
    for x, y in zip(given, system.run_many(given), strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_folder_of_sounds_is_one_call(python, tmp_path):
    """With {in_dir} and {out_dir} the command starts once for many sounds."""
    command = python(
        f"""
        import pathlib, shutil, sys
        with open({str(tmp_path / "calls")!r}, "a") as file:
            file.write("call\\n")
        for path in pathlib.Path(sys.argv[1]).iterdir():
            shutil.copy(path, sys.argv[2])
        """,
        "{in_dir} {out_dir}",
    )
    given = sounds(7)
    system = CommandSystem(command, RATE, subtype="DOUBLE")
    for x, y in zip(given, system.run_many(given), strict=True):
        np.testing.assert_array_equal(x, y)
    assert "call\n" == (tmp_path / "calls").read_text()
    assert system.at_once > 7


def test_the_rate_and_parts_of_words_are_filled_in(python, tmp_path):
    """Placeholders may be parts of arguments, and {rate} is the sample rate."""
    command = python(
        f"""
        import pathlib, shutil, sys
        options = dict(word.split("=") for word in sys.argv[1:])
        pathlib.Path({str(tmp_path / "rate")!r}).write_text(options["--rate"])
        shutil.copy(options["--from"], options["--to"])
        """,
        "--to={out} --from={in} --rate={rate}",
    )
    CommandSystem(command, RATE).run(sounds(1)[0])
    assert str(RATE) == (tmp_path / "rate").read_text()


def test_other_channels_and_nan_are_let_through(python):
    """A command may mix down, and NaN is for the measurement to see."""
    command = python(
        """
        import sys, numpy, soundfile
        x, rate = soundfile.read(sys.argv[1], always_2d=True)
        y = x.mean(axis=1)
        y[7] = numpy.nan
        soundfile.write(sys.argv[2], y, rate, "DOUBLE")
        """
    )
    y = CommandSystem(command, RATE, 2).run(sounds(1, channels=2)[0])
    assert ((1, 200), [7]) == (y.shape, np.flatnonzero(np.isnan(y[0])).tolist())


def test_a_shell_can_be_asked_for(temporary):
    """What needs a shell is written with sh -c."""
    system = CommandSystem("sh -c 'cat {in} | cat > {out}'", RATE, subtype="DOUBLE")
    np.testing.assert_array_equal(sounds(1)[0], system.run(sounds(1)[0]))


@pytest.mark.parametrize(
    ("command", "piece"),
    [
        ("cp {in} '{out}", "is no command (No closing quotation); close the quotes"),
        ("  ", "the command is empty; write it like --command 'python my_system.py {in} {out}'"),
        ("cp {in}", "has {in}; write {in} and {out} where the names of the files belong"),
        ("cp {in} {out_dir}", "has {in}, {out_dir}; write {in} and {out}"),
        ("cp a b", "does not say where its files belong; write {in} and {out}"),
        ("cat {in} > {out}", "so '>' would be an argument; write sh -c '...' around it"),
        ("surelynotthere {in} {out}", "there is no program 'surelynotthere'"),
        ("pyhton3 {in} {out}", "did you mean 'python3'"),
        ("A=1 cp {in} {out}", "so 'A=1' would be the program; write env in front of it"),
        ("false {in} {out}", "ended with exit code 1 and said nothing; run it by hand on a WAV"),
        ("true {in} {out}", "ended well and wrote nothing; let it write its output to the file {o"),
        ("true {in_dir} {out_dir}", "wrote no 0000.wav into the folder {out_dir}; let it write"),
        ("cp {in} {out}.wav", "wrote nothing (but 0000.wav.wav); let it write its output"),
        ("sh -c 'kill -9 $$' {in} {out}", "was ended by SIGKILL and said nothing; run it by hand"),
        ("sh -c 'echo no sound > {out}' {in}", "wrote a file that is no sound ("),
        ("sh -c 'mkdir {out}' {in}", "ended well and wrote nothing"),
        ("sh -c 'echo one; echo two >&2; exit 3' {in} {out}", "exit code 3 and said: two; run it"),
        ("sh -c 'echo one; exit 3' {in} {out}", "exit code 3 and said: one; run it by hand"),
    ],
)
def test_what_is_wrong_is_said(temporary, command, piece):
    """Each mistake in a command, and each of its failures, gets its own sentence."""
    assert piece in refusal(command)


def test_a_program_that_may_not_be_run_is_told(tmp_path, temporary):
    """A script without the right to run, or without a first line that names what runs it."""
    script = tmp_path / "my_system"
    script.write_text("echo\n")
    assert "may not be run; put the program that runs it in front" in refusal(
        f"{script} {{in}} {{out}}"
    )
    script.write_bytes(b"\x7fELF and no more")
    script.chmod(0o755)
    assert "cannot be started (Exec format error); put" in refusal(f"{script} {{in}} {{out}}")


@pytest.mark.parametrize(
    ("change", "piece"),
    [
        ("soundfile.write(sys.argv[2], x[:-3], rate)", "gave 197 samples for 200; pad or cut"),
        ("soundfile.write(sys.argv[2], x, 8000)", "given 16000 Hz and wrote 8000 Hz; let it write"),
        ("raise ValueError('first\\nlast')", "and said: raise ValueError('first\\nlast') / Value"),
        ("print('\\x1b[31m' + 999 * 'x', file=sys.stderr); sys.exit(1)", f"{300 * 'x'}; run it"),
    ],
)
def test_changes_of_the_sound_are_said(python, change, piece):
    """Another length or rate, and an exception, are told in one line."""
    source = f"import sys, soundfile\nx, rate = soundfile.read(sys.argv[1])\n{change}\n"
    said = refusal(python(source))
    assert piece in said
    assert said.isprintable()


def test_an_unknown_sample_format_is_refused():
    """--subtype knows those formats that hold a sound as it is."""
    piece = "PCM16: is no sample format for a command's files (did you mean 'pcm_16'?); there are"
    assert piece in refusal(COPY, subtype="PCM16")


def test_what_hangs_is_stopped_with_all_it_started(tmp_path):
    """A command that does not end is killed in time, and its children as well."""
    script = tmp_path / "hang.sh"  # a shell, which has begun long before its time is over
    script.write_text(
        f'sleep 600 &\necho "[$$, $!]" > {shlex.quote(str(tmp_path))}/sh.pids\necho loading\nwait\n'
    )
    command = f"sh {shlex.quote(str(script))} {{in}} {{out}}"
    assert "did not end within 1.5 s and was stopped" in refusal(command, timeout_s=1.5)
    pids = noted(tmp_path)
    assert 2 == len(pids)
    wait_for(lambda: not any(map(alive, pids)))


def test_what_a_command_leaves_running_is_ended(python, tmp_path):
    """Children that outlive their command go with it."""
    then = "import shutil; shutil.copy(*sys.argv[1:])"
    CommandSystem(python(HANG.format(place=str(tmp_path), then=then)), RATE).run(sounds(1)[0])
    pids = noted(tmp_path)
    assert 2 == len(pids)
    wait_for(lambda: not any(map(alive, pids)))


def test_the_first_failure_ends_the_others(python, tmp_path):
    """Where one of several calls fails, the rest does not run on."""
    command = python(
        HANG.format(
            place=str(tmp_path),
            then="time.sleep(600 if '/0/' not in sys.argv[1] else 0.5); sys.exit('over')",
        )
    )
    with pytest.raises(SystemFaultError, match="said: over"):
        list(CommandSystem(command, RATE, timeout_s=60, at_once=2).run_many(sounds(4)))
    wait_for(lambda: not any(map(alive, noted(tmp_path))))


def test_results_that_nobody_wants_are_not_made(temporary):
    """Whoever takes one of many results leaves no process and no file behind."""
    results = CommandSystem(COPY, RATE, subtype="DOUBLE", at_once=2).run_many(sounds(50))
    np.testing.assert_array_equal(sounds(1)[0], next(results))
    results.close()
    assert [] == list(temporary.iterdir())


def test_without_pidfd_it_works_as_well(temporary, monkeypatch):
    """Where the system has no handles of processes, they are waited for in the usual way."""
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    system = CommandSystem(COPY, RATE, subtype="DOUBLE")
    np.testing.assert_array_equal(sounds(1)[0], system.run(sounds(1)[0]))
    said = refusal("sh -c 'sleep 60' {in} {out}", timeout_s=0.3)
    assert "did not end within 0.3 s and was stopped; give it longer with --timeout" in said


def test_ctrl_c_leaves_nothing_behind(python, tmp_path, temporary):
    """Ctrl-C ends the commands, what they started, and the temporary files."""
    command = python(HANG.format(place=str(tmp_path), then="time.sleep(600)"))
    runner = tmp_path / "run.py"
    runner.write_text(RUN)
    environment = {**os.environ, "TMPDIR": str(temporary)}
    run = subprocess.Popen([sys.executable, str(runner), command], env=environment)
    try:
        wait_for(lambda: len(noted(tmp_path)) == 4)
        assert [] != list(temporary.iterdir())
        run.send_signal(signal.SIGINT)
        assert 130 == run.wait(PATIENCE_S)
    finally:
        run.kill()
        run.wait()
    wait_for(lambda: not any(map(alive, noted(tmp_path))))


def test_the_input_is_a_wav_file_that_others_read(python, tmp_path):
    """What the command is given has the rate, the channels and the length of the sound."""
    kept = tmp_path / "kept.wav"
    command = f"sh -c 'cp {{in}} {shlex.quote(str(kept))}; cp {{in}} {{out}}'"
    CommandSystem(command, 44100, 2, subtype="PCM_16").run(sounds(1, channels=2)[0])
    info = soundfile.info(kept)
    assert (44100, 2, 200, "PCM_16") == (info.samplerate, info.channels, info.frames, info.subtype)
