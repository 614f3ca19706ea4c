# SPDX-License-Identifier: MIT
"""Small plugins that prove the spectral helpers inside kernels."""

from __future__ import annotations

import numpy as np

from rtcore import Plugin, Prepared, Setting, kernel
from rtcore.dsp import (
    ResamplerDesign,
    cola_gain,
    fft_tables,
    irfft,
    overlap_add,
    push_hop,
    resample_hop,
    rfft,
    stft_window,
    window_frame,
)


class Spectral(Plugin):
    """Take sound apart into spectra, and put it together again."""

    id = "t_spectral"
    n = Setting(128, type=int)
    window = Setting("sqrt-hann", type=str)
    hop_frames = 64
    buffers = {
        "fft_factors": "i8[:]",
        "fft_cos": "real[:]",
        "fft_sin": "real[:]",
        "fft_work": "real[:, :]",
        "analysis": "real[:]",
        "synthesis": "real[:]",
        "frame": "real[:]",
        "re": "real[:]",
        "im": "real[:]",
        "history": "real[:, :]",
        "tail": "real[:, :]",
    }

    def prepare(self, spec):
        window = stft_window(self.window, self.n)
        late = self.n - self.hop_frames
        return Prepared(
            latency_frames=late,
            tail_frames=late,
            buffers={
                **fft_tables(self.n),
                "analysis": window,
                "synthesis": window / cola_gain(window, window, self.hop_frames),
                "frame": np.zeros(self.n),
                "re": np.zeros(self.n // 2 + 1),
                "im": np.zeros(self.n // 2 + 1),
                "history": np.zeros((spec.channels, self.n)),
                "tail": np.zeros((spec.channels, self.n)),
            },
        )

    @kernel
    def process(
        x,
        y,
        fft_factors,
        fft_cos,
        fft_sin,
        fft_work,
        analysis,
        synthesis,
        frame,
        re,
        im,
        history,
        tail,
    ):
        for c in range(x.shape[0]):
            push_hop(x[c], history[c])
            window_frame(history[c], analysis, frame)
            rfft(frame, re, im, fft_factors, fft_cos, fft_sin, fft_work)
            irfft(re, im, frame, fft_factors, fft_cos, fft_sin, fft_work)
            overlap_add(frame, synthesis, tail[c], y[c])


class ThereAndBack(Plugin):
    """Convert from 48 to 16 kHz and back."""

    id = "t_there_and_back"
    hop_frames = 48
    buffers = {
        "narrowing": "real[:, :]",
        "widening": "real[:, :]",
        "middle": "real[:]",
        "past": "real[:, :]",
        "past_16k": "real[:, :]",
        "steps": "i8[:]",
    }

    def prepare(self, spec):
        there, back = ResamplerDesign(48000, 16000), ResamplerDesign(16000, 48000)
        middle = self.hop_frames // 3
        latency = int(there.latency_in_frames + back.latency_out_frames)
        return Prepared(
            latency_frames=latency,
            lookahead_frames=latency,
            tail_frames=latency,
            buffers={
                "narrowing": there.taps,
                "widening": back.taps,
                "middle": np.zeros(middle),
                "past": there.history(spec.channels, self.hop_frames),
                "past_16k": back.history(spec.channels, middle),
                "steps": [there.down, back.down],
            },
        )

    @kernel
    def process(x, y, narrowing, widening, middle, past, past_16k, steps):
        for c in range(x.shape[0]):
            resample_hop(x[c], middle, past[c], narrowing, steps[0])
            resample_hop(middle, y[c], past_16k[c], widening, steps[1])
