"""The auction as one pure function: `step(state, event, now_ms) -> (state, effects)` (ETP section 6).

What holds for every rule is here: the order of bids with the same `now`, awards that fall due before an event is looked
at, the shield, the freeze of terms, voided awards, and the end of a lot. A state is an immutable value; a step that
changes nothing returns the state it was given.

Events that protect the owner (Withdraw, Shrink, PeerGone) are applied before what has fallen due is awarded, all others
after it: energy that is no longer there must not be promised, and a bid that stood its time must not lose to a late
one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from etp.auction.judge import after_refusals, draw, key_pads, refused_first
from etp.auction.lot import (
    SHOWN,
    OpenLot,
    add_shield,
    closed,
    is_over,
    live_shields,
    noted,
    open_lot,
    resized,
    with_entries,
    with_shields,
    with_terms,
)
from etp.auction.types import (
    AuctionError,
    Award,
    Bid,
    Bids,
    BookChanged,
    Confirmed,
    Effect,
    Effects,
    Event,
    Lot,
    Open,
    PeerGone,
    Refuse,
    Retune,
    Returned,
    Shield,
    Shrink,
    Terms,
    Tick,
    Unconfirmed,
    Voided,
    Withdraw,
)
from etp.messages import ReasonCode
from etp.units import ENERGY_STEP_WH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etp.auction.rule import Rule

_new: Final = tuple.__new__  # of a named tuple, without a frame for its constructor
_PROTECTING: Final = (Withdraw, Shrink, PeerGone)
_BOOK_CHANGED: Final = BookChanged()


class Owed(NamedTuple):
    """An award that is neither confirmed nor voided; `shield_e4` is known once its lot is closed."""

    peer: str
    bid_id: int
    energy_wh: int
    power_w: int
    lot_id: int
    shield_e4: int = 0


class Auction(NamedTuple):
    """All that an auction knows; made by `new_auction`, changed by `step` only."""

    rule: Rule
    terms: Terms | None = None
    lot: OpenLot | None = None
    owed: tuple[Owed, ...] = ()
    waiting: Terms | None = None
    shields: tuple[Shield, ...] = ()
    """Shields that no lot has yet; the next one inherits them."""


def step(auction: Auction, event: Event, now_ms: int) -> tuple[Auction, Effects]:
    """Return what the auction becomes at `now_ms`, and what the desk must do about it.

    Raises AuctionError for an Open while a lot is open and for a Confirmed or Voided award that is not owed.
    """
    effects: list[Effect] = []
    if isinstance(event, Bids):
        lot = auction.lot
        settled = auction if lot is None or now_ms < lot.due_ms else _settle(auction, now_ms, effects)
        after = _take_all(settled, event.bids, now_ms, effects)
    elif isinstance(event, Tick):
        after = _settle(auction, now_ms, effects)
    elif isinstance(event, Open):
        after = _open(_settle(auction, now_ms, effects), event.lot, now_ms)
    elif isinstance(event, _PROTECTING):
        after = _settle(_protect(auction, event, now_ms, effects), now_ms, effects)
    else:
        after = _react(_settle(auction, now_ms, effects), event, now_ms, effects)
    if after is not auction:
        after = _finish(auction, after, now_ms, effects)
    return after, tuple(effects)


def refuse_all(auction: Auction, bids: Sequence[Bid], now_ms: int) -> tuple[Auction, list[Refuse]] | None:
    """Refuse bids with the same `now`, each by its place; None when one of them would enter or something is due.

    What `step` does with such bids, for a desk that has many: nothing but the answers is made.
    """
    lot = auction.lot
    if lot is None or now_ms >= lot.due_ms:
        return None
    refused = refused_first(auction.rule, lot, bids, now_ms)
    if len(refused) < len(bids):
        return None
    return _with_lot(auction, after_refusals(lot, bids, refused)), refused


def _protect(auction: Auction, event: Withdraw | Shrink | PeerGone, now_ms: int, effects: list[Effect]) -> Auction:
    match event:
        case Withdraw(code):
            return _withdraw(auction, code, effects)
        case Shrink(energy_wh, power_w):
            return _shrink(auction, energy_wh, power_w, now_ms, effects)
        case PeerGone(peer):
            return _peer_gone(auction, peer, now_ms, effects)


def _react(auction: Auction, event: Confirmed | Voided | Retune, now_ms: int, effects: list[Effect]) -> Auction:
    match event:
        case Confirmed(peer, bid_id):
            return _paid(auction, _owed(auction, peer, bid_id))
        case Voided(peer, bid_id, blame):
            return _void(auction, _owed(auction, peer, bid_id), blame, now_ms, effects)
        case Retune(terms):
            unchanged = auction.lot is not None and terms == auction.lot.terms
            return auction._replace(waiting=None if unchanged else terms)


def _open(auction: Auction, lot: Lot, now_ms: int) -> Auction:
    """Put a lot up under the shields that wait for it and its own."""
    if auction.lot is not None:
        raise AuctionError(f"lot {lot.lot_id} cannot open while lot {auction.lot.lot_id} is open")
    shields = live_shields(auction.shields, now_ms)
    if lot.shield is not None and now_ms < lot.shield.until_ms:
        shields = add_shield(shields, lot.shield)
    return _new(Auction, (auction.rule, lot.terms, open_lot(lot, shields), auction.owed, None, ()))


def _take_all(auction: Auction, bids: Sequence[Bid], now_ms: int, effects: list[Effect]) -> Auction:
    """Take bids with the same `now`: in any order when none would enter, else in the order of their draws."""
    lot, rule = auction.lot, auction.rule
    if lot is None:
        return _refuse_without_lot(auction, bids, effects)
    if len(bids) > 1 and (taken := rule.enter_all(lot, bids, now_ms)) is not None:
        return _with_lot(auction, taken)
    refused = refused_first(rule, lot, bids, now_ms)
    if len(refused) == len(bids):
        effects += refused
        return _with_lot(auction, after_refusals(lot, bids, refused))
    if len(bids) == 1:
        return _enter(auction, lot, bids[0], now_ms, effects)
    pads = key_pads(lot.seed)
    drawn = sorted(bids, key=lambda bid: draw(pads, bid.peer, bid.bid_id))
    return _take_in_order(auction, drawn, now_ms, effects)


def _take_in_order(auction: Auction, bids: Sequence[Bid], now_ms: int, effects: list[Effect]) -> Auction:
    """Take bids one after another, as far as the next that enters with one look at the lot."""
    while bids:
        lot = auction.lot
        if lot is None:
            return _refuse_without_lot(auction, bids, effects)
        refused = refused_first(auction.rule, lot, bids, now_ms)
        effects += refused
        lot = after_refusals(lot, bids, refused)
        bids = bids[len(refused) :]
        auction = _enter(auction, lot, bids[0], now_ms, effects) if bids else _with_lot(auction, lot)
        bids = bids[1:]
    return auction


def _refuse_without_lot(auction: Auction, bids: Sequence[Bid], effects: list[Effect]) -> Auction:
    reserve_e4 = 0 if auction.terms is None else auction.terms.reserve_e4
    effects.extend([Refuse(bid.peer, bid.bid_id, ReasonCode.NO_LOT, reserve_e4) for bid in bids])
    return auction


def _enter(auction: Auction, lot: OpenLot, bid: Bid, now_ms: int, effects: list[Effect]) -> Auction:
    entered = auction.rule.enter(noted(lot, bid), bid, now_ms, effects)
    return _settle(_with_lot(auction, entered), now_ms, effects)


def _with_lot(auction: Auction, lot: OpenLot, owed: tuple[Owed, ...] | None = None) -> Auction:
    """Return the auction with its lot as it is now; the same object when nothing changed."""
    rule, terms, before, _, waiting, shields = auction
    if lot is before:
        return auction
    return _new(Auction, (rule, terms, lot, auction.owed if owed is None else owed, waiting, shields))


def _settle(auction: Auction, now_ms: int, effects: list[Effect]) -> Auction:
    """Award what is due, let fall a shield whose time is up, and end what is over."""
    lot, owed = auction.lot, auction.owed
    if lot is None:
        return auction
    reason = ""
    if lot.due_ms <= now_ms:
        first = len(effects)
        lot, reason = auction.rule.settle(lot, now_ms, effects)
        shields = live_shields(lot.shields, now_ms)
        lot = lot if shields is lot.shields else with_shields(lot, shields)
        for effect in effects[first:]:
            if isinstance(effect, Award):
                owed = (*owed, _owed_for(effect))
    if not reason and is_over(lot):
        reason = "sold" if lot.left_steps < 1 else "too_small"
    return _close(auction, lot, owed, reason, effects) if reason else _with_lot(auction, lot, owed)


def _owed_for(award: Award) -> Owed:
    return _new(Owed, (award.peer, award.bid_id, award.energy_wh, award.power_w, award.lot_id, 0))


def _close(auction: Auction, lot: OpenLot, owed: tuple[Owed, ...], reason: str, effects: list[Effect]) -> Auction:
    """End the lot; unconfirmed awards remember its shield, and an unsold lot's shield waits for the next."""
    lot_id, refused = lot.lot_id, lot.refused
    owed = tuple(
        [
            _new(Owed, (*award[:5], refused.other_than(award.peer))) if award.lot_id == lot_id else award
            for award in owed
        ]
    )
    effects.append(closed(lot, reason))
    shields = () if reason == "sold" else lot.shields
    return _new(Auction, (auction.rule, auction.terms, None, owed, auction.waiting, shields))


def _finish(before: Auction, auction: Auction, now_ms: int, effects: list[Effect]) -> Auction:
    """Take over terms that waited for an empty lot, and say so when a price to beat may have moved."""
    lot = auction.lot
    if auction.waiting is not None and (lot is None or _is_empty(auction, lot)):
        if lot is not None:
            lot = with_terms(lot, auction.waiting)
        auction = _settle(auction._replace(terms=auction.waiting, lot=lot, waiting=None), now_ms, effects)
    lot = auction.lot
    if lot is not None and (before.lot is None or _moved(auction.rule, before.lot, lot)):
        effects.append(_BOOK_CHANGED)
    return auction


def _is_empty(auction: Auction, lot: OpenLot) -> bool:
    """Whether nothing stands and no award of this lot is unconfirmed."""
    return not lot.book.entries and all(award.lot_id != lot.lot_id for award in auction.owed)


def _moved(rule: Rule, before: OpenLot, after: OpenLot) -> bool:
    """Whether a peer could be told something new; a sealed rule does not tell that somebody bid."""
    if before is after:
        return False
    return (rule.open_book and before.book is not after.book) or before[:SHOWN] != after[:SHOWN]


def _withdraw(auction: Auction, code: int, effects: list[Effect]) -> Auction:
    """Refuse what stands and close the lot; without a lot there is nothing to withdraw."""
    lot = auction.lot
    if lot is None:
        return auction
    reserve_e4 = lot.terms.reserve_e4
    effects.extend([Refuse(entry.peer, entry.bid_id, code, reserve_e4) for entry in lot.book.entries])
    return _close(auction, lot, auction.owed, "withdrawn", effects)


def _shrink(auction: Auction, energy_wh: int, power_w: int, now_ms: int, effects: list[Effect]) -> Auction:
    """Cut the lot down and drop what no longer fits; a lot that is not larger stays as it is."""
    lot = auction.lot
    if lot is None:
        return auction
    left_steps = min(lot.left_steps, max(0, energy_wh) // ENERGY_STEP_WH)
    power_w = min(lot.power_w, max(0, power_w))
    if (left_steps, power_w) == (lot.left_steps, lot.power_w):
        return auction
    lot = auction.rule.fit(resized(lot, lot.book.entries, left_steps, power_w), now_ms, effects)
    return _close(auction, lot, auction.owed, "too_small", effects) if is_over(lot) else _with_lot(auction, lot)


def _peer_gone(auction: Auction, peer: str, now_ms: int, effects: list[Effect]) -> Auction:
    """Take a closed connection's bid out of the set, and put up the shield against it."""
    lot = auction.lot
    if lot is None or (entry := lot.book.by_peer.get(peer)) is None:
        return auction
    effects.append(Unconfirmed(peer, entry.bid_id))
    lot = with_entries(lot, tuple(other for other in lot.book.entries if other is not entry))
    shield = _shield(lot.refused.other_than(peer), lot.terms, now_ms)
    return auction._replace(lot=lot if shield is None else with_shields(lot, add_shield(lot.shields, shield)))


def _owed(auction: Auction, peer: str, bid_id: int) -> Owed:
    for award in auction.owed:
        if award.peer == peer and award.bid_id == bid_id:
            return award
    raise AuctionError(f"no award of bid {bid_id} of {peer} waits for a Confirm")


def _paid(auction: Auction, gone: Owed) -> Auction:
    return auction._replace(owed=tuple(award for award in auction.owed if award is not gone))


def _void(auction: Auction, award: Owed, blame: bool, now_ms: int, effects: list[Effect]) -> Auction:
    """Give quantity and power back to the same lot if it is open, else to the next; blame raises the shield."""
    auction = _paid(auction, award)
    lot = auction.lot
    same_lot = lot is not None and lot.lot_id == award.lot_id
    price_e4 = lot.refused.other_than(award.peer) if lot is not None and same_lot else award.shield_e4
    shield = _shield(price_e4, auction.terms, now_ms) if blame else None
    if lot is None or not same_lot:
        effects.append(Returned(lot_id=award.lot_id, energy_wh=award.energy_wh, power_w=award.power_w, shield=shield))
    if lot is None:
        return auction if shield is None else auction._replace(shields=add_shield(auction.shields, shield))
    if same_lot:
        steps = award.energy_wh // ENERGY_STEP_WH
        left_steps, power_w = lot.left_steps + steps, lot.power_w + award.power_w
        lot = auction.rule.fit(resized(lot, lot.book.entries, left_steps, power_w, more_sold=-steps), now_ms, effects)
    if shield is not None:
        lot = with_shields(lot, add_shield(lot.shields, shield))
    return auction._replace(lot=lot)


def _shield(price_e4: int, terms: Terms | None, now_ms: int) -> Shield | None:
    """Return the shield at a refused price; none was refused = no shield."""
    if not price_e4 or terms is None or terms.shield_ms == 0:
        return None
    return Shield(price_e4, now_ms + terms.shield_ms)
