# SPDX-License-Identifier: MIT
"""A fingerprint of all that a chain's output depends on but the sound."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtcore.batch import fingerprint
from rtcore.challenges.codefiles import code_files, own_print

if TYPE_CHECKING:
    from rtcore.chain import Chain

__all__ = ["chain_print"]

_CHOSEN_BY_PLC = {"plc-wb", "plc-fb"}


def chain_print(chain: Chain, settings: Any = None) -> str:
    """Give a fingerprint of a chain.

    Other parameters, another rtcore and an edited plugin change it, and so does any file of the
    user's that the plugin imports or that a parameter names.

    Parameters
    ----------
    chain : Chain
        As it is built.
    settings : object, optional
        JSON-able: what else decides.
    """
    from rtcore import __version__
    from rtcore.chain.export import config_from_chain

    words = config_from_chain(chain)
    files = (code_files(type(placed.node.plugin)) for placed in chain.nodes)
    code = dict.fromkeys(path for some in files for path in some)
    text = json.dumps([__version__, own_print(), settings, words], sort_keys=True, default=str)
    return fingerprint(text, *code, *_named_files(words), digest=hashlib.sha256)


def _named_files(value: object) -> Iterator[Path]:
    """Find the files that a chain's settings name, whose contents matter too."""
    if isinstance(value, dict):
        yield from _bundle_files(value)
        for entry in value.values():
            yield from _named_files(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _named_files(entry)
    elif isinstance(value, str) and 0 < len(value) < 4096 and "\0" not in value:
        path = Path(value)
        try:
            if path.is_file():
                yield path
        except OSError:
            return  # no path at all


def _bundle_files(table: dict[str, Any]) -> Iterator[Path]:
    """Find the manifest and the networks of a model's bundle, or of those that plc chooses from."""
    from rtcore.models import all_bundles, find_bundle

    chosen = table.get("bundle")
    if table.get("id") == "plc" and not chosen:
        own = [info.bundle for info in all_bundles() if info.name in _CHOSEN_BY_PLC]
        bundles = [bundle for bundle in own if bundle is not None]
    elif table.get("id") in {"model", "plc"} and isinstance(chosen, str):
        bundles = [find_bundle(chosen)]
    else:
        return
    for bundle in bundles:
        yield from sorted([*bundle.folder.glob("*.toml"), *bundle.files()])
