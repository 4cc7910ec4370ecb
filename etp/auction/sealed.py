"""Sealed bids: the best set wins and pays its own prices, or one price that the losers set."""

# A rule's interface is wider than what each rule needs.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import TYPE_CHECKING

from etp.auction.collecting import BY_PRICE, Collecting, best_of
from etp.auction.lot import floor_e4

if TYPE_CHECKING:
    from etp.auction.book import Entry
    from etp.auction.lot import OpenLot


class SealedFirst(Collecting):
    """Rule "sealed_first": everybody who wins pays the own bid."""

    name = "sealed_first"

    def clear(self, lot: OpenLot, entries: list[Entry], now_ms: int) -> tuple[list[Entry], list[int]]:
        """Return the best set, each at its own price."""
        winners = best_of(entries, lot.left_steps)
        return winners, [entry.price_e4 for entry in winners]


class SealedSecond(Collecting):
    """Rule "sealed_second": all winners pay max(reserve, highest losing price not above the lowest winning price)."""

    name = "sealed_second"

    def clear(self, lot: OpenLot, entries: list[Entry], now_ms: int) -> tuple[list[Entry], list[int]]:
        """Return the best set at one price; a shield is the reserve here too, but never above a winner's bid."""
        winners = best_of(entries, lot.left_steps)
        lowest_e4 = min(winners, key=BY_PRICE).price_e4
        price_e4 = min(lowest_e4, floor_e4(lot, now_ms))
        for entry in entries:
            if price_e4 < entry.price_e4 <= lowest_e4 and entry not in winners:
                price_e4 = entry.price_e4
        return winners, [price_e4] * len(winners)
