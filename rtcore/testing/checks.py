# SPDX-License-Identifier: MIT
"""The promises about samples: each check yields a sentence for every promise that is broken."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rtcore.chain import Chain, Parallel
from rtcore.testing.case import Case, Sound, faults, first_difference, in_pieces, the_node
from rtcore.testing.direct import first_unwritten, first_write

_PIECES = ((1,), (7,), (64,), (512,), (1, 511, 3, 480, 65, 128))
_PACKET_FRAMES = 160  # of a concealer without a hop
_RINGS_DB = -100.0  # how far a tail that never ends must have died away


def described(case: Case) -> Iterator[str]:
    """Say what it does to the sound."""
    cls = case.plugin_class
    if not (vars(cls).get("__doc__") or "").strip():
        yield f"class {cls.__name__} has no docstring; say first what it does to the sound"
    if cls.id != cls.id.lower() or not re.fullmatch(r"[^\W_][\w-]*", cls.id):
        yield f"the id '{cls.id}' must be of small letters, digits, underscores and hyphens"


def chunking(case: Case) -> Iterator[str]:
    """Give the same samples however the stream is cut, also while parameters move."""
    if not case.plugin_class.deterministic:
        return
    at = first_unwritten(case)
    if at is not None:
        yield f"leaves frame {at} of y as it was; write every sample of y in each block"
        return
    x = case.noise(6000)
    for moving in (False, True) if case.plugin_class.params else (False,):
        expected = cut(case, x, [x.shape[1]], moving=moving)
        for sizes in _PIECES:
            at = first_difference(expected, cut(case, x, sizes, moving=moving))
            if at is not None:
                named = ", ".join(map(str, sizes))
                when = " while parameters move" if moving else ""
                yield (
                    f"blocks of {named} frames give other samples than one block from frame {at} "
                    f"on{when}; keep all state in declared state and buffers ('f8' where the "
                    "kernel computes with numbers like 0.5, which are double), write every "
                    "sample of y, and add up in an order that does not depend on the block"
                )
                break


def cut(case: Case, x: Sound, sizes: Sequence[int], *, moving: bool = False) -> Sound:
    """Play a sound in pieces; parameters jump to their bounds on the way where `moving`."""
    chain = case.chain(max_frames=max(512, *sizes))
    if moving:
        quarter = x.shape[1] // 4
        for side, at_frame in ((1, quarter), (0, 2 * quarter + 1)):
            for name, bounds in case.bounds().items():
                chain.update(0, at_frame=at_frame, **{name: bounds[side]})
    return in_pieces(chain, x, sizes)


def latency(case: Case) -> Iterator[str]:
    """Be as late as declared, and look as far ahead as declared."""
    chain = case.chain()
    late, ahead, tail = chain.latency_frames, chain.lookahead_frames, chain.tail_frames
    if min(late, ahead, tail) < 0 or ahead > late:
        yield (
            f"declares {late} frames of latency, {ahead} of look-ahead and {tail} of tail; none "
            "may be below 0, and what looks ahead must be at least as late"
        )
        return
    reach = _first_influence(case, chain)
    if reach is not None and reach != late - ahead:
        verb = "looks further ahead than" if reach < late - ahead else "is later than"
        yield (
            f"{verb} declared: the output first changes {reach} frames after the input, expected "
            f"{late - ahead} (latency {late} less look-ahead {ahead}); mend them in prepare()"
        )
    measured = _response_latency(case, chain)
    if measured is not None and late not in measured:
        found = " to ".join(map(str, dict.fromkeys((measured[0], measured[-1]))))
        yield (
            f"declares {late} frames of latency, an impulse comes out after {found}; mend "
            "latency_frames in prepare()"
        )


def _first_influence(case: Case, chain: Chain) -> int | None:
    """Change the input from some frame on in several ways; find the earliest effect."""
    hop = the_node(chain).hop_frames or 1
    x = case.noise(3000 + 2 * hop + 2 * chain.latency_frames)
    # A plugin with a hop hears its last frame at once, so that phase is the one that counts.
    last = 1000 - 1000 % hop + hop - 1
    packet = hop if hop > 1 else _PACKET_FRAMES

    def play(sound: Sound) -> Sound:
        if not the_node(chain).plugin.conceals:
            return chain.render(sound, tail=False)
        return _behind_losses(chain, sound, packet, last // packet % 2)

    expected = play(x)
    earliest: list[int] = []
    for n0 in (last, 1500, 2 * hop + 1777):
        loud, turned = x.copy(), x.copy()
        loud[:, n0] = 8.0
        turned[:, n0:] = -x[:, n0:] + x.dtype.type(0.01)
        for changed in (loud, turned):
            at = first_difference(expected, play(changed))
            if at is not None:
                earliest.append(at - n0)
    return min(earliest, default=None)


def _behind_losses(chain: Chain, x: Sound, packet: int, kept: int) -> Sound:
    """Play a sound of which every second packet never comes: what a concealer hears."""
    chain.reset()
    played = []
    for number, start in enumerate(range(0, x.shape[1], packet)):
        piece, lost = x[:, start : start + packet], number % 2 != kept
        played.append(chain.process(np.zeros_like(piece) if lost else piece, lost=lost))
    return np.concatenate(played, axis=1)


def _response_latency(case: Case, chain: Chain) -> range | None:
    """Measure the latency by an impulse: one number where it is certain, else a range.

    A symmetric response (a delay, a linear-phase filter) is late by its centre.  Of any other it
    is only certain that its latency lies before most of its energy.
    """
    x = case.zeros(chain.latency_frames + chain.tail_frames + 4096)
    x[:, 0] = 0.25
    y = chain.render(x, tail=False).astype(np.float64)
    loudest = y[np.argmax(np.sum(y**2, axis=1))]
    energy = np.cumsum(loudest**2)
    if energy[-1] < 1e-12:
        return None  # no impulse comes through: a gate, or a generator
    size = 2 * loudest.size
    folded = np.fft.irfft(np.fft.rfft(loudest, size) ** 2, size)
    twice = int(np.argmax(np.abs(folded)))
    centre = range(twice // 2, (twice + 1) // 2 + 1)
    symmetric = abs(folded[twice]) > 0.999 * energy[-1]
    peaked = max(abs(loudest[k]) for k in centre) >= 0.999 * np.abs(loudest).max()
    if symmetric and peaked:
        return centre
    return range(int(np.searchsorted(energy, 0.99 * energy[-1])) + 1)


def tail(case: Case) -> Iterator[str]:
    """Be silent once the declared tail is over."""
    chain = case.chain()
    y = chain.render(case.noise(4000))
    after = np.abs(chain.process(case.zeros(8192))).max()
    if after > np.abs(y).max() * 10.0 ** (_RINGS_DB / 20.0):
        yield (
            f"still gives {after:.3g} after its tail of {chain.tail_frames} frames; raise "
            f"tail_frames until it has died away by {-_RINGS_DB:g} dB"
        )


def silence(case: Case) -> Iterator[str]:
    """Give exact zeros where zeros come in, from the start."""
    loudest = np.abs(case.chain().render(case.zeros(4096))).max()
    if loudest != 0.0:
        yield f"gives up to {loudest:.3g} where silence comes in; add nothing to the sound"


def subnormals(case: Case) -> Iterator[str]:
    """Hold and give no subnormal number: one costs a hundred times the time of a normal one."""
    chain = case.chain()
    least = np.full((case.channels, 2048), 1e-40 if case.dtype == "float32" else 1e-310, case.dtype)
    if chain.render(least).any():
        yield f"does not give exact zeros for an input of {least[0, 0]:.3g}"
    span = np.log10(case.tiny) - 3.0
    fading = case.noise(8192, level=0.5) * 10.0 ** np.linspace(0.0, span, 8192)
    chain.reset()
    for sound in np.array_split(np.concatenate([fading, case.zeros(8192)], axis=1), 64, axis=1):
        y = np.abs(chain.process(sound.astype(case.dtype)))
        if np.any((y > 0) & (y < case.tiny)):
            yield "gives subnormal numbers while the sound fades away; set them to 0"
            return
        held = the_node(chain).subnormals
        if held:
            yield (
                f"holds {held} subnormal numbers in its state while the sound fades away; set "
                f"what is below {case.tiny:.3g} to 0"
            )
            return


def finite(case: Case) -> Iterator[str]:
    """Give finite samples for any finite sound and any parameters; bad input is kept out."""
    square = 8.0 * np.sign(case.noise(2048))
    sounds = [case.noise(2048, level=2.0), case.zeros(512), square, case.zeros(512) + 1.0]
    x = np.concatenate(sounds, axis=1).astype(case.dtype)
    changes: list[dict[str, Any]] = [{}]
    changes += [{name: v} for name, bounds in case.bounds().items() for v in bounds]
    for change in changes:
        chain = case.chain(**change)
        chain.render(x)
        if faults(chain):
            said = ", ".join(f"{k} = {v:g}" for k, v in change.items()) or "its defaults"
            yield f"gives NaN, Inf or a status for a loud sound with {said}; guard divisions"
    bad = x.copy()
    bad[:, 100:110] = np.nan
    bad[:, 700] = np.inf
    clean = np.nan_to_num(bad, nan=0.0, posinf=0.0)
    chain = case.chain()
    y = chain.render(bad)
    different = first_difference(case.chain().render(clean), y)
    if case.plugin_class.deterministic and different is not None:
        yield f"NaN in the input is not contained: samples differ from frame {different} on"
    counted, planted = chain.stream.input_faults, 11 * case.channels
    if counted != planted:
        yield f"NaN in the input is not counted: {counted} for {planted}"


def reset(case: Case) -> Iterator[str]:
    """Be as new after a reset, with the parameters that it has by then."""
    if not case.plugin_class.deterministic:
        return
    values = {name: bounds[1] for name, bounds in case.bounds().items()}
    x = case.noise(5000)
    used = case.chain()
    used.process(case.noise(3333, seed=1))
    used.update(0, **values)
    used.process(case.noise(77, seed=2))
    at = first_difference(case.chain(**values).render(x), used.render(x))
    if at is not None:
        yield (
            f"after a reset samples differ from a fresh start from frame {at} on; keep all that "
            "changes in declared state and buffers, and nothing of the stream's position"
        )


def input_untouched(case: Case) -> Iterator[str]:
    """Leave the input as it is, for others hear it too."""
    at = first_write(case)
    if at is not None:
        yield f"changes its input at frame {at}, which other branches hear too; write only y"
        return
    x = case.noise(512)
    alone = case.chain()
    if alone.channels_out != case.channels or not case.plugin_class.deterministic:
        return
    plugin = case.plugin_class(**case.settings)
    stream: dict[str, Any] = {"channels": case.channels, "dtype": case.dtype}
    both = Chain([Parallel([plugin], [])], sample_rate=case.sample_rate, **stream)
    dry = np.concatenate([case.zeros(alone.latency_frames), x], axis=1)[:, :512]
    at = first_difference(alone.process(x) + dry, both.process(x))
    if at is not None:
        yield f"writes into its input at frame {at}, which other branches hear too; write only y"
