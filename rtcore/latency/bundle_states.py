# SPDX-License-Identifier: MIT
"""Whether the states of a model that have one form are fed back each to itself.

Two states of one shape can be exchanged in a manifest, and the model runs all the same.  What
tells them apart is what depends on what: the next value of a state nearly always depends on the
state itself, and in a stack of layers on those of the layers before, but not on those behind.  So
there is one pairing in which each next value depends on its own state; where that is another than
the declared one, the declared one is wrong.  Where several pairings would do (an LSTM's two states
both depend on both) running it cannot tell, and only the names can raise doubts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from rtcore.latency.claims import Claim
from rtcore.onnx.runner import LoadedBundle

_HOPS = 4  # so that states hold what they hold when sound plays
_DRAWS = 3
_LEVEL = 0.1
_MOST_BY_NAME = 6  # states; all orders of them are compared
_CLEARLY = 0.1  # by so much must names agree better, on average


def pairings(loaded: LoadedBundle) -> Iterator[Claim]:
    """Check the states that could be taken for each other.

    Parameters
    ----------
    loaded : LoadedBundle
        Its models run on memory of their own.

    Yields
    ------
    Claim
        One for each form that several states of a stage have.
    """
    bindings = loaded.bind(loaded.program.memory.copy()[None])[0]
    for stage, session, wiring, pair in zip(
        loaded.bundle.manifest.stage,
        loaded.sessions,
        loaded.program.wirings,
        bindings,
        strict=True,
    ):
        fed_back = {**wiring.states, **wiring.copied}
        spare = [t for t in session.outputs if t.name not in wiring.outputs]
        for names in _alike(fed_back, pair[0]):
            what = f"{stage.file}: states {', '.join(names)}"
            taken = {name: fed_back[name] for name in names}
            if len(set(taken.values())) < len(names):
                form = pair[0].inputs[names[0]]
                free = [t.name for t in spare if t.dtype == form.dtype and t.fits(form.shape)]
                yield _shared(what, taken, free)
            else:
                yield _judge(what, taken, _dependence(pair[0], fed_back, names))


def _alike(fed_back: Mapping[str, str], binding: Any) -> list[list[str]]:
    """Group the states of real numbers by their form; those that are alone are left out."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for name in fed_back:
        array = binding.inputs[name]
        if array.dtype.kind == "f":
            groups.setdefault((array.dtype.str, array.shape), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _dependence(
    binding: Any, fed_back: Mapping[str, str], names: Sequence[str]
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Tell which next states (columns) change where a state (rows) is changed."""
    rng = np.random.default_rng(5)
    found = np.zeros((len(names), len(names)), np.bool_)
    for _ in range(_DRAWS):
        for _ in range(_HOPS):
            _draw_sound(binding, fed_back, rng)
            binding.run()
            for taken, given in fed_back.items():
                binding.inputs[taken][...] = binding.outputs[given].reshape(
                    binding.inputs[taken].shape
                )
        base = _next(binding, fed_back, names)
        for row, name in enumerate(names):
            array = binding.inputs[name]
            kept = array.copy()
            array += rng.normal(0.0, _LEVEL, array.shape).astype(array.dtype)
            changed = _next(binding, fed_back, names)
            array[...] = kept
            found[row] |= [not np.array_equal(a, b) for a, b in zip(base, changed, strict=True)]
    return found


def _draw_sound(binding: Any, fed_back: Mapping[str, str], rng: np.random.Generator) -> None:
    for name, array in binding.inputs.items():
        if name not in fed_back and array.dtype.kind == "f" and array.size > 1:
            array[...] = rng.normal(0.0, _LEVEL, array.shape)


def _next(binding: Any, fed_back: Mapping[str, str], names: Sequence[str]) -> list[Any]:
    binding.run()
    return [binding.outputs[fed_back[name]].copy() for name in names]


def _judge(what: str, taken: Mapping[str, str], depends: np.ndarray[Any, Any]) -> Claim:
    names = list(taken)
    declared = ", ".join(taken.values())
    best = _matching(depends)
    own = bool(depends.diagonal().all())
    if best is not None and _is_only(depends, best):
        if own:
            return Claim(what, f"take over {declared}", "each goes on from itself", holds=True)
        right = {name: taken[names[best[k]]] for k, name in enumerate(names)}
        measured = "do not go on from themselves, as they would if exchanged"
        return Claim(what, f"take over {declared}", measured, holds=False, note=_written(right))
    better = _by_name(taken)
    note = "running it cannot tell one from another; see that each takes over its own"
    if better is not None:
        note = f"running it cannot tell, but the names look exchanged: {_written(better)}"
    return Claim(what, f"take over {declared}", "could be exchanged", None, note)


def _shared(what: str, taken: Mapping[str, str], free: Sequence[str]) -> Claim:
    """Judge states of which several take over one output."""
    declared = f"take over {', '.join(taken.values())}"
    if not free:
        return Claim(what, declared, "several take over one", None)
    note = f"nobody takes over {', '.join(free)}, which has the same form"
    return Claim(what, declared, "several take over one", holds=False, note=note)


def _written(right: Mapping[str, str]) -> str:
    """Give what a manifest would have to say."""
    return "write " + ", ".join(f'{a} = {{ state = "{b}" }}' for a, b in right.items())


def _matching(depends: np.ndarray[Any, Any]) -> list[int] | None:
    """Give each row a column of its own that depends on it, or None (augmenting paths)."""
    size = len(depends)
    row_of = [-1] * size

    def place(row: int, tried: set[int]) -> bool:
        for column in np.flatnonzero(depends[row]):
            if column not in tried:
                tried.add(int(column))
                if row_of[column] < 0 or place(row_of[column], tried):
                    row_of[column] = row
                    return True
        return False

    if not all(place(row, set()) for row in range(size)):
        return None
    return [row_of.index(row) for row in range(size)]


def _is_only(depends: np.ndarray[Any, Any], best: Sequence[int]) -> bool:
    """Tell whether there is no other such pairing: each other one lacks one of its pairs."""
    for row, column in enumerate(best):
        without = depends.copy()
        without[row, column] = False
        if _matching(without) is not None:
            return False
    return True


def _by_name(taken: Mapping[str, str]) -> dict[str, str] | None:
    """Give the pairing whose names agree clearly better than the declared one's, or None."""
    if len(taken) > _MOST_BY_NAME:
        return None
    names, given = list(taken), list(taken.values())

    def agreement(order: Sequence[str]) -> float:
        return sum(SequenceMatcher(None, a, b).ratio() for a, b in zip(names, order, strict=True))

    best = max(itertools.permutations(given), key=agreement)
    if agreement(best) <= agreement(given) + _CLEARLY * len(names):
        return None
    return dict(zip(names, best, strict=True))
