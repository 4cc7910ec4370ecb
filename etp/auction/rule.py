"""What an auction rule decides; everything else is the same for all of them (`machine.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etp.auction.lot import OpenLot
    from etp.auction.types import Bid, Effect


class Rule(Protocol):
    """A rule's decisions about one open lot; every method is a pure function of its arguments."""

    name: str
    open_book: bool
    """Whether peers are told when the set changes."""

    def beat_e4(self, lot: OpenLot, peer: str, steps: int) -> int:
        """Return the lowest price at which `steps` of `peer` enter, reserve and shield apart."""
        ...

    def is_full(self, lot: OpenLot, peer: str, steps: int) -> bool:
        """Whether one more bid would be one too many."""
        ...

    def enter(self, lot: OpenLot, bid: Bid, now_ms: int, effects: list[Effect]) -> OpenLot:
        """Take in a bid that may enter."""
        ...

    def enter_all(self, lot: OpenLot, bids: Sequence[Bid], now_ms: int) -> OpenLot | None:
        """Take in bids with the same `now` together; None where they must be looked at one by one."""
        ...

    def settle(self, lot: OpenLot, now_ms: int, effects: list[Effect]) -> tuple[OpenLot, str]:
        """Award what is due; return the lot and, when the rule closes it, the reason ("" = it stays open)."""
        ...

    def fit(self, lot: OpenLot, now_ms: int, effects: list[Effect]) -> OpenLot:
        """Drop (code 2) what no longer fits a lot that shrank."""
        ...
