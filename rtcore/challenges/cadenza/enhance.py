# SPDX-License-Identifier: MIT
"""Remix and amplify the songs of a set for its listeners: from the microphones to what is sent in.

Separate, apply the gains, mix, match the loudness, amplify (NAL-R, and the compressor where asked
for), convert to 32 kHz, clip, write 16 bits: the steps of the baseline, in its order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtcore.audiofile import write
from rtcore.batch import Job, Ledger, Outcome, Shard, fingerprint, run_jobs, usable_cores
from rtcore.batch.ledger import made_folder
from rtcore.challenges.cadenza.at_mic import read_stereo
from rtcore.challenges.cadenza.causal import causal_remix, check_causal
from rtcore.challenges.cadenza.layout import CadenzaSet, Request
from rtcore.challenges.cadenza.loudness import BLOCK_S
from rtcore.challenges.cadenza.metadata import MIXTURE, SAMPLE_RATE_HZ, SUBMISSION_RATE_HZ, Gains
from rtcore.challenges.cadenza.remix import remix
from rtcore.challenges.cadenza.resampling import resampled
from rtcore.challenges.cadenza.separators import Separator, SeparatorChoice, make_separator
from rtcore.challenges.cadenza.side_car import write_side_car
from rtcore.challenges.faults import FaultWatch
from rtcore.challenges.foreign import check_foreign
from rtcore.challenges.people import Pair
from rtcore.challenges.provenance import MADE_WITH
from rtcore.challenges.resampling import resampled as resampled_closely
from rtcore.errors import AudioFileError, ConfigError, RtcoreError

if TYPE_CHECKING:
    from rtcore.chain import Chain
    from rtcore.hearing import Listener

__all__ = ["Aid", "EnhanceSettings", "Enhancer", "Run", "new_mix", "output_name"]

#: Goes into fingerprints: another number makes all files again.
_VERSION = "cadenza enhance 1"


@dataclass(frozen=True)
class EnhanceSettings:
    """How songs are enhanced.

    Attributes
    ----------
    separator : SeparatorChoice
        What takes them apart.
    compressor : bool
        Whether the official compressor follows NAL-R, which the baseline leaves out.
    soft_clip : bool
        Whether a hyperbolic tangent comes before the clipping, which the baseline leaves out.
    causal : bool
        Look at nothing more than 5 ms ahead.
    """

    separator: SeparatorChoice = field(default_factory=SeparatorChoice)
    compressor: bool = False
    soft_clip: bool = False
    causal: bool = False

    def make_separator(self) -> Separator:
        """Make the separator.

        Raises
        ------
        ConfigError
            Where there is none of that name, or it does not go with `causal`.
        ModelError
            Where its bundle is not there.
        """
        if self.causal and self.separator.compat:
            what = "is not what the official code does, which --compat keeps; give one of the two"
            raise ConfigError("--causal", what)
        separator = make_separator(self.separator)
        if self.causal:
            check_causal(separator)
        return separator


class Aid:
    """The hearing aid: NAL-R for each ear, and the official compressor where asked for.

    Parameters
    ----------
    compressor : bool
        Whether it is there.
    """

    def __init__(self, *, compressor: bool = False) -> None:
        self._compressor = compressor

    def chain(self, listener: Listener, sample_rate: int = SAMPLE_RATE_HZ) -> Chain:
        """Build the chain for a listener."""
        from rtcore import Chain
        from rtcore.plugins import NALR, Compressor

        plugins = [NALR(audiogram=listener)]
        if self._compressor:
            plugins.append(
                Compressor(
                    threshold=0.35,
                    attenuation=0.1,
                    attack_ms=50.0,
                    release_ms=1000.0,
                    rms_buffer_s=0.064,
                )
            )
        return Chain(plugins, sample_rate=sample_rate, channels=2, dtype="float64")

    def amplified(
        self, x: np.ndarray, listener: Listener, sample_rate: int = SAMPLE_RATE_HZ
    ) -> np.ndarray:
        """Amplify a sound of shape (2, frames); 220 frames longer, and its delay of 110 stays."""
        chain = self.chain(listener, sample_rate)
        watch = FaultWatch(chain)
        y = chain.render(x)
        watch.check()
        return y

    def submitted(
        self, x: np.ndarray, listener: Listener, sample_rate: int, *, causal: bool = False
    ) -> np.ndarray:
        """Amplify a sound and bring it to the rate of the submission."""
        convert = resampled_closely if causal else resampled
        return convert(self.amplified(x, listener, sample_rate), sample_rate, SUBMISSION_RATE_HZ)


def new_mix(
    separator: Separator,
    gains: Gains,
    mixture: np.ndarray,
    sample_rate: int,
    stem: Callable[[str], np.ndarray],
    *,
    causal: bool = False,
) -> np.ndarray:
    """Take a mixture apart and mix it anew.

    Parameters
    ----------
    separator : Separator
        What takes it apart; where it gives nothing the mixture stays what it is.
    gains : Gains
        In dB.
    mixture : array, shape (2, frames)
        What stood at the microphones.
    sample_rate : int
        In Hz.
    stem : function
        Reads a true stem.
    causal : bool
        Whether the loudness is matched as it comes; a separator's delay stays then.

    Returns
    -------
    numpy.ndarray of float64, shape (2, frames)
    """
    stems = separator.separate(mixture, sample_rate, stem)
    if stems is None:
        return mixture
    late, frames = separator.latency_frames, mixture.shape[1]
    first = 0 if causal else late
    stems = {name: one[:, first : first + frames] for name, one in stems.items()}
    if causal:
        return causal_remix(stems, gains, mixture, sample_rate, late)
    return remix(stems, gains, mixture, sample_rate)


def output_name(pair: Pair) -> str:
    """Name the file of a pair as the challenge wants it."""
    return f"{pair.name}_remix.flac"


class Enhancer:
    """Enhances song after song.

    Parameters
    ----------
    settings : EnhanceSettings
        How.
    separator : Separator, optional
        One that is made already.
    """

    def __init__(self, settings: EnhanceSettings, separator: Separator | None = None) -> None:
        self.settings = settings
        self.separator = separator or settings.make_separator()
        self.aid = Aid(compressor=settings.compressor)
        self._mix: tuple[tuple[Path, Gains], np.ndarray] | None = None

    def enhance(self, request: Request) -> np.ndarray:
        """Give what a listener gets.

        Returns
        -------
        numpy.ndarray of float64, shape (2, frames at 32 kHz)
            Not yet clipped.
        """
        mix = self._mixed(request)
        causal = self.settings.causal
        return self.aid.submitted(mix, request.listener, SAMPLE_RATE_HZ, causal=causal)

    def _mixed(self, request: Request) -> np.ndarray:
        """Mix a scene once for all listeners who come one after the other."""
        key = (request.folder, request.gains)
        if self._mix is None or self._mix[0] != key:
            self._mix = None  # one song of five minutes may be a gigabyte
            path = request.file(MIXTURE)
            mixture = read_stereo(path)
            if mixture.shape[1] < BLOCK_S * SAMPLE_RATE_HZ:
                what = f"is shorter than {BLOCK_S} s, too short for its loudness; leave it out"
                raise AudioFileError(f"{path}: {what}")
            stem = partial(_read_stem, request, mixture.shape[1])
            causal = self.settings.causal
            mix = new_mix(
                self.separator, request.gains, mixture, SAMPLE_RATE_HZ, stem, causal=causal
            )
            self._mix = key, mix
        return self._mix[1]

    def work(self, task: tuple[Request, Path, str] | RtcoreError) -> dict[str, Any]:
        """Make the file of a job: 32 kHz, 16 bits, cut off toward zero.

        Returns
        -------
        dict
            Frames, how many samples were beyond full scale, the peak in dB re full
            scale, before they were clipped (at least -200), and the system's fingerprint.
        """
        if isinstance(task, RtcoreError):
            raise task
        request, target, made_with = task
        y = self.enhance(request)
        if self.settings.soft_clip:
            y = np.tanh(y)
        clipped = int(np.count_nonzero(np.abs(y) > 1.0))
        peak_db = 20.0 * math.log10(max(float(np.abs(y).max(initial=0.0)), 1e-10))
        write(target, np.clip(y, -1.0, 1.0), SUBMISSION_RATE_HZ, subtype="PCM_16")
        facts = {"frames": y.shape[1], "clipped": clipped, "peak_db": peak_db}
        return {**facts, MADE_WITH: made_with}

    def inputs(self, request: Request) -> list[Path]:
        """List the sounds that the answer to a request depends on."""
        return request.files() if self.separator.reads_stems else [request.file(MIXTURE)]

    def fingerprint(self) -> str:
        """Give a fingerprint of all that an output depends on but its scene and listener."""
        from rtcore.challenges.chainprint import chain_print
        from rtcore.hearing import Listener

        known = asdict(self.settings)
        known.pop("separator")  # its identity says what it is made of, wherever that lies
        chain = self.aid.chain(Listener.standard("N3"))
        text = json.dumps([_VERSION, known, self.separator.identity()])
        return fingerprint(text, chain_print(chain))


class Run:
    """One run over a set: its jobs and what becomes of them.

    Parameters
    ----------
    found : CadenzaSet
        The metadata.
    target : Path
        Folder of the outputs, made where it is missing.
    pairs : list of Pair
        Which outputs to make.
    settings : EnhanceSettings
        How.
    again : bool
        Do all, whatever is there: also over files in `target` that no run has written.
    shard : Shard, optional
        Which share of the set `pairs` are, where other runs write into the same folder.

    Raises
    ------
    ConfigError, ModelError
        Where the folder cannot be used, or the separator cannot be had.
    """

    def __init__(
        self,
        found: CadenzaSet,
        target: Path,
        pairs: list[Pair],
        settings: EnhanceSettings,
        *,
        again: bool = False,
        shard: Shard | None = None,
    ) -> None:
        _check_target(target, pairs, again=again)
        self._found, self._target, self._pairs = found, target, pairs
        self._again, self._shard = again, shard
        self._enhancer = Enhancer(settings)

    def ledger(self) -> Ledger:
        """Give the ledger of the folder, which need not be there yet."""
        ledger = Ledger(self._target, self._shard)
        if self._again:
            ledger.forget()
        return ledger

    def jobs(self) -> Iterator[Job]:
        """List the jobs; what they depend on is read as they are asked for."""
        common = self._enhancer.fingerprint()
        heard: tuple[Path | None, str] = (None, "")
        for pair in self._pairs:
            output = self._target / output_name(pair)
            try:
                request = self._found.request(pair)
                if heard[0] != request.folder:  # a song is read once for listeners in a row
                    heard = request.folder, fingerprint(*self._enhancer.inputs(request))
                key = fingerprint(common, request.text(), heard[1])
            except RtcoreError as error:
                yield Job(pair.name, output, "", error)
                continue
            yield Job(pair.name, output, key, (request, output, common))

    def facts(self) -> dict[str, Any]:
        """Say how the outputs are made, for what is written beside them."""
        settings = self._enhancer.settings
        return {
            "separator": self._enhancer.separator.identity(),
            "compat": settings.separator.compat,
            "compressor": settings.compressor,
            "soft_clip": settings.soft_clip,
            "causal": settings.causal,
            "chain_hash": self._enhancer.fingerprint(),
        }

    def outcomes(
        self, *, workers: int | None = None, scheduler: str | None = None
    ) -> Iterator[Outcome]:
        """Do what is not done.

        Parameters
        ----------
        workers : int, optional
            Processes; one for each core where None.
        scheduler : str, optional
            Address of a Dask cluster that does it instead.

        Yields
        ------
        Outcome
            One for each pair, as they end.

        Raises
        ------
        AudioFileError, ModelError, DeviceError
            Where the folder cannot be written, or the separator cannot be used.
        """
        self._enhancer.separator.ready()
        made_folder(self._target)
        ledger = self.ledger()
        how: dict[str, Any] = {"workers": min(workers or usable_cores(), len(self._pairs)) or 1}
        if scheduler is not None:
            how["scheduler"] = scheduler
        alone = how == {"workers": 1}
        how |= {} if alone else {"setup": (_set_up, (self._enhancer.settings,))}
        with ledger.writing():
            write_side_car(self._target, self.facts())  # first: a run may be killed, a disk full
            yield from run_jobs(self.jobs(), self._enhancer.work if alone else _work, ledger, **how)


def _check_target(target: Path, pairs: list[Pair], *, again: bool) -> None:
    """Refuse a folder whose files would be overwritten."""
    if target.exists() and not target.is_dir():
        raise ConfigError(str(target), "is a file; name a folder for the enhanced songs")
    if not again:
        check_foreign(target, map(output_name, pairs), "cadenza enhance")


def _read_stem(request: Request, frames: int, name: str) -> np.ndarray:
    """Read a true stem."""
    path = request.file(name)
    stem = read_stereo(path)
    if stem.shape[1] != frames:
        what = f"has {stem.shape[1]} frames and its mixture {frames}; make both again"
        raise AudioFileError(f"{path}: {what}")
    return stem


#: The enhancer of this worker process.
_own: list[Enhancer] = []


def _set_up(settings: EnhanceSettings) -> None:
    _own[:] = [Enhancer(settings)]


def _work(task: tuple[Request, Path, str] | RtcoreError) -> dict[str, Any]:
    return _own[0].work(task)
