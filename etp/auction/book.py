"""The standing bids of a lot, and the price to beat that follows from them (ETP section 6, rule 3).

A `Book` is immutable and built only when the set changes. What it computes from its bids (W, prices to beat per
quantity) it keeps, so that a refusal is one look-up; keeping a pure function's results changes nothing that a caller
can see.
"""

from __future__ import annotations

from typing import NamedTuple

from etp.auction.types import NEVER_MS
from etp.auction.worth import Item, Worth, worth
from etp.units import PRICE_TICK_E4


class Entry(NamedTuple):
    """A bid in the set: its quantity in steps, its value, when it entered and when it is answered.

    `draw` is its place among equals where a rule clears by draws, else empty.
    """

    peer: str
    bid_id: int
    price_e4: int
    steps: int
    value: int
    entered_ms: int
    due_ms: int
    draw: bytes = b""

    @property
    def item(self) -> Item:
        """What the dynamic programme sees of it."""
        return self.value, self.steps


class Book:
    """Standing bids, oldest first, within `left` steps."""

    __slots__ = (
        "_beats",
        "_others",
        "_total",
        "_worth",
        "base_e4",
        "by_peer",
        "due_ms",
        "entries",
        "free",
        "increment_e4",
        "left",
    )

    def __init__(self, entries: tuple[Entry, ...], left: int, base_e4: int, increment_e4: int) -> None:
        self.entries = entries
        self.left = left
        self.base_e4 = base_e4
        self.increment_e4 = increment_e4
        self._worth: Worth | None = None
        self._others: dict[str, Worth] = {}
        self._beats: dict[int | tuple[str, int], int] = {}
        by_peer: dict[str, Entry] = {}
        free, total, first_due_ms = left, 0, NEVER_MS
        for entry in entries:
            peer, _, _, steps, value, _, due_ms, _ = entry
            by_peer[peer] = entry
            free -= steps
            total += value
            if due_ms < first_due_ms:  # noqa: PLR1730 - a call to min() would cost more than the comparison
                first_due_ms = due_ms
        self.by_peer = by_peer
        self.free = free
        self.due_ms = first_due_ms
        self._total = total

    def beat_e4(self, peer: str, steps: int) -> int:
        """Return the lowest price at which `steps` of `peer` enter, reserve and shield apart (0 = any price)."""
        own = self.by_peer.get(peer)
        if own is not None:
            return self._beat_own_e4(own, max(steps, own.steps))
        if steps <= self.free:
            return 0
        beat_e4 = self._beats.get(steps)
        if beat_e4 is None:
            forgone, rest = self._total, self.left - steps
            if rest:
                if self._worth is None:
                    self._worth = worth([entry.item for entry in self.entries], self.left)
                forgone -= self._worth.at(rest)
            beat_e4 = self._beats[steps] = self._price_e4(forgone, steps)
        return beat_e4

    def _beat_own_e4(self, own: Entry, steps: int) -> int:
        """Return what the owner of a standing bid must offer to replace it: W(L - steps) is taken without it."""
        key = own.peer, steps
        beat_e4 = self._beats.get(key)
        if beat_e4 is None:
            forgone, rest = self._total, self.left - steps
            if rest:
                others = self._others.get(own.peer)
                if others is None:
                    items = [entry.item for entry in self.entries if entry is not own]
                    others = self._others[own.peer] = worth(items, self.left)
                forgone -= others.at(rest)
            beat_e4 = self._beats[key] = max(self._price_e4(forgone, steps), own.price_e4 + self.increment_e4)
        return beat_e4

    def _price_e4(self, forgone: int, steps: int) -> int:
        """Return ceil_tick(keep - one tick + forgone / steps) + increment."""
        ticks = -((-self.base_e4 * steps - forgone) // (steps * PRICE_TICK_E4))
        return ticks * PRICE_TICK_E4 + self.increment_e4
