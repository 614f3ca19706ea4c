# SPDX-License-Identifier: MIT
"""The files of rules: complete, found by their names, refused in sentences."""

import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcore.errors import ConfigError
from rtcore.latency.rules import find_rule, find_rules, load_rule, load_rules

NAMES = [
    "avsec-low-latency",
    "cadenza-causal",
    "clarity",
    "music-plc",
    "plc-2022",
    "plc-2024",
    "sig-2024",
]
MINE = """
name = "mine"
title = "My device"
convention = "frame + look-ahead"
definition = "At most 8 ms."
source = ["us"]
status = "primary"
[limit]
value = 8
unit = "ms"
"""


@pytest.fixture
def written(tmp_path):
    """Give a function that writes a rule and gives its path."""

    def write(text):
        path = tmp_path / "mine.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def refusal(path):
    """Read a rule that cannot be read, and give what is said."""
    with pytest.raises(ConfigError) as refused:
        load_rule(path)
    assert refused.value.exit_code == 2
    return str(refused.value)


def test_every_published_rule_is_there():
    """The rules that the lab promises come with rtcore, in the order of their names."""
    assert NAMES == [rule.name for rule in load_rules()]


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_says_where_it_comes_from(name):
    """Each rule names its source, whether that was read, and what it says."""
    rule = find_rule(name)
    assert all(rule.source)
    assert rule.status in ("primary", "secondary", "unread")
    assert len(rule.definition.split()) > 10
    assert rule.sample_rates
    assert rule.editions


def test_only_rules_that_were_not_read_are_called_unread():
    """Both rules for packet loss stand on pages that could not be read."""
    unread = [rule.name for rule in load_rules() if rule.status == "unread"]
    assert ["plc-2022", "plc-2024"] == unread


def test_no_name_stands_for_two_rules():
    """Names and other names are all different."""
    names = [name for rule in load_rules() for name in (rule.name, *rule.aliases)]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("cec1", "clarity"),
        ("CEC2", "clarity"),
        ("cec3", "clarity"),
        ("icassp-2023", "clarity"),
        ("ICASSP 2023", "clarity"),
        ("cad2", "cadenza-causal"),
        ("cadenza-icassp24", "cadenza-causal"),
        ("icassp_2024", "cadenza-causal"),
        ("avsec-3", "avsec-low-latency"),
        ("avsec-4", "avsec-low-latency"),
    ],
)
def test_a_rule_is_found_by_its_challenge(name, rule):
    """People ask for the name of their challenge, in capitals or not."""
    assert rule == find_rule(name).name


def test_an_unknown_rule_is_answered_with_the_nearest():
    """A slip in a name is answered with the rule that was meant, and with all there are."""
    with pytest.raises(ConfigError) as refused:
        find_rule("clarty")
    assert "no rule is called 'clarty' (did you mean 'clarity'?)" in str(refused.value)
    assert all(name in str(refused.value) for name in [*NAMES, "all"])


def test_all_stands_for_every_rule_once():
    """`all` beside a name gives no rule twice, and keeps one's own."""
    assert NAMES == [rule.name for rule in find_rules(["all", "cec2"])]
    first, *rest = NAMES
    assert ["clarity", *(n for n in NAMES if n != "clarity")] == [
        rule.name for rule in find_rules(["cec1", "ALL"])
    ]
    assert (first, rest[-1]) == ("avsec-low-latency", "sig-2024")


def test_a_rule_of_ones_own_is_read(written):
    """The path of a TOML file stands for its rule."""
    path = written(MINE)
    rule = find_rule(path)
    assert ("mine", 384, 352) == (
        rule.name, rule.limit.in_samples(48000), rule.limit.in_samples(44100),
    )  # fmt: skip
    assert "none" == rule.compute.rule


def test_two_rules_of_one_name_are_refused(written):
    """A rule of one's own that is called like another cannot be judged beside it."""
    path = written(MINE.replace('"mine"', '"clarity"'))
    with pytest.raises(ConfigError, match="two different rules are called 'clarity'"):
        find_rules(["clarity", path])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('status = "primary"', "", "status: is missing in this file, which must be a rule"),
        ('status = "primary"', 'status = "seen"', "status: does not fit a rule"),
        ('status = "primary"', 'statsu = "primary"', "is no key of a rule (did you mean"),
        ('source = ["us"]', "source = []", "source: does not fit a rule"),
        ('source = ["us"]', 'source = "us"', "source: does not fit a rule"),
        ("value = 8", 'value = "8"', "limit.value: does not fit a rule"),
        ("value = 8", "value = -1", "limit.value: does not fit a rule"),
        ("value = 8", "value = nan", "limit.value: does not fit a rule"),
        ("value = 8", "value = inf", "limit.value: does not fit a rule"),
        ("value = 8", "value = true", "limit.value: does not fit a rule"),
        ("value = 8", "value = 8\nmax = 9", "limit.max: is no key of a rule; there are value"),
        ('unit = "ms"', 'unit = "s"', "limit.unit: does not fit a rule"),
        ("[limit]", "[[limit]]", "limit: does not fit a rule"),
        ('"frame + look-ahead"', '"frames"', "convention: does not fit a rule"),
        ('"frame + look-ahead"', '"beyond the packet"', "needs packet_samples"),
        ("[limit]", '[compute]\nrule = "below packet"\n[limit]', "needs packet_samples"),
        ('name = "mine"', 'name = "My rule"', "name: does not fit a rule"),
        ('name = "mine"', 'name = "all"', "a rule cannot be called all"),
        ('name = "mine"', 'name = "mine', "is no TOML file"),
        ('title = "My device"', 'title = ""', "title: does not fit a rule"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_refused_in_a_sentence(written, old, new, said):
    """The sentence names the file and the key."""
    assert old in MINE
    path = written(MINE.replace(old, new))
    sentence = refusal(path)
    assert sentence.startswith(path)
    assert said in sentence
    assert "\n" not in sentence


def test_a_rule_that_is_not_there_is_refused(tmp_path):
    """A missing file, a folder and an impossible path are no rules."""
    for path in (tmp_path / "none.toml", tmp_path):
        assert str(path) in refusal(str(path))
    assert "is no TOML file" in refusal("a\0b.toml")


def test_deep_nesting_is_refused(written):
    """Brackets without end are refused as everything else is."""
    assert "mine.toml" in refusal(written("x = " + "[" * 20000))


tables = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["value", "unit", "rule", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=60))
def test_random_bytes_are_refused(written, noise):
    """Whatever stands in a file, an error names it."""
    assert "mine.toml" in refusal(written(noise))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.sampled_from(sorted(tomllib.loads(MINE))), tables)
def test_wrong_types_are_refused_or_fit(written, key, value):
    """Any value for any key gives a rule or a sentence, and nothing else."""
    lines = [line for line in MINE.split("[limit]", maxsplit=1)[0].splitlines() if line]
    kept = [line for line in lines if not line.startswith(f"{key} =")]
    limit = [] if key == "limit" else ["[limit]", "value = 8", 'unit = "ms"']
    path = written("\n".join([*kept, f"{key} = {toml(value)}", *limit]))
    try:
        rule = load_rule(path)
    except ConfigError as error:
        assert str(error).startswith(path)  # noqa: PT017 - either outcome is right
    else:
        assert key in type(rule).model_fields


def toml(value):
    """Write a value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(letter):08x}" for letter in value) + '"'
    return '""' if value is None else str(value)
