# SPDX-License-Identifier: MIT
"""The compiled loop that plays a chain: the same code live and offline.

Commands take effect at a frame, not at a block: where one falls inside a block the block is cut
there.  So the result does not depend on how the stream is cut, and a session that was recorded
with its commands' positions can be played again bit for bit.  Vectors of side inputs are taken in
the same way, at their frames.

A chain that was replaced is freed by the control thread only after the ``RETIRED`` event for it
has come back through the ring.  The event is put (release) after the last use and taken (acquire)
before the memory is let go, so no epoch and no sequentially consistent fence is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from rtcore.chain.door import first_bad, give, silence_bad, take_channel
from rtcore.chain.records import CHAIN, COMMAND, EVENT, STEP, STREAM, Command, Event
from rtcore.chain.sides_taken import FAR, take_sides
from rtcore.chain.telling import tell, tell_of
from rtcore.kernels.abi import call_process, copy_bytes, pointer, size_of
from rtcore.kernels.context import CONTEXT, CONTROL, HEADER
from rtcore.kernels.controls import aim
from rtcore.kernels.histogram import histogram_add
from rtcore.kernels.jit import native
from rtcore.kernels.rt import now_ns
from rtcore.rings import ring_drop, ring_peek

_STEP_BYTES = STEP.itemsize
_CONTROL_BYTES = CONTROL.itemsize
_EVENT_BYTES = EVENT.itemsize
_CONTROLS_FIELD = np.dtype(HEADER, align=True).fields["rt_controls"][1]  # type: ignore[index]
_PARAM, _SWAP_STEP, _SWAP_CHAIN = (
    int(Command.PARAM),
    int(Command.SWAP_STEP),
    int(Command.SWAP_CHAIN),
)
_RESET, _FLAGS = int(Command.RESET), int(Command.FLAGS)
_APPLIED, _RETIRED, _FAULT = int(Event.APPLIED), int(Event.RETIRED), int(Event.FAULT)


@native
def _fade_to_silence(step: Any, y: Any, last: Any, start: int, frames: int) -> None:
    """Let the last good samples decay linearly, then be silent."""
    for c in range(step.channels_out):
        left = step.mute_left
        for i in range(start, frames):
            left = max(left - 1, 0)
            y[c, i] = last[c] * left / step.mute_frames
    step.mute_left = max(step.mute_left - (frames - start), 0)


@native
def _play_step(
    stream: Any, step: Any, index: int, x: int, y: int, frames: int, real: Any, scratch: Any
) -> None:
    """Run a processor; mute it with a fade where it fails, and say so if ``index >= 0``."""
    out = carray(pointer(y, real), (step.channels_out, frames))
    last = carray(pointer(np.uintp(step.last), real), (step.channels_out,))
    if step.muted != 0:
        _fade_to_silence(step, out, last, 0, frames)
        return
    context = carray(pointer(np.uintp(stream.context), CONTEXT), (1,))[0]
    context.side_count = step.side_count
    context.side = step.side
    status = call_process(
        np.uintp(step.fn), np.uintp(step.state), np.uintp(stream.context), x, y, np.int32(frames)
    )
    bad = 0 if status != 0 else first_bad(y, step.channels_out, frames, real)
    if bad == frames:
        for c in range(step.channels_out):
            last[c] = out[c, frames - 1]
        return
    step.muted = 1
    step.faults += 1
    step.mute_left = step.mute_frames
    if bad > 0:
        for c in range(step.channels_out):
            last[c] = out[c, bad - 1]
    _fade_to_silence(step, out, last, bad, frames)
    if index >= 0:
        tell(stream, _FAULT, index, np.int64(status), np.int64(step.chain), scratch)


@native
def _run_step(
    stream: Any, step: Any, index: int, frames: int, real: Any, scratch: Any, fade_scratch: int
) -> None:
    x = np.uintp(step.x) + np.uintp(step.x_channel * frames * size_of(real))
    y = np.uintp(step.y) + np.uintp(step.y_channel * frames * size_of(real))
    _play_step(stream, step, index, x, y, frames, real, scratch)
    if step.old != 0:  # play what is being replaced as well, and mix the two
        old = carray(pointer(np.uintp(step.old), STEP), (1,))[0]
        _play_step(stream, old, -1, x, fade_scratch, frames, real, scratch)
        out = carray(pointer(y, real), (step.channels_out, frames))
        _mix(
            out,
            carray(pointer(fade_scratch, real), (step.channels_out, frames)),
            step.fade_left,
            step.fade_frames,
        )
        step.fade_left = max(step.fade_left - frames, 0)
        if step.fade_left == 0:
            _retire_old(stream, step, scratch)


@native
def _retire_old(stream: Any, step: Any, scratch: Any) -> None:
    """Let go of the step that this one replaced."""
    if step.old != 0:
        tell(stream, _RETIRED, np.int64(step.old), 0, 0, scratch)
        step.old = 0


@native
def _retire_chain(stream: Any, scratch: Any) -> None:
    """Let go of the chain that was replaced, and of what its own steps were still replacing."""
    if stream.old != 0:
        chain = carray(pointer(np.uintp(stream.old), CHAIN), (1,))[0]
        steps = carray(pointer(np.uintp(chain.steps), STEP), (chain.step_count,))
        for k in range(chain.step_count):
            _retire_old(stream, steps[k], scratch)
        tell(stream, _RETIRED, np.int64(stream.old), 0, 0, scratch)
        stream.old = 0


@native
def _mix(new: Any, old: Any, left: int, total: int) -> None:
    """Cross-fade with equal gain, in place, ``left`` frames before its end.

    Where more than ``total`` are left, the old one still plays alone.

    One product a sample: of two, the compiler may fuse either with the sum, in the vector loop
    one and in its remainder the other, and the bits would depend on how the stream is cut.
    """
    alone = min(max(left - total, 0), new.shape[1])
    for c in range(new.shape[0]):
        for i in range(alone):
            new[c, i] = old[c, i]
        for i in range(alone, new.shape[1]):
            share = max(left - 1 - i, 0) / total
            # in double precision: the difference of two finite numbers may not be one
            new[c, i] += share * (np.float64(old[c, i]) - np.float64(new[c, i]))


@native
def _run_steps(stream: Any, chain: Any, frames: int, real: Any, scratch: Any) -> None:
    steps = carray(pointer(np.uintp(chain.steps), STEP), (chain.step_count,))
    clock = np.uintp(stream.clock)
    before = now_ns(clock) if stream.timed != 0 else 0
    for k in range(chain.step_count):
        step = steps[k]
        _run_step(stream, step, k, frames, real, scratch, np.uintp(chain.fade_scratch))
        if stream.timed != 0:
            after = now_ns(clock)
            histogram_add(np.uintp(step.histogram), after - before)
            step.busy_ns += after - before
            before = after


@native
def _load(
    stream: Any, chain: Any, inputs: Any, stride: int, offset: int, frames: int, real: Any
) -> None:
    """Copy the input into the chain's own planar buffer; replace NaN and Inf by silence."""
    good = True
    for c in range(chain.channels_in):
        source = np.uintp(inputs[c]) + np.uintp(offset * stride * size_of(real))
        target = np.uintp(chain.input) + np.uintp(c * frames * size_of(real))
        good = take_channel(source, target, stride, frames, real) and good
    if not good:
        stream.input_faults += silence_bad(np.uintp(chain.input), chain.channels_in * frames, real)


@native
def _play(
    stream: Any,
    inputs: Any,
    in_stride: int,
    outputs: Any,
    out_stride: int,
    offset: int,
    frames: int,
    real: Any,
    scratch: Any,
) -> None:
    chain = carray(pointer(np.uintp(stream.chain), CHAIN), (1,))[0]
    _load(stream, chain, inputs, in_stride, offset, frames, real)
    _run_steps(stream, chain, frames, real, scratch)
    shift = np.uintp(chain.output_channel * frames * size_of(real))
    result = carray(pointer(np.uintp(chain.output) + shift, real), (chain.channels_out, frames))
    if stream.old != 0:
        old = carray(pointer(np.uintp(stream.old), CHAIN), (1,))[0]
        _load(stream, old, inputs, in_stride, offset, frames, real)
        _run_steps(stream, old, frames, real, scratch)
        shift = np.uintp(old.output_channel * frames * size_of(real))
        before = carray(pointer(np.uintp(old.output) + shift, real), (chain.channels_out, frames))
        _mix(result, before, stream.fade_left, stream.fade_frames)
        stream.fade_left = max(stream.fade_left - frames, 0)
    for c in range(chain.channels_out):
        place = np.uintp(outputs[c]) + np.uintp(offset * out_stride * size_of(real))
        target = carray(pointer(place, real), ((frames - 1) * out_stride + 1,))
        give(result[c], target, out_stride)


@native
def reset_step(step: Any) -> None:
    """Give a step the memory it was prepared with; its parameters stay where they were sent."""
    copy_bytes(np.uintp(step.memory), np.uintp(step.pristine), step.memory_bytes)
    controls = carray(pointer(np.uintp(step.controls), CONTROL), (step.control_count,))
    for k in range(step.control_count):
        controls[k].left = 0
        controls[k].filled = 0
    step.muted = 0
    step.mute_left = 0


@native
def _reset(stream: Any, target: int, scratch: Any) -> None:
    """Reset one step or, where ``target`` is -1, all; cross-fades end as well."""
    chain = carray(pointer(np.uintp(stream.chain), CHAIN), (1,))[0]
    steps = carray(pointer(np.uintp(chain.steps), STEP), (chain.step_count,))
    for k in range(chain.step_count):
        if target in (-1, k):
            _retire_old(stream, steps[k], scratch)
            reset_step(steps[k])
    if target == -1:
        _retire_chain(stream, scratch)


@native
def _apply(stream: Any, command: Any, scratch: Any) -> None:
    chain = carray(pointer(np.uintp(stream.chain), CHAIN), (1,))[0]
    steps = carray(pointer(np.uintp(chain.steps), STEP), (chain.step_count,))
    kind = command.kind
    if kind == _PARAM:
        aim(np.uintp(steps[command.target].controls), command.argument, command.value)
    elif kind == _SWAP_STEP:
        _swap_step(steps, command)
    elif kind == _SWAP_CHAIN:
        stream.old = stream.chain
        stream.chain = np.uintp(command.target)
        stream.fade_frames = np.int64(command.value)
        stream.fade_left = stream.fade_frames + command.argument
    elif kind == _RESET:
        _reset(stream, command.target, scratch)
    elif kind == _FLAGS:
        carray(pointer(np.uintp(stream.context), CONTEXT), (1,))[0].flags = command.target
    due = command.waits_since if command.waits_since > 0 else stream.position
    tell_of(stream, due, _APPLIED, command.target, kind, command.serial, scratch)


@native
def _hasten(left: int, total: int, hasty: int) -> Any:
    """Give the rest of a cross-fade and its length so that it ends soon, without a step."""
    if left <= hasty:
        return left, total
    return hasty, max(hasty, (total * hasty + left // 2) // left)


@native
def _swap_step(steps: Any, command: Any) -> None:
    """Put a new step in the old one's place; what it replaces goes on as a copy behind it."""
    step = steps[command.target]
    new = carray(
        pointer(np.uintp(command.argument), STEP), (2,)
    )  # the new step, and room for the old
    place = np.uintp(steps.ctypes.data) + np.uintp(command.target * _STEP_BYTES)
    spare = np.uintp(command.argument) + np.uintp(_STEP_BYTES)
    copy_bytes(spare, place, _STEP_BYTES)
    step.fn = new[0].fn
    step.state = new[0].state
    step.controls = new[0].controls
    step.pristine = new[0].pristine
    step.memory = new[0].memory
    step.memory_bytes = new[0].memory_bytes
    step.control_count = new[0].control_count
    step.last = new[0].last
    step.histogram = new[0].histogram
    step.side_count = new[0].side_count
    step.side = new[0].side
    step.muted = 0
    step.mute_left = 0
    step.old = spare
    step.fade_frames = np.int64(command.value)
    step.fade_left = step.fade_frames + new[0].warm_frames


@native
def _frames_to_wait(stream: Any, command: Any) -> int:
    """Let a swap wait for the end of the cross-fade before it, which is hastened.

    Cut off, that one would click.  The log gets the frame at which the swap was due, so that a
    replay hastens at the same frame.
    """
    if command.kind == _SWAP_CHAIN and stream.old != 0:
        hastened = _hasten(stream.fade_left, stream.fade_frames, stream.hasty_frames)
        stream.fade_left, stream.fade_frames = hastened
        return stream.fade_left
    if command.kind == _SWAP_STEP:
        chain = carray(pointer(np.uintp(stream.chain), CHAIN), (1,))[0]
        step = carray(pointer(np.uintp(chain.steps), STEP), (chain.step_count,))[command.target]
        if step.old != 0:
            hastened = _hasten(step.fade_left, step.fade_frames, stream.hasty_frames)
            step.fade_left, step.fade_frames = hastened
            return step.fade_left
    return 0


@native
def _until_next_command(stream: Any, scratch: Any) -> int:
    """Apply what is due; give the number of frames until the next command."""
    while True:
        waiting = ring_peek(np.uintp(stream.commands))
        if waiting == 0:
            return FAR
        command = carray(pointer(waiting, COMMAND), (1,))[0]
        if command.frame > stream.position:
            return command.frame - stream.position
        fading = _frames_to_wait(stream, command)
        if fading > 0:
            if command.waits_since == 0:
                command.waits_since = stream.position
            return fading
        _apply(stream, command, scratch)
        ring_drop(np.uintp(stream.commands))


@native
def stream_run(
    stream_at: int,
    inputs: Any,
    in_stride: int,
    outputs: Any,
    out_stride: int,
    frames: int,
    real: Any,
) -> None:
    """Play ``frames`` frames.

    Parameters
    ----------
    stream_at : int
        Address of a STREAM record.
    inputs, outputs : uint64 arrays
        Address of the first sample of each channel.
    in_stride, out_stride : int
        Samples from one frame to the next: 1 for planar sound, the channel count for interleaved.
    frames : int
        Any number.
    real : numpy dtype
        float32 or float64.
    """
    stream = carray(pointer(stream_at, STREAM), (1,))[0]
    scratch = carray(pointer(np.uintp(stream.clock) + np.uintp(16), EVENT), (1,))
    context = carray(pointer(np.uintp(stream.context), CONTEXT), (1,))[0]
    done = 0
    while done < frames:
        until = _until_next_command(stream, scratch)
        until = min(until, take_sides(stream, scratch))
        chain = carray(pointer(np.uintp(stream.chain), CHAIN), (1,))[0]
        now = min(frames - done, until, chain.max_frames)
        if stream.old != 0:
            now = min(now, carray(pointer(np.uintp(stream.old), CHAIN), (1,))[0].max_frames)
        context.position = stream.position
        _play(stream, inputs, in_stride, outputs, out_stride, done, now, real, scratch)
        if stream.fade_left == 0:
            _retire_chain(stream, scratch)
        done += now
        stream.position += now


@native
def stream_reset(stream_at: int) -> None:
    """Forget all sound between two blocks, on the thread that plays them."""
    stream = carray(pointer(stream_at, STREAM), (1,))[0]
    scratch = carray(pointer(np.uintp(stream.clock) + np.uintp(16), EVENT), (1,))
    while True:
        _until_next_command(stream, scratch)
        take_sides(stream, scratch)
        _reset(stream, -1, scratch)  # ends all fades, so that a swap which waits for one can go on
        waiting = ring_peek(np.uintp(stream.commands))
        if waiting == 0 or carray(pointer(waiting, COMMAND), (1,))[0].frame > stream.position:
            return
