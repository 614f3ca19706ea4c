# SPDX-License-Identifier: MIT
"""The neural concealer: joints, losses and sounds of all kinds, and what stands behind it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from losses import after_losses, conceal, play

from rtcore import Chain, ConfigError, ModelError
from rtcore.dsp import longest_fade_frames
from rtcore.host import find
from rtcore.models import find_bundle
from rtcore.synth import speech_like
from rtcore.testing.case import first_difference

# Its kernel takes half a minute to compile, which no two processes shall do at once.
pytestmark = pytest.mark.xdist_group("plc")

RATES = {16000.0: "plc-wb", 48000.0: "plc-fb"}
JOINT_S = 0.005


def concealer(*, waits=True, **settings):
    """Make the plugin: as it comes, or such that nothing waits."""
    return find("plc")(**settings) if waits else find("plc")(lookahead_ms=0.0, **settings)


def bursts(packets, length, every):
    """Lose `length` packets of every `every`, but none of the first."""
    return [k % every >= every - length for k in range(packets)]


def spoken(packets, rate, level=0.3):
    """Give sound like speech, (1, frames), of packets of 20 ms."""
    frames = round(rate / 50.0) * packets
    x = speech_like(frames / rate + 0.1, rate)[np.newaxis, :frames]
    return (level * x / np.abs(x).max()).astype(np.float32)


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("rate", RATES)
@settings(max_examples=15)
@given(lost=st.lists(st.booleans(), min_size=4, max_size=24), dtype=st.sampled_from(["f4", "f8"]))
def test_what_came_is_heard_bit_for_bit(rate, waits, lost, dtype):
    """All that came is unchanged, in either type; but for 5 ms behind a loss where none waits."""
    packet = round(rate / 50.0)
    x = (0.2 * np.random.default_rng(1).standard_normal((1, packet * len(lost)))).astype(dtype)
    chain = Chain(
        [concealer(waits=waits)], sample_rate=rate, channels=1, dtype=x.dtype.name,
        block_frames=packet,
    )  # fmt: skip
    late, joint = round(JOINT_S * rate) * waits, round(JOINT_S * rate) * (not waits)
    y = play(chain, x, lost, packet)[:, late:]
    assert late == chain.latency_frames
    kept = after_losses(lost, packet, joint)[: y.shape[1]]
    assert x[:, : y.shape[1]][:, kept].tobytes() == y[:, kept].tobytes()
    assert np.isfinite(y).all()


@pytest.mark.parametrize("rate", [8000.0, 24000.0, 44100.0])
def test_at_other_rates_what_came_is_heard_bit_for_bit(rate):
    """Only what was lost, and its edges, goes through the network and its resampling."""
    packet, lost = round(rate / 50.0), bursts(60, 2, 12)
    x = (0.2 * np.random.default_rng(2).standard_normal((2, packet * 60))).astype(np.float32)
    chain = Chain([find("plc")()], sample_rate=rate, block_frames=packet)
    y, late = play(chain, x, lost, packet), chain.latency_frames
    edge = round(0.001 * rate) + 1
    kept = after_losses(lost, packet, round(0.0021 * rate) + 1)
    for k in np.flatnonzero(np.diff(lost, prepend=False)):
        kept[max(k * packet - edge, 0) : k * packet] = False
    heard, came = y[:, late:], x[:, : x.shape[1] - late]
    kept = kept[: heard.shape[1]]
    assert kept.mean() > 0.5
    assert came[:, kept].tobytes() == heard[:, kept].tobytes()
    gone = np.repeat(lost, packet)[: heard.shape[1]]
    assert np.sqrt(np.mean(heard[:, gone] ** 2)) > 0.02


@pytest.mark.parametrize("rate", RATES)
def test_the_bundle_of_the_rate_plays(rate):
    """Streams up to 16 kHz get the wide-band network, faster ones the full-band one."""
    named = conceal(find("plc")(bundle=RATES[rate]), spoken(40, rate), bursts(40, 2, 8),
                    round(rate / 50.0), rate=rate)  # fmt: skip
    chosen = conceal(
        find("plc")(), spoken(40, rate), bursts(40, 2, 8), round(rate / 50.0), rate=rate
    )
    assert named.tobytes() == chosen.tobytes()


@settings(max_examples=10)
@given(sizes=st.lists(st.integers(1, 160), min_size=1, max_size=8))
def test_any_cutting_gives_the_same_bits(sizes):
    """Packets that are fed in pieces give what they give whole."""
    x, lost = spoken(30, 16000.0), bursts(30, 2, 7)
    whole = conceal(find("plc")(), x, lost, 320)
    assert first_difference(whole, conceal(find("plc")(), x, lost, 320, sizes=sizes)) is None


@pytest.mark.parametrize("packet_ms", [10.0, 20.0])
def test_blind_equals_informed(packet_ms):
    """The detector finds in a zeroed stream what the flags say."""
    packet = round(16.0 * packet_ms)
    x = (0.1 * np.random.default_rng(4).standard_normal((1, packet * 60))).astype(np.float32)
    lost = np.random.default_rng(5).random(60) < 0.3
    told = Chain([find("plc")()], sample_rate=16000.0, channels=1, block_frames=packet)
    blind = Chain(
        [find("plc")(detector="zeros", packet_ms=packet_ms)],
        sample_rate=16000.0, channels=1, block_frames=packet,
    )  # fmt: skip
    flagged = play(told, x, lost, packet)
    assert told.latency_frames == blind.latency_frames
    assert flagged.tobytes() == blind.process(x * ~np.repeat(lost, packet)).tobytes()


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("rate", RATES)
def test_nothing_depends_on_what_comes_later(rate, waits):
    """Sounds that part at a frame give outputs that part no earlier than is declared."""
    packet, lost = round(rate / 50.0), bursts(40, 3, 9)
    x = (0.1 * np.random.default_rng(0).standard_normal((1, packet * 40))).astype(np.float32)
    heard = {}
    # The second one is the last sample of a hop behind a loss, which tells of what was before.
    for at in (packet * 23 + packet // 3, packet * 18 + packet // 2 - 1):
        for seed in (1, 2):
            z = x.copy()
            z[:, at:] = 0.1 * np.random.default_rng(seed).standard_normal(z[:, at:].shape)
            chain = Chain(
                [concealer(waits=waits)], sample_rate=rate, channels=1, block_frames=packet
            )
            y = play(chain, z, lost, packet)
            heard.setdefault(at, []).append(y)
    ahead = chain.lookahead_frames - chain.latency_frames
    parts = [at - int(np.argmax((a != b).any(axis=0))) for at, (a, b) in heard.items()]
    assert (round(0.015 * rate) - 1 if waits else 0) == chain.lookahead_frames
    assert ahead - 8 < max(parts) <= ahead  # the joint's first samples have little weight


@pytest.mark.parametrize("rate", RATES)
def test_waiting_joins_a_loss_better(rate):
    """With 5 ms of hindsight the end of losses is nearer to what was lost, level for level."""
    packet, lost = round(rate / 50.0), bursts(150, 1, 4)
    x = spoken(150, rate)
    ends = np.zeros(x.shape[1], bool)
    for k in np.flatnonzero(lost):
        ends[(k + 1) * packet - round(JOINT_S * rate) : (k + 1) * packet] = True
    missed = []
    for waits in (True, False):
        chain = Chain([concealer(waits=waits)], sample_rate=rate, channels=1, block_frames=packet)
        late = chain.latency_frames
        y = play(chain, x, lost, packet)[:, late:]
        kept = ends[: y.shape[1]]
        missed.append(np.mean((y - x[:, : y.shape[1]])[:, kept] ** 2))
    assert missed[0] < 0.7 * missed[1]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(lambda r, n: 0.5 * np.sign(r.standard_normal(n)), id="noise"),
        pytest.param(lambda _, n: np.ones(n), id="DC"),
        pytest.param(lambda _, n: np.where(np.arange(n) % 2, 1.0, -1.0), id="Nyquist"),
        pytest.param(lambda r, n: 1e-6 * r.standard_normal(n), id="very soft"),
        pytest.param(lambda _, n: (np.arange(n) % 100 == 0) * 1.0, id="clicks"),
        pytest.param(lambda _, n: np.clip(3 * np.sin(np.arange(n) * 0.03), -1, 1), id="clipped"),
        pytest.param(
            lambda _, n: sum(0.2 * np.sin(np.arange(n) * w) for w in (0.02, 0.0252, 0.03)),
            id="chord",
        ),
        pytest.param(lambda r, n: 1e8 * r.standard_normal(n), id="absurdly loud"),
    ],
)
def test_no_sound_blows_it_up(rate, sound):
    """80 % lost of any sound: finite, and no louder than noise of its power could be."""
    packet = round(rate / 50.0)
    x = sound(np.random.default_rng(1), packet * 100)[np.newaxis].astype(np.float32)
    y = conceal(find("plc")(), x, bursts(100, 8, 10), packet, rate=rate)
    assert np.isfinite(y).all()
    assert 3.5 * np.abs(x).max() >= np.abs(y).max()


@pytest.mark.parametrize("rate", RATES)
def test_silence_goes_on_as_silence(rate):
    """A loss in digital silence, and one before anything came, make no sound."""
    packet = round(rate / 50.0)
    assert not conceal(find("plc")(), np.zeros((1, packet * 20)), bursts(20, 1, 2), packet,
                       rate=rate).any()  # fmt: skip
    assert not conceal(find("plc")(), np.ones((1, packet * 5)), [True] * 5, packet, rate=rate).any()


@pytest.mark.parametrize("rate", RATES)
def test_a_second_fades_gracefully(rate):
    """Of a burst of 1 s each 100 ms is softer than the one before, but for 1 dB, and it ends."""
    packet, lost = round(rate / 50.0), [*[False] * 25, *[True] * 50, *[False] * 10]
    x = spoken(85, rate)
    y = conceal(find("plc")(), x, lost, packet, rate=rate)[0, round(JOINT_S * rate) :]
    burst = y[25 * packet : 75 * packet].reshape(10, -1).astype(float)
    level = 10.0 * np.log10(np.mean(burst**2, axis=1) + 1e-12)
    assert level[0] > level.max() - 3.0
    assert (np.diff(level[1:]) < 1.0).all()
    assert level[-1] < -80.0
    assert np.abs(np.diff(y)).max() < 1.5 * np.abs(np.diff(x[0])).max()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("packets", "most"), [(8, 0.3), (16, 0.5)])
def test_bursts_of_noise_do_not_buzz(seed, packets, most):
    """For 0.32 s no period stands out: what goes on with noise must not become a tone."""
    rng = np.random.default_rng(seed)
    lost = [*[False] * 25, *[True] * packets, *[False] * 12]
    x = (0.1 * rng.standard_normal((1, 320 * len(lost)))).astype(np.float32)
    y = conceal(find("plc")(), x, lost, 320)[0, 25 * 320 : (25 + packets) * 320].astype(float)
    y /= np.sqrt(np.convolve(y**2, np.ones(320) / 320, "same")) + 1e-9  # level out the fade
    correlation = np.fft.irfft(np.abs(np.fft.rfft(y, 1 << 15)) ** 2)
    lags = slice(16000 // 500, 16000 // 50)
    assert most > correlation[lags].max() / correlation[0]


def test_a_level_change_is_followed():
    """Ten times softer sound behind a loss is concealed ten times softer at the next one."""
    x = spoken(100, 16000.0)
    x[:, 320 * 50 :] *= 0.1
    lost = bursts(100, 2, 10)
    y = conceal(find("plc")(), x, lost, 320)
    loud, soft = (
        np.sqrt(np.mean(y[0, 320 * a : 320 * b].reshape(-1, 320)[np.array(lost[a:b])] ** 2))
        for a, b in ((20, 50), (60, 100))
    )
    assert 5.0 < loud / soft < 20.0


def test_channels_know_nothing_of_one_another():
    """Each channel of a stereo stream is what it is alone."""
    x = np.concatenate([spoken(30, 16000.0), 0.3 * spoken(30, 16000.0)[:, ::-1]])
    lost = bursts(30, 2, 6)
    both = conceal(find("plc")(), x, lost, 320)
    assert both[1:].tobytes() == conceal(find("plc")(), x[1:], lost, 320).tobytes()


def test_on_a_worker_it_is_the_same_only_later():
    """Offline, placement changes nothing but the latency."""
    x, lost = spoken(40, 16000.0), bursts(40, 2, 8)
    chains = [
        Chain([find("plc")(placement=p)], sample_rate=16000.0, channels=1, block_frames=160)
        for p in ("inline", "worker")
    ]
    inline, later = (play(chain, x, lost, 160 * 2) for chain in chains)
    late = chains[1].latency_frames - chains[0].latency_frames
    assert late > 0
    assert inline[:, :-late].tobytes() == later[:, late:].tobytes()


def test_without_the_network_it_conceals_by_pitch(monkeypatch):
    """Where the network is missing that is said, and the bits are those of plc-pitch."""

    def nothing(name):
        raise ModelError(f"no model bundle is called '{name}'")

    concealer = find("plc")
    monkeypatch.setitem(concealer._network.__globals__, "find_bundle", nothing)
    x, lost = spoken(60, 16000.0), bursts(60, 3, 10)
    with pytest.warns(RuntimeWarning, match="conceals as plc-pitch does: no model bundle"):
        chain = Chain([concealer()], sample_rate=16000.0, channels=1, block_frames=160)
    classical = conceal(find("plc-pitch")(), x, lost, 320)
    assert classical.tobytes() == play(chain, x, lost, 320).tobytes()
    assert longest_fade_frames(16000.0) < 320


def test_a_missing_bundle_of_the_users_own_is_refused():
    """Whoever names a bundle gets that one, or a sentence."""
    with pytest.raises(ModelError, match="no model bundle is called 'mine'"):
        Chain([find("plc")(bundle="mine")], sample_rate=16000.0, channels=1)


def test_packets_that_are_no_whole_hops_are_refused():
    """The detector looks at whole packets, which must be whole hops of the network."""
    with pytest.raises(ConfigError, match="packet_ms: must be a multiple of 10 ms"):
        Chain([find("plc")(detector="zeros", packet_ms=15.0)], sample_rate=16000.0, channels=1)


@pytest.mark.parametrize("name", RATES.values())
def test_bundles_are_small_and_have_cards(name):
    """Weights stay under 10 MB, and a card tells of data, licence, figures and limits."""
    bundle = find_bundle(name)
    assert all(file.stat().st_size < 10e6 for file in bundle.files())
    card = (bundle.folder / "README.md").read_text("utf-8")
    for word in ("Licence", "Data", "Figures", "Limits"):
        assert word in card
