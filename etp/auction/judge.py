"""Whether a bid enters, and what it is told if it does not (ETP sections 5 and 6).

Every bid is judged and most are refused, so judging makes nothing but the answer.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from etp.auction.lot import OpenLot, floor_e4, noted, outbid
from etp.auction.types import Bid, Refuse
from etp.messages import ReasonCode
from etp.units import ENERGY_STEP_WH, PRICE_TICK_E4

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etp.auction.rule import Rule

_new: Final = tuple.__new__  # of a named tuple, without a frame for its constructor
_HASH_BLOCK: Final = 64
_INNER: Final = bytes([0x36 ^ byte for byte in range(256)])
_OUTER: Final = bytes([0x5C ^ byte for byte in range(256)])


def refused_first(rule: Rule, lot: OpenLot, bids: Sequence[Bid], now_ms: int) -> list[Refuse]:
    """Return what the bids before the first that enters this lot are told: all of them when none enters.

    Of reasons the first match wins: 9, 2, 1, 8, 4, 7. The lot is looked at once for all bids.
    """
    terms, left_steps, least_steps, own_bids = lot.terms, lot.left_steps, lot.least_steps, lot.book.by_peer
    cap_e4, reserve_e4, lowest_e4 = terms.price_cap_e4, terms.reserve_e4, floor_e4(lot, now_ms)
    price_to_beat = rule.beat_e4
    refused: list[Refuse] = []
    for bid in bids:
        peer, bid_id, price_e4, energy_wh, covered = bid
        steps = energy_wh // ENERGY_STEP_WH
        if energy_wh % ENERGY_STEP_WH or price_e4 % PRICE_TICK_E4 or steps < 1 or price_e4 > cap_e4:
            verdict = _refusal(rule, lot, bid, ReasonCode.MALFORMED, now_ms)
        elif steps > left_steps or steps < least_steps:
            verdict = _refusal(rule, lot, bid, ReasonCode.NOT_ENOUGH_ENERGY, now_ms)
        elif price_e4 < reserve_e4:
            verdict = _refusal(rule, lot, bid, ReasonCode.PRICE_TOO_LOW, now_ms)
        elif not covered:
            verdict = _refusal(rule, lot, bid, ReasonCode.COVER_TOO_SMALL, now_ms)
        else:
            beat_e4 = price_to_beat(lot, peer, steps)
            if beat_e4 < lowest_e4:  # noqa: PLR1730 - a call to max() would cost more than the comparison
                beat_e4 = lowest_e4
            if price_e4 < beat_e4 or (peer in own_bids and steps < own_bids[peer].steps):
                verdict = _new(Refuse, (peer, bid_id, 4, beat_e4, 0))
            elif rule.is_full(lot, peer, steps):
                verdict = _new(Refuse, (peer, bid_id, 7, beat_e4, 0))
            else:
                break
        refused.append(verdict)
    return refused


def _refusal(rule: Rule, lot: OpenLot, bid: Bid, code: int, now_ms: int) -> Refuse:
    """Refuse a bid that is not admissible, quoting the quantity it asked for."""
    steps = bid.energy_wh // ENERGY_STEP_WH
    under_power = code == ReasonCode.NOT_ENOUGH_ENERGY and steps < lot.least_steps
    least_wh = lot.least_steps * ENERGY_STEP_WH if under_power else 0
    return Refuse(bid.peer, bid.bid_id, code, beat_e4(rule, lot, bid.peer, bid.energy_wh, now_ms), least_wh)


def beat_e4(rule: Rule, lot: OpenLot, peer: str, energy_wh: int, now_ms: int) -> int:
    """Return the price to beat for a quantity; 0 or more than the lot means the whole lot."""
    left_steps = lot.left_steps
    steps = max(1, energy_wh // ENERGY_STEP_WH) if energy_wh > 0 else left_steps
    return max(rule.beat_e4(lot, peer, steps if steps < left_steps else left_steps), floor_e4(lot, now_ms))


def after_refusals(lot: OpenLot, bids: Sequence[Bid], refused: Sequence[Refuse]) -> OpenLot:
    """Return the lot knowing what refusals of the first of these bids taught; most teach nothing: the same object."""
    bidders, second_e4 = lot.bidders, lot.refused.second_e4
    for bid, refusal in zip(bids, refused, strict=False):
        code = refusal[2]
        if code == 4 and (bid[2] > second_e4 or bid[0] not in bidders):
            lot = outbid(noted(lot, bid), bid.peer, bid.price_e4)
            bidders, second_e4 = lot.bidders, lot.refused.second_e4
        elif code == 7:
            lot = noted(lot, bid)
    return lot


def key_pads(seed: bytes) -> tuple[bytes, bytes]:
    """Return the blocks that begin the inner and the outer hash of every HMAC-SHA-256 under a lot's seed."""
    key = seed if len(seed) <= _HASH_BLOCK else sha256(seed).digest()
    block = key.ljust(_HASH_BLOCK, b"\0")
    return block.translate(_INNER), block.translate(_OUTER)


def draw(pads: tuple[bytes, bytes], peer: str, bid_id: int) -> bytes:
    """Return a bid's place among bids with the same `now`: HMAC-SHA-256(lot seed, peer, id as u64 LE), lowest first.

    Spelled out, because a library call costs twice as much: it looks for its hash and prepares its key each time.
    """
    inner, outer = pads
    return sha256(outer + sha256(inner + peer.encode() + bid_id.to_bytes(8, "little")).digest()).digest()
