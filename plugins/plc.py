# SPDX-License-Identifier: MIT
"""Conceal lost packets of speech with rtcore's own networks, and by pitch where they are absent.

A network hears each 10 ms and refines the classical guess of the next 10 ms, so that a lost hop is
filled at once.  All is heard 5 ms later than it could be: in this time the end of a loss is joined
to what came behind it, and that is heard exactly as it came.  (In a stream of another rate than the
network's all is, but for 1 ms before a loss and 2 ms behind it.)  With ``lookahead_ms = 0`` nothing
waits, and the joint takes the first 5 ms that came.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from rtcore.plugins.model import Model  # type: ignore[import-not-found]  # found at run time

from rtcore import ParameterError, Prepared, Setting, Spec
from rtcore.dsp import ConcealmentTuning, foresight_memory
from rtcore.dsp.losses import Concealing
from rtcore.errors import ModelError
from rtcore.models import Bundle, find_bundle
from rtcore.onnx.classical import classical_bundle
from rtcore.onnx.rates import RatePlan
from rtcore.onnx.runner import runtime
from rtcore.onnx.untouched import untouched_buffers

#: The bundle for streams up to a rate, and the one for faster ones.
WIDE_BAND, FULL_BAND, WIDE_BAND_HZ = "plc-wb", "plc-fb", 16000
_SILENT_S = 1.2  # behind so long a loss nothing is heard


def _hasty(bundle: Bundle) -> Bundle:
    """Give a bundle that waits for nothing, and joins the end of a loss in what came behind it."""
    manifest = bundle.manifest
    frame = manifest.frame
    if not frame.hindsight:
        return bundle
    frame = frame.model_copy(update={"hindsight": 0, "fade": frame.hindsight})
    known = {"frame": frame, "latency": 0, "lookahead": 0}
    return replace(bundle, manifest=manifest.model_copy(update=known))


class Plc(Model):
    """Conceal lost packets of speech with a neural network.

    Parameters
    ----------
    bundle : str
        Another bundle that conceals; by default ``plc-wb`` up to 16 kHz and ``plc-fb`` above.
    detector : str
        ``"flag"``: frames are lost that are flagged so; ``"zeros"``: packets of zeros are, too.
    packet_ms : float
        Length of a packet; the ``"zeros"`` detector looks at whole packets.
    lookahead_ms : float
        5, or 0 where nothing may wait: losses then end a little less well.

    Notes
    -----
    Where ONNX Runtime or the networks' files are missing, which is said in a warning, the classical
    substitute is heard: what the plugin ``plc-pitch`` gives.  It also takes the place of hops of
    which a run fails; and where the network runs on a worker, of hops that are late.
    """

    id = "plc"
    conceals = True
    bundle = Setting("", type=str, doc="a bundle that conceals; rtcore's own where empty")
    detector = Concealing.detector
    packet_ms = Concealing.packet_ms
    parameters = Model.parameters
    placement = Model.placement
    lookahead_ms = Setting(
        5.0,
        choices=(0.0, 5.0),
        doc="what rtcore's own networks wait for to join the end of a loss to what came",
    )

    worker_allowance_s = Model.worker_allowance_s
    worker_late = Model.worker_late

    def prepare(self, spec: Spec) -> Prepared:
        """Open the network and lay out its memory, and that of what came."""
        made, plan = super().prepare(spec), self._plan(spec)
        frame = self._found(spec).manifest.frame
        joint_s = frame.fade / self._found(spec).manifest.sample_rate
        if not self._network(spec):
            joint_s = ConcealmentTuning().longest_fade_ms / 1000.0
        untouched = untouched_buffers(
            spec.channels,
            plan.frames,
            made.latency_frames,
            spec.sample_rate,
            spec.frames(joint_s),
            resampled=plan.down is not None,
        )
        zeros = self.detector == "zeros"
        return replace(
            made,
            tail_frames=made.tail_frames + (spec.frames(_SILENT_S) + plan.frames if zeros else 0),
            state={**made.state, "zeros": int(zeros)},
            buffers={**made.buffers, **untouched},
        )

    def _network(self, spec: Spec) -> Bundle | None:
        """Find the network for a stream; None where the classical substitute must do."""
        wanted = self.bundle or (WIDE_BAND if spec.sample_rate <= WIDE_BAND_HZ else FULL_BAND)
        try:
            found = find_bundle(wanted)
            runtime()
        except ModelError as error:
            if self.bundle:
                raise
            warnings.warn(f"plc conceals as plc-pitch does: {error}", RuntimeWarning, stacklevel=2)
            return None
        if not found.manifest.concealment:
            what = f"{found.manifest.id} conceals nothing; name a bundle with concealment = true"
            raise ParameterError("bundle", what)
        return found

    def _found(self, spec: Spec) -> Bundle:
        """Give the network, or the bundle without any that stands for it."""
        found = self._network(spec) or classical_bundle(spec.sample_rate)
        return found if self.lookahead_ms else _hasty(found)

    def _plan(self, spec: Spec) -> RatePlan:
        """Take whole packets where each must be looked at before it is heard."""
        plan = super()._plan(spec)
        if self.detector == "flag":
            return plan
        packet = max(1, spec.frames(self.packet_ms / 1000.0))
        if packet % plan.frames:
            what = f"must be a multiple of {1000.0 * plan.frames / spec.sample_rate:g} ms here"
            raise ParameterError("packet_ms", f"{what}, got {self.packet_ms:g}")
        times = packet // plan.frames
        return replace(plan, frames=packet, samples=times * plan.samples)

    def _foreseen(self, instances: int) -> np.ndarray:
        """Give the memories of foresight; alone, the classical substitute dies away sooner."""
        if self._loaded.bundle.manifest.stage:
            return super()._foreseen(instances)
        rate = self._loaded.bundle.manifest.sample_rate
        return np.tile(foresight_memory(rate, 1, ConcealmentTuning()), (instances, 1, 1))
