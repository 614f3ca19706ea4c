# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import math
import pickle
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcore.errors import ConfigError, RtcoreError
from rtcore.hearing import (
    Calibration,
    calibration_path,
    load_calibration,
    load_calibrations,
    save_calibration,
)

finite_db = st.floats(0, 200)


class TestLevels:
    def test_rms_of_one(self):
        """An RMS of 1.0 is 100 dB SPL."""
        assert 100.0 == Calibration().db_spl(1.0)

    def test_full_scale_sine(self):
        """A sine of peak 1.0 is 97 dB SPL, counted from its samples."""
        sine = np.sin(2 * np.pi * np.arange(480) / 48)
        rms = math.sqrt(np.mean(sine**2))
        assert pytest.approx(100 - 3.0103, abs=1e-4) == Calibration().db_spl(rms)
        assert pytest.approx(96.9897, abs=1e-4) == Calibration().db_spl_of_peak(1.0)

    def test_silence(self):
        """Silence has no level."""
        assert -math.inf == Calibration().db_spl(0.0)

    @given(finite_db, st.floats(-50, 150))
    def test_back_and_forth(self, reference, level):
        """From level to amplitude and back is the same level."""
        calibration = Calibration(reference)
        assert pytest.approx(level) == calibration.db_spl(calibration.rms_for_db_spl(level))
        peak = calibration.peak_for_db_spl(level)
        assert pytest.approx(level) == calibration.db_spl_of_peak(peak)

    def test_reading(self):
        """A meter that shows 65 dB for an RMS of 0.01 makes RMS 1.0 105 dB."""
        calibration = Calibration.from_reading(65.0, 0.01)
        assert Calibration(105.0, measured=True) == calibration

    def test_marks_uncalibrated(self):
        """Until somebody has measured, each level shown says so."""
        assert "97 dB SPL (uncalibrated)" == Calibration().describe(96.99)
        assert "97 dB SPL" == Calibration(measured=True).describe(96.99)

    def test_is_a_value(self):
        """Calibrations compare, hash and pickle."""
        assert 1 == len({Calibration(), Calibration(100), Calibration(100.0)})
        assert Calibration(90) == pickle.loads(pickle.dumps(Calibration(90)))

    @pytest.mark.parametrize("level", [math.nan, math.inf, -1, 201, "100", True, None])
    def test_refuses(self, level):
        """A level that no device has is refused."""
        with pytest.raises(ConfigError) as refused:
            Calibration(level)
        assert "calibration.db_spl_at_rms_1: must be a number from 0 to 200" in str(refused.value)

    @pytest.mark.parametrize("rms", [0.0, -1.0, math.nan, math.inf])
    def test_refuses_reading_of_silence(self, rms):
        """A reading without a tone says nothing."""
        with pytest.raises(ConfigError, match="play or record a tone"):
            Calibration.from_reading(65.0, rms)


class TestStore:
    def test_default(self, tmp_path):
        """A device that nobody measured has the default."""
        assert Calibration() == load_calibration("pulse", "output", folder=tmp_path)
        assert {} == load_calibrations(tmp_path)

    def test_per_device_and_direction(self, tmp_path):
        """Each device and direction keeps its own number, and a new one replaces it."""
        folder = tmp_path / "not" / "yet"
        save_calibration(Calibration(90, measured=True), "a", "input", folder=folder)
        save_calibration(Calibration(110, measured=True), "a", "output", folder=folder)
        path = save_calibration(Calibration(95, measured=True), "a", "input", folder=folder)
        assert calibration_path(folder) == path
        assert 95.0 == load_calibration("a", "input", folder=folder).db_spl_at_rms_1
        assert 110.0 == load_calibration("a", "output", folder=folder).db_spl_at_rms_1
        assert Calibration() == load_calibration("b", "input", folder=folder)
        assert ["calibration.json"] == [file.name for file in folder.iterdir()]

    def test_in_the_users_folder(self, tmp_path, monkeypatch):
        """Without a folder, the store lies in the user's configuration folder."""
        monkeypatch.setattr("platformdirs.user_config_dir", lambda name: str(tmp_path / name))
        assert tmp_path / "rtcore" / "calibration.json" == calibration_path()

    @given(st.text(), finite_db)
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_device_name(self, tmp_path, device, level):
        """A device may have any name, and its number comes back to the last bit."""
        save_calibration(Calibration(level, measured=True), device, "input", folder=tmp_path)
        assert level == load_calibration(device, "input", folder=tmp_path).db_spl_at_rms_1

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("{", "calibration.json: is not JSON; delete the file and run 'rtcore calibrate'"),
            ("[" * 100_000, "calibration.json: is not JSON"),
            ("3", "calibration.json: should be a valid dictionary"),
            ("{}", "calibration.json: calibrations: is missing"),
            ('{"calibrations": [], "x": 1}', "calibration.json: x: is an unknown key"),
            ('{"calibrations": [{"device": 3}]}', "calibrations[0].device: should be a valid str"),
        ],
    )
    def test_corrupted(self, tmp_path, text, sentence):
        """A corrupted store is refused with its name and the key."""
        calibration_path(tmp_path).write_text(text)
        with pytest.raises(ConfigError) as refused:
            load_calibration("a", "input", folder=tmp_path)
        assert sentence in str(refused.value)
        assert "run 'rtcore calibrate' again" in str(refused.value)

    @pytest.mark.parametrize(
        ("entry", "sentence"),
        [
            ({"db_spl_at_rms_1": 300.0}, "calibrations[1].db_spl_at_rms_1: must be a number from"),
            ({"direction": "up"}, "calibrations[1].direction: should be 'input' or 'output'"),
            ({"colour": "red"}, "calibrations[1].colour: is an unknown key"),
            ({"device": "a"}, "calibrations[1]: the input of 'a' comes twice"),
            ({"measured": 1}, "calibrations[1].measured: should be a valid boolean, got 1"),
        ],
    )
    def test_bad_entry(self, tmp_path, entry, sentence):
        """A bad entry is refused with its number and key."""
        good = {"device": "a", "direction": "input", "db_spl_at_rms_1": 90.0, "measured": True}
        content = {"calibrations": [good, good | {"device": "b"} | entry]}
        calibration_path(tmp_path).write_text(json.dumps(content))
        with pytest.raises(ConfigError) as refused:
            load_calibrations(tmp_path)
        assert sentence in str(refused.value)

    def test_unreadable(self, tmp_path):
        """A folder in the file's place, or a file that is no text, is named."""
        calibration_path(tmp_path).write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ConfigError, match="cannot be read"):
            load_calibrations(tmp_path)
        calibration_path(tmp_path).unlink()
        calibration_path(tmp_path).mkdir()
        with pytest.raises(ConfigError, match="cannot be read"):
            load_calibrations(tmp_path)

    def test_not_writable(self, tmp_path):
        """A store that cannot be written is named, and nothing is left behind."""
        (tmp_path / "file").write_text("")
        with pytest.raises(ConfigError, match=r"cannot be (written|read)"):
            save_calibration(Calibration(), "a", "input", folder=tmp_path / "file" / "folder")
        assert ["file"] == [file.name for file in tmp_path.iterdir()]

    def test_failed_rename_leaves_the_old_file(self, tmp_path, monkeypatch):
        """When the rename fails, the old store stays and no temporary file does."""
        path = save_calibration(Calibration(90), "a", "input", folder=tmp_path)

        def full(self, target):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("pathlib.Path.replace", full)
        with pytest.raises(ConfigError, match="No space left on device"):
            save_calibration(Calibration(80), "a", "input", folder=tmp_path)
        assert [path] == list(tmp_path.iterdir())
        assert 90.0 == load_calibration("a", "input", folder=tmp_path).db_spl_at_rms_1

    def test_direction(self, tmp_path):
        """A direction is input or output."""
        with pytest.raises(ConfigError, match="direction: must be 'input' or 'output', got 'up'"):
            load_calibration("a", "up", folder=tmp_path)

    @given(st.binary(max_size=40))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_fuzz(self, tmp_path, content):
        """Whatever the store holds, the answer is calibrations or a sentence."""
        calibration_path(tmp_path).write_bytes(content)
        with suppress(RtcoreError):
            load_calibrations(tmp_path)
