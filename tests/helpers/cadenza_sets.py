# SPDX-License-Identifier: MIT
"""Little Cadenza sets for tests, and the official code that they are compared with."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from rtcore.challenges.cadenza.layout import CadenzaSet, find_set
from rtcore.challenges.cadenza.mini import MiniSettings, make_mini

RECIPES = "recipes.cad_icassp_2024"


def made(folder: Path, stems: Path | None = None, **settings: Any) -> CadenzaSet:
    """Make a set of sounds of 0.6 s: two songs, two pairs of scene and listener by default."""
    make_mini(folder, MiniSettings(**({"seconds": 0.6, "listeners": 1} | settings)), stems)
    return find_set(folder)


def official(name: str) -> Any:
    """Import a module of the official recipes, or skip where pyclarity is not installed."""
    pytest.importorskip("clarity", reason="pyclarity is the oracle: install the extra")
    return importlib.import_module(f"{RECIPES}.{name}")


def config(found: CadenzaSet, **more: Any) -> Any:
    """Give the official code its configuration for a set."""
    from omegaconf import OmegaConf

    p = found.places
    paths = {
        "root": p.root, "metadata_dir": p.root / "metadata", "gains_file": p.gains,
        "head_loudspeaker_positions_file": p.positions, "listeners_file": p.listeners,
        "scenes_file": p.scenes, "scene_file": p.scenes, "scene_listeners_file": p.scene_listeners,
        "music_file": p.songs, "music_dir": p.at_mic, "hrtf_dir": p.hrtf,
    }  # fmt: skip
    basic = {
        "path": {name: str(path) for name, path in paths.items()},
        "sample_rate": 44100,
        "remix_sample_rate": 32000,
        "HAAQI_sample_rate": 24000,
        "nalr": {"nfir": 220, "sample_rate": 44100},
        "scene": {"number_scenes_per_song": 4},
        "scene_listener": {"number_listeners_per_scene": 2},
        "evaluate": {"set_random_seed": True, "small_test": False, "batch_size": 1, "batch": 0},
    }
    return OmegaConf.merge(basic, more)


def rewritten(path: Path, change: Any) -> None:
    """Change what a JSON file holds."""
    content = json.loads(path.read_text("utf-8"))
    content = change(content) or content
    path.write_text(json.dumps(content), "utf-8")
