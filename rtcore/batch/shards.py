# SPDX-License-Identifier: MIT
"""A share of the jobs: several machines do one set, each its own part of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from rtcore.errors import ConfigError

__all__ = ["Shard"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Shard:
    """One of `count` shares.

    Attributes
    ----------
    number : int
        From 1 to `count`.
    count : int
        Shares in all.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``2/8``.

        Raises
        ------
        ConfigError
            Where that is no share.
        """
        found = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            what = f"got '{text}', which is no share; write 2/8 for the second of eight"
            raise ConfigError("--shard", what)
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def take(self, items: Sequence[_T]) -> list[_T]:
        """Take every `count`-th item, so that neighbours of like size go to different shares."""
        return list(items[self.number - 1 :: self.count])
