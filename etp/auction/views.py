"""What can be asked of an auction without changing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from etp.auction.clock import AscendingClock
from etp.auction.first import FirstAcceptable
from etp.auction.judge import beat_e4
from etp.auction.machine import Auction
from etp.auction.sealed import SealedFirst, SealedSecond
from etp.auction.standing import StandingBid
from etp.auction.types import NEVER_MS, AuctionError, Shield, Terms
from etp.units import ENERGY_STEP_WH

if TYPE_CHECKING:
    from etp.auction.rule import Rule

_ALL: Final[tuple[Rule, ...]] = (StandingBid(), SealedFirst(), SealedSecond(), AscendingClock(), FirstAcceptable())
RULES: Final = {rule.name: rule for rule in _ALL}
"""Every auction rule by the name that a site file uses."""


class Standing(NamedTuple):
    """A standing bid as a display wants it."""

    peer: str
    bid_id: int
    price_e4: int
    energy_wh: int
    entered_ms: int
    due_ms: int


class LotStats(NamedTuple):
    """What has happened in the open lot so far; `increment_e4` is the one in force."""

    lot_id: int
    terms: Terms
    opening_wh: int
    open_wh: int
    sold_wh: int
    entered: int
    distinct_bidders: int
    first_acceptable_e4: int | None
    increment_e4: int
    shields: tuple[Shield, ...]
    improvements: int


def new_auction(rule: str, terms: Terms | None = None) -> Auction:
    """Return an auction without a lot; `terms` only serve quotes until the first lot. Raises AuctionError."""
    if rule not in RULES:
        raise AuctionError(f"rule {rule!r} is not one of {', '.join(sorted(RULES))}")
    return Auction(RULES[rule], terms)


def next_deadline(auction: Auction) -> int | None:
    """Return when the desk must send a Tick, None if nothing happens without an event."""
    lot = auction.lot
    return None if lot is None or lot.due_ms >= NEVER_MS else lot.due_ms


def quote(auction: Auction, peer: str, energy_wh: int, now_ms: int) -> int:
    """Return the price to beat for `energy_wh` of `peer` (0 or more than the lot = the whole lot).

    Above the price cap it means that the lot cannot be beaten; without a lot it is the reserve (0 before any terms).
    """
    if auction.lot is None:
        return 0 if auction.terms is None else auction.terms.reserve_e4
    return beat_e4(auction.rule, auction.lot, peer, energy_wh, now_ms)


def own_price(auction: Auction, peer: str) -> int:
    """Return the price of the peer's standing bid in this lot, 0 if it has none."""
    entry = None if auction.lot is None else auction.lot.book.by_peer.get(peer)
    return 0 if entry is None else entry.price_e4


def open_energy(auction: Auction) -> int:
    """Return what is still for sale in the lot in Wh, 0 without one."""
    return 0 if auction.lot is None else auction.lot.left_steps * ENERGY_STEP_WH


def open_power(auction: Auction) -> int:
    """Return the power not yet granted in the lot in W (a magnitude), 0 without one."""
    return 0 if auction.lot is None else auction.lot.power_w


def least_energy(auction: Auction) -> int:
    """Return the smallest quantity whose power the device can deliver in Wh, 0 without a lot."""
    return 0 if auction.lot is None else auction.lot.least_steps * ENERGY_STEP_WH


def standing(auction: Auction) -> tuple[Standing, ...]:
    """Return the bids in the set, oldest first."""
    if auction.lot is None:
        return ()
    return tuple(
        Standing(entry.peer, entry.bid_id, entry.price_e4, entry.steps * ENERGY_STEP_WH, entry.entered_ms, entry.due_ms)
        for entry in auction.lot.book.entries
    )


def stats(auction: Auction) -> LotStats | None:
    """Return what has happened in the open lot so far."""
    lot = auction.lot
    if lot is None:
        return None
    return LotStats(
        lot_id=lot.lot_id,
        terms=lot.terms,
        opening_wh=lot.opening_steps * ENERGY_STEP_WH,
        open_wh=lot.left_steps * ENERGY_STEP_WH,
        sold_wh=lot.sold_steps * ENERGY_STEP_WH,
        entered=lot.entered,
        distinct_bidders=len(lot.bidders),
        first_acceptable_e4=lot.first_acceptable_e4,
        increment_e4=lot.increment_e4,
        shields=lot.shields,
        improvements=lot.improvements,
    )
