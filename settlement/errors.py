"""What can go wrong with keys and settlement.

SettlementError
  +- KeyFileError            a file with keys cannot be created, read or trusted; says where, what and what to do
  |    +- WrongPasswordError     the keystore is whole, and this password does not open it
  +- KeyFormatError          a key from elsewhere (Solana JSON, PEM) that is none
  +- TermsError              a value that no contract, receipt or statement may hold; says which field and why
  +- SignatureRefusedError   a signature that does not count; says why
  +- OutboxError             the settler's own file cannot be used; says where, what and what to do
       +- OutboxFullError        more cheques wait for it than it takes at once
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class SettlementError(Exception):
    """Anything of this room's making."""


class KeyFileError(SettlementError):
    """A file of keys that must not be used: the path, what is wrong with it, and what the operator does about it."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: {problem}; {remedy}")
        self.path = path
        self.problem = problem
        self.remedy = remedy


class WrongPasswordError(KeyFileError):
    """A keystore that is whole, and a password that does not open it."""


class KeyFormatError(SettlementError):
    """Text that should hold a key from elsewhere and does not."""


class TermsError(SettlementError):
    """A value that no contract, receipt or statement may hold: the field, and why not."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class SignatureRefusedError(SettlementError):
    """A signature that does not count: the reason, one of a fixed set where the bytes themselves are at fault."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"signature refused: {reason}")
        self.reason = reason


class OutboxError(SettlementError):
    """A settler's file that cannot be used: the path, what is wrong with it, and what the operator does about it."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: {problem}; {remedy}")
        self.path = path
        self.problem = problem
        self.remedy = remedy


class OutboxFullError(OutboxError):
    """Cheques come faster than they can be written, or more are open than a settler takes."""
