"""How thoroughly to measure, and where to put files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`directory` is on the disk whose speed counts; `quick` only shows that a row runs: its figures mean nothing."""

    directory: Path
    quick: bool = False

    def pick(self, usual: float, quick: float) -> float:
        """Return a duration or a size."""
        return quick if self.quick else usual

    def count(self, usual: int, quick: int) -> int:
        """Return a number of repetitions."""
        return quick if self.quick else usual

    def room(self, name: str) -> Path:
        """Return a fresh directory of a row's own."""
        number = 0
        while (path := self.directory / f"{name}-{number}").exists():
            number += 1
        path.mkdir(parents=True)
        return path
