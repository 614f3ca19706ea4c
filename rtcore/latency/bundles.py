# SPDX-License-Identifier: MIT
"""Whether a model bundle does what its manifest claims: each claim is checked by running it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from rtcore.chain import Chain
from rtcore.chain.records import Command
from rtcore.errors import RtcoreError
from rtcore.host import find
from rtcore.kernels.context import Flag
from rtcore.latency.bundle_states import pairings
from rtcore.latency.claims import Claim
from rtcore.latency.delay import measure_delay
from rtcore.latency.lookahead import measure_lookahead
from rtcore.latency.systems.base import ChainSystem
from rtcore.latency.timing.compute import measure_compute
from rtcore.models import Bundle
from rtcore.onnx.runner import LoadedBundle

_SECONDS = 3.0
_SURE = 0.5  # from this confidence on a measured delay is believed
_NEAR_FRAMES = 0.5
_LOUD = 100.0  # 40 dB over full scale: what plays so loud has blown up
_PEAK = f"peak below {_LOUD:g}"
_NEED_SOUND = ("look-ahead", "latency")
_SIDE_HZ = 25.0  # of side inputs that declare no rate
_CHUNKS = (1, 7, 64, 441, 4096)


def verify_bundle(
    bundle: Bundle,
    *,
    sample_rate: int | None = None,
    seconds: float = 5.0,
    progress: Callable[[str], None] | None = None,
) -> list[Claim]:
    """Check the claims of a bundle by running it.

    Parameters
    ----------
    bundle : Bundle
        Read already; its models are opened here.
    sample_rate : int, optional
        Of the stream, in Hz; the model's own by default.
    seconds : float
        How long its hops are timed, paced like audio.
    progress : function, optional
        Called with what comes next.

    Returns
    -------
    list of Claim

    Raises
    ------
    RtcoreError
        Where it cannot be run at all: a file that is missing or damaged, or does not fit.
    """
    tell = progress or _silent
    rate = sample_rate or bundle.manifest.sample_rate
    found = list(_files(bundle))
    tell("opening")
    loaded = LoadedBundle(bundle, {})
    chain = _chain(bundle, rate)
    checks: list[tuple[str, Callable[[], Iterable[Claim]]]] = [
        ("states", lambda: [*_states(loaded), *_sides(loaded), *_unused(loaded)]),
        ("streaming", lambda: _streaming(chain)),
        ("pairing", lambda: pairings(loaded)),
        ("robustness", lambda: _robust(chain)),
        ("look-ahead", lambda: _ahead(chain, bundle)),
        ("latency", lambda: _latency(chain, bundle)),
        ("time per hop", lambda: _time(chain, seconds, lost=bundle.manifest.gate is not None)),
    ]
    for name, check in checks:
        tell(name)
        if name in _NEED_SOUND and any(c.holds is False and c.declared == _PEAK for c in found):
            found.append(Claim(name, "-", "not measured", None, "the model fails, see above"))
            continue
        try:
            found.extend(check())
        except RtcoreError as error:
            found.append(Claim(name, "can be measured", "failed", False, str(error)))
    return found


def _silent(_what: str) -> None:
    """Say nothing."""


def _chain(bundle: Bundle, rate: int) -> Chain:
    model = find("model")(bundle=str(bundle.folder))
    return Chain([model], sample_rate=rate, channels=bundle.manifest.channels)


def _files(bundle: Bundle) -> Iterator[Claim]:
    for stage in bundle.manifest.stage:
        path = bundle.folder / stage.file
        if stage.sha256 is None:
            there = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "-"
            note = f'add sha256 = "{there}" to its stage'
            yield Claim(f"{stage.file}: checksum", "none", f"{there[:12]} ...", None, note)
        else:  # one that differs is refused when the file is opened
            yield Claim(f"{stage.file}: checksum", f"{stage.sha256[:12]} ...", "the same", True)


def _states(loaded: LoadedBundle) -> Iterator[Claim]:
    """Run each stage twice, with its states and without: they must be finite and must matter."""
    row = loaded.program.memory.copy()[None]
    bindings = loaded.bind(row)[0]
    rng = np.random.default_rng(0)
    for stage, wiring, pair in zip(
        loaded.bundle.manifest.stage, loaded.program.wirings, bindings, strict=True
    ):
        fed_back = {**wiring.states, **wiring.copied}
        sound = [name for name in wiring.inputs if name not in fed_back]
        for name in sound:
            array = pair[0].inputs[name]
            if array.dtype.kind == "f" and array.size > 1:
                array[...] = rng.normal(0.0, 0.1, array.shape)
        for taken, given in fed_back.items():
            yield _state(f"{stage.file}: state {taken}", taken, given, pair, wiring)


def _state(what: str, taken: str, given: str, pair: Any, wiring: Any) -> Claim:
    """Run twice on the same sound: with the state that came, and with the state as at first."""
    even, odd = pair
    kept = {name: array.copy() for name, array in even.inputs.items()}
    even.run()
    after = even.outputs[given].copy()
    if not np.isfinite(after).all():
        return Claim(what, f"takes over {given}", "is not finite after a hop", False)
    changed = not np.array_equal(after, kept[taken].reshape(after.shape))
    for name in (n for n in wiring.inputs if n not in wiring.states):
        odd.inputs[name][...] = kept[name]
    odd.inputs[taken][...] = after.reshape(odd.inputs[taken].shape)
    odd.run()
    heard = [odd.outputs[n].copy() for n in odd.outputs]
    odd.inputs[taken][...] = kept[taken].reshape(odd.inputs[taken].shape)
    odd.run()
    matters = any(
        not np.array_equal(a, odd.outputs[n]) for a, n in zip(heard, odd.outputs, strict=True)
    )
    for name, array in kept.items():
        even.inputs[name][...] = array
    measured = "changes and matters" if changed and matters else "makes no difference"
    return Claim(what, f"takes over {given}", measured, changed and matters)


def _sides(loaded: LoadedBundle) -> Iterator[Claim]:
    """Run each stage on two vectors of a side input: they must make a difference."""
    bindings = loaded.bind(loaded.program.memory.copy()[None])[0]
    rng = np.random.default_rng(3)
    for stage, pair in zip(loaded.bundle.manifest.stage, bindings, strict=True):
        even = pair[0]
        for name, source in stage.inputs.items():
            if source.side is None:
                continue
            given = []
            for _ in range(2):
                even.inputs[name][...] = rng.normal(size=even.inputs[name].shape)
                even.run()
                given.append([array.copy() for array in even.outputs.values()])
            matters = any(not np.array_equal(a, b) for a, b in zip(*given, strict=True))
            measured = "matters" if matters else "makes no difference"
            what = f"{stage.file}: side input {name}"
            yield Claim(what, f"the vector of {source.side}", measured, matters)


def _unused(loaded: LoadedBundle) -> Iterator[Claim]:
    """Look for outputs that nobody takes: one that has the form of a constant may be a state."""
    for stage, session, wiring in zip(
        loaded.bundle.manifest.stage, loaded.sessions, loaded.program.wirings, strict=True
    ):
        constant = [t for t in session.inputs if stage.inputs[t.name].constant is not None]
        for given in (t for t in session.outputs if t.name not in wiring.outputs):
            like = [
                t.name
                for t in constant
                if t.dtype == given.dtype and t.shape == given.shape and t.shape
            ]
            measured, note = "the model gives it, and nobody takes it", ""
            if like:
                note = f'if it is the next state, write {like[0]} = {{ state = "{given.name}" }}'
            what = f"{stage.file}: output {given.name}"
            yield Claim(what, "not named", measured, False if like else None, note)


def _noise(chain: Chain, seconds: float, level: float = 0.1) -> np.ndarray:
    frames = round(seconds * chain.sample_rate)
    rng = np.random.default_rng(1)
    return rng.normal(0.0, level, (chain.channels_in, frames)).astype(chain.spec.dtype)


def _feed_noise(chain: Chain, seconds: float, seed: int = 4) -> None:
    """Begin the stream anew, with random vectors for every side input, at their own rates."""
    chain.restart()
    rng = np.random.default_rng(seed)
    for name, side in chain.nodes[0].node.sides.items():
        rate_hz = side.rate_hz or _SIDE_HZ
        vectors = rng.normal(size=(max(1, int(seconds * rate_hz)), side.width))
        chain.feed(name, vectors, at_frame=0, rate_hz=rate_hz)


def _streaming(chain: Chain) -> Iterator[Claim]:
    """Cut the same sound in other ways: the output must be the same, bit for bit."""
    x = _noise(chain, 1.0)
    _feed_noise(chain, 1.0)
    whole = chain.render(x)
    same = []
    for chunk in _CHUNKS:
        _feed_noise(chain, 1.0)
        parts = [chain.process(x[:, k : k + chunk]) for k in range(0, x.shape[1], chunk)]
        same.append(np.array_equal(whole, np.concatenate([*parts, chain.flush()], axis=1)))
    wrong = [str(chunk) for chunk, good in zip(_CHUNKS, same, strict=True) if not good]
    measured = "differs in chunks of " + ", ".join(wrong) if wrong else "bit for bit"
    yield Claim("streaming equals one piece", "bit for bit", measured, not wrong)


def _robust(chain: Chain) -> Iterator[Claim]:
    """Play what is hard on recurrent states; nothing may fail or blow up."""
    frames = round(_SECONDS * chain.sample_rate)
    loud = np.sign(_noise(chain, _SECONDS))
    sounds: dict[str, tuple[np.ndarray, bool]] = {
        "silence": (np.zeros_like(loud), False),
        "full-scale noise": (loud, False),
        "full-scale DC": (np.ones_like(loud), False),
        "everything lost": (np.zeros_like(loud), True),
    }
    for name, (x, lost) in sounds.items():
        _feed_noise(chain, _SECONDS)
        y = chain.process(x, lost=lost)
        model: Any = chain.nodes[0].node.plugin  # the plugin "model"
        faults = model.faults
        peak = float(np.abs(y).max(initial=0.0))
        good = not faults["hops"] and peak <= _LOUD and y.shape[1] == frames
        measured = f"peak {peak:.3g}"
        if faults["hops"]:
            measured = f"{faults['hops']} hops failed, {faults['not_finite']} of them NaN or Inf"
        claim = f"{name} for {_SECONDS:g} s"
        yield Claim(claim, _PEAK, measured, good, faults["reason"] or "")
    _hold_initial(chain)


def _hold_initial(chain: Chain) -> None:
    """Begin the stream anew, with the side inputs as they are at first."""
    chain.restart()
    for name, side in chain.nodes[0].node.sides.items():
        chain.feed(name, side.first())


def _ahead(chain: Chain, bundle: Bundle) -> Iterator[Claim]:
    found = measure_lookahead(ChainSystem(chain, bundle.manifest.id).in_full(), budget_s=5.0)
    aligned = found.samples + chain.latency_frames
    declared = chain.lookahead_frames
    note = ""
    if aligned < declared:
        note = "declared is more than was found"
    measured = f"{aligned} frames"
    yield Claim("look-ahead, aligned", f"{declared} frames", measured, aligned <= declared, note)


def _latency(chain: Chain, bundle: Bundle) -> Iterator[Claim]:
    delay = measure_delay(ChainSystem(chain, bundle.manifest.id))
    declared = f"{chain.latency_frames} frames ({1000.0 * chain.latency_s:.4g} ms)"
    if delay.confidence < _SURE:
        note = f"confidence {delay.confidence:.2f}: {delay.method}"
        yield Claim("latency", declared, "unknown", None, note)
        return
    holds = abs(delay.samples - chain.latency_frames) <= _NEAR_FRAMES
    yield Claim("latency", declared, f"{delay.samples:.4g} frames", holds)


def _time(chain: Chain, seconds: float, *, lost: bool = False) -> Iterator[Claim]:
    note = "on this machine, in one thread, paced like audio"
    if lost:  # else a model that only conceals would not run
        chain.restart()  # the start of a stream takes what is due at frame 0, and then no flags
        say = {"event": "flags", "flags": int(Flag.LOST)}
        chain.stream.send(Command.FLAGS, int(Flag.LOST), at_frame=1, say=say)
        note += ", where everything is lost"
    hop = chain.nodes[0].node.hop_frames or 1
    compute = measure_compute(
        ChainSystem(chain, "model"), block_samples=hop, seconds=seconds, hogged=False
    )
    hop_ms = 1000.0 * hop / chain.sample_rate
    p50, p99 = compute.idle.ms["p50"], compute.idle.ms["p99"]
    measured = f"p50 {p50:.3g} ms, p99 {p99:.3g} ms"
    yield Claim("time per hop", f"within {hop_ms:.4g} ms", measured, p99 <= hop_ms, note)
