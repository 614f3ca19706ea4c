# SPDX-License-Identifier: MIT
"""The audio thread's side of a worker: hands out hops, takes results, conceals what is late.

Results come back through a ring and are played from there.  Whether a hop is late is decided once,
when the first of its frames is due: then it is late as a whole.  Live, only results that were
there before the block began count, so that the audio thread's own speed decides nothing; offline
the audio thread waits for the result.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import carray, from_dtype, types

from rtcore.chain.worker_records import (
    ADAPTER,
    AIM,
    COUNTS,
    HOP,
    RESULT,
    WORKER,
    item_at,
    queue_clear,
    ring_written,
)
from rtcore.dsp.concealment import conceal, rejoin, remember
from rtcore.kernels.abi import (
    copy_bytes,
    exchange,
    load_acquire,
    pointer,
    pointer_like,
    store_release,
)
from rtcore.kernels.context import CONTEXT, CONTROL, SIDE
from rtcore.kernels.decorator import REALS, helper
from rtcore.kernels.jit import c_entry
from rtcore.kernels.rt import now_ns, sem_post, sem_wait_for
from rtcore.rings import RING, ring_drop, ring_put

#: How a late hop is concealed.
SILENCE, DRY, CONCEAL = range(3)
#: Where the frames in hand come from; the first two are also what a search for a result gives.
_NOTHING, _GOOD, _FAILED, _GONE = range(4)

_WAITING = WORKER.fields["waiting"][1]  # type: ignore[index]
_RUNNING = WORKER.fields["running"][1]  # type: ignore[index]
_GIVE_UP = WORKER.fields["give_up_ns"][1]  # type: ignore[index]
_READ = RING.fields["read"][1]  # type: ignore[index]
_TURN_NS = 5_000_000


@helper
def _begin(s: Any, w: Any, counts: Any) -> None:
    """Begin after a reset: what is under way is forgotten, and the processor's memory with it."""
    counts.forgotten += queue_clear(np.uintp(w.hops))
    ring = np.uintp(w.results)
    store_release(ring + np.uintp(_READ), ring_written(ring))
    counts.epoch += 1
    s.begun = 1
    s.fresh = 1


@helper
def _carry_sides(s: Any, outer: Any) -> None:
    """Copy the vectors that hold now into the hop: the worker reads them later."""
    views = carray(pointer(np.uintp(outer.side), SIDE), (outer.side_count,))
    place = np.uintp(s.item) + np.uintp(s.item_sides)
    for k in range(min(s.side_count, outer.side_count)):
        copy_bytes(place, np.uintp(views[k].values), views[k].width * 4)
        place += np.uintp(views[k].width * 4)


@helper
def _post(s: Any, w: Any, counts: Any, outer: Any, position: int) -> None:
    """Send the gathered hop to the worker; where too many wait, begin afresh with this one."""
    item = carray(pointer(np.uintp(s.item), HOP), (1,))[0]
    waiting = ring_written(np.uintp(w.hops)) - load_acquire(np.uintp(w.hops) + np.uintp(_READ))
    if waiting >= w.limit:
        counts.dropped += queue_clear(np.uintp(w.hops))
        counts.resets += 1
        s.fresh = 1
    item.epoch = counts.epoch
    item.number = s.posted
    item.fresh = s.fresh
    item.context.abi_version = outer.abi_version
    item.context.sample_rate = outer.sample_rate
    item.context.time_ns = outer.time_ns
    item.context.deadline_ns = outer.deadline_ns
    item.context.side_count = s.side_count
    item.context.side = s.side
    item.context.position = position
    aims = carray(pointer(np.uintp(s.item) + np.uintp(s.item_aims), AIM), (s.control_count,))
    controls = carray(pointer(np.uintp(s.rt_controls), CONTROL), (s.control_count,))
    for k in range(s.control_count):
        aims[k].target = controls[k].target
        aims[k].step = controls[k].step
        aims[k].left = controls[k].left
        controls[k].left = max(controls[k].left - s.hop, 0)  # as if the hop had been played
    _carry_sides(s, outer)
    ring_put(np.uintp(w.hops), np.uintp(s.item), 1)
    sem_post(np.uintp(w.wake))
    counts.posted += 1
    s.fresh = 0
    s.posted += 1


@helper
def _gather(s: Any, w: Any, counts: Any, outer: Any, x: Any, like: Any) -> None:
    """Collect the input to hops, and send each that is complete."""
    item = carray(pointer(np.uintp(s.item), HOP), (1,))[0]
    place = pointer_like(np.uintp(s.item) + np.uintp(s.item_samples), like)
    samples = carray(place, (s.rt_channels_in, s.hop))
    frames = x.shape[1]
    taken = 0
    if s.filled == 0:
        item.context.flags = 0
    while taken < frames:
        piece = min(frames - taken, s.hop - s.filled)
        for c in range(s.rt_channels_in):
            for i in range(piece):
                samples[c, s.filled + i] = x[c, taken + i]
        s.filled += piece
        taken += piece
        item.context.flags |= outer.flags  # a hop is lost where any of it is
        if s.filled == s.hop:
            _post(s, w, counts, outer, outer.position + taken - s.hop)
            item.context.flags = 0
            s.filled = 0


@helper
def _find(s: Any, w: Any, counts: Any, seen: int) -> int:
    """Look for the result that is due among the first ``seen``; drop those whose time is over."""
    ring = np.uintp(w.results)
    while True:
        read = load_acquire(ring + np.uintp(_READ))
        if read >= seen:
            return _NOTHING
        result = carray(pointer(item_at(ring, read), RESULT), (1,))[0]
        if result.epoch == counts.epoch and result.number >= s.number:
            if result.number > s.number:
                return _GONE
            return _GOOD if result.failed == 0 else _FAILED
        ring_drop(ring)


@helper
def _wait(s: Any, w: Any, counts: Any) -> int:
    """Wait for the result that is due, but not for ever, and not again before another one came."""
    worker = np.uintp(s.worker)
    scratch = np.uintp(s.scratch)
    written = ring_written(np.uintp(w.results))
    found = _find(s, w, counts, written)
    if found != _NOTHING or counts.gave_up_at == written + 1:
        return found
    begun_ns = now_ns(scratch)
    while found == _NOTHING and load_acquire(worker + np.uintp(_RUNNING)) != 0:
        exchange(worker + np.uintp(_WAITING), 1)
        written = ring_written(np.uintp(w.results))
        found = _find(s, w, counts, written)
        if found == _NOTHING:
            if now_ns(scratch) - begun_ns > load_acquire(worker + np.uintp(_GIVE_UP)):
                counts.gave_up_at = written + 1
                break
            sem_wait_for(np.uintp(w.done), _TURN_NS, scratch)
    exchange(worker + np.uintp(_WAITING), 0)
    return found


@helper
def _decide(s: Any, w: Any, counts: Any, seen: int, live: bool) -> None:
    """Choose where the hop that is due comes from, and count it."""
    found = _find(s, w, counts, seen) if live else _wait(s, w, counts)
    counts.due += 1
    if found in (_NOTHING, _GONE):
        found = _NOTHING
        counts.late_total += 1
        counts.late_since_start += 1
        counts.late_run += 1
        counts.late_longest = max(counts.late_longest, counts.late_run)
    else:
        counts.late_run = 0
    if (found == _GOOD) != (s.source == _GOOD) and not (s.number == 0 and found == _GOOD):
        s.join = 1
    s.source = found


@helper
def _substitute(s: Any, counts: Any, y: Any, done: int, piece: int, like: Any) -> None:
    """Write frames in place of those that are late or failed."""
    counts.concealed_frames += piece
    if s.conceal == CONCEAL:
        memory = carray(pointer(np.uintp(s.memory), np.float64), (y.shape[0], s.span))
        for c in range(y.shape[0]):
            conceal(memory[c], y[c, done : done + piece], piece)
    elif s.conceal == DRY:
        line = carray(pointer_like(np.uintp(s.line), like), (y.shape[0], s.span))
        begin = s.line_at - (y.shape[1] - done) - s.line_delay + 2 * s.span
        for c in range(y.shape[0]):
            for i in range(piece):
                y[c, done + i] = line[c, (begin + i) % s.span]
    else:
        y[:, done : done + piece] = 0


@helper
def _play_result(s: Any, w: Any, y: Any, done: int, piece: int, like: Any) -> None:
    """Write frames of a result."""
    ring = np.uintp(w.results)
    place = item_at(ring, load_acquire(ring + np.uintp(_READ))) + np.uintp(s.result_samples)
    samples = carray(pointer_like(place, like), (y.shape[0], s.hop))
    for c in range(y.shape[0]):
        for i in range(piece):
            y[c, done + i] = samples[c, s.at + i]
    if s.conceal == CONCEAL:
        memory = carray(pointer(np.uintp(s.memory), np.float64), (y.shape[0], s.span))
        for c in range(y.shape[0]):
            rejoin(memory[c], y[c, done : done + piece], piece)
            remember(memory[c], y[c, done : done + piece], piece)


@helper
def _smooth(s: Any, y: Any, done: int, piece: int, like: Any) -> None:
    """Where the source changes, let the step between the two fade away."""
    last = carray(pointer_like(np.uintp(s.last), like), (y.shape[0],))
    offset = carray(pointer(np.uintp(s.offset), np.float64), (y.shape[0],))
    if s.join != 0 and s.conceal != CONCEAL:  # the concealment does that itself
        for c in range(y.shape[0]):
            offset[c] = np.float64(last[c]) - np.float64(y[c, done])
        s.fade_left = s.fade_frames
    s.join = 0
    if s.fade_left > 0:
        for c in range(y.shape[0]):
            for i in range(min(piece, s.fade_left)):
                y[c, done + i] += offset[c] * ((s.fade_left - 1 - i) / s.fade_frames)
        s.fade_left = max(s.fade_left - piece, 0)
    for c in range(y.shape[0]):
        last[c] = y[c, done + piece - 1]


@helper
def _end_piece(s: Any, w: Any, piece: int) -> bool:
    """Go on behind some frames of a hop; say whether so many failed in a row that it must end."""
    s.at += piece
    if s.at < s.hop:
        return False
    too_many = False
    if s.source != _NOTHING:
        ring = np.uintp(w.results)
        place = item_at(ring, load_acquire(ring + np.uintp(_READ)))
        too_many = carray(pointer(place, RESULT), (1,))[0].failures >= s.failure_limit
        ring_drop(ring)
    s.at = 0
    s.number += 1
    return too_many


@helper
def _listen(s: Any, x: Any, like: Any) -> None:
    """Keep the input, where it may have to stand in for the output."""
    if s.conceal != DRY:
        return
    line = carray(pointer_like(np.uintp(s.line), like), (x.shape[0], s.span))
    for c in range(x.shape[0]):
        at = s.line_at
        for i in range(x.shape[1]):
            line[c, at] = x[c, i]
            at = at + 1 if at + 1 < s.span else 0
    s.line_at = (s.line_at + x.shape[1]) % s.span


def worker_process(state_p, context_p, xp, yp, frames):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - compiled
    """Send hops to the worker, and hand out what came back in time."""
    s = carray(state_p, (1,))[0]
    w = carray(pointer(np.uintp(s.worker), WORKER), (1,))[0]
    counts = carray(pointer(np.uintp(s.counts), COUNTS), (1,))[0]
    outer = carray(context_p, (1,))[0]
    x = carray(xp, (s.rt_channels_in, frames))
    y = carray(yp, (s.rt_channels_out, frames))
    live = outer.deadline_ns != 0
    if s.begun == 0:
        _begin(s, w, counts)
    seen = ring_written(np.uintp(w.results))
    _listen(s, x, xp)
    _gather(s, w, counts, outer, x, xp)
    done = min(frames, s.silent_left)
    y[:, :done] = 0
    s.silent_left -= done
    while done < frames:
        if s.at == 0:
            _decide(s, w, counts, seen, live)
        piece = min(frames - done, s.hop - s.at)
        if s.source == _GOOD:
            _play_result(s, w, y, done, piece, xp)
        else:
            _substitute(s, counts, y, done, piece, xp)
        _smooth(s, y, done, piece, xp)
        done += piece
        if _end_piece(s, w, piece):
            y[:, done - 1 :] = np.nan  # so that the chain mutes it, as it would inline
            break
    return np.int32(0)


@cache
def _entry(real: np.dtype[Any]) -> Any:
    real_p = types.CPointer(REALS[real])
    state_p, context_p = types.CPointer(from_dtype(ADAPTER)), types.CPointer(from_dtype(CONTEXT))
    return c_entry(worker_process, types.int32(state_p, context_p, real_p, real_p, types.int32))


def adapter_address(real: np.dtype[Any]) -> int:
    """Compile (or load) the audio thread's side for one real type and give its address."""
    return int(_entry(real).address)
