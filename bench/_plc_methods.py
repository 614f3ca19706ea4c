# SPDX-License-Identifier: MIT
"""The concealers that are compared: rtcore's plugins, models by others, and Opus."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from _opus import INSTALL, DeepOpus, Opus, lag_frames
from _plc_clips import PACKET, RATE, Clip

from rtcore import Chain
from rtcore.errors import RtcoreError
from rtcore.host import find

__all__ = ["FROM_CLEAN", "NAMES", "Found", "Method", "find_methods"]

BITRATE = 32_000
BUNDLES = Path(__file__).parent / "bundles"
PLUGINS = ("plc-zero", "plc-repeat", "plc-pitch", "plc")
MODELS = ("ms-plc-2022", "tplcnet")
DEEP = {"opus-deep-lace": "lace", "opus-deep-nolace": "nolace"}
OPUS = ("opus-no-loss", "opus-classic", *DEEP)
#: All methods, in the order of the tables.
NAMES = ("clean", *PLUGINS, *MODELS, *OPUS)
#: Those that begin before the loss, and play only clips whose clean sound is known.
FROM_CLEAN = ("clean", *OPUS)

#: Takes what is sent and the trace; gives what is heard, and the seconds of each packet.
Play = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Method:
    """A concealer.

    Attributes
    ----------
    play : function
        Takes what is sent and the trace.
    from_clean : bool
        Whether what is sent is the clean sound: a codec begins before the loss.
    """

    play: Play
    from_clean: bool = False

    def heard(self, clip: Clip) -> tuple[np.ndarray, np.ndarray] | None:
        """Conceal a clip; None where that needs a clean sound that it has not."""
        sent = clip.clean if self.from_clean else clip.lossy
        return None if sent is None else self.play(sent, clip.lost)


@dataclass
class Found:
    """What there is.

    Attributes
    ----------
    methods : dict of str to Method
    missing : dict of str to str
        Why others cannot be had.
    versions : dict of str to str
        Of the codecs.
    """

    methods: dict[str, Method] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def delays_left(self, clip: Clip) -> dict[str, int]:
        """Measure by how many frames each codec's output still lags, with nothing lost."""
        nothing = np.zeros(len(clip.lost), bool)
        found = {}
        for name, method in self.methods.items():
            if name in OPUS and clip.clean is not None:
                found[name] = lag_frames(method.play(clip.clean, nothing)[0], clip.clean)
        return found


def find_methods(
    wanted: Collection[str],
    weights: Path | None,
    opus_ml: Path | None,
    stack: ExitStack,
    work: Path,
) -> Found:
    """Give the methods that can be had here, and why others cannot.

    Parameters
    ----------
    wanted : collection of str
        Among :data:`NAMES`.
    weights, opus_ml : Path or None
        Folders of the peers' ``.onnx`` files, and of the npm package opus-ml.
    stack : ExitStack
        Ends what was started.
    work : Path
        A folder for bundles.
    """
    found = Found()
    makers: dict[str, Callable[[], Method]] = {
        "clean": lambda: Method(_clean, from_clean=True),
        **{name: lambda name=name: Method(chained(find(name)())) for name in PLUGINS},
        **{name: lambda name=name: Method(bundle(name, weights, work)) for name in MODELS},
        **{name: lambda name=name: _opus(name, opus_ml, stack, found) for name in OPUS},
    }
    for name in NAMES:
        if name not in wanted:
            continue
        try:
            found.methods[name] = makers[name]()
        except (OSError, RtcoreError) as error:
            found.missing[name] = str(error)
    return found


def _clean(sent: np.ndarray, lost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return sent, np.zeros(len(lost))


def chained(plugin: Any, rate: int = RATE) -> Play:
    """Conceal with a plugin, packet by packet of 20 ms."""
    packet = rate // 50
    chain = Chain([plugin], sample_rate=rate, channels=1, block_frames=packet, max_frames=packet)

    def play(x: np.ndarray, lost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        late = chain.latency_frames
        packets = len(lost) + -(-late // packet)
        heard = np.zeros(packets * packet, np.float32)
        heard[: len(x)] = x
        gone = [bool(flag) for flag in lost] + [False] * (packets - len(lost))
        seconds = np.zeros(packets)
        chain.restart()
        for k in range(packets):
            part = slice(k * packet, (k + 1) * packet)
            begin = time.perf_counter()
            heard[part] = chain.process(heard[part], lost=gone[k])
            seconds[k] = time.perf_counter() - begin
        return heard[late : late + len(x)], seconds[: len(lost)]

    return play


def bundle(name: str, weights: Path | None, folder: Path) -> Play:
    """Stream a model by others: its manifest is ours, its weights lie where the user has them."""
    if weights is None:
        raise FileNotFoundError("its weights were not named; give --weights FOLDER")
    copy = folder / name
    shutil.copytree(BUNDLES / name, copy)
    line = next(t for t in (copy / "model.toml").read_text().splitlines() if t.startswith("file"))
    file = line.split('"')[1]
    found = next(iter(sorted(weights.rglob(file))), None)
    if found is None:
        raise FileNotFoundError(f"{file} is not in {weights}")
    shutil.copy(found, copy / file)
    return chained(find("model")(bundle=str(copy)))


def _opus(name: str, opus_ml: Path | None, stack: ExitStack, found: Found) -> Method:
    coder = Opus(RATE, BITRATE)
    found.versions["opus-classic"] = coder.version
    if name not in DEEP:
        keeps = name == "opus-no-loss"
        play = coder.play
        return Method(
            (lambda x, lost: play(x, np.zeros_like(lost))) if keeps else play, from_clean=True
        )
    if opus_ml is None:
        what = f"its npm package was not named; run `{INSTALL}` in a folder"
        raise FileNotFoundError(f"{what} and give --opus-ml FOLDER")
    deep = stack.enter_context(DeepOpus(coder, opus_ml, DEEP[name]))
    deep.play(np.zeros(PACKET, np.float32), np.zeros(1, bool))  # or what is broken ends a long run
    found.versions["opus-ml"] = deep.version
    return Method(deep.play, from_clean=True)
