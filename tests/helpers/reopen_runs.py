# SPDX-License-Identifier: MIT
"""An engine in a process of its own that says how it fares while its sound server dies."""

from __future__ import annotations

import gc
import sys
import threading
import time

from sounds import Noise
from waiting import reaches

from rtcore import Chain, RtcoreError
from rtcore.engine import Engine, JackBackend, PortAudioBackend

BACKENDS = {"jack": JackBackend, "portaudio": PortAudioBackend}


_saying = threading.Lock()


def say(*words):
    """Print a line at once and whole: the engine's own thread speaks as well."""
    with _saying:
        print(*words, flush=True)


def run(backend, reopen_for_s=600.0):
    """Play until told to stop, or until the engine ends; say each state once it is there."""
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    made = BACKENDS[backend]()
    engine = Engine(
        Chain([Noise()]),
        made,
        reopen_for_s=reopen_for_s,
        on_message=lambda text: say("message", text),
    )
    engine.start()
    last = ""
    while not stop.is_set() and engine.state not in ("failed", "stopped"):
        if engine.state != last:
            last = engine.state
            if last == "running":
                grows(engine)
            say("state", last)
        time.sleep(0.002)
    begin = time.monotonic()
    engine.stop()
    say("state", engine.state)
    say("reason", engine.stop_reason)
    say("quick", time.monotonic() - begin < reopen_for_s)
    say("collects", gc.isenabled())
    try:
        engine.wait(0)
    except RtcoreError as error:
        say("error", error)
    say("reopened", engine.reopened)


def grows(engine):
    """Wait until blocks are coming."""
    start = engine.stats()["blocks"]
    reaches(lambda: engine.state != "running" or engine.stats()["blocks"] >= start + 20)
