"""The trades of this buyer that may still cost it something, in memory: what the Lines owe, and what was said of each.

What is decided stands here at once and goes to disk; until it is there it is not durable, and nothing that depends on
it may leave. Trades that can cost nothing more are let go: the file still has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aggregator.entries import Entry, Key, State
from settlement.cover import Promise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from settlement.lines import LineState

ENTRIES_MAX: Final = 16_384
"""Trades that may be open at once: 64 Lines whose 256 numbers are all promised; beyond it nothing is bid."""
_SWEEP_AT: Final = 1_024
"""Entries from which those that can be let go are looked for, each time their number has doubled since."""
_LAPSE_S: Final = 86_400
"""How long after its last moment a trade that can no longer be claimed is still at hand."""


class ChequeBook:
    """Entries by their key, and by battery."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        """Start with what a file holds."""
        self._by_battery: dict[bytes, dict[int, Entry]] = {}
        self._promises: dict[Key, Promise] = {}
        self._unwritten: set[Key] = set()
        self._count = 0
        self._sweep_at = _SWEEP_AT
        for entry in entries:
            self._set(entry)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Entry]:
        for entries in tuple(self._by_battery.values()):
            yield from tuple(entries.values())

    @property
    def is_full(self) -> bool:
        """Whether no further trade may be agreed."""
        return self._count >= ENTRIES_MAX

    def get(self, key: Key) -> Entry | None:
        """Return what is known of a trade."""
        return self._by_battery.get(key.battery, {}).get(key.bid_id)

    def of(self, battery: bytes) -> tuple[Entry, ...]:
        """Return the trades with a battery."""
        return tuple(self._by_battery.get(battery, {}).values())

    def put(self, entry: Entry) -> Entry:
        """Take in what was decided, which is not on disk yet; return it."""
        self._set(entry)
        self._unwritten.add(entry.key)
        return entry

    def found(self, entry: Entry) -> None:
        """Take in what was read from disk, unless more is known already."""
        if self.get(entry.key) is None:
            self._set(entry)

    def written(self, entry: Entry) -> None:
        """Note that an entry is on disk; a later one of the same trade still has to follow it."""
        if self.get(entry.key) is entry:
            self._unwritten.discard(entry.key)

    def is_durable(self, key: Key) -> bool:
        """Whether what is known of a trade is on disk."""
        return key not in self._unwritten

    def unwritten(self) -> list[Entry]:
        """Return what is decided and not on disk."""
        return [entry for entry in self if entry.key in self._unwritten]

    def drop(self, key: Key) -> None:
        """Forget a trade that came to nothing before anything of it left."""
        entries = self._by_battery.get(key.battery, {})
        if entries.pop(key.bid_id, None) is not None:
            self._count -= 1
            del self._promises[key]
        self._unwritten.discard(key)

    def promises(self, battery: bytes, line: LineState) -> list[Promise]:
        """Return what the open trades may still take from a Line.

        Claimed and disputed ones are not among them: the Line itself holds their money.
        """
        return [self._promises[entry.key] for entry in self.of(battery) if may_cost(entry, line)]

    def sweep(self, now_s: int, line_of: Callable[[bytes], LineState | None]) -> None:
        """Let go of the trades that can cost nothing more, when there are many; `line_of` gets a battery's wallet."""
        if self._count < self._sweep_at:
            return
        for entry in self:
            line = line_of(entry.contract.battery_wallet)
            is_over = line is not None and entry.state is not State.OPEN and not may_cost(entry, line)
            if self.is_durable(entry.key) and (is_over or entry.contract.valid_until_s + _LAPSE_S < now_s):
                self.drop(entry.key)
        self._sweep_at = max(_SWEEP_AT, 2 * self._count)

    def _set(self, entry: Entry) -> None:
        entries = self._by_battery.setdefault(entry.key.battery, {})
        if entry.key.bid_id not in entries:
            self._count += 1
            self._promises[entry.key] = Promise(entry.contract.contract_no, entry.contract.reserve)
        entries[entry.key.bid_id] = entry


def may_cost(entry: Entry, line: LineState) -> bool:
    """Whether a trade may still take money from its Line, as the Line was read.

    Not one of a Line that was closed, one whose number is used, a void one (the battery gives its number to another),
    and one that was neither signed to the end nor claimed in time.
    """
    contract = entry.contract
    if contract.generation != line.generation or line.is_used(contract.contract_no):
        return False
    return entry.state is State.AGREED or (not entry.is_void and line.read_at_s <= contract.valid_until_s)
