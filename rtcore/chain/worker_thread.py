# SPDX-License-Identifier: MIT
"""The compiled loop of a worker thread: hops in, results out, in order."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import carray

from rtcore.chain.door import first_bad
from rtcore.chain.worker_records import AIM, HOP, RESULT, WORKER, queue_take
from rtcore.kernels.abi import (
    call_process,
    copy_bytes,
    exchange,
    load_acquire,
    pointer,
    store_release,
)
from rtcore.kernels.context import CONTROL
from rtcore.kernels.histogram import histogram_add
from rtcore.kernels.jit import native
from rtcore.kernels.rt import flush_denormals, now_ns, restore_float_mode, sem_post, sem_wait
from rtcore.rings import ring_put

_WAITING = WORKER.fields["waiting"][1]  # type: ignore[index]
_FINISHED = WORKER.fields["finished"][1]  # type: ignore[index]
_HOP_BYTES = HOP.itemsize
_CONTEXT = HOP.fields["context"][1]  # type: ignore[index]


@native
def _begin_afresh(worker: Any) -> None:
    """Give the processor the memory it was prepared with, as a reset does."""
    copy_bytes(np.uintp(worker.memory), np.uintp(worker.pristine), worker.memory_bytes)
    controls = carray(pointer(np.uintp(worker.controls), CONTROL), (worker.control_count,))
    for k in range(worker.control_count):
        controls[k].filled = 0
    worker.failures = 0


@native
def _take_aims(worker: Any) -> None:
    """Bring the parameters to where they stood when the hop began."""
    controls = carray(pointer(np.uintp(worker.controls), CONTROL), (worker.control_count,))
    place = np.uintp(worker.item) + np.uintp(_HOP_BYTES)
    aims = carray(pointer(place, AIM), (worker.control_count,))
    for k in range(worker.control_count):
        control, aim = controls[k], aims[k]
        if control.target != aim.target or control.left != aim.left or control.step != aim.step:
            control.target = aim.target
            control.step = aim.step
            control.left = aim.left
            control.filled = 0


@native
def _work(worker: Any, real: Any) -> None:
    """Run the processor on the hop in hand."""
    hop = carray(pointer(np.uintp(worker.item), HOP), (1,))[0]
    result = carray(pointer(np.uintp(worker.result), RESULT), (1,))[0]
    if hop.fresh != 0:
        _begin_afresh(worker)
    _take_aims(worker)
    before = now_ns(np.uintp(worker.clock))
    y = np.uintp(worker.result) + np.uintp(worker.result_samples)
    status = call_process(
        np.uintp(worker.fn),
        np.uintp(worker.state),
        np.uintp(worker.item) + np.uintp(_CONTEXT),
        np.uintp(worker.item) + np.uintp(worker.item_samples),
        y,
        np.int32(worker.hop),
    )
    histogram_add(np.uintp(worker.histogram), now_ns(np.uintp(worker.clock)) - before)
    good = status == 0 and first_bad(y, worker.channels_out, worker.hop, real) == worker.hop
    worker.failures = 0 if good else worker.failures + 1
    worker.errors += 0 if good else 1
    result.epoch = hop.epoch
    result.number = hop.number
    result.failed = 0 if good else 1
    result.status = status
    result.failures = worker.failures


@native
def worker_loop(worker_at: int, real: Any) -> None:
    """Work until told to stop.

    Parameters
    ----------
    worker_at : int
        Address of a WORKER record.
    real : numpy dtype
        The stream's real type.
    """
    mode = flush_denormals()
    worker = carray(pointer(worker_at, WORKER), (1,))[0]
    while load_acquire(worker_at) == 0:
        while load_acquire(worker_at) == 0 and queue_take(
            np.uintp(worker.hops), np.uintp(worker.item)
        ):
            _work(worker, real)
            ring_put(np.uintp(worker.results), np.uintp(worker.result), 1)
            store_release(worker_at + np.uintp(_FINISHED), worker.finished + 1)
            if exchange(worker_at + np.uintp(_WAITING), 0) != 0:
                sem_post(np.uintp(worker.done))
        if load_acquire(worker_at) == 0:
            sem_wait(np.uintp(worker.wake))
    restore_float_mode(mode)


@cache
def compile_loop(real: np.dtype[Any]) -> None:
    """Compile (or load) the loop for one real type, before time counts."""
    record = np.zeros(1, WORKER)
    record["stop"] = 1
    worker_loop(np.uint64(record.ctypes.data), real)
