# SPDX-License-Identifier: MIT
"""One block of the engine, compiled: input, chain, safety, output, and the counts about it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from rtcore.chain.records import STREAM
from rtcore.chain.runner import stream_run
from rtcore.engine.records import ENGINE, LEVEL, SAFETY, STATS
from rtcore.kernels.abi import call_words, pointer, size_of
from rtcore.kernels.context import CONTEXT
from rtcore.kernels.histogram import histogram_add
from rtcore.kernels.jit import native
from rtcore.kernels.part import part
from rtcore.kernels.rt import NS_PER_S, now_ns
from rtcore.rings import ring_put

_PEAK_FALL_DB_PER_S = 20.0
_MEAN_S = 0.3
_LN10_OVER_20 = 0.11512925464970229
_SETTLED = 1e-4  # a limiter gain this close to 1 is 1


@native
def _count_pressure(safety: Any, peak: float) -> None:
    """Count the frames in and shortly after which sound presses against the ceiling."""
    if peak > safety.ceiling:
        safety.press_left = safety.press_hold
    if safety.press_left > 0:
        safety.press_left -= 1
        safety.pressed_frames += 1


@native
def _silence_faults(y: Any, i: int) -> bool:
    """Put 0 for what is not finite in a frame; say whether there was any."""
    found = False
    for c in range(y.shape[0]):
        if not np.isfinite(y[c, i]):
            y[c, i] = 0
            found = True
    return found


@native
def protect(safety_at: int, y: Any) -> None:
    """Limit to the ceiling without delay, and apply the volume; bit-transparent when both rest.

    A sample that is not finite becomes 0 and counts as limited.

    The gain falls at once where a sample would pass the ceiling and comes back exponentially; all
    channels share it, so that the image does not wander.
    """
    safety = carray(pointer(safety_at, SAFETY), (1,))[0]
    gain = safety.gain
    volume = safety.volume
    for i in range(y.shape[1]):
        faulty = _silence_faults(y, i)
        if volume != safety.volume_target:
            change = safety.volume_target - volume
            volume += min(max(change, -safety.volume_step), safety.volume_step)
        peak = 0.0
        for c in range(y.shape[0]):
            peak = max(peak, abs(y[c, i]) * volume)
        gain += (1.0 - gain) * safety.release
        if gain > 1.0 - _SETTLED:
            gain = 1.0
        if peak * gain > safety.ceiling:
            gain = safety.ceiling / peak
        _count_pressure(safety, peak)
        if gain < 1.0 or faulty:
            safety.limited_frames += 1
        if gain < 1.0 or volume != 1.0:
            for c in range(y.shape[0]):
                y[c, i] = min(max(y[c, i] * volume * gain, -safety.ceiling), safety.ceiling)
    safety.gain = gain
    safety.volume = volume


@native
def measure_levels(
    levels_at: int, rows: Any, stride: int, frames: int, sample_rate: float, real: Any
) -> None:
    """Update the level record of each channel with one block; NaN and infinity count as 0."""
    levels = carray(pointer(levels_at, LEVEL), (rows.size,))
    fall = np.exp(-_PEAK_FALL_DB_PER_S * _LN10_OVER_20 * frames / sample_rate)
    keep = np.exp(-frames / (_MEAN_S * sample_rate))
    for c in range(rows.size):
        x = carray(pointer(np.uintp(rows[c]), real), (frames * stride,))
        peak = 0.0
        power = 0.0
        clips = 0
        for i in range(frames):
            size = abs(np.float64(x[i * stride]))
            if not np.isfinite(size):  # the chain hears 0 there, and one NaN would stay for ever
                continue
            peak = max(peak, size)
            power += size * size
            if size >= 1.0:
                clips += 1
        level = levels[c]
        level.peak = max(level.peak, peak)
        level.recent_peak = max(peak, level.recent_peak * fall)
        level.mean_square = level.mean_square * keep + power / frames * (1.0 - keep)
        level.clips += clips


@native
def _tap(engine: Any, ring: int, rows: Any, stride: int, frames: int, real: Any) -> None:
    """Hand a copy of the block to a recorder, interleaved, with 0 for what is not finite."""
    flat = carray(pointer(np.uintp(engine.interleaved), real), (frames, rows.size))
    for c in range(rows.size):
        x = carray(pointer(np.uintp(rows[c]), real), (frames * stride,))
        for i in range(frames):
            sample = x[i * stride]
            flat[i, c] = sample if np.isfinite(sample) else 0
    taken = ring_put(ring, np.uintp(engine.interleaved), frames)
    carray(pointer(np.uintp(engine.stats), STATS), (1,))[0].tap_lost += frames - taken


@native
def run_block(engine_at: int, rows: Any, stride: int, frames: int, real: Any) -> None:
    """Play up to ``capacity`` frames into the engine's result rows.

    Parameters
    ----------
    engine_at : int
        Address of an ENGINE record.
    rows : uint64 array
        Address of the first sample of each chain input channel.
    stride : int
        Samples from one frame to the next.
    frames : int
        At most the engine's capacity.
    real : numpy dtype
        float32 or float64.
    """
    engine = carray(pointer(engine_at, ENGINE), (1,))[0]
    outputs = carray(pointer(np.uintp(engine.outputs), np.uint64), (engine.chain_out,))
    measure_levels(np.uintp(engine.levels_in), rows, stride, frames, engine.sample_rate, real)
    if engine.tap_in != 0:
        _tap(engine, np.uintp(engine.tap_in), rows, stride, frames, real)
    for c in range(engine.chain_out):  # rows lie end to end, so that the result is one array
        outputs[c] = np.uintp(engine.result) + np.uintp(c * frames * size_of(real))
    stream_run(np.uintp(engine.stream), rows, stride, outputs, 1, frames, real)
    result = carray(pointer(np.uintp(engine.result), real), (engine.chain_out, frames))
    if carray(pointer(np.uintp(engine.safety), SAFETY), (1,))[0].enabled != 0:
        protect(np.uintp(engine.safety), result)
    measure_levels(np.uintp(engine.levels_out), outputs, 1, frames, engine.sample_rate, real)
    if engine.tap_out != 0:
        _tap(engine, np.uintp(engine.tap_out), outputs, 1, frames, real)


@native
def begin_block(engine_at: int, frames: int, deadline_ns: int, start_ns: int) -> None:
    """Tell the kernels the time, and count how evenly blocks come."""
    engine = carray(pointer(engine_at, ENGINE), (1,))[0]
    stats = carray(pointer(np.uintp(engine.stats), STATS), (1,))[0]
    stream = carray(pointer(np.uintp(engine.stream), STREAM), (1,))[0]
    context = carray(pointer(np.uintp(stream.context), CONTEXT), (1,))[0]
    # Where nobody waits for the sound there is no time, and a worker is waited for.
    context.time_ns = start_ns if engine.paced != 0 else 0
    context.deadline_ns = deadline_ns if engine.paced != 0 else 0
    if stats.last_start_ns != 0:
        histogram_add(np.uintp(stats.interval), start_ns - stats.last_start_ns)
    stats.smallest_block = frames if stats.blocks == 0 else min(stats.smallest_block, frames)
    stats.largest_block = max(stats.largest_block, frames)


@native
def end_block(engine_at: int, frames: int, deadline_ns: int, start_ns: int) -> None:
    """Count the block: how long it took, what was left, and whether it was late.

    A block is late when its work ended after its deadline, or when it began more than two periods
    (of the one before) after the one before: then the device had to do without it for a while.
    """
    engine = carray(pointer(engine_at, ENGINE), (1,))[0]
    stats = carray(pointer(np.uintp(engine.stats), STATS), (1,))[0]
    end_ns = now_ns(np.uintp(engine.clock))
    histogram_add(np.uintp(stats.busy), end_ns - start_ns)
    if engine.paced != 0:
        histogram_add(np.uintp(stats.slack), max(deadline_ns - end_ns, 0))
        before_ns = np.int64(stats.last_frames * NS_PER_S / engine.sample_rate)
        gap = stats.last_start_ns != 0 and start_ns - stats.last_start_ns > 2 * before_ns
        if end_ns > deadline_ns or gap:
            stats.late_total += 1
            stats.late_since_start += 1
            stats.late_run += 1
            stats.late_longest = max(stats.late_longest, stats.late_run)
        else:
            stats.late_run = 0
    stats.last_start_ns = start_ns
    stats.last_frames = frames
    stats.blocks += 1
    stats.frames += frames


@native
def input_row(channel: int, rows: Any) -> int:
    """Say which device channel feeds a chain channel, or -1: one microphone feeds both ears."""
    if channel < rows.size:
        return channel
    return 0 if rows.size == 1 else -1


@native
def output_row(engine: Any, channel: int) -> int:
    """Say which chain channel feeds a device channel, or -1: one channel goes to both ears."""
    if channel < engine.chain_out:
        return channel
    return 0 if engine.chain_out == 1 and channel == 1 else -1


@part
def device_block(
    engine_at: int,
    sources: Any,
    in_stride: int,
    targets: Any,
    out_stride: int,
    frames: int,
    deadline_ns: int,
    real: Any,
) -> None:
    """Play a device's block of any length from its channels to its channels.

    Parameters
    ----------
    engine_at : int
        Address of an ENGINE record.
    sources, targets : uint64 arrays
        Address of the first sample of each device channel; may be empty.
    in_stride, out_stride : int
        Samples from one frame to the next.
    frames : int
        Any number.
    deadline_ns : int
        When the device needs the block.
    real : numpy dtype
        The stream's real type.
    """
    engine = carray(pointer(engine_at, ENGINE), (1,))[0]
    start_ns = now_ns(np.uintp(engine.clock))
    begin_block(engine_at, frames, deadline_ns, start_ns)
    rows = carray(pointer(np.uintp(engine.inputs), np.uint64), (engine.chain_in,))
    item = size_of(real)
    done = 0
    while done < frames:
        now = min(frames - done, engine.capacity)
        for c in range(engine.chain_in):
            source = input_row(c, sources)
            rows[c] = engine.silence
            if source >= 0:
                rows[c] = np.uintp(sources[source]) + np.uintp(done * in_stride * item)
        run_block(engine_at, rows, in_stride, now, real)
        result = carray(pointer(np.uintp(engine.result), real), (engine.chain_out, now))
        for d in range(targets.size):
            target = carray(pointer(np.uintp(targets[d]), real), (frames * out_stride,))
            source = output_row(engine, d)
            for i in range(now):
                target[(done + i) * out_stride] = result[source, i] if source >= 0 else 0
        done += now
    end_block(engine_at, frames, deadline_ns, start_ns)


@part
def play_block(
    engine_at: int,
    sources: Any,
    in_stride: int,
    targets: Any,
    out_stride: int,
    frames: int,
    deadline_ns: int,
    real: Any,
) -> None:
    """Play a device's block from packets where the engine has an inlet, else from its channels.

    The parameters are those of :func:`device_block`.  What plays packets is called through its
    address, so that nobody else waits until it is compiled.
    """
    engine = carray(pointer(engine_at, ENGINE), (1,))[0]
    if engine.inlet == 0:
        device_block(engine_at, sources, in_stride, targets, out_stride, frames, deadline_ns, real)
        return
    call_words(
        np.uintp(engine.play_inlet),
        np.int64(engine_at),
        np.int64(targets.ctypes.data),
        np.int64(targets.size),
        np.int64(targets.strides[0] // targets.itemsize),
        np.int64(out_stride),
        np.int64(frames),
        np.int64(deadline_ns),
    )
