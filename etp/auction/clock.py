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

    def clear(self, lot: OpenLot, entries: list[Entry], now_ms: int) -> tuple[list[Entry], list[int]]:
        """Return the bids still active when demand fits; where the next step would leave nobody, the best set."""
        start_e4 = floor_e4(lot, now_ms)
        limits = sorted([(entry.price_e4, entry.steps) for entry in entries])
        if limits[-1][0] < start_e4:
            start_e4 = lot.terms.reserve_e4
        increment_e4 = lot.increment_e4
        price_e4, gone, count = start_e4, 0, len(limits)
        demand = sum([steps for _, steps in limits])
        while True:
            while gone < count and limits[gone][0] < price_e4:
                demand -= limits[gone][1]
                gone += 1
            if demand <= lot.left_steps:
                active = [entry for entry in entries if entry.price_e4 >= price_e4]
                return active, [price_e4] * len(active)
            next_e4 = start_e4 + ((limits[gone][0] - start_e4) // increment_e4 + 1) * increment_e4
            if next_e4 > limits[-1][0]:
                active = best_of([entry for entry in entries if entry.price_e4 >= price_e4], lot.left_steps)
                return active, [next_e4 - increment_e4] * len(active)
            price_e4 = next_e4
