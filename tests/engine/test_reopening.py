# SPDX-License-Identifier: MIT
"""The sound server dies in the middle: the engine says so, reopens, plays on, and always ends."""

from __future__ import annotations

import contextlib

import pytest

BACKENDS = ["jack", "portaudio"]


class Child:
    """A process that plays, and what it says."""

    def __init__(self, process):
        self.process = process
        self.states = []
        self.said = {}

    def reach(self, state):
        """Read until the engine is in a state."""
        while not self.states or self.states[-1] != state:
            line = self.process.stdout.readline()
            assert line, self._how_it_ended()
            self._take(line)

    def _how_it_ended(self):
        return self.process.wait(60), self.states, self.said, self.process.stderr.read()

    def _take(self, line):
        word, _, rest = line.strip().partition(" ")
        if word == "state":
            self.states.append(rest)
        else:
            self.said.setdefault(word, []).append(rest)

    def end(self, text="stop\n"):
        """Tell it to stop, and wait until it has left; give its exit status."""
        with contextlib.suppress(BrokenPipeError):  # it ended by itself
            self.process.stdin.write(text)
            self.process.stdin.flush()
        for line in self.process.stdout:
            self._take(line)
        assert "" == self.process.stderr.read()
        return self.process.wait(60)


@pytest.fixture
def child(python):
    """Start an engine in a process of its own."""
    return lambda *arguments: Child(python(f"import reopen_runs; reopen_runs.run(*{arguments})"))


@pytest.mark.live
@pytest.mark.parametrize("backend", BACKENDS)
class TestLoss:
    def test_it_plays_on(self, jack_server, child, backend):
        """Killed and restarted twice: running, reopening, running, reopening, running, stopped."""
        engine = child(backend)
        engine.reach("running")
        for _ in range(2):
            jack_server.kill()
            engine.reach("reopening")
            jack_server.start()
            engine.reach("running")
        assert 0 == engine.end()
        assert [*["running", "reopening"] * 2, "running", "stopped"] == engine.states
        assert ["stopped by the user"] == engine.said["reason"]
        assert (["2"], ["True"]) == (engine.said["reopened"], engine.said["collects"])
        lost, back = engine.said["message"][:2]
        assert "went away; waiting for it to come back" in lost
        assert back.startswith("the device is back after")

    def test_gone_for_good(self, jack_server, child, backend):
        """A server that does not come back in time ends the engine with a sentence."""
        engine = child(backend, 0.5)
        engine.reach("running")
        jack_server.kill()
        engine.reach("failed")
        assert 0 == engine.end()
        assert ["running", "reopening", "failed"] == [*dict.fromkeys(engine.states)]
        assert "went away, and did not come back within 0.5 s (" in engine.said["error"][0]
        assert engine.said["reason"] == engine.said["error"]

    def test_stop_while_reopening(self, jack_server, child, backend):
        """An engine that waits for its device can be stopped, soon."""
        engine = child(backend)
        engine.reach("running")
        jack_server.kill()
        engine.reach("reopening")
        assert 0 == engine.end()
        assert "stopped" == engine.states[-1]
        assert ["True"] == engine.said["quick"]

    def test_a_deaf_server(self, jack_server, child, backend):
        """A server that hangs cannot keep an engine from stopping."""
        engine = child(backend)
        engine.reach("running")
        jack_server.pause()
        assert 0 == engine.end()
        assert "stopped" == engine.states[-1]
