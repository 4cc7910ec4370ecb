"""What a transaction did to the program: its events, what it cost, whether it failed, out of what a node tells of it.

Money events are instructions of the program to itself, which no limit cuts; the others are lines of the log. Only what
the program itself said counts: another program in the same transaction may print the same bytes.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from solders.transaction import VersionedTransaction

from settlement.base58 import decode_base58
from settlement.errors import SettlementError, TermsError
from settlement.program.codec import LayoutError, Record
from settlement.program.events import EVENTS
from settlement.program.layout import DISCRIMINATOR_BYTES, EVENT_TAG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from solders.pubkey import Pubkey

R = TypeVar("R", bound=Record)

_KINDS: Final = {kind.DISCRIMINATOR: kind for kind in EVENTS}
CALL_LETTERS_MAX: Final = 4_096
"""Of an instruction's data in base58: no event is nearly as long, and decoding takes the square of it."""
_CALLED: Final = re.compile(r"Program (\w+) invoke \[\d+\]")
_ENDED: Final = re.compile(r"Program (\w+) (?:success|failed)")
_DATA: Final = "Program data: "


class HistoryError(SettlementError):
    """A node's account of a transaction that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One transaction that landed."""

    signature: str
    """In base58: its first."""
    slot: int
    error: Any
    """In the node's JSON, None after success."""
    units: int
    """Compute units it used."""
    fee: int
    """Lamports."""
    events: tuple[Record, ...]
    """In the order in which they happened; none when it failed."""

    def event(self, kind: type[R]) -> R | None:
        """Return the first event of a kind, None when there is none."""
        return next((event for event in self.events if isinstance(event, kind)), None)


def read_transaction(told: dict[str, Any], program: Pubkey) -> Happened:
    """Return what the answer to getTransaction (encoding "json" or "base64") says of a program.

    Raises HistoryError for what is no such answer, or an event that the schema does not know.
    """
    try:
        meta = told["meta"]
        signature, keys = _transaction(told["transaction"])
        keys = (*keys, *_loaded(meta))
        error = meta["err"]
        found = () if error is not None else (*_called(meta, keys, str(program)), *_logged(meta, str(program)))
        return Happened(
            signature=signature,
            slot=int(told["slot"]),
            error=error,
            units=int(meta.get("computeUnitsConsumed") or 0),
            fee=int(meta["fee"]),
            events=found,
        )
    except (KeyError, IndexError, TypeError, ValueError, LayoutError, TermsError) as problem:
        raise HistoryError(f"a transaction that cannot be read: {problem!r}") from problem


def _transaction(told: Any) -> tuple[str, tuple[str, ...]]:
    """Return the signature and the static account keys."""
    if isinstance(told, list):
        encoded, encoding = told
        if encoding != "base64":
            raise ValueError(f"encoded as {encoding}")
        try:
            parsed = VersionedTransaction.from_bytes(base64.b64decode(encoded, validate=True))
        except binascii.Error as error:
            raise ValueError(str(error)) from error
        return str(parsed.signatures[0]), tuple(map(str, parsed.message.account_keys))
    return told["signatures"][0], tuple(told["message"]["accountKeys"])


def _loaded(meta: dict[str, Any]) -> tuple[str, ...]:
    loaded = meta.get("loadedAddresses") or {}
    return (*loaded.get("writable", ()), *loaded.get("readonly", ()))


def _called(meta: dict[str, Any], keys: tuple[str, ...], program: str) -> Iterator[Record]:
    for group in meta.get("innerInstructions") or ():
        for call in group["instructions"]:
            if keys[call["programIdIndex"]] != program:
                continue
            data = decode_base58(call["data"][:CALL_LETTERS_MAX])
            if data[: len(EVENT_TAG)] == EVENT_TAG:
                yield _event(data[len(EVENT_TAG) :])


def _logged(meta: dict[str, Any], program: str) -> Iterator[Record]:
    running: list[str] = []
    for line in meta.get("logMessages") or ():
        if called := _CALLED.match(line):
            running.append(called[1])
        elif _ENDED.match(line) and running:
            running.pop()
        elif line.startswith(_DATA) and running and running[-1] == program:
            yield _event(base64.b64decode(line.removeprefix(_DATA)))


def _event(data: bytes) -> Record:
    kind = _KINDS.get(data[:DISCRIMINATOR_BYTES])
    if kind is None:
        raise ValueError(f"an event beginning with {data[:DISCRIMINATOR_BYTES].hex()}")
    return kind.decode(data)
