"""One lot under a rule that collects limits and clears once (sealed prices, ascending clock).

Nothing that happens before the clearing makes anybody bid again, so who bids what and when it is read is known
beforehand and no heap is needed: the bids go to the engine ms by ms, then the clearing falls due.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final

from aggregator.strategies import LotView, Mind
from aggregator.strategies import Outcome as Lesson
from etp.auction import Award, Bid, Bids, Lot, LotClosed, Open, Tick, new_auction, next_deadline, stats, step
from market.draws import lot_seed, stream
from market.links import GIVE_UP_MS, ways
from market.setting import NAMES, Outcome, Setting, Sold, affordable_e4

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aggregator.strategies import Strategy
    from market.setting import Buyer


_TRIES: Final = 100
"""A bid that is never heard is sent again, in a lot that nobody buys; a link without any message ends it here."""


def play_sealed(
    setting: Setting,
    buyers: Sequence[Buyer],
    strategies: Sequence[Strategy],
    minds: Sequence[Mind],
    *,
    seed: int,
    lot: int,
) -> tuple[Outcome, list[Mind]]:
    """Return how the lot goes, and what the buyers have learned from it."""
    read: dict[int, list[Bid]] = {}
    after = list(minds)
    placed: dict[int, tuple[int, Bid]] = {}
    draws = [stream(seed, lot, index) for index in range(len(buyers))]
    for index, (buyer, strategy) in enumerate(zip(buyers, strategies, strict=True)):
        want_wh = min(buyer.need_wh, setting.lot_wh)
        most_e4 = affordable_e4(buyer.budget, want_wh)
        if most_e4 < setting.reserve_e4:
            continue
        value_e4, reserve_e4 = buyer.value_e4, setting.reserve_e4
        view = LotView(reserve_e4, reserve_e4, want_wh, value_e4, 0, bidders=len(buyers), sealed=True)
        decision, after[index] = strategy.decide(view, minds[index], 0, draws[index])
        at_ms = _read_ms(setting, buyer, seed=seed, lot=lot, index=index)
        if decision.price_e4 is not None and at_ms is not None:
            bid = Bid(NAMES[index], 1, min(decision.price_e4, most_e4), want_wh)
            placed[index] = at_ms, bid
            read.setdefault(at_ms, []).append(bid)
    outcome = clear(setting, sorted(read.items()), seed=lot_seed(seed, lot), lot=lot)
    paid = {sold.buyer: sold.price_e4 for sold in outcome.awards}
    for index, (at_ms, bid) in placed.items():
        if at_ms < outcome.ended_ms and bid.price_e4 <= setting.price_cap_e4:
            lesson = Lesson(index in paid, bid.price_e4, setting.reserve_e4, buyers[index].value_e4, paid.get(index, 0))
            after[index] = strategies[index].learn(after[index], lesson, draws[index])
    return outcome, after


def clear(setting: Setting, bids: Sequence[tuple[int, Sequence[Bid]]], *, seed: bytes, lot: int) -> Outcome:
    """Return how a lot goes with these bids, by the ms in which they are read; `seed` breaks its ties."""
    opened = Lot(lot_id=lot + 1, energy_wh=setting.lot_wh, power_w=setting.lot_wh, seed=seed, terms=setting.terms)
    auction, _ = step(new_auction(setting.rule), Open(opened), 0)
    awards: list[Sold] = []
    closed: LotClosed | None = None
    count = now_ms = 0
    for at_ms, together in bids:
        due_ms = next_deadline(auction)
        if auction.lot is None or (due_ms is not None and due_ms <= at_ms):
            break
        now_ms = at_ms
        count += len(together)
        auction, _ = step(auction, Bids(tuple(together)), now_ms)
    due_ms = next_deadline(auction)
    if due_ms is not None:
        now_ms = due_ms
        auction, effects = step(auction, Tick(), now_ms)
        for effect in effects:
            kind = type(effect)
            if kind is Award:
                awards.append(Sold(int(effect.peer), effect.energy_wh, effect.price_e4, now_ms))  # type: ignore[union-attr]
            elif kind is LotClosed:
                closed = effect  # type: ignore[assignment]
    facts = closed or stats(auction)
    assert facts is not None  # noqa: S101 - a lot is open or closed
    return Outcome(
        tuple(awards),
        sum([sold.price_e4 * sold.wh for sold in awards]),
        count,
        0,
        facts.distinct_bidders,
        facts.first_acceptable_e4,
        facts.increment_e4,
        now_ms,
    )


def _read_ms(setting: Setting, buyer: Buyer, *, seed: int, lot: int, index: int) -> int | None:
    """Return when the bid of a buyer that answers the opening is read, None when it never is."""
    down, up = ways(setting, buyer, seed=seed, lot=lot, index=index)
    sent_ms = down.arrival_ms(0)
    if sent_ms is None:
        return None
    for _ in range(_TRIES):
        arrival_ms = up.arrival_ms(sent_ms)
        if arrival_ms is not None:
            return ceil(arrival_ms)
        sent_ms += GIVE_UP_MS
    return None
