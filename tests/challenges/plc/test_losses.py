# SPDX-License-Identifier: MIT
"""Traces in figures, models of loss, their fitting, and the choice of traces for clips."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcore.challenges.plc.bursts import (
    STRATA,
    bursts_of,
    histogram,
    loss_cells,
    run_lengths,
    stratum_of,
)
from rtcore.challenges.plc.draw import Pool, Sampler, pool_of_models, pool_of_traces
from rtcore.challenges.plc.fitting import fit
from rtcore.challenges.plc.loss_models import LossModel, parse_model
from rtcore.errors import ConfigError

TRACE = st.lists(st.booleans(), max_size=80).map(lambda bits: np.array(bits, bool))
MODELS = ["gilbert:0.05,0.33", "gilbert-elliott:0.03,0.15,0.01,0.7", "markov3:0.02,0.1,0.3,0.4"]


class TestBursts:
    """Runs of lost packets."""

    @given(lost=TRACE)
    def test_equal_a_plain_count(self, lost):
        """Runs, losses and the longest burst are those that counting by hand gives."""
        runs = [len(list(group)) for value, group in itertools.groupby(lost) if value]
        assert runs == run_lengths(lost).tolist()
        facts = bursts_of(lost)
        expected = (len(lost), sum(runs), len(runs), max(runs, default=0))
        assert expected == (facts.packets, facts.lost, facts.bursts, facts.longest)
        assert sum(runs) == sum((k + 1) * n for k, n in enumerate(histogram([lost])))

    @pytest.mark.parametrize(
        ("longest", "stratum"),
        [(0, None), (1, 0), (6, 0), (7, 1), (16, 1), (17, 2), (50, 2), (51, None)],
    )
    def test_strata(self, longest, stratum):
        """The strata end with 6, 16 and 50 packets: 120, 320 and 1000 ms."""
        assert stratum == stratum_of(np.array([False, *[True] * longest, False]))

    @given(rates=st.lists(st.floats(0, 1), min_size=1, max_size=200), cells=st.integers(1, 20))
    def test_cells_are_equal_and_in_order(self, rates, cells):
        """Cells hold equally many traces, one more or less, and no cell's rates pass the next's."""
        numbers = loss_cells(rates, cells)
        counts = np.bincount(numbers)
        assert min(cells, len(rates)) == len(counts)
        assert counts.max() - counts.min() <= 1
        ordered = [max(np.array(rates)[numbers == k]) for k in range(len(counts))]
        lowest = [min(np.array(rates)[numbers == k]) for k in range(len(counts))]
        assert all(a <= b for a, b in itertools.pairwise(itertools.chain(*zip(lowest, ordered))))  # noqa: B905


class TestModels:
    """What a model says of itself is what its traces show."""

    @pytest.mark.parametrize("text", MODELS)
    def test_generated_traces(self, text):
        """Loss rate, mean burst and burst lengths of many traces are those that were computed."""
        model = parse_model(text)
        traces = model.generate(2000, 500, np.random.default_rng(4))
        counts = histogram(list(traces))
        assert model.loss_rate == pytest.approx(traces.mean(), rel=0.05)
        assert model.mean_burst == pytest.approx(traces.sum() / counts.sum(), rel=0.05)
        shares = model.burst_shares(10)
        assert 1.0 == pytest.approx(shares.sum(), abs=1e-9)
        assert shares[:9] == pytest.approx(counts[:9] / counts.sum(), abs=0.01)

    def test_gilbert_by_hand(self):
        """Gilbert's loss rate is p / (p + q), its mean burst 1 / q."""
        model = LossModel("gilbert", (0.05, 0.2))
        assert pytest.approx((0.2, 5.0)) == (model.loss_rate, model.mean_burst)

    @pytest.mark.parametrize(
        ("text", "loss", "burst"),
        [("gilbert:0,1", 0.0, 0.0), ("gilbert:1,1", 0.5, 1.0), ("gilbert:1,0", 1.0, np.inf)],
    )
    def test_at_the_ends(self, text, loss, burst):
        """Chains that alternate or get stuck have figures too."""
        model = parse_model(text)
        assert pytest.approx((loss, burst)) == (model.loss_rate, model.mean_burst)

    @pytest.mark.parametrize("text", MODELS)
    def test_seed(self, text):
        """The same seed gives the same traces, and the text gives the same model."""
        model = parse_model(text)
        one, two = (model.generate(3, 90, np.random.default_rng(9)) for _ in range(2))
        assert np.array_equal(one, two)
        assert model == parse_model(str(model))

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("gilber:0.1,0.2", "is no model of loss .did you mean 'gilbert'"),
            ("gilbert:0.1", "needs 2 numbers, got 1; write gilbert:p,q"),
            ("gilbert:0.1,2", "gilbert.q: is a probability"),
            ("gilbert:0.1,nan", "gilbert.q: is a probability"),
            ("gilbert:a,b", "'a' is no number"),
            ("markov3:0.1,0.8,0.7,0.1", "b . c must be at most 1"),
        ],
    )
    def test_refused(self, text, words):
        """Impossible models get a sentence."""
        with pytest.raises(ConfigError, match=words):
            parse_model(text)


class TestFitting:
    """The parameters that made traces are found again."""

    @pytest.mark.parametrize("text", MODELS)
    def test_found_again(self, text):
        """From many traces each parameter comes back, and the likelihood is no smaller."""
        model = parse_model(text)
        traces = list(model.generate(300, 500, np.random.default_rng(2)))
        found = fit(traces, model.kind)
        assert model.values == pytest.approx(found.model.values, rel=0.15, abs=0.01)
        assert 0.02 > found.distance
        assert found.loss_rate[0] == pytest.approx(found.loss_rate[1], abs=0.01)

    def test_gilbert_is_a_count(self):
        """Gilbert's maximum likelihood is the share of transitions."""
        lost = np.array([0, 0, 1, 1, 1, 0, 1, 0, 0, 0], bool)
        assert pytest.approx((2 / 5, 2 / 4)) == fit([lost], "gilbert").model.values

    def test_richer_models_fit_no_worse(self):
        """A hidden state never makes the traces less likely."""
        model = parse_model("markov3:0.02,0.1,0.3,0.4")
        traces = list(model.generate(100, 400, np.random.default_rng(8)))
        fits = {kind: fit(traces, kind).log_likelihood for kind in ("gilbert", "markov3")}
        assert fits["markov3"] > fits["gilbert"]

    @pytest.mark.parametrize("value", [False, True])
    def test_nothing_to_fit(self, value):
        """Traces without a loss, or of nothing else, are refused."""
        with pytest.raises(ConfigError, match="to which no model can be fitted"):
            fit([np.full(50, value)], "gilbert")
        with pytest.raises(ConfigError, match="is no model of loss"):
            fit([np.full(50, value)], "gauss")


@pytest.fixture(scope="module")
def pool():
    found = pool_of_models([parse_model("gilbert:0.04,0.2")], 10.0, np.random.default_rng(0))
    found.strata = [stratum[:50] for stratum in found.strata]
    return found


class TestDrawing:
    """Strata and cells come out in the shares that were asked for."""

    @given(count=st.integers(1, 300))
    def test_shares(self, pool, count):
        """After any number of clips no stratum is a clip off its share, no cell off another."""
        sampler = Sampler(pool, (3.0, 2.0, 1.0), np.random.default_rng(1))
        drawn = [sampler.draw(400) for _ in range(count)]
        for number, share in enumerate((3 / 6, 2 / 6, 1 / 6)):
            inside = [d for d in drawn if d.stratum == number]
            assert 1.0 >= abs(len(inside) - share * count)
            cells = np.bincount([d.cell for d in inside], minlength=14)
            assert 1 >= cells.max() - cells.min()
            assert all(number == stratum_of(d.lost) for d in inside)
            assert all(400 == len(d.lost) for d in inside)

    def test_dropped(self):
        """Traces without loss and with bursts of more than a second are counted and dropped."""
        traces = [np.zeros(100, bool), np.ones(100, bool), np.arange(100) < 9]
        pool = pool_of_traces([(str(k), lost) for k, lost in enumerate(traces)], 10.0)
        assert (1, 1, [0, 1, 0]) == (
            pool.without_loss,
            pool.too_long,
            [len(stratum) for stratum in pool.strata],
        )

    def test_windows(self):
        """A trace longer than a clip is cut, and tells where each window begins."""
        lost = np.arange(1100) % 10 == 0
        pool = pool_of_traces([("long", lost)], 10.0)
        assert [(500, 0), (500, 500), (100, 1000)] == [(len(t), o) for t, _, o in pool.strata[0]]

    def test_absent_strata(self):
        """A stratum of which there is no trace is named, and the others fill up."""
        pool = pool_of_traces([("a", np.arange(100) % 10 == 0)], 10.0)
        sampler = Sampler(pool, (1.0, 1.0, 1.0), np.random.default_rng(0))
        assert [STRATA[1].name, STRATA[2].name] == sampler.absent
        assert 0 == sampler.draw(50).stratum

    def test_nothing_fits(self):
        """Without any trace of the strata wanted there is a sentence."""
        with pytest.raises(ConfigError, match="no trace fits the strata wanted"):
            Sampler(Pool(), (1.0, 1.0, 1.0), np.random.default_rng(0))
