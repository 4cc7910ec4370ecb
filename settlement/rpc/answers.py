"""What nodes answer, as values. Anything that is not exactly of the documented shape is a ValueError.

Commitments: `processed` may vanish, `confirmed` has two thirds of the stake behind it, `finalized` cannot be undone.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from settlement.base58 import from_base58
from settlement.errors import TermsError
from settlement.values import U64_MAX

Commitment: TypeAlias = Literal["processed", "confirmed", "finalized"]

ACCOUNTS_MAX: Final = 100
"""Accounts in one request, the nodes' own limit."""
STATUSES_MAX: Final = 256
"""Signatures in one request, the nodes' own limit."""
ACCOUNT_BYTES_MAX: Final = 64 * 1024
_COMMITMENTS: Final[tuple[Commitment, ...]] = ("processed", "confirmed", "finalized")


@dataclass(frozen=True, slots=True)
class Blockhash:
    """A recent blockhash and the last block height at which a transaction with it can land."""

    value: bytes
    last_valid_block_height: int
    slot: int


@dataclass(frozen=True, slots=True)
class AtSlot:
    """A slot alone."""

    slot: int


@dataclass(frozen=True, slots=True)
class Account:
    """An account as one node sees it."""

    lamports: int
    owner: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Accounts:
    """Several accounts at one slot, None for each that does not exist."""

    slot: int
    values: tuple[Account | None, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """What became of a transaction: the slot it landed in, how sure that is, and the error if it failed there."""

    slot: int
    commitment: Commitment
    error: Any
    """The transaction error in the node's JSON, None after success."""

    def reached(self, commitment: Commitment) -> bool:
        """Whether it is at least so sure."""
        return _COMMITMENTS.index(self.commitment) >= _COMMITMENTS.index(commitment)


@dataclass(frozen=True, slots=True)
class Statuses:
    """What became of several transactions, None for each that the node does not know."""

    slot: int
    values: tuple[Status | None, ...]


def number(value: object, lowest: int = 0, highest: int = U64_MAX) -> int:
    """Return a whole number in range. Raises ValueError."""
    if type(value) is not int or not lowest <= value <= highest:
        raise ValueError(f"{value!r} where a whole number from {lowest} to {highest} belongs")
    return value


def hash_in(value: object) -> bytes:
    """Return the 32 bytes of a hash or address in base58. Raises ValueError."""
    return _address(value) if isinstance(value, str) else _base58(value, 32)


@lru_cache(maxsize=1_024)
def _address(text: str) -> bytes:
    """The few owners of accounts come again and again; base58 is slow."""
    return _base58(text, 32)


def blockhash_in(value: object) -> Blockhash:
    """Read the answer to getLatestBlockhash. Raises ValueError."""
    slot, content = _with_context(value)
    fields = _object(content)
    return Blockhash(hash_in(fields.get("blockhash")), number(fields.get("lastValidBlockHeight")), slot)


def slot_in(value: object) -> AtSlot:
    """Read the answer to getSlot. Raises ValueError."""
    return AtSlot(number(value))


def accounts_in(value: object, count: int) -> Accounts:
    """Read the answer to getMultipleAccounts. Raises ValueError."""
    slot, content = _with_context(value)
    return Accounts(slot, tuple(None if item is None else _account(item) for item in _list(content, count)))


def statuses_in(value: object, count: int) -> Statuses:
    """Read the answer to getSignatureStatuses. Raises ValueError."""
    slot, content = _with_context(value)
    return Statuses(slot, tuple(None if item is None else _status(item) for item in _list(content, count)))


def same_signature(value: object, signature: bytes) -> None:
    """Read the answer to sendTransaction. Raises ValueError when it is not about this transaction."""
    if _base58(value, 64) != signature:
        raise ValueError("another transaction's signature")


def signatures_in(value: object) -> tuple[bytes, ...]:
    """Read the answer to getSignaturesForAddress: those that succeeded. Raises ValueError."""
    items = [_object(item) for item in _list(value, None)]
    return tuple(_base58(item.get("signature"), 64) for item in items if item.get("err") is None)


def transaction_in(value: object) -> dict[str, Any] | None:
    """Read the answer to getTransaction, whose parts are for the caller to judge. Raises ValueError."""
    return None if value is None else _object(value)


def fees_in(value: object) -> int:
    """Read the answer to getRecentPrioritizationFees: the highest, in millionths of a lamport a unit. ValueError."""
    items = _list(value, None)
    return max((number(_object(item).get("prioritizationFee")) for item in items[:200]), default=0)


def encoded_transaction(record: dict[str, Any]) -> bytes:
    """Return the bytes of a transaction from what getTransaction told of it. Raises ValueError."""
    value = record.get("transaction")
    if not isinstance(value, list) or len(value) != 2 or value[1] != "base64" or not isinstance(value[0], str):
        raise ValueError("a transaction that is not in base64")
    try:
        encoded = base64.b64decode(value[0], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"transaction: {error}") from error
    if len(encoded) < 1 + 64 or len(encoded) < 1 + 64 * encoded[0]:
        raise ValueError("a transaction that is cut short")
    return encoded


def _account(value: object) -> Account:
    fields = _object(value)
    data = fields.get("data")
    if not isinstance(data, list) or len(data) != 2 or data[1] != "base64" or not isinstance(data[0], str):
        raise ValueError("account data that is not in base64")
    if len(data[0]) > ACCOUNT_BYTES_MAX * 4 // 3 + 4:
        raise ValueError(f"an account of more than {ACCOUNT_BYTES_MAX} bytes")
    try:
        content = base64.b64decode(data[0], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"account data: {error}") from error
    return Account(number(fields.get("lamports")), hash_in(fields.get("owner")), content)


def _status(value: object) -> Status:
    fields = _object(value)
    commitment = fields.get("confirmationStatus")
    if commitment not in _COMMITMENTS:
        raise ValueError(f"confirmation status {commitment!r}")
    return Status(number(fields.get("slot")), commitment, fields.get("err"))


def _with_context(value: object) -> tuple[int, object]:
    fields = _object(value)
    return number(_object(fields.get("context")).get("slot")), fields.get("value")


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__} where an object belongs")  # noqa: TRY004 - one kind of error for all
    return value


def _list(value: object, count: int | None) -> list[Any]:
    if not isinstance(value, list) or count not in (None, len(value)):
        raise ValueError(f"no list of {'values' if count is None else count}")
    return value


def _base58(value: object, size: int) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} where base58 belongs")  # noqa: TRY004 - one kind of error for all
    try:
        return from_base58(value, field="answer", size=size)
    except TermsError as error:
        raise ValueError(str(error)) from error
