# SPDX-License-Identifier: MIT
"""Conceal lost packets frame by frame: one call for each packet that came or should have come."""

from __future__ import annotations

import numbers
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtcore.chain import Chain
from rtcore.errors import ParameterError, StreamError
from rtcore.host import find
from rtcore.plugin import Plugin

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["Concealer"]

_FULL_SCALE = 32768.0  # of int16
_MOST_FRAMES = 2**20  # of a packet


class Concealer:
    """Turn a stream of packets, some of which are lost, into a stream without gaps.

    Parameters
    ----------
    plugin_or_chain : str, Path, Plugin or Chain
        What conceals: a plugin or its id, a chain, or a chain file (``.toml``). A chain that is
        handed over brings its own rate and channels, which must be those given here.
    sample_rate : int
        In Hz.
    channels : int
        Of each packet.
    packet_ms : float
        Length of a packet; a whole number of frames.
    dtype : str or NumPy type
        Of the packets: ``"float32"``, ``"float64"`` or ``"int16"``, or ``np.int16`` and so on.

    Raises
    ------
    ParameterError
        Where a packet would be no whole number of frames, or the chain is for another stream.
    RtcoreError
        Where there is no such plugin or chain file.

    Examples
    --------
    >>> import numpy as np
    >>> concealer = Concealer(sample_rate=16000, packet_ms=20)
    >>> concealer.push(np.zeros(320, np.float32)).shape
    (320,)
    >>> concealer.push(None).shape
    (320,)
    """

    def __init__(
        self,
        plugin_or_chain: str | Path | Plugin | Chain = "plc-pitch",
        *,
        sample_rate: int = 16000,
        channels: int = 1,
        packet_ms: float = 20.0,
        dtype: DTypeLike = "float32",
    ) -> None:
        kind = _kind(dtype)
        given: dict[str, Any] = {"sample_rate": sample_rate, "packet_ms": packet_ms}
        for key, value in given.items():
            if not isinstance(value, numbers.Real):
                raise ParameterError(key, f"must be a number, got {value!r}")
        frames = packet_ms * sample_rate / 1000.0
        if not 0.5 <= frames <= _MOST_FRAMES or abs(frames - round(frames)) > 1e-6:
            what = f"must make whole frames, got {packet_ms:g} ms, which are {frames:g} frames"
            raise ParameterError("packet_ms", f"{what} at {sample_rate:g} Hz")
        self.packet_frames = round(frames)
        self.dtype = np.dtype(kind)
        real = "float64" if kind == "float64" else "float32"
        self.chain = _chain(plugin_or_chain, sample_rate, channels, self.packet_frames, real)
        self._silence = np.zeros((channels, self.packet_frames), self.chain.spec.dtype)
        self._flat = channels == 1 and self.chain.channels_out == 1
        self._shape: tuple[int, ...] = (self.packet_frames,) if self._flat else self._silence.shape

    @property
    def latency_frames(self) -> int:
        """How late the samples are that :meth:`push` gives."""
        return self.chain.latency_frames

    def push(self, packet: Any) -> np.ndarray[Any, Any]:
        """Take the next packet; give as many samples to be heard.

        Parameters
        ----------
        packet : array or None
            (packet_frames,) or (channels, packet_frames) of the declared type; None where the
            packet did not come in time.

        Returns
        -------
        ndarray
            Of the packet's shape and type; in place of a lost packet, of those of the last one.

        Raises
        ------
        StreamError
            Where the packet has another shape or type.
        """
        if packet is None:
            return self._heard(self.chain.process(self._silence, lost=True))
        samples = np.asarray(packet)
        self._check(samples)
        if self.dtype == np.int16:
            samples = samples.astype(np.float32) / np.float32(_FULL_SCALE)
        self._shape = samples.shape
        return self._heard(self.chain.process(samples.reshape(self._silence.shape)))

    def reset(self) -> None:
        """Forget all packets, as for a new call."""
        self.chain.reset()

    def _check(self, samples: np.ndarray[Any, Any]) -> None:
        if samples.dtype != self.dtype:
            what = f"packets must hold {self.dtype}, got {samples.dtype}"
            raise StreamError(f"{what}; convert them, or give Concealer their dtype")
        flat = self._silence.shape[0] == 1 and samples.shape == (self.packet_frames,)
        if not flat and samples.shape != self._silence.shape:
            expected = (self.packet_frames,) if self._silence.shape[0] == 1 else self._silence.shape
            what = f"a packet must have the shape {expected}, got {samples.shape}"
            raise StreamError(f"{what}; push whole packets, and None for a lost one")

    def _heard(self, y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Bring what the chain plays to the shape and the type of packets."""
        if self.dtype == np.int16:
            y = np.clip(np.rint(y * np.float32(_FULL_SCALE)), -32768, 32767).astype(np.int16)
        return y.reshape(self._shape) if y.size == self._silence.size else y


def _kind(dtype: DTypeLike) -> str:
    """Give the name of a type of packets."""
    try:
        name = str(np.dtype(dtype)) if dtype is not None else "None"
    except TypeError:
        name = repr(dtype)
    if name not in ("float32", "float64", "int16"):
        what = f"must be 'float32', 'float64' or 'int16', got {name}"
        raise ParameterError("dtype", what)
    return name


def _chain(
    source: str | Path | Plugin | Chain, rate: int, channels: int, frames: int, real: str
) -> Chain:
    """Build the chain, or check the one that is handed over."""
    stream: dict[str, Any] = {
        "sample_rate": float(rate),
        "channels": channels,
        "dtype": real,
        "max_frames": frames,
        "block_frames": frames,
    }
    if isinstance(source, Chain):
        _check_chain(source, rate, channels, frames, real)
        return source
    if isinstance(source, Path) or (isinstance(source, str) and source.endswith(".toml")):
        return Chain.from_toml(source, **stream)
    plugin: Any = find(source)() if isinstance(source, str) else source
    if not isinstance(plugin, Plugin):
        what = f"must be a plugin, its id, a chain or a chain file, got {plugin!r}"
        raise ParameterError("plugin_or_chain", what)
    return Chain([plugin], **stream)


def _check_chain(chain: Chain, rate: int, channels: int, frames: int, real: str) -> None:
    """Refuse a chain that was made for another stream than the packets'."""
    has = (chain.sample_rate, chain.channels_in, str(chain.spec.dtype))
    if has != (float(rate), channels, real):
        what = f"is for {has[0]:g} Hz, {has[1]} channels and {has[2]}, the packets for {rate:g} Hz"
        remedy = "give the chain and the Concealer the same stream"
        raise ParameterError("plugin_or_chain", f"{what}, {channels} and {real}; {remedy}")
    grain = chain.table.graph.block_frames
    if frames % grain:
        promise = f"was promised blocks of {grain} frames, and packets have {frames}"
        remedy = "build it with the packets' block_frames"
        raise ParameterError("plugin_or_chain", f"{promise}; {remedy}")
