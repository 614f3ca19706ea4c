# SPDX-License-Identifier: MIT
"""The HTML report: complete, safe, light, and readable in a real browser without a network."""

from __future__ import annotations

import dataclasses
import math
import re
import shutil
import struct
import subprocess
import sys
import xml.etree.ElementTree as ET
import zlib
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcore.errors import DeviceError, RtcoreError
from rtcore.latency.report.page import render_report, write_report
from rtcore.latency.report.summary import headline
from rtcore.latency.report.wording import number
from rtcore.latency.result import (
    Compute,
    Declared,
    Delay,
    Lookahead,
    Measurement,
    Position,
    Timing,
)
from rtcore.latency.rules import judge_all, load_rules

RATE = 44100
COMMAND = "rtcore latency --command 'python my.py {in} {out}' --rule all"
MACHINE = {"processor": "Test <1>", "cores": 2, "load_average": (0.5, 1.0), "packages": {"a": "1"}}
MS = {"p50": 0.1, "p95": 0.2, "p99": 0.3, "p99.9": 0.4, "max": 2.0}
TIMING = Timing(1000, MS, 0.08, 3, ({"place": "plugin[0]", "id": "nalr", **MS},),
                ((0.1, 900), (0.2, 97), (2.0, 3)))  # fmt: skip
VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


def lookahead(samples=120, *, count=300, whole=False, **changes):
    """Give a look-ahead that rises and falls with a hop of 64."""
    rows = [(5000 + k, 0 if whole else 5000 + k - samples + k % 64) for k in range(count)]
    positions = tuple(Position(at, first, ("noise", "speech")[at % 2]) for at, first in rows)
    seen = max((p.lookahead for p in positions), default=0)
    found = Lookahead(
        samples=seen,
        upper_samples=None if whole else seen,
        whole_file=whole,
        cause="The output is scaled to the peak of the whole file." if whole else "",
        noise_floor=0.0,
        positions=positions,
        scanned=(5000, 5000 + count),
        gap_samples=1,
        hop_samples=64,
        period_samples=1280,
        runs=2 * count,
    )
    return dataclasses.replace(found, **changes)


def measurement(**changes):
    """Give a measurement in which nothing is missing."""
    frequency = tuple(float(f) for f in range(100, 20000, 100))
    delay = Delay(64.0, 0.98, "impulse and correlation agree", {"impulse": 64.0}, frequency,
                  (64.0,) * len(frequency), (0.9,) * len(frequency))  # fmt: skip
    whole = {
        "name": "my system",
        "kind": "callable",
        "sample_rate": RATE,
        "channels": 2,
        "declared": Declared(frame_samples=128, hop_samples=64, latency_samples=64),
        "lookahead": lookahead(),
        "delay": delay,
        "compute": Compute("paced", 64, 1.45, 60.0, TIMING, TIMING, ("times include a copy",)),
    }
    return Measurement(**{**whole, **changes})


def page(m, verdicts=None):
    """Render a report that every rule has judged."""
    verdicts = judge_all(load_rules(), m) if verdicts is None else verdicts
    return render_report(m, verdicts, command=COMMAND, machine=MACHINE)


class Reader(HTMLParser):
    """Read a page: its tags must close in order, its ids be single, its references be local."""

    def __init__(self, html):
        super().__init__()
        self.open, self.ids, self.text, self.references, self.tags = [], [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value)
            if key in {"src", "href", "xlink:href", "srcset", "action", "data"}:
                self.references.append((tag, value))
            assert not key.startswith("on"), f"<{tag}> has a script: {key}"

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert tag == self.open.pop(), f"</{tag}> closes what is not open"

    def handle_data(self, data):
        self.text.append(data)


def checked(html):
    """Read a page and hold it to what every report must be."""
    reader = Reader(html)
    assert [] == reader.open
    assert len(reader.ids) == len(set(reader.ids))
    assert "script" not in reader.tags
    outside = [(t, r) for t, r in reader.references if not r.startswith("#") and t != "a"]
    assert [] == outside
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        children = [child.tag.rpartition("}")[2] for child in ET.fromstring(svg)]
        assert ["title", "desc"] == children[:2]
    assert len(html.encode()) < 1_500_000
    text = re.sub(r"url\([\"']?#", "", html)
    assert "url(" not in text
    assert "@import" not in text
    return reader


def test_a_report_says_everything():
    """Verdict, rules with all terms, figures, positions, machine and command are there."""
    m = measurement()
    verdicts = judge_all(load_rules(), m)
    text = " ".join(" ".join(checked(page(m, verdicts)).text).split())
    for verdict in verdicts:
        assert verdict.title in text
        assert all(term.name in text for term in verdict.terms)
    for heading in (
        "The rules", "The budget of each rule", "Around one output sample",
        "Look-ahead at each position", "Look-ahead over the phase of the block",
        "Time spent on the work", "Group delay over frequency", "Repeat it", "Measured on",
        "What was tried, and what could have been missed",
    ):  # fmt: skip
        assert heading in text
    assert COMMAND in text
    assert "Test <1>" in text
    assert "1\N{NARROW NO-BREAK SPACE}280 samples" in page(m)
    assert "times include a copy" in text


BARE = Timing(1000, MS, 0.08, 0)
CASES = {
    "no delay": {"delay": None},
    "no compute": {"compute": None},
    "nothing declared": {"declared": Declared()},
    "whole file": {"lookahead": lookahead(whole=True)},
    "no position": {"lookahead": lookahead(count=0, hop_samples=None, period_samples=0)},
    "no difference": {
        "lookahead": lookahead(positions=(Position(10, None, "noise"),), hop_samples=None)
    },
    "pure delay": {"lookahead": lookahead(-200)},
    "no histogram": {"compute": Compute("paced", 64, 1.45, 1.0, BARE)},
    "whole files": {"compute": Compute("whole file", None, None, 9.0, BARE)},
    "random": {"lookahead": lookahead(noise_floor=1e-5, upper_samples=None)},
    "delay unknown": {"delay": Delay(0.0, 0.0, "nothing of the input is in the output")},
    "one frequency": {"delay": Delay(3.5, 0.7, "", {}, (100.0,), (3.5,), (0.2,))},
    "a kind of its own": {"kind": "other", "channels": 1},
}  # fmt: skip


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_missing_parts_are_no_hindrance(changes):
    """Whatever could not be measured, the rest is shown."""
    checked(page(measurement(**changes)))


def test_numbers_that_are_none_are_shown():
    """NaN and infinity are said in words, and drawn nowhere."""
    nan, inf = math.nan, math.inf
    delay = Delay(nan, nan, "nan", {"impulse": nan}, (1.0, nan, 9.0), (inf, 1.0, nan), (nan, 1.0))
    timing = Timing(0, dict.fromkeys(MS, nan), inf, 0, (), ((nan, 1), (inf, 2), (0.0, 3)))
    compute = Compute("paced", 64, inf, nan, timing, timing)
    text = " ".join(checked(page(measurement(delay=delay, compute=compute), [])).text)
    assert "not a number" in text
    assert "nan ms" not in text


def test_no_rule_at_all():
    """A measurement without rules has a report too."""
    assert "Measured; no rule was asked for" in page(measurement(), [])


def test_thousands_of_positions_stay_light():
    """20,000 positions make no more than 1.5 MB, and the furthest is drawn."""
    checked(page(measurement(lookahead=lookahead(count=20_000))))


def fake(verdict):
    """Give a real verdict of any outcome."""
    real = judge_all(load_rules(), measurement())[0]
    return dataclasses.replace(real, verdict=verdict)


@pytest.mark.parametrize(
    ("verdicts", "whole", "expected"),
    [
        ([], False, "Measured; no rule was asked for"),
        ([], True, "Looks at the whole file"),
        (["pass"], False, "Keeps the one rule asked for"),
        (["pass"] * 7, False, "Keeps all 7 rules"),
        (["fail"], False, "Breaks 1 of 1 rule"),
        (["fail"] * 2 + ["pass"] * 5, True, "Breaks 2 of 7 rules: looks at the whole file"),
        (["fail", "unverified"], False, "Breaks 1 of 2 rules; 1 is unverified"),
        (["pass", "unverified", "unverified"], False, "Keeps 1 of 3 rules; 2 are unverified"),
        (["unverified"], False, "The rule could not be verified"),
        (["unverified"] * 2, False, "Nothing could be verified"),
    ],
)
def test_the_headline_says_the_verdict(verdicts, whole, expected):
    """The first sentence tells how many rules are broken, and why."""
    m = measurement(lookahead=lookahead(whole=whole))
    assert expected == headline(m, [fake(verdict) for verdict in verdicts])


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0"), (-0.001, "\N{MINUS SIGN}0.001"), (5.8, "5.8"), (100.0, "100"), (None, "unknown"),
     (12345, "12\N{NARROW NO-BREAK SPACE}345"), (math.nan, "not a number"), (3e-5, "0.00003")],
)  # fmt: skip
def test_numbers_read_well(value, expected):
    """Numbers have no needless zeros, a true minus and room between thousands."""
    assert expected == number(value)


EVIL = '</title></style><script>alert(1)</script><img src="http://x/y" onerror=a>{{ 7*7 }}&$x$'


def test_what_users_say_is_only_text():
    """Markup in a name, a command, a cause or a machine's data is shown and does nothing."""
    m = measurement(name=EVIL, lookahead=lookahead(cause=EVIL))
    m = dataclasses.replace(m, delay=dataclasses.replace(m.delay, method=EVIL, by={EVIL: 1.0}))
    rule = fake("fail")
    terms = tuple(dataclasses.replace(term, name=EVIL, note=EVIL) for term in rule.terms)
    rule = dataclasses.replace(rule, title=EVIL, reason=EVIL, source=EVIL, terms=terms)
    html = render_report(m, [rule], command=EVIL, machine={EVIL: {EVIL: [EVIL, None, 1.5]}})
    assert EVIL in "".join(checked(html).text)


def test_links_are_only_made_of_web_addresses():
    """A source that is a web address can be followed; any other stays text."""
    good = dataclasses.replace(fake("pass"), source="https://example.org/rule")
    bad = dataclasses.replace(fake("pass"), source="javascript:alert(1)")
    reader = checked(page(measurement(), [good, bad]))
    assert [("a", "https://example.org/rule")] == [r for r in reader.references if r[0] == "a"]


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=st.text(max_size=60))
def test_any_name_can_be_reported(name):
    """Any text can be a name: control characters, lone surrogates, other scripts."""
    small = lookahead(count=2, hop_samples=None)
    m = measurement(name=name, lookahead=small, delay=None, compute=None)
    html = render_report(m, [], command=name, machine={name: name})
    checked(html)
    html.encode("utf-8")


def test_the_figures_are_the_same_each_time():
    """Nothing but the date differs between two reports of one measurement."""
    pages = [re.sub(r"<time>.*?</time>", "", page(measurement())) for _ in range(2)]
    assert pages[0] == pages[1]


def test_a_report_is_replaced_whole(tmp_path):
    """An old report gives way to the new one, and nothing else is left in the folder."""
    path = tmp_path / "out.html"
    path.write_text("old")
    write_report(path, measurement(), [], command=COMMAND, machine=MACHINE)
    assert path.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["nowhere/out.html", "", "zero\0byte.html"])
def test_a_place_that_cannot_be_written_gets_a_sentence(tmp_path, name):
    """A missing folder, a folder or an impossible name is refused, and nothing is left."""
    with pytest.raises(RtcoreError, match=r"the report cannot be written .* choose another place"):
        write_report(tmp_path / name, measurement(), [], command=COMMAND, machine=MACHINE)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
def test_a_missing_package_gets_a_remedy(monkeypatch, missing):
    """Without matplotlib or jinja2 the sentence says what to install."""
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(DeviceError, match="pip install matplotlib jinja2"):
        page(measurement(), [])


def chromium(path, folder, *options):
    """Open a page in a headless Chromium that reaches no other computer."""
    return subprocess.run(
        [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--v=0",
            "--disable-dev-shm-usage", f"--user-data-dir={folder}/profile", *options,
            path.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Write one report for the browser."""
    folder = tmp_path_factory.mktemp("report")
    m = measurement(name="<b>Größe</b> 音 🎧")
    verdicts = judge_all(load_rules(), m)
    write_report(folder / "out.html", m, verdicts, command=COMMAND, machine=MACHINE)
    return folder


@needs_chromium
def test_a_browser_shows_it_without_network_or_complaint(written):
    """Chromium builds the page with all headings, and its console stays empty."""
    done = chromium(written / "out.html", written, "--dump-dom")
    assert "<b>Größe</b> 音 🎧" in "".join(checked(done.stdout).text)
    assert [] == re.findall(r".*(?:CONSOLE|ERR_|Refused to).*", done.stderr)
    assert done.stdout.count("<h2") >= 10


@needs_chromium
@pytest.mark.parametrize("width", [1000, 520])
def test_the_picture_is_not_blank(written, width):
    """What Chromium draws has many colours, in wide and narrow windows."""
    shot = written / f"{width}.png"
    chromium(written / "out.html", written, f"--screenshot={shot}", f"--window-size={width},2400")
    size, rows = pixels(shot.read_bytes())
    assert width == size[0]
    assert len({row for row in rows if any(row)}) > size[1] // 10


def pixels(png):
    """Give a PNG's size and its filtered rows, enough to see whether anything is drawn."""
    size = struct.unpack(">II", png[16:24])
    data, at = b"", 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        data += png[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    raw = zlib.decompress(data)
    stride = len(raw) // size[1]
    return size, [raw[k + 1 : k + stride] for k in range(0, len(raw), stride)]
