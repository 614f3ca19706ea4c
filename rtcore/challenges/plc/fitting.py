# SPDX-License-Identifier: MIT
"""Fit models of loss to traces, and tell how well they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtcore.challenges.plc.bursts import histogram
from rtcore.challenges.plc.loss_models import KINDS, LossModel
from rtcore.errors import ConfigError, did_you_mean

__all__ = ["Fit", "fit"]

_ROUNDS = 200
_TOLERANCE = 1e-6  # of the log likelihood, in nats a packet
_PIECE = 500  # packets; longer traces are cut, so that all run through the recursion side by side
_SHOWN = 10

#: Where the search begins: rough numbers of an ordinary call.
_BEGIN = {
    "gilbert-elliott": (0.03, 0.2, 0.01, 0.6),
    "markov3": (0.02, 0.2, 0.3, 0.4),
}


@dataclass(frozen=True)
class Fit:
    """A fitted model beside the traces it was fitted to.

    Attributes
    ----------
    model : LossModel
        With the parameters of maximum likelihood.
    log_likelihood : float
        In nats a packet; nearer to 0 is better.
    bic : float
        Bayesian information criterion; of several models the smallest is the best bargain.
    packets : int
        In all traces.
    loss_rate, mean_burst : tuple of float
        Of the traces, and of the model.
    shares : tuple of tuple of float
        Share of bursts of 1, 2, ... and 10 or more packets, of the traces and of the model.
    """

    model: LossModel
    log_likelihood: float
    bic: float
    packets: int
    loss_rate: tuple[float, float]
    mean_burst: tuple[float, float]
    shares: tuple[tuple[float, ...], tuple[float, ...]]

    @property
    def distance(self) -> float:
        """Total variation between the two distributions of bursts: 0 equal, 1 disjoint."""
        seen, modelled = np.array(self.shares)
        return float(0.5 * np.abs(seen - modelled).sum())

    def as_dict(self) -> dict[str, Any]:
        """Give everything for a manifest."""
        names = KINDS[self.model.kind].parameters
        return {
            "model": str(self.model),
            "parameters": dict(zip(names, self.model.values, strict=True)),
            "packets": self.packets,
            "log_likelihood_per_packet": self.log_likelihood,
            "bic": self.bic,
            "loss_rate": {"traces": self.loss_rate[0], "model": self.loss_rate[1]},
            "mean_burst_packets": {"traces": self.mean_burst[0], "model": self.mean_burst[1]},
            "burst_shares": {"traces": self.shares[0], "model": self.shares[1]},
            "burst_distance": self.distance,
        }


def fit(traces: Sequence[np.ndarray], kind: str = "gilbert") -> Fit:
    """Fit a model by maximum likelihood.

    Gilbert's has a closed form: each probability is the share of the transitions that went that
    way. The other two hide a state, and are found by the method of Baum and Welch from a fixed
    beginning, so that the same traces always give the same model.

    Parameters
    ----------
    traces : sequence of arrays of bool
        True where a packet was lost.
    kind : str
        A kind of :data:`~rtcore.challenges.plc.loss_models.KINDS`.

    Raises
    ------
    ConfigError
        Where the kind is unknown, or the traces have no losses or nothing but losses.
    """
    if kind not in KINDS:
        what = f"'{kind}' is no model of loss{did_you_mean(kind, KINDS)}"
        raise ConfigError("", f"{what}; there are {', '.join(KINDS)}")
    pieces = [t[k : k + _PIECE] for t in traces for k in range(0, len(t), _PIECE)]
    total, lost = sum(map(len, traces)), int(sum(np.sum(trace) for trace in traces))
    if not 0 < lost < total:
        what = f"{lost} of {total} packets are lost, to which no model can be fitted"
        raise ConfigError("", f"{what}; give traces with both lost and received packets")
    model = _gilbert(traces) if kind == "gilbert" else _baum_welch(pieces, kind)
    return _judged(model, traces, pieces)


def _gilbert(traces: Sequence[np.ndarray]) -> LossModel:
    """Count transitions."""
    counts = np.zeros((2, 2))
    for trace in traces:
        now, then = trace[:-1].astype(int), trace[1:].astype(int)
        np.add.at(counts, (now, then), 1)
    sums = counts.sum(axis=1)
    # A state that was never left at all: it lasts for one packet, which says least about it.
    p = counts[0, 1] / sums[0] if sums[0] else 1.0
    q = counts[1, 0] / sums[1] if sums[1] else 1.0
    return LossModel("gilbert", (float(p), float(q)))


def _stacked(pieces: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Lay pieces side by side, (packets, pieces), with a mask of what is theirs."""
    longest = max(map(len, pieces))
    lost, there = np.zeros((2, longest, len(pieces)), bool)
    for k, piece in enumerate(pieces):
        lost[: len(piece), k], there[: len(piece), k] = piece, True
    return lost, there


def _baum_welch(pieces: Sequence[np.ndarray], kind: str) -> LossModel:
    """Raise the likelihood until it stands still."""
    model = LossModel(kind, _BEGIN[kind])
    lost, there = _stacked(pieces)
    before = -np.inf
    for _ in range(_ROUNDS):
        likelihood, moves, visits, losses = _expected(model, lost, there)
        likelihood /= there.sum()
        if likelihood - before < _TOLERANCE:
            break
        before = likelihood
        transitions = moves / np.maximum(moves.sum(axis=1, keepdims=True), 1e-300)
        values = KINDS[kind].read(transitions, losses / np.maximum(visits, 1e-300))
        model = LossModel(kind, tuple(float(v) for v in np.clip(values, 0.0, 1.0)))
    return model


def _expected(
    model: LossModel, lost: np.ndarray, there: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Run forward and backward: log likelihood, expected moves, visits, and losses by state.

    Scaled as in Rabiner 1989, "A tutorial on hidden Markov models", section V.A.
    """
    seen = np.where(lost[..., np.newaxis], model.losses, 1.0 - model.losses)
    seen = np.where(there[..., np.newaxis], seen, 1.0)
    move = model.transitions
    forward, scale = np.empty_like(seen), np.empty(lost.shape)
    # A floor under the first step: a state of share 0 would never be tried.
    ahead = np.broadcast_to(np.maximum(model.stationary, 1e-9), seen.shape[1:])
    for k in range(len(seen)):
        step = ahead * seen[k]
        scale[k] = np.maximum(step.sum(axis=1), 1e-300)
        forward[k] = step / scale[k][:, np.newaxis]
        ahead = forward[k] @ move
    moves = np.zeros_like(move)
    backward = np.ones(seen.shape[1:])
    visits, losses = np.zeros((2, len(move)))
    for k in range(len(seen) - 1, -1, -1):
        share = forward[k] * backward * there[k][:, np.newaxis]
        visits += share.sum(axis=0)
        losses += share[lost[k]].sum(axis=0)
        if k:
            weight = seen[k] * backward / scale[k][:, np.newaxis]
            moves += move * ((forward[k - 1] * there[k][:, np.newaxis]).T @ weight)
            backward = np.where(there[k][:, np.newaxis], weight @ move.T, 1.0)
    return float(np.log(scale[there]).sum()), moves, visits, losses


def _judged(model: LossModel, traces: Sequence[np.ndarray], pieces: Sequence[np.ndarray]) -> Fit:
    """Set a model beside its traces."""
    likelihood = _expected(model, *_stacked(pieces))[0]
    total, lost = sum(map(len, traces)), int(sum(np.sum(trace) for trace in traces))
    counts = histogram(traces)
    seen = np.zeros(_SHOWN)
    seen[: min(_SHOWN, len(counts))] = counts[:_SHOWN]
    seen[-1] += counts[_SHOWN:].sum()
    return Fit(
        model,
        likelihood / total,
        len(model.values) * float(np.log(total)) - 2.0 * likelihood,
        total,
        (lost / total, model.loss_rate),
        (lost / float(counts.sum()), model.mean_burst),
        (tuple(map(float, seen / counts.sum())), tuple(map(float, model.burst_shares(_SHOWN)))),
    )
