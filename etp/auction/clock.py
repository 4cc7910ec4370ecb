"""Ascending clock: the price rises from the reserve in increments until what is asked for fits the lot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etp.auction.collecting import Collecting, best_of
from etp.auction.lot import floor_e4

if TYPE_CHECKING:
    from etp.auction.book import Entry
    from etp.auction.lot import OpenLot


class AscendingClock(Collecting):
    """Rule "ascending_clock": a bid is active while the clock is not above its limit; winners pay the clock."""

    name = "ascending_clock"

    def clear(self, lot: OpenLot, entries: list[Entry], now_ms: int) -> list[tuple[Entry, int]]:
        """Return the bids still active when demand fits; where the next step would leave nobody, the best set."""
        start_e4 = floor_e4(lot, now_ms)
        if all(entry.price_e4 < start_e4 for entry in entries):
            start_e4 = lot.terms.reserve_e4
        increment_e4 = lot.increment_e4
        price_e4 = start_e4
        active = [entry for entry in entries if entry.price_e4 >= price_e4]
        while sum(entry.steps for entry in active) > lot.left_steps:
            lowest_e4 = min(entry.price_e4 for entry in active)
            next_e4 = start_e4 + ((lowest_e4 - start_e4) // increment_e4 + 1) * increment_e4
            remaining = [entry for entry in active if entry.price_e4 >= next_e4]
            if not remaining:
                price_e4 = next_e4 - increment_e4
                active = best_of(active, lot.left_steps)
                break
            price_e4, active = next_e4, remaining
        return [(entry, price_e4) for entry in active]
