# SPDX-License-Identifier: MIT
from __future__ import annotations

import copy
import json
import pickle
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcore.errors import ConfigError, RtcoreError
from rtcore.hearing import (
    BISGAARD,
    Audiogram,
    Listener,
    load_listeners,
    read_listener,
    resolve_listener,
)

LEFT = [40, 30, 20, 50, 60, 65, 80, 75]
RIGHT = [40, 35, 30, 50, 60, 75, 80, 80]
L0064 = Listener(Audiogram(LEFT), Audiogram(RIGHT), "L0064", "L0064")

ENTRY = {
    "name": "L0064",
    "audiogram_cfs": [250, 500, 1000, 2000, 3000, 4000, 6000, 8000],
    "audiogram_levels_l": LEFT,
    "audiogram_levels_r": RIGHT,
}

FIXTURE = (
    Path(__file__).parents[3]
    / "shared/fixtures/claritychallenge/clarity/tests/test_data/metadata/listeners.json"
)

json_st = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["left", "right", "frequencies", "name", "L1", *ENTRY]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
fuzzing = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def book(tmp_path):
    """A listeners file with one listener more than L0064."""
    path = tmp_path / "listeners.json"
    path.write_text(json.dumps({"L0064": ENTRY, "L0065": ENTRY | {"name": "L0065"}}))
    return path


def sentence_of(function, *args, **kwargs):
    """The sentence with which a call is refused."""
    with pytest.raises(ConfigError) as refused:
        function(*args, **kwargs)
    return str(refused.value)


class TestResolve:
    def test_listener_and_audiogram(self):
        """A listener is itself; an audiogram serves both ears."""
        ear = Audiogram(LEFT)
        assert L0064 is resolve_listener(L0064)
        assert (ear, ear) == resolve_listener(ear).ears

    @pytest.mark.parametrize("name", ["N3", "n3", " N3 "])
    def test_standard_name(self, name):
        """A standard loss needs no file."""
        assert Listener(BISGAARD["N3"], BISGAARD["N3"], "N3") == resolve_listener(name)

    def test_id(self, book):
        """An id is looked up in the listeners file or in what was read from it."""
        assert L0064 == resolve_listener("L0064", listeners=book)
        assert L0064 == resolve_listener("L0064", listeners=load_listeners(book))

    def test_base_folder(self, book):
        """Relative paths start at the folder of the chain file."""
        assert L0064 == resolve_listener("L0064", listeners=book.name, base=book.parent)
        (book.parent / "me.csv").write_text("ear,500,1000\nboth,10,20\n")
        expected = Listener.both(Audiogram([10, 20], [500, 1000]), "me")
        assert expected == resolve_listener("me.csv", base=book.parent)
        assert expected == resolve_listener(book.parent / "me.csv")

    def test_tables(self):
        """A table speaks rtcore's words or Clarity's."""
        table = {"left": LEFT, "right": RIGHT, "name": "me"}
        assert Listener(Audiogram(LEFT), Audiogram(RIGHT), "me") == resolve_listener(table)
        assert L0064 == resolve_listener(ENTRY)
        table = {"left": [1, 2], "right": [3, 4], "frequencies": [500, 1000]}
        assert 4.0 == resolve_listener(table).right.at(1000)

    def test_pickles(self):
        """A worker process receives an equal listener, and equal ones hash alike."""
        assert L0064 == pickle.loads(pickle.dumps(L0064))
        assert 1 == len({L0064, copy.deepcopy(L0064)})

    def test_unknown_id(self, book):
        """An unknown id is answered with the nearest one, the file and the place."""
        sentence = sentence_of(
            resolve_listener, "L0063", listeners=book, where="plugin[0].nalr.audiogram"
        )
        expected = f"plugin[0].nalr.audiogram: there is no listener 'L0063' in {book}"
        assert sentence.startswith(f"{expected} (did you mean 'L006")

    def test_id_without_listeners(self):
        """An id alone says what is missing."""
        sentence = sentence_of(resolve_listener, "L0064")
        assert "'L0064' is neither a standard audiogram (N1 to N7, S1 to S3) nor a file" in sentence
        assert "listeners = 'metadata/listeners.json'" in sentence

    @pytest.mark.parametrize(
        ("spec", "sentence"),
        [
            (3, "nalr: must be a listener's id, a standard audiogram such as 'N3'"),
            (None, "nalr: must be a listener's id"),
            ("", "nalr: '' is neither"),
            ({"left": LEFT}, "nalr.right: is missing; give the levels of both ears"),
            ({"left": LEFT, "rihgt": RIGHT}, "nalr.rihgt: is an unknown key (did you mean 'right'"),
            ({"left": LEFT, "right": [1]}, "nalr.right: has 1 levels for 8 frequencies (250, 500"),
            ({"left": [1], "right": [1, 2], "frequencies": [9]}, "nalr.right: has 2 levels for 1"),
            ({"left": LEFT, "right": RIGHT, "name": 3}, "nalr.name: must be a text, got 3"),
            ({"left": LEFT, "right": 5}, "nalr.right: must be a list of numbers, got 5"),
            (ENTRY | {"audiogram_cfs": [500, 250]}, "nalr.audiogram_cfs[1]: 250 Hz follows 500"),
        ],
    )
    def test_sentences(self, spec, sentence):
        """What names no listener is refused with the place and the remedy."""
        assert sentence in sentence_of(resolve_listener, spec, where="nalr")

    @given(json_st)
    def test_fuzz(self, spec):
        """Whatever comes, the answer is a listener or a sentence."""
        with suppress(RtcoreError):
            assert isinstance(resolve_listener(spec), Listener)


class TestLevels:
    @pytest.mark.parametrize("mark", [",", ", ", ";", " ", "\t"])
    def test_texts(self, mark):
        """The command line gives texts."""
        left, right = (mark.join(map(str, ear)) for ear in (LEFT, RIGHT))
        assert L0064.ears == Listener.from_levels(left, right).ears

    def test_frequencies(self):
        """Other frequencies come as a third text."""
        listener = Listener.from_levels("10,20", "30,40", "500,1000")
        assert Audiogram([30, 40], [500, 1000]) == listener.right

    @pytest.mark.parametrize(
        ("left", "right", "frequencies", "sentence"),
        [
            ("10,x", "1,2", None, "--left[1]: must be a number, got 'x'"),
            ("10,20", None, None, "--left: has 2 levels for 8 frequencies"),
            (",".join(["9"] * 8), None, None, "--right: is missing; give the levels of both ears"),
            ("", "10", None, "--left: is empty; give at least one number"),
            ("10", "nan", "500", "--right[0]: must be a finite number, got nan"),
            ("10", "200", "500", "--right[0]: must lie between -20 and 130 dB HL, got 200"),
            ("10,9", "10,9", "500,500", "--frequencies[1]: 500 Hz comes twice"),
        ],
    )
    def test_sentences(self, left, right, frequencies, sentence):
        """Each mistake is named by its option."""
        assert sentence in sentence_of(Listener.from_levels, left, right, frequencies)

    @given(st.text(), st.text(), st.none() | st.text())
    def test_fuzz(self, left, right, frequencies):
        """Whatever is typed, the answer is a listener or a sentence."""
        with suppress(RtcoreError):
            assert isinstance(Listener.from_levels(left, right, frequencies), Listener)


class TestListenersFile:
    def test_reads_all(self, book):
        """All listeners come in the order of the file."""
        assert ["L0064", "L0065"] == list(load_listeners(book))
        assert L0064 == load_listeners(str(book))["L0064"]

    def test_further_keys_are_ignored(self, tmp_path):
        """The file belongs to a challenge, which may add to it."""
        path = tmp_path / "listeners.json"
        path.write_text(json.dumps({"L0064": ENTRY | {"age": 70}}))
        assert {"L0064": L0064} == load_listeners(path)

    @pytest.mark.skipif(not FIXTURE.exists(), reason="the challenge's own file is not here")
    def test_equals_pyclarity(self):
        """The challenge's own file is read as pyclarity reads it."""
        oracle = pytest.importorskip("clarity.utils.audiogram")
        expected = {
            id_: (
                theirs.id,
                *map(tuple, (theirs.audiogram_left.levels, theirs.audiogram_right.levels)),
            )
            for id_, theirs in oracle.Listener.load_listener_dict(FIXTURE).items()
        }
        actual = {
            id_: (ours.name, ours.left.levels_db_hl, ours.right.levels_db_hl)
            for id_, ours in load_listeners(FIXTURE).items()
        }
        assert 83 == len(actual)
        assert expected == actual
        assert L0064 == resolve_listener("L0064", listeners=FIXTURE)

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("{", "listeners.json: is not JSON (Expecting property name"),
            ("[" * 100_000, "listeners.json: is not JSON (nested too deeply); mend"),
            ("[1]", "listeners.json: must hold one JSON object keyed by listener id, got [1]"),
            ("{}", "listeners.json: holds no listener; is it the right file?"),
            ('{"L1": 3}', "listeners.json: L1: should be a valid dictionary"),
            ('{"L1": {}}', "listeners.json: L1.name: is missing; found nothing beside it"),
            ('{"L1": 1, "L1": 2}', "listeners.json: key 'L1' comes twice; remove one of the two"),
            (
                json.dumps({"L1": {k: v for k, v in ENTRY.items() if k != "audiogram_cfs"}}),
                "L1.audiogram_cfs: is missing; found name, audiogram_levels_l, audiogram_levels_r",
            ),
            (
                json.dumps({"L1": ENTRY | {"audiogram_levels_r": [1, "x"]}}),
                "listeners.json: L1.audiogram_levels_r[1]: should be a valid number, got 'x'",
            ),
            (
                json.dumps({"L1": ENTRY | {"audiogram_levels_r": [None] * 8}}),
                "listeners.json: L1.audiogram_levels_r[0]: should be a valid number, got None",
            ),
            (
                json.dumps({"L1": ENTRY | {"audiogram_levels_l": LEFT[:7]}}),
                "listeners.json: L1.audiogram_levels_l: has 7 levels for 8 frequencies",
            ),
            (
                json.dumps({"L1": ENTRY | {"audiogram_levels_l": [float("nan")] * 8}}),
                "listeners.json: L1.audiogram_levels_l[0]: must be a finite number, got nan",
            ),
        ],
    )
    def test_sentences(self, tmp_path, text, sentence):
        """A broken file is refused with its name and the key."""
        path = tmp_path / "listeners.json"
        path.write_text(text)
        assert sentence in sentence_of(load_listeners, path)

    def test_missing(self, tmp_path):
        """A missing file is named."""
        path = tmp_path / "none.json"
        expected = f"{path}: there is no such file; check the path"
        assert expected == sentence_of(load_listeners, path)
        assert expected == sentence_of(resolve_listener, "L0064", listeners=path)

    def test_unreadable(self, tmp_path):
        """A folder, a binary file and an impossible path are no listeners."""
        assert "is no file" in sentence_of(load_listeners, tmp_path)
        (tmp_path / "a.json").write_bytes(b"\x93\xff\x00")
        assert "is not a text file" in sentence_of(load_listeners, tmp_path / "a.json")
        assert "cannot be read" in sentence_of(load_listeners, "a\0b")
        assert "cannot be read (File name too long)" in sentence_of(load_listeners, "a" * 5000)

    @fuzzing
    @given(json_st)
    def test_fuzz(self, tmp_path, content):
        """Whatever JSON the file holds, the answer is listeners or a sentence."""
        path = tmp_path / "fuzz.json"
        path.write_text(json.dumps(content))
        for read in (load_listeners, read_listener):
            with suppress(RtcoreError):
                assert read(path)

    @fuzzing
    @given(st.binary(max_size=60))
    def test_fuzz_bytes(self, tmp_path, content):
        """Whatever bytes a file holds, the answer is a listener or a sentence."""
        for suffix, read in ((".json", load_listeners), (".csv", read_listener)):
            path = tmp_path / f"fuzz{suffix}"
            path.write_bytes(content)
            with suppress(RtcoreError):
                assert read(path)


class TestOneListenerFiles:
    EXPECTED = (Audiogram([40, 22.5], [500, 1000]), Audiogram([35, -5], [500, 1000]))

    @pytest.mark.parametrize(
        "text",
        [
            "ear,500,1000\nleft,40,22.5\nright,35,-5\n",
            "500,1000\nleft,40,22.5\nright,35,-5\n",
            ",500 Hz,1000 Hz\r\n L , 40, 22.5\r\n R ,35,-5,,\r\n",
            "ear;500;1000\nright;35;-5\nleft;40;22,5\n",
            "ear\t500\t1000\nLeft\t40\t22,5\nRight\t35\t-5\n",
            "\ufeffear,500,1000\n\n# measured on Monday\nleft,40,22.5\nright,35,-5",
            '"ear","500","1000"\n"left","40","22.5"\n"right","35","-5"\n',
            "frequency,left,right\n500,40,35\n1000,22.5,-5\n",
            "Hz;R;L\n500;35;40\n1000;-5;22,5\n",
        ],
    )
    def test_csv(self, tmp_path, text):
        """Spreadsheets write tables in many ways."""
        path = tmp_path / "mine.csv"
        path.write_text(text, encoding="utf-8", newline="")
        assert Listener(*self.EXPECTED, "mine") == read_listener(path)
        path.write_text(text.removeprefix("\ufeff"), encoding="utf-16", newline="")
        assert self.EXPECTED == read_listener(path).ears

    def test_both(self, tmp_path):
        """One row may serve both ears."""
        path = tmp_path / "mine.tsv"
        path.write_text("ear\t500\nboth\t40\n")
        assert Listener.both(Audiogram([40], [500]), "mine") == read_listener(path)

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("", "mine.csv: needs a header with the frequencies"),
            ("ear,500\n", "mine.csv: needs a header with the frequencies"),
            ("left,40,30\nright,40,30\n", "mine.csv: begins with 'left', not with a header"),
            ("ear,500\nleft,40\n", "mine.csv: has left; give a row 'left' and a row 'right'"),
            ("ear,500\nleft,40\nleft,40\n", "mine.csv: left: comes twice"),
            ("ear,500\nleft,40\nmiddle,40\n", "mine.csv: row 'middle' names no ear; begin it"),
            ("ear,500\nleft,x\nright,4\n", "mine.csv: left[0]: must be a number, got 'x'"),
            ("ear,500,600\nleft,,4\nright,4,4\n", "left[0]: must be a number, got an empty cell"),
            ("ear,500,600\nleft,4\nright,4,4\n", "mine.csv: left: has 1 levels for 2 frequencies"),
            ("ear,x,600\nleft,4,5\nright,4,5\n", "frequencies[0]: must be a number, got 'x'"),
            ("ear,700,600\nleft,4,5\nright,4,5\n", "frequencies[1]: 600 Hz follows 700 Hz"),
            ("ear,500\nleft,nan\nright,4\n", "mine.csv: left[0]: must be a finite number, got nan"),
            ("ear,500\nleft," + "9" * 140_000, "mine.csv: is not a CSV file (field larger"),
        ],
    )
    def test_csv_sentences(self, tmp_path, text, sentence):
        """A broken table is refused with its name and the row."""
        path = tmp_path / "mine.csv"
        path.write_text(text)
        assert sentence in sentence_of(read_listener, path)

    @pytest.mark.parametrize(
        "content", [ENTRY, {"L0064": ENTRY}, {"left": LEFT, "right": RIGHT, "name": "L0064"}]
    )
    def test_json(self, tmp_path, content):
        """A JSON file may hold one listener in any of the known words."""
        path = tmp_path / "mine.json"
        path.write_text(json.dumps(content))
        assert L0064.ears == read_listener(path).ears
        assert "L0064" == read_listener(path).name

    def test_many_in_json(self, book):
        """A file of many listeners needs an id beside it."""
        sentence = sentence_of(resolve_listener, str(book))
        assert "holds 2 listeners, such as 'L0064'; name one by its id" in sentence

    @fuzzing
    @given(st.lists(st.lists(st.sampled_from(
        ["ear", "left", "right", "both", "500", "1000", "40", "-5", "x", "", "nan", "1e999", '"']
    ), max_size=4), max_size=4), st.sampled_from(",;\t"))  # fmt: skip
    def test_fuzz_csv(self, tmp_path, rows, mark):
        """Whatever the table, the answer is a listener or a sentence."""
        path = tmp_path / "fuzz.csv"
        path.write_text("\n".join(mark.join(row) for row in rows))
        with suppress(RtcoreError):
            assert isinstance(read_listener(path), Listener)
