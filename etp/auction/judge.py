"""Whether a bid enters, and what it is told if it does not (ETP sections 5 and 6).

`judge` runs once per bid and refuses most of them, so it makes nothing but the answer.
"""

from __future__ import annotations

from hmac import digest
from typing import TYPE_CHECKING, Final

from etp.auction.lot import OpenLot, floor_e4, noted, outbid
from etp.auction.types import Bid, Refuse
from etp.messages import ReasonCode
from etp.units import ENERGY_STEP_WH, PRICE_TICK_E4

if TYPE_CHECKING:
    from etp.auction.rule import Rule

_new: Final = tuple.__new__  # of a named tuple, without a frame for its constructor


def judge(rule: Rule, lot: OpenLot, bid: Bid, now_ms: int) -> Refuse | None:  # noqa: PLR0911 (one line a code)
    """Return why a bid does not enter, or None. First match wins: 9, 2, 1, 8, 4, 7."""
    peer, bid_id, price_e4, energy_wh, covered = bid
    terms = lot.terms
    steps = energy_wh // ENERGY_STEP_WH
    if energy_wh % ENERGY_STEP_WH or price_e4 % PRICE_TICK_E4 or steps < 1 or price_e4 > terms.price_cap_e4:
        return _refusal(rule, lot, bid, ReasonCode.MALFORMED, now_ms)
    if steps > lot.left_steps or steps < lot.least_steps:
        return _refusal(rule, lot, bid, ReasonCode.NOT_ENOUGH_ENERGY, now_ms)
    if price_e4 < terms.reserve_e4:
        return _refusal(rule, lot, bid, ReasonCode.PRICE_TOO_LOW, now_ms)
    if not covered:
        return _refusal(rule, lot, bid, ReasonCode.COVER_TOO_SMALL, now_ms)
    beat_e4 = rule.beat_e4(lot, peer, steps)
    lowest_e4 = floor_e4(lot, now_ms) if lot.shields else terms.reserve_e4
    if beat_e4 < lowest_e4:  # noqa: PLR1730 - a call to max() would cost more than the comparison
        beat_e4 = lowest_e4
    if price_e4 < beat_e4:
        return _new(Refuse, (peer, bid_id, 4, beat_e4, 0))
    own = lot.book.by_peer.get(peer)
    if own is not None and steps < own.steps:
        return Refuse(peer, bid_id, 4, beat_e4)
    if rule.is_full(lot, peer, steps):
        return Refuse(peer, bid_id, 7, beat_e4)
    return None


def _refusal(rule: Rule, lot: OpenLot, bid: Bid, code: int, now_ms: int) -> Refuse:
    """Refuse a bid that is not admissible, quoting the quantity it asked for."""
    steps = bid.energy_wh // ENERGY_STEP_WH
    under_power = code == ReasonCode.NOT_ENOUGH_ENERGY and steps < lot.least_steps
    least_wh = lot.least_steps * ENERGY_STEP_WH if under_power else 0
    return Refuse(bid.peer, bid.bid_id, code, beat_e4(rule, lot, bid.peer, bid.energy_wh, now_ms), least_wh)


def beat_e4(rule: Rule, lot: OpenLot, peer: str, energy_wh: int, now_ms: int) -> int:
    """Return the price to beat for a quantity; 0 or more than the lot means the whole lot."""
    steps = max(1, energy_wh // ENERGY_STEP_WH) if energy_wh > 0 else lot.left_steps
    return max(rule.beat_e4(lot, peer, min(steps, lot.left_steps)), floor_e4(lot, now_ms))


def after_refusal(lot: OpenLot, bid: Bid, refusal: Refuse) -> OpenLot:
    """Return the lot knowing what a refusal taught."""
    code = refusal[2]
    if code != 4:
        return noted(lot, bid) if code == 7 else lot
    if bid[2] <= lot.refused.second_e4 and bid[0] in lot.bidders:
        return lot
    return outbid(noted(lot, bid), bid.peer, bid.price_e4)


def draw(seed: bytes, peer: str, bid_id: int) -> bytes:
    """Return a bid's place among bids with the same `now`: HMAC-SHA-256(lot seed, peer, id as u64 LE), lowest first."""
    return digest(seed, peer.encode() + bid_id.to_bytes(8, "little"), "sha256")
