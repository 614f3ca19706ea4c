# SPDX-License-Identifier: MIT
"""Both ways to run models."""

import pytest

from rtcore.onnx import fallback_runtime, native_runtime


@pytest.fixture(params=["native", "python"])
def runtime(request):
    """Give a runtime."""
    return {"native": native_runtime, "python": fallback_runtime}[request.param]()
