# SPDX-License-Identifier: MIT
"""A JACK server of the test's own, and Python processes that meet it."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

# JACK2 knows at most eight servers on a machine, and the entry of one that was killed is only
# given back to a server of the same name. Random names would use the machine up after eight
# kills, so the names come from a small pool, each held by a file lock.
NAMES = [f"rtcore-test-{k}" for k in range(4)]


class JackServer:
    """`jackd` with the dummy driver and 48 kHz; ended by its id."""

    def __init__(self, name, *, period_frames=64, sync=True):
        self.name = name
        self.period_frames = period_frames
        self.sync = sync
        self.process = None
        self.deaf = False

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def _sockets(self):
        return [p for d in ("/dev/shm", "/tmp") for p in Path(d).glob(f"jack_{self.name}_*_0")]

    def start(self):
        """Start (again) and wait until clients can come."""
        for old in self._sockets():  # left by a killed server
            old.unlink(missing_ok=True)
        mode = ["-S"] if self.sync else []
        command = ["jackd", "-n", self.name, *mode, "--no-realtime", "-d", "dummy"]
        for _ in range(3):
            self.process = subprocess.Popen(
                [*command, "-r", "48000", "-p", str(self.period_frames)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            deadline = time.monotonic() + 10
            while self.running and time.monotonic() < deadline:
                if self._sockets():
                    time.sleep(0.2)
                    return self
                time.sleep(0.02)
            self.kill()
        pytest.fail("jackd does not start; `rm /dev/shm/jack*` helps where no JACK server runs")

    def kill(self):
        """Kill it without a chance to say goodbye."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(10)
        self.deaf = False

    def pause(self):
        """Let it hang: alive, but deaf."""
        self.process.send_signal(signal.SIGSTOP)
        self.deaf = True

    def stop(self):
        """End it properly, which frees its entry in the machine's list of servers."""
        if self.deaf:
            self.kill()  # awake again it would wait long for clients that left meanwhile
        if not self.running:
            self.start()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


@contextlib.contextmanager
def _name():
    for name in NAMES:
        path = Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}.lock"
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield name
            return
    pytest.skip("all names for a JACK server of the tests are in use")


@pytest.fixture
def jack_name(monkeypatch):
    """Give a server's name that no other test uses; no such server runs yet."""
    if shutil.which("jackd") is None:
        pytest.skip("jackd is not installed (Debian: apt install jackd2)")
    with _name() as name:
        monkeypatch.setenv("JACK_DEFAULT_SERVER", name)
        monkeypatch.setenv("JACK_NO_START_SERVER", "1")
        yield name


@pytest.fixture
def jack_server(jack_name):
    """Run a JACK server of one's own, which JACK_DEFAULT_SERVER names."""
    server = JackServer(jack_name)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def python():
    """Run code in a Python process of its own; give its exit status, stdout and stderr."""
    processes = []

    def start(code):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONFAULTHANDLER": "1"},  # C libraries may crash
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()
