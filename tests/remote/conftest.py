# SPDX-License-Identifier: MIT
"""One server in a process of its own, which the tests of a file share."""

import pytest
from served import served


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server on loop-back that plays a gain and a compressor on the timer."""
    with served(tmp_path_factory.mktemp("served")) as running:
        yield running
