# SPDX-License-Identifier: MIT
"""PyTorch and the packages of the Cadenza baseline's networks, where they are installed."""

from __future__ import annotations

import pytest


def _missing() -> str:
    """Say why networks cannot be tested here; empty where they can."""
    try:
        import openunmix.model  # noqa: F401
        import torch  # noqa: F401
        import torchaudio.models  # noqa: F401
    except (ImportError, OSError) as error:  # OSError: torchaudio's library fits no other torch
        return f"networks need torch, torchaudio and openunmix: {str(error).splitlines()[0]}"
    return ""


MISSING = _missing()
needs_networks = pytest.mark.skipif(bool(MISSING), reason=MISSING or "they are there")
