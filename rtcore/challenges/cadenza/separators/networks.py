# SPDX-License-Identifier: MIT
"""The baseline's two networks, Hybrid Demucs and Open-Unmix, run as its code runs them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtcore.challenges.cadenza.chunking import in_chunks
from rtcore.challenges.cadenza.metadata import STEMS
from rtcore.challenges.cadenza.needs import needed
from rtcore.challenges.cadenza.remix import Stems
from rtcore.challenges.cadenza.resampling import resampled
from rtcore.challenges.cadenza.separators.base import Separator
from rtcore.challenges.cadenza.separators.weights import (
    HDEMUCS,
    OPEN_UNMIX,
    Known,
    Weights,
    find_weights,
    load_weights,
    torch,
)
from rtcore.errors import ConfigError, DeviceError, ModelError

__all__ = ["HybridDemucs", "Network", "OpenUnmix"]


class Network(Separator):
    """A network of PyTorch that hears whole chunks of some ten seconds.

    It is built when it is first used, and computes with one thread: so many processes do not
    crowd one another, and give the same bits as one.

    Parameters
    ----------
    weights : Path, optional
        A file or a folder; torch's own folder by default.
    device : str
        ``cpu``, ``cuda``, ``cuda:1`` and so on.
    compat : bool
        Fade out the end of a sound that is one chunk, as the official code does.
    model : module, optional
        A network that is made already; `weights` count for nothing then.
    """

    known: Known
    #: The stems in the order in which the network gives them.
    order: Sequence[str] = STEMS
    #: Of the sounds that the network was trained on, in Hz.
    sample_rate = 44100
    #: Whether the mixture is brought to mean 0 and deviation 1 for the network, and back.
    standardises: bool

    def __init__(
        self,
        weights: Path | None = None,
        *,
        device: str = "cpu",
        compat: bool = False,
        model: Any = None,
    ) -> None:
        self.name = self.known.name
        self.device, self.compat = device, compat
        self._given = weights
        self._model = model if model is None else self._placed(model)
        self._made_here = model is None

    def separate(
        self, mixture: np.ndarray, sample_rate: int, stem: Callable[[str], np.ndarray]
    ) -> Stems:
        """Run the network over the mixture."""
        del stem
        x = resampled(np.asarray(mixture, np.float64), sample_rate, self.sample_rate)
        centre, spread = 0.0, 1.0
        if self.standardises:
            downmix = x.mean(0)
            centre, spread = float(downmix.mean()), float(downmix.std())
            if spread == 0.0:  # silence has no deviation: it stays what it is
                return {name: np.zeros_like(mixture) for name in self.order}
            x = (x - centre) / spread
        stems = in_chunks(x.astype(np.float32), self.sample_rate, self._run, compat=self.compat)
        if not np.isfinite(stems).all():
            msg = f"{self.name}: the network gave NaN or Inf; train it again or name other weights"
            raise ModelError(msg)
        return {
            name: resampled(one * spread + centre, self.sample_rate, sample_rate)
            for name, one in zip(self.order, stems.astype(np.float64), strict=True)
        }

    def identity(self) -> list[str]:
        """Name the network, its weights and how it is run."""
        from rtcore.batch import fingerprint

        files = find_weights(self.known, self._given).files if self._made_here else []
        return [self.name, f"compat={self.compat}", *(fingerprint(path) for path in files)]

    def ready(self) -> None:
        """Build the network."""
        _ = self.model

    @property
    def model(self) -> Any:
        """The network, built when it is first asked for."""
        if self._model is None:
            self._model = self._placed(self._build(find_weights(self.known, self._given)))
        return self._model

    def _run(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network over one chunk."""
        with torch().no_grad():
            heard = torch().from_numpy(np.ascontiguousarray(x))[None].to(self.device)
            found: NDArray[np.float32] = self.model(heard)[0].cpu().numpy()
        return found

    def _placed(self, model: Any) -> Any:
        torch().set_num_threads(1)
        try:
            return model.to(self.device).eval()
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            what = f"{self.name} cannot run on the device '{self.device}' ({reason:.120})"
            raise DeviceError(f"{what}; take --device cpu") from error

    @abstractmethod
    def _build(self, weights: Weights) -> Any:
        """Build the network and give it its weights."""

    def _fill(self, model: Any, state: dict[str, Any], path: Path, *, strict: bool = True) -> None:
        try:
            model.load_state_dict(state, strict=strict)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            what = f"does not fit the architecture of {self.name} ({reason:.160})"
            remedy = "name weights of that architecture, or save its arguments as 'config' with it"
            raise ModelError(f"{path}: {what}; {remedy}") from error

    def _made(self, maker: Callable[..., Any], config: dict[str, Any], path: Path) -> Any:
        try:
            return maker(**config)
        except (TypeError, ValueError) as error:
            what = f"cannot be built: {error}; mend 'config' in the file"
            raise ModelError(f"{path}: {self.name} {what}") from error


class HybridDemucs(Network):
    """Hybrid Demucs, the stronger baseline (torchaudio's ``HDEMUCS_HIGH_MUSDB``)."""

    known = HDEMUCS
    order = ("drums", "bass", "other", "vocals")
    standardises = True

    def _build(self, weights: Weights) -> Any:
        models = needed("torchaudio.models", "Hybrid Demucs is built", "separation")
        path = weights.parts[""]
        content = load_weights(path)
        config = dict(content["config"])
        self.order = tuple(config.pop("sources", self.order))
        if sorted(self.order) != sorted(STEMS):
            what = f"separates {', '.join(self.order)}, and the stems are {', '.join(STEMS)}"
            raise ConfigError(str(path), f"{what}; train it for those")
        maker = models.HDemucs if config else models.hdemucs_high
        model = self._made(lambda **more: maker(list(self.order), **more), config, path)
        self._fill(model, content["state_dict"], path)
        return model


#: The arguments of ``umxhq``: bins up to 16 kHz are heard.
_UMXHQ = {"nb_bins": 2049, "nb_channels": 2, "hidden_size": 512, "max_bin": 1487}


class OpenUnmix(Network):
    """Open-Unmix, the lighter baseline (``umxhq``, without iterations of the Wiener filter)."""

    known = OPEN_UNMIX
    standardises = False

    def _build(self, weights: Weights) -> Any:
        package = needed("openunmix.model", "Open-Unmix is built", "separation")
        whole = "" in weights.parts
        parts = load_weights(weights.parts[""]) if whole else {"config": {}}
        config = _UMXHQ | parts["config"]
        targets = {}
        for target in self.order:
            path = weights.parts["" if whole else target]
            states = parts["state_dict"] if whole else {target: load_weights(path)["state_dict"]}
            if not isinstance(states.get(target), dict):
                what = f"has no weights for {target}; save a dict of {', '.join(STEMS)}"
                raise ModelError(f"{path}: {what}, each with its state dict")
            targets[target] = self._made(package.OpenUnmix, config, path)
            # The official loader is as lenient: older files lack the counters of the batch norms.
            self._fill(targets[target], states[target], path, strict=False)
        n_fft = 2 * (int(config["nb_bins"]) - 1)
        return package.Separator(
            target_models=targets,
            niter=0,
            n_fft=n_fft,
            n_hop=n_fft // 4,
            nb_channels=2,
            sample_rate=float(self.sample_rate),
        )
