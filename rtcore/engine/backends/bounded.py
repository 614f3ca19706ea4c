# SPDX-License-Identifier: MIT
"""Calls into C libraries that may never return, made so that their caller always does.

A sound server that was killed or stopped can leave `jack_client_close` or `Pa_CloseStream`
waiting for an answer that nobody will send. Such a call is made on a helper thread; when it has
not come back in time, the helper is left behind (it is a daemon thread, asleep in C, without the
GIL) and the caller goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class OutOfTime(Exception):  # noqa: N818 - it reports a verdict, not a malfunction
    """The call did not return within its time; it may still be waiting in C."""


class _Call:
    """One call on a helper thread; knows whether somebody still waits for its result."""

    def __init__(self, function: Callable[[], Any], too_late: Callable[[Any], object]) -> None:
        self.function, self.too_late = function, too_late
        self.result: Any = None
        self.error: BaseException | None = None
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.given_up = False

    def run(self) -> None:
        """Make the call (on the helper thread)."""
        try:
            self.result = self.function()
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread
            self.error = error
        with self.lock:
            self.over.set()
            unwanted = self.given_up and self.error is None
        if unwanted:
            self.too_late(self.result)

    def give_up(self) -> bool:
        """Stop waiting; False when the call came back at the last moment after all."""
        with self.lock:
            self.given_up = not self.over.is_set()
        return self.given_up


def bounded(
    function: Callable[[], Any],
    timeout_s: float,
    *,
    too_late: Callable[[Any], object] = lambda _result: None,
) -> Any:
    """Call a function on a helper thread and wait for it no longer than `timeout_s`.

    Parameters
    ----------
    function : callable
        What to call; its exception is raised here.
    timeout_s : float
        Longest wait in seconds.
    too_late : callable
        Gets the result if it comes after nobody waits any more (also after Ctrl-C), on the
        helper thread, so that what was opened can be closed.

    Returns
    -------
    object
        What the function returned.

    Raises
    ------
    OutOfTime
        If the function has not returned in time.
    """
    call = _Call(function, too_late)
    threading.Thread(target=call.run, name="rtcore-bounded", daemon=True).start()
    try:
        call.over.wait(timeout_s)
    except BaseException:  # Ctrl-C: what the call opens must not stay open
        if not call.give_up():
            too_late(call.result)
        raise
    if call.give_up():
        raise OutOfTime
    if call.error is not None:
        raise call.error
    return call.result
