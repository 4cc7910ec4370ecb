"""Which transactions landed: what is too young for the disk, and what a validator's status cache remembers.

The cache also refuses duplicates: it holds every transaction for longer than any blockhash is good.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from settlement.ledger.records import Place, Record
    from settlement.ledger.store import Store


class Landing(NamedTuple):
    """Where a transaction landed, and the error it ended with."""

    signature: bytes
    digest: bytes
    place: Place
    err: Any


class History:
    """The transactions of one ledger."""

    def __init__(self, store: Store, recent: Iterable[Record]) -> None:
        """`recent` are the transactions on disk that the status cache still remembers, oldest first."""
        self._store = store
        self._pending: dict[bytes, Record] = {}
        self._landings: dict[bytes, Landing] = {}
        self._by_digest: dict[bytes, Landing] = {}
        self._in_order: deque[Landing] = deque()
        for record in recent:
            self._remember(record)

    def add(self, record: Record) -> None:
        """Note a transaction that has just landed."""
        self._pending[record.signature] = record
        self._remember(record)

    def landing(self, signature: bytes) -> Landing | None:
        """Return where a transaction landed, from the status cache alone."""
        return self._landings.get(signature)

    def landing_of_message(self, digest: bytes) -> Landing | None:
        """Return where a transaction with this message landed, from the status cache alone."""
        return self._by_digest.get(digest)

    def record(self, signature: bytes) -> Record | None:
        """Return all that is kept of a transaction, also from disk."""
        return self._pending.get(signature) or self._store.by_signature(signature)

    def mentioning(self, key: bytes, before: Place, count: int) -> list[Record]:
        """Return the newest transactions that name an account and come before a place, newest first."""
        young = [record for record in reversed(self._pending.values()) if key in record.keys and record.place < before]
        found = young[:count]
        if len(found) < count:
            found += self._store.mentioning(key, before, count - len(found))
        return found

    def through(self, height: int) -> list[Record]:
        """Return the transactions up to a height that are not on disk yet, oldest first."""
        return [record for record in self._pending.values() if record.place.height <= height]

    def on_disk(self, records: Iterable[Record]) -> None:
        """Note that these transactions are on disk now."""
        for record in records:
            del self._pending[record.signature]

    def forget(self, through: int) -> None:
        """Let the status cache forget what landed up to a height."""
        while self._in_order and self._in_order[0].place.height <= through:
            landing = self._in_order.popleft()
            if self._landings.get(landing.signature) is landing:
                del self._landings[landing.signature]
            if self._by_digest.get(landing.digest) is landing:
                del self._by_digest[landing.digest]

    def _remember(self, record: Record) -> None:
        landing = Landing(record.signature, record.digest, record.place, record.err)
        self._landings[record.signature] = landing
        self._by_digest[record.digest] = landing
        self._in_order.append(landing)
