"""First acceptable bid: the public reference's rule, a baseline for studies only."""

# A rule's interface is wider than what each rule needs.
# ruff: noqa: ARG002

from __future__ import annotations

from typing import TYPE_CHECKING

from etp.auction.lot import make_entry, sell, with_entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etp.auction.lot import OpenLot
    from etp.auction.types import Bid, Effect


class FirstAcceptable:
    """Rule "first_acceptable": an admissible bid wins at once at its own price; nobody ever stands."""

    name = "first_acceptable"
    open_book = True

    def beat_e4(self, lot: OpenLot, peer: str, steps: int) -> int:
        """Return 0: whoever comes first wins."""
        return 0

    def is_full(self, lot: OpenLot, peer: str, steps: int) -> bool:
        """Return False: nobody stands."""
        return False

    def enter(self, lot: OpenLot, bid: Bid, now_ms: int, effects: list[Effect]) -> OpenLot:
        """Let the bid in with its time already up."""
        return with_entries(lot, (make_entry(lot, bid, now_ms, now_ms),), entered=1)

    def enter_all(self, lot: OpenLot, bids: Sequence[Bid], now_ms: int) -> OpenLot | None:
        """Return None: a bid that enters wins, and the next finds a smaller lot."""
        return None

    def settle(self, lot: OpenLot, now_ms: int, effects: list[Effect]) -> tuple[OpenLot, str]:
        """Award the bid that just came in."""
        for entry in lot.book.entries:
            lot, award = sell(lot, entry, entry.price_e4)
            effects.append(award)
        return lot, ""

    def fit(self, lot: OpenLot, now_ms: int, effects: list[Effect]) -> OpenLot:
        """Return the lot: nobody stands."""
        return lot
