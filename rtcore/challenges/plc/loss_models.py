# SPDX-License-Identifier: MIT
"""Models of packet loss: Gilbert, Gilbert-Elliott and a Markov chain of three states.

All three are Markov chains whose state says with what probability a packet is lost.

* ``gilbert:p,q`` (Gilbert 1960 as used for packets): received and lost; p = P(received to lost),
  q = P(lost to received). Loss rate p / (p + q), mean burst 1 / q packets.
* ``gilbert-elliott:p,q,g,b`` (Elliott 1963): a good and a bad state, in which packets are lost
  with probability g and b; p = P(good to bad), q = P(bad to good).
* ``markov3:a,b,c,d`` (Milner and James 2004, "An analysis of packet loss models for distributed
  speech recognition"): quiet, lost, and a short gap between losses;
  a = P(quiet to lost), b = P(lost to quiet), c = P(lost to gap), d = P(gap to lost).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rtcore.errors import ConfigError, did_you_mean

__all__ = ["KINDS", "Kind", "LossModel", "parse_model"]


@dataclass(frozen=True)
class Kind:
    """A kind of model: the names of its parameters, and how they become a chain."""

    parameters: tuple[str, ...]
    chain: Callable[..., tuple[list[list[float]], list[float]]]
    read: Callable[[np.ndarray, np.ndarray], list[float]]


#: Name to kind. ``chain`` gives transitions and loss probabilities, ``read`` the way back.
KINDS: dict[str, Kind] = {
    "gilbert": Kind(
        ("p", "q"),
        lambda p, q: ([[1 - p, p], [q, 1 - q]], [0.0, 1.0]),
        lambda t, _: [t[0, 1], t[1, 0]],
    ),
    "gilbert-elliott": Kind(
        ("p", "q", "g", "b"),
        lambda p, q, g, b: ([[1 - p, p], [q, 1 - q]], [g, b]),
        lambda t, e: [t[0, 1], t[1, 0], e[0], e[1]],
    ),
    "markov3": Kind(
        ("a", "b", "c", "d"),
        lambda a, b, c, d: (
            [[1 - a, a, 0.0], [b, 1 - b - c, c], [0.0, d, 1 - d]],
            [0.0, 1.0, 0.0],
        ),
        lambda t, _: [t[0, 1], t[1, 0], t[1, 2], t[2, 1]],
    ),
}


@dataclass(frozen=True)
class LossModel:
    """A model with its parameters.

    Attributes
    ----------
    kind : str
        ``"gilbert"``, ``"gilbert-elliott"`` or ``"markov3"``.
    values : tuple of float
        Its parameters, probabilities from 0 to 1.

    Raises
    ------
    ConfigError
        Where the kind is unknown or the parameters are impossible.
    """

    kind: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            what = f"is no model of loss{did_you_mean(self.kind, KINDS)}"
            raise ConfigError(self.kind, f"{what}; there are {', '.join(KINDS)}")
        names = KINDS[self.kind].parameters
        if len(names) != len(self.values):
            what = f"needs {len(names)} numbers, got {len(self.values)}"
            example = f"{self.kind}:{','.join(names)}"
            raise ConfigError(self.kind, f"{what}; write {example} with a probability for each")
        for name, value in zip(names, self.values, strict=True):
            if not 0.0 <= value <= 1.0:
                what = f"is a probability and must lie between 0 and 1, got {value:g}"
                raise ConfigError(f"{self.kind}.{name}", f"{what}; change it")
        if float(self.transitions.min()) < 0.0:
            what = "b + c must be at most 1: from a lost packet it goes somewhere with certainty"
            raise ConfigError(self.kind, f"{what}; lower one of them")

    @property
    def transitions(self) -> np.ndarray:
        """Probability to go from state i to state j, shape (states, states)."""
        rows = np.array(KINDS[self.kind].chain(*self.values)[0])
        return np.where(np.abs(rows) < 1e-12, 0.0, rows)

    @property
    def losses(self) -> np.ndarray:
        """Probability that a packet is lost in each state, shape (states,)."""
        return np.array(KINDS[self.kind].chain(*self.values)[1])

    @property
    def stationary(self) -> np.ndarray:
        """Share of the time in each state, from the first one on, shape (states,)."""
        # Half a step at a time has a limit also for chains that alternate or get stuck.
        power = 0.5 * (np.eye(len(self.transitions)) + self.transitions)
        for _ in range(40):
            power = power @ power
            power /= power.sum(axis=1, keepdims=True)  # or rounding would double each time
        return power[0]

    @property
    def loss_rate(self) -> float:
        """Share of packets lost in the long run."""
        return float(self.stationary @ self.losses)

    @property
    def mean_burst(self) -> float:
        """Mean run of lost packets in the long run; 0 where none is lost, inf where all are."""
        starts = float(self._bursts_start().sum())
        if starts > 0.0:
            return self.loss_rate / starts
        return np.inf if self.loss_rate > 0.0 else 0.0

    def burst_shares(self, longest: int) -> np.ndarray:
        """Give the share of bursts of 1, 2, ... packets; what is longer falls to the last.

        Parameters
        ----------
        longest : int
            Length of the result.
        """
        alive = self._bursts_start()
        if not alive.sum():
            return np.zeros(longest)
        alive = alive / alive.sum()
        reach = np.zeros(longest + 1)
        for k in range(longest):
            reach[k] = alive.sum()
            alive = (alive @ self.transitions) * self.losses
        return reach[:-1] - reach[1:]

    def generate(self, traces: int, packets: int, rng: np.random.Generator) -> np.ndarray:
        """Draw traces.

        Parameters
        ----------
        traces, packets : int
            How many, and how long.
        rng : numpy.random.Generator
            Only its ``random`` is used, whose numbers no version of NumPy has changed.

        Returns
        -------
        numpy.ndarray of bool, shape (traces, packets)
        """
        steps = np.cumsum(self.transitions, axis=1)[:, :-1]
        begin = np.cumsum(self.stationary)[:-1]
        state = np.searchsorted(begin, rng.random(traces), side="right")
        lost = np.empty((packets, traces), bool)
        for k in range(packets):
            lost[k] = rng.random(traces) < self.losses[state]
            state = (rng.random(traces)[:, np.newaxis] >= steps[state]).sum(axis=1)
        return lost.T.copy()

    def __str__(self) -> str:
        return f"{self.kind}:{','.join(f'{value:.6g}' for value in self.values)}"

    def _bursts_start(self) -> np.ndarray:
        """Give the probability that a burst starts in each state, a packet."""
        received = self.stationary * (1.0 - self.losses)
        return (received @ self.transitions) * self.losses


def parse_model(text: str) -> LossModel:
    """Read a model written as ``gilbert:0.05,0.33``.

    Raises
    ------
    ConfigError
        Where the kind is unknown or a parameter is impossible.
    """
    kind, _, rest = text.partition(":")
    values = []
    for word in filter(None, (part.strip() for part in rest.split(","))):
        try:
            values.append(float(word))
        except ValueError:
            what = f"'{word}' is no number; write probabilities such as gilbert:0.05,0.33"
            raise ConfigError(kind.strip(), what) from None
    return LossModel(kind.strip(), tuple(values))
