# SPDX-License-Identifier: MIT
"""A folder for audio files."""

import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for tests that draw many examples."""
    return tmp_path_factory.mktemp("audio")
