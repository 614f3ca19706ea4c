# SPDX-License-Identifier: MIT
"""The challenges' official baselines are judged by the challenges' own limits."""

from __future__ import annotations

import baselines
import pytest

from rtcore import Chain
from rtcore.latency.delay import measure_delay
from rtcore.latency.lookahead import measure_lookahead
from rtcore.latency.result import Measurement
from rtcore.latency.rules import find_rule, judge
from rtcore.latency.systems.base import ChainSystem
from rtcore.plugins import NALR, Compressor, SoftClip

RATE = 44100


def measured(system, *, positions=40, duration_s=0.5):
    """Measure look-ahead and delay in short sounds: pyclarity computes sample by sample."""
    found = measure_lookahead(system, positions=positions, duration_s=duration_s, budget_s=600.0)
    return Measurement(
        name=system.name,
        kind=system.kind,
        sample_rate=system.sample_rate,
        channels=system.channels,
        declared=system.declared,
        lookahead=found,
        delay=measure_delay(system, seconds=0.5),
    )


@pytest.fixture
def pyclarity():
    """Skip where pyclarity is not installed."""
    pytest.importorskip("clarity.enhancer.nalr", reason="pyclarity is not installed")


@pytest.fixture
def recipe(pyclarity):
    """Skip where pyclarity's recipes lack something that they import."""
    pytest.importorskip(
        "recipes.cad_icassp_2024.baseline.evaluate",
        reason="pyclarity's recipes cannot be imported",
        exc_type=ImportError,
    )


def show(found, verdict):
    """Print what a person would want to compare with the challenge's paper."""
    print(
        f"{found.name}: look-ahead {found.lookahead.samples} samples un-shifted, "
        f"{found.aligned_lookahead_samples} aligned, of {verdict.limit_samples}: {verdict.reason}"
    )


class TestClarity:
    def test_the_baseline_passes_5_ms(self, pyclarity):
        """NAL-R, compressor and tanh look ahead by nothing un-shifted, by 110 samples aligned."""
        found = measured(baselines.clarity_cec2())
        verdict = judge(find_rule("clarity"), found)
        show(found, verdict)
        assert "pass" == verdict.verdict
        assert not found.lookahead.whole_file
        assert (0, 110) == (found.lookahead.samples, found.aligned_lookahead_samples)
        assert found.lookahead.upper_samples == found.lookahead.samples
        aligned = next(term for term in verdict.terms if term.name == "aligned look-ahead")
        assert 110 == aligned.samples

    def test_without_its_delay_it_passes_as_well(self, pyclarity):
        """With its 110 samples of delay cut off, the look-ahead is 110 of the 220 samples."""
        found = measured(baselines.clarity_cec2(delay_removed=110))
        verdict = judge(find_rule("cec2"), found)
        show(found, verdict)
        assert "pass" == verdict.verdict
        assert (110, 0) == (found.lookahead.samples, found.latency_samples)
        assert (110, 220) == (verdict.total_samples, verdict.limit_samples)

    def test_cut_by_too_much_it_fails(self, pyclarity):
        """Moved ahead by 221 samples, the same system breaks the rule by one sample."""
        found = measured(baselines.clarity_cec2(delay_removed=221))
        verdict = judge(find_rule("clarity"), found)
        assert ("fail", 221) == (verdict.verdict, verdict.total_samples)
        assert "221 samples" in verdict.reason

    def test_our_chain_is_judged_alike(self):
        """The same plugins in a chain give the same numbers, which are those it declares."""
        plugins = [NALR(audiogram="N3"), Compressor(), SoftClip()]
        chain = Chain(plugins, sample_rate=RATE, channels=2, dtype="float64")
        found = measured(ChainSystem(chain, "CEC2"), positions=60)
        verdict = judge(find_rule("clarity"), found)
        show(found, verdict)
        assert "pass" == verdict.verdict
        assert (0, 110) == (found.lookahead.samples, found.aligned_lookahead_samples)
        assert found.declared.implied_lookahead_samples == found.lookahead.samples
        assert found.declared.latency_samples == found.latency_samples


class TestCadenza:
    def test_the_baseline_fails_for_its_loudness_match(self, recipe):
        """The remix is matched to the loudness of the whole mixture, and the verdict says so."""
        found = measured(baselines.cadenza_icassp24(), duration_s=1.0)
        verdict = judge(find_rule("cadenza"), found)
        show(found, verdict)
        assert "fail" == verdict.verdict
        assert found.lookahead.whole_file
        assert "depends on the whole file" in verdict.reason
        assert "normalised, to its loudness or another level" in verdict.reason

    def test_without_the_match_it_would_pass(self):
        """NAL-R alone, with gains that do not depend on the sound, keeps the rule."""
        chain = Chain([NALR(audiogram="N3")], sample_rate=RATE, channels=2, dtype="float64")
        verdict = judge(find_rule("cadenza"), measured(ChainSystem(chain, "remix"), positions=60))
        assert ("pass", 0) == (verdict.verdict, verdict.total_samples)


class TestAvse:
    @pytest.mark.parametrize("rule", ["clarity", "avsec-low-latency"])
    def test_the_baseline_fails_for_its_peak(self, rule):
        """The output is normalised to its peak, which is found in any challenge's rule."""
        found = measured(baselines.avse())
        verdict = judge(find_rule(rule), found)
        show(found, verdict)
        assert "fail" == verdict.verdict
        assert found.lookahead.whole_file
        assert "the whole file is normalised to its peak" in verdict.reason
