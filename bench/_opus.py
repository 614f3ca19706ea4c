# SPDX-License-Identifier: MIT
"""The system's libopus through ctypes: coded, lost and concealed by its classic PLC."""

from __future__ import annotations

import ctypes
import ctypes.util
import time

import numpy as np

_OK = 0
_VOIP = 2048  # OPUS_APPLICATION_VOIP, OPUS_SET_BITRATE_REQUEST, OPUS_GET_LOOKAHEAD_REQUEST
_SET_BITRATE, _GET_LOOKAHEAD = 4002, 4027
_MOST_BYTES = 4000


class Opus:
    """An encoder and a decoder of one channel.

    Parameters
    ----------
    sample_rate : int
        8000, 12000, 16000, 24000 or 48000 Hz.
    bitrate : int
        In bits a second.

    Raises
    ------
    OSError
        Where there is no libopus, with the reason.
    """

    def __init__(self, sample_rate: int, bitrate: int) -> None:
        name = ctypes.util.find_library("opus")
        if name is None:
            raise OSError("there is no libopus on this system")
        self._lib = ctypes.CDLL(name)
        self._lib.opus_encoder_create.restype = ctypes.c_void_p
        self._lib.opus_decoder_create.restype = ctypes.c_void_p
        self._lib.opus_get_version_string.restype = ctypes.c_char_p
        self.version = self._lib.opus_get_version_string().decode()
        self._rate, self._bitrate = sample_rate, bitrate

    def play(self, x: np.ndarray, lost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Code a clip, lose packets of 20 ms, decode it.

        Parameters
        ----------
        x : array, shape (frames,)
            Whole packets; what the sender has, before any loss.
        lost : array of bool, shape (packets,)
            Which of them never come.

        Returns
        -------
        y : array, shape (frames,)
            Over the input: the codec's delay is taken out.
        seconds : array, shape (packets,)
            What each packet took, coding included.
        """
        error = ctypes.c_int(_OK)
        lib, fault = self._lib, ctypes.byref(error)
        encoder = ctypes.c_void_p(lib.opus_encoder_create(self._rate, 1, _VOIP, fault))
        decoder = ctypes.c_void_p(lib.opus_decoder_create(self._rate, 1, fault))
        if error.value != _OK:
            raise OSError(f"libopus refused {self._rate} Hz (error {error.value})")
        try:
            lib.opus_encoder_ctl(encoder, _SET_BITRATE, ctypes.c_int(self._bitrate))
            late = ctypes.c_int(0)
            lib.opus_encoder_ctl(encoder, _GET_LOOKAHEAD, ctypes.byref(late))
            packet = len(x) // len(lost)
            extra = -(-late.value // packet)
            heard = np.zeros(len(x) + extra * packet, np.float32)
            heard[: len(x)] = x
            mask = np.concatenate([lost, np.zeros(extra, bool)])
            seconds = self._packets(encoder, decoder, heard, mask, packet)
            return heard[late.value : late.value + len(x)], seconds[: len(lost)]
        finally:
            lib.opus_encoder_destroy(encoder)
            lib.opus_decoder_destroy(decoder)

    def _packets(
        self,
        encoder: ctypes.c_void_p,
        decoder: ctypes.c_void_p,
        heard: np.ndarray,
        lost: np.ndarray,
        packet: int,
    ) -> np.ndarray:
        """Code and decode in place."""
        coded = ctypes.create_string_buffer(_MOST_BYTES)
        floats = ctypes.POINTER(ctypes.c_float)
        seconds = np.zeros(len(lost))
        for k, gone in enumerate(lost):
            at = heard[k * packet :].ctypes.data_as(floats)
            begin = time.perf_counter()
            size = self._lib.opus_encode_float(encoder, at, packet, coded, _MOST_BYTES)
            source, length = (None, 0) if gone else (coded, size)
            self._lib.opus_decode_float(decoder, source, length, at, packet, 0)
            seconds[k] = time.perf_counter() - begin
        return seconds
