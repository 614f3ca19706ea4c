# SPDX-License-Identifier: MIT
"""What all tests share: a cache of compiled code of their own, and small plugins to play with."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

#: Fixtures that start sound servers.
ALONE = {"jack_server", "jack_name"}
HELPERS = str(Path(__file__).parent / "helpers")

# Compilation falls into whichever example comes first, so no example has a deadline.
settings.register_profile("rtcore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rtcore")

# Before anything is compiled: one folder for the whole session and for the processes it starts.
_own = None
if "RTCORE_CACHE_DIR" not in os.environ:
    _own = tempfile.mkdtemp(prefix="rtcore-test-cache-")
    os.environ["RTCORE_CACHE_DIR"] = _own
sys.path.append(HELPERS)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [HELPERS, os.environ.get("PYTHONPATH")]))


def pytest_unconfigure():
    """Remove the cache, unless the caller gave one."""
    if _own is not None:
        shutil.rmtree(_own, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)  # before xdist, which reads the groups here
def pytest_collection_modifyitems(items):
    """Where tests run side by side, keep those in one process that need a sound server.

    Likewise those that share something dear: it would be made in each process.
    """
    for item in items:
        if item.get_closest_marker("live") or ALONE & set(item.fixturenames):
            item.add_marker(pytest.mark.xdist_group("live"))
        elif item.get_closest_marker("xdist_group") is None and _shares(item):
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))


def pytest_collection_finish(session):
    """Stop where xdist has not taken the groups: sound servers would disturb one another."""
    if not getattr(session.config.option, "loadgroup", False):
        return
    lost = [item.nodeid for item in session.items if item.get_closest_marker("xdist_group")]
    if any("@" not in nodeid for nodeid in lost):
        msg = "this pytest-xdist loses the groups of tests with this pytest; install pytest<9.2"
        raise pytest.UsageError(msg)


def _shares(item):
    """Whether a test uses a fixture that is made once for its module."""
    fixtures = getattr(item, "_fixtureinfo", None)
    known = fixtures.name2fixturedefs.values() if fixtures else ()
    return any(definition.scope == "module" for found in known for definition in found)


@pytest.fixture(scope="session")
def kernel_cache():
    """Give the folder where this session keeps compiled code."""
    return Path(os.environ["RTCORE_CACHE_DIR"])
