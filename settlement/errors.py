"""What can go wrong with keys and settlement.

SettlementError
  +- KeyFileError   a root file cannot be created, read or trusted; says where, what and what to do
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class SettlementError(Exception):
    """Anything of this room's making."""


class KeyFileError(SettlementError):
    """A root file that must not be used: the path, what is wrong with it, and what the operator does about it."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: {problem}; {remedy}")
        self.path = path
        self.problem = problem
        self.remedy = remedy
