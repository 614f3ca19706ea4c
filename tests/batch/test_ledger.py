# SPDX-License-Identifier: MIT
"""The ledger survives whatever happens to it, and runs share a folder or keep out of it."""

from __future__ import annotations

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import job_works
import pytest

from rtcore.batch import Job, Ledger, Shard, fingerprint, locks, run_jobs
from rtcore.batch.ledger import LEDGER
from rtcore.batch.locks import alone
from rtcore.errors import AudioFileError, ConfigError, DeviceError


def run(folder, count, shard=None, work=job_works.write_slowly, **options):
    """Do some jobs, or a share of them; give their statuses."""
    ledger = Ledger(folder, shard)
    with ledger.writing():
        jobs = job_works.jobs_in(folder, count, **options)
        jobs = jobs if shard is None else shard.take(jobs)
        return {o.name: o.status for o in run_jobs(jobs, work, ledger)}


class TestLedger:
    """What was made from what."""

    @pytest.mark.parametrize("tail", [b'{"name": "1.w', b"\xff\xfe", b'["x"]\n', b"\n\n{}\n"])
    def test_torn(self, tmp_path, tail):
        """A torn or foreign line counts for nothing, and later lines are whole."""
        run(tmp_path, 2)
        with (tmp_path / LEDGER).open("ab") as out:
            out.write(tail)
        assert {"0.wav": "skipped", "1.wav": "skipped", "2.wav": "done"} == run(tmp_path, 3)
        assert {"skipped"} == set(run(tmp_path, 3).values())

    def test_lost(self, tmp_path):
        """Without its ledger a folder is done again."""
        run(tmp_path, 2)
        (tmp_path / LEDGER).unlink()
        assert {"done"} == set(run(tmp_path, 2).values())

    def test_lines(self, tmp_path):
        """Each line is JSON and names the file, what it was made from, and its size and time."""
        run(tmp_path, 1)
        entry = json.loads((tmp_path / LEDGER).read_text())
        assert ("0.wav", "k0.wav") == (entry["name"], entry["key"])
        assert (tmp_path / "0.wav").stat().st_size == entry["file"][0]

    def test_changed_outputs(self, tmp_path):
        """An output that somebody changed or removed is made again, with no second line of it."""
        run(tmp_path, 3)
        (tmp_path / "0.wav").write_bytes(b"mine")
        (tmp_path / "1.wav").unlink()
        assert {"0.wav": "done", "1.wav": "done", "2.wav": "skipped"} == run(tmp_path, 3)
        assert {"skipped"} == set(run(tmp_path, 3).values())

    def test_several_files(self, tmp_path):
        """Files of one job belong together: one of them is lost, and all are made again."""
        pair = (tmp_path / "left" / "a", tmp_path / "right" / "a")
        jobs = [Job("a", pair[0], "k", pair, (pair[1],))]

        def statuses():
            ledger = Ledger(tmp_path)
            with ledger.writing():
                return [o.status for o in run_jobs(jobs, job_works.in_pairs, ledger)]

        assert ["done"] == statuses()
        assert ["skipped"] == statuses()
        pair[1].unlink()
        assert ["done"] == statuses()
        assert pair[1].exists()

    def test_sweeps_where_jobs_wrote(self, tmp_path):
        """Half-written files go, below the folder only where jobs of this ledger wrote."""
        pair = (tmp_path / "left" / "a", tmp_path / "a")
        ledger = Ledger(tmp_path)
        with ledger.writing():
            list(run_jobs([Job("a", pair[0], "k", pair, (pair[1],))], job_works.in_pairs, ledger))
        (tmp_path / "theirs").mkdir()
        drafts = [".rtcore-1.part", "left/.rtcore-2.part.wav", "left/.rtcore-3.tmp"]
        others = ["theirs/.rtcore-4.part", "left/5.part", "left/a"]
        for name in (*drafts, *others):
            (tmp_path / name).write_text("half")
        with Ledger(tmp_path).writing():
            assert drafts == [name for name in drafts if not (tmp_path / name).exists()]
            assert others == [name for name in others if (tmp_path / name).exists()]

    @pytest.mark.parametrize("begun", [True, False])
    def test_full_disk(self, tmp_path, monkeypatch, begun):
        """A ledger without room fails its job in a sentence; with room again it goes on whole."""
        from rtcore.batch import ledger as module

        room = [10_000 if begun else 0]

        class Full(module.FileIO):
            def write(self, data):
                if len(data) > room[0]:
                    if not room[0]:
                        raise OSError(28, "No space left on device")
                    data, room[0] = data[:7], 0  # as much as there was
                else:
                    room[0] -= len(data)
                return super().write(data)

        monkeypatch.setattr(module, "FileIO", Full)
        ledger = Ledger(tmp_path)
        with ledger.writing():
            found = []
            for outcome in run_jobs(job_works.jobs_in(tmp_path, 5), job_works.write_slowly, ledger):
                found.append(outcome)
                room[0] = {1: 20, 2: 0, 3: 10_000}.get(len(found), room[0])
        statuses = ["done" if begun else "failed", "failed", "failed", "done", "done"]
        assert statuses == [o.status for o in found]
        assert {3} == {o.exit_code for o in found if o.status == "failed"}
        assert "the ledger cannot be written" in found[1].error
        skipped = [name for name, status in run(tmp_path, 5).items() if status == "skipped"]
        assert [o.name for o in found if o.status == "done"] == skipped
        assert {"skipped"} == set(run(tmp_path, 5).values())

    def test_no_place_for_it(self, tmp_path):
        """A ledger that cannot be opened is told at once."""
        (tmp_path / LEDGER).mkdir()
        with pytest.raises(DeviceError, match="the ledger cannot be written"):
            run(tmp_path, 1)

    def test_result_as_json(self, tmp_path):
        """A result is the same now and from the ledger; one that JSON cannot hold is a mistake."""
        jobs = job_works.jobs_in(tmp_path, 1)
        results = []
        for _ in range(2):
            ledger = Ledger(tmp_path)
            with ledger.writing():
                results += [o.result for o in run_jobs(jobs, job_works.multiply, ledger)]
        assert [0, [1, 2]] == results[0]["at"]
        assert results[0] == results[1]
        assert {"failed"} == set(run(tmp_path, 1, work=job_works.gives_no_json, key="x").values())

    def test_nothing_written(self, tmp_path):
        """A job that writes nothing has failed, and is done again."""
        for _ in range(2):
            assert {"failed"} == set(run(tmp_path, 1, work=job_works.writes_nothing).values())


class TestRuns:
    """Several runs and one folder."""

    def test_one_run_at_a_time(self, tmp_path):
        """A second run into the same folder is refused while the first goes on."""
        with Ledger(tmp_path).writing():
            other = Ledger(tmp_path)
            with pytest.raises(AudioFileError, match="another run writes into"), other.writing():
                pass
        with Ledger(tmp_path).writing():
            assert (tmp_path / LEDGER).is_file()

    def test_shares_side_by_side(self, tmp_path):
        """Shares are done at the same time; together they are the whole, which needs no more."""
        one, two = Ledger(tmp_path, Shard(1, 2)), Ledger(tmp_path, Shard(2, 2))
        jobs = job_works.jobs_in(tmp_path, 5)
        with one.writing(), two.writing():
            draft = tmp_path / ".rtcore-draft.part"
            draft.write_text("of the first")
            for ledger, shard in ((one, Shard(1, 2)), (two, Shard(2, 2))):
                share = shard.take(jobs)
                found = [o.status for o in run_jobs(share, job_works.write_slowly, ledger)]
                assert ["done"] * len(share) == found
            assert draft.exists(), "a share has swept up what another is writing"
        assert {"skipped"} == set(run(tmp_path, 5).values())
        assert {"skipped"} == set(run(tmp_path, 5, Shard(2, 3)).values())

    @pytest.mark.parametrize(
        ("first", "second", "sentence"),
        [
            (Shard(1, 2), Shard(1, 2), "another run does its share 1/2"),
            (Shard(1, 2), Shard(3, 3), "another run has cut it in 2 shares, and this one in 3"),
            (Shard(1, 2), None, "another run writes into"),
            (None, Shard(1, 2), "another run writes into"),
        ],
    )
    def test_shares_that_overlap(self, tmp_path, monkeypatch, first, second, sentence):
        """What would be done twice at the same time is refused."""
        monkeypatch.setattr(locks, "_PATIENCE_S", 0.1)
        with Ledger(tmp_path, first).writing():
            other = Ledger(tmp_path, second)
            with pytest.raises(AudioFileError, match=sentence), other.writing():
                pass
        assert {"done"} == set(run(tmp_path, 3, second).values())

    def test_other_cuts_later(self, tmp_path):
        """A folder that was done in halves goes on in thirds, and is not done twice."""
        run(tmp_path, 6, Shard(1, 2))
        found = {name: status for k in (1, 2, 3) for name, status in
                 run(tmp_path, 6, Shard(k, 3)).items()}  # fmt: skip
        assert ["0.wav", "2.wav", "4.wav"] == sorted(n for n, s in found.items() if s == "skipped")
        assert {"skipped"} == set(run(tmp_path, 6).values())


class TestShard:
    """Shares of a set."""

    def test_all_and_none_twice(self):
        """Shares are of like size and make up the whole."""
        items = list(range(11))
        shares = [Shard.parse(f"{k}/4").take(items) for k in range(1, 5)]
        assert items == sorted(item for share in shares for item in share)
        assert {2, 3} == {len(share) for share in shares}

    @pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "2", "a/b", "", "-1/2", "1/2/3"])
    def test_no_share(self, text):
        """What is no share is told."""
        with pytest.raises(ConfigError, match="which is no share; write 2/8"):
            Shard.parse(text)


def test_fingerprints(tmp_path):
    """Fingerprints tell texts, files and their borders apart; a missing file is an empty one."""
    (tmp_path / "a").write_text("one")
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint(tmp_path / "a") == fingerprint(b"one") == fingerprint("one")
    assert fingerprint(tmp_path / "none") == fingerprint(b"")
    with pytest.raises(AudioFileError, match="cannot be read"):
        fingerprint(tmp_path)


def test_a_folder_moves(tmp_path):
    """A folder that was copied with its times is not done again."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    run(first, 3)
    shutil.copytree(first, second)
    assert {"skipped"} == set(run(second, 3).values())
    assert 3 == len(list(Path(second).glob("*.wav")))


class TestAlone:
    """What shares write in common they write one after the other."""

    def test_the_later_one_reads_what_the_earlier_one_wrote(self, tmp_path):
        """Several that add a row each to one table lose none."""
        table = tmp_path / "table.csv"
        table.write_text("")

        def add(row):
            with alone(tmp_path):
                known = table.read_text()
                time.sleep(0.02)  # long enough for all others to come
                table.write_text(f"{known}{row}\n")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(add, range(8)))
        assert sorted(map(str, range(8))) == sorted(table.read_text().split())

    def test_it_does_not_wait_for_ever(self, tmp_path, monkeypatch):
        """Where a table is kept from it, it says so."""
        monkeypatch.setattr(locks, "_PATIENCE_S", 0.1)
        refused = pytest.raises(AudioFileError, match="another run writes into")
        with alone(tmp_path), refused, alone(tmp_path):
            pass
