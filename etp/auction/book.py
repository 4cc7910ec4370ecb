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
    """A bid in the set: its quantity in steps, its value, when it entered and when it is answered."""

    peer: str
    bid_id: int
    price_e4: int
    steps: int
    value: int
    entered_ms: int
    due_ms: int

    @property
    def item(self) -> Item:
        """What the dynamic programme sees of it."""
        return self.value, self.steps


class Book:
    """Standing bids, oldest first, within `left` steps."""

    __slots__ = (
        "_base_e4",
        "_beats",
        "_others",
        "_own_beats",
        "_worth",
        "by_peer",
        "due_ms",
        "entries",
        "free",
        "increment_e4",
        "left",
    )

    def __init__(self, entries: tuple[Entry, ...], *, left: int, base_e4: int, increment_e4: int) -> None:
        self.entries = entries
        self.left = left
        self.free = left - sum([entry.steps for entry in entries])
        self.by_peer = {entry.peer: entry for entry in entries}
        self.due_ms = min([entry.due_ms for entry in entries], default=NEVER_MS)
        self.increment_e4 = increment_e4
        self._base_e4 = base_e4
        self._beats: dict[int, int] = {}
        self._worth: Worth | None = None
        self._others: dict[str, Worth] = {}
        self._own_beats: dict[tuple[str, int], int] = {}

    def beat_e4(self, peer: str, steps: int) -> int:
        """Return the lowest price at which `steps` of `peer` enter, reserve and shield apart (0 = any price)."""
        own = self.by_peer.get(peer)
        if own is not None:
            return self._beat_own_e4(own, max(steps, own.steps))
        if steps <= self.free:
            return 0
        beat_e4 = self._beats.get(steps)
        if beat_e4 is None:
            if self._worth is None:
                self._worth = worth([entry.item for entry in self.entries], self.left)
            forgone = self._worth.at(self.left) - self._worth.at(self.left - steps)
            beat_e4 = self._beats[steps] = self._price_e4(forgone, steps)
        return beat_e4

    def _beat_own_e4(self, own: Entry, steps: int) -> int:
        """Return what the owner of a standing bid must offer to replace it: W(L - steps) is taken without it."""
        key = own.peer, steps
        beat_e4 = self._own_beats.get(key)
        if beat_e4 is None:
            others = self._others.get(own.peer)
            if others is None:
                items = [entry.item for entry in self.entries if entry is not own]
                others = self._others[own.peer] = worth(items, self.left)
            total = sum([entry.value for entry in self.entries])
            price_e4 = self._price_e4(total - others.at(self.left - steps), steps)
            beat_e4 = self._own_beats[key] = max(price_e4, own.price_e4 + self.increment_e4)
        return beat_e4

    def _price_e4(self, forgone: int, steps: int) -> int:
        """Return ceil_tick(keep - one tick + forgone / steps) + increment."""
        ticks = -((-self._base_e4 * steps - forgone) // (steps * PRICE_TICK_E4))
        return ticks * PRICE_TICK_E4 + self.increment_e4
