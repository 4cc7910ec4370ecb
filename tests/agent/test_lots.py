"""The lot keeper on a real auction: opens, shrinks, retunes, withdraws, and wakes on time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from agent.lots import LotKeeper
from agent.offer import Offer
from etp.auction import Award, Bid, Lot, LotClosed, Refuse, Shield, Terms, Unconfirmed, standing
from etp.messages import ReasonCode
from tests.agent.gateway_world import now_ms, run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

TERMS = Terms(reserve_e4=300_000, standing_ms=200)
OFFER = Offer(code=0, lot_wh=2_000, sellable_wh=5_000, free_power_w=5_000, min_power_w=50)


@dataclass
class Told:
    """A listener that remembers, and counts what the journal was asked for."""

    refused: list[tuple[Refuse, int]] = field(default_factory=list)
    awarded: list[tuple[Award, int]] = field(default_factory=list)
    late_ms: list[int] = field(default_factory=list)
    lots: LotKeeper | None = None
    abandoned: list[Unconfirmed] = field(default_factory=list)
    opened: list[Lot] = field(default_factory=list)
    closed: list[LotClosed] = field(default_factory=list)
    changes: int = 0
    judged: list[int] = field(default_factory=list)
    journal_full: bool = False

    def bids_judged(self, bids: Sequence[Bid], refusals: Sequence[Refuse]) -> None:
        self.judged += [bid.bid_id for bid in bids]

    def bid_refused(self, refusal: Refuse, now_ms: int) -> None:
        self.refused.append((refusal, now_ms))

    def bid_awarded(self, award: Award) -> None:
        self.awarded.append((award, now_ms()))
        assert self.lots is not None
        self.late_ms.append(self.lots.late_ms)

    def bid_abandoned(self, abandoned: Unconfirmed) -> None:
        self.abandoned.append(abandoned)

    def book_changed(self) -> None:
        self.changes += 1

    def lot_opened(self, lot: Lot) -> None:
        self.opened.append(lot)

    def lot_closed(self, closed: LotClosed) -> None:
        self.closed.append(closed)

    def lot_id(self, *_lot: object) -> int | None:
        return None if self.journal_full else 10 + len(self.opened)


def _behind(late_ms: int) -> int:
    return now_ms() + late_ms


def on(scenario: Callable[[LotKeeper, Told], Coroutine[None, None, None]], rule: str = "standing_bid") -> None:
    async def with_lots() -> None:
        told = Told()
        lots = LotKeeper(rule=rule, listener=told, lot_id=told.lot_id, seed=lambda: bytes(32), now_ms=now_ms)
        told.lots = lots
        await scenario(lots, told)
        lots.close()
        lots.close()

    run(with_lots())


def test_a_lot_opens_when_there_is_something_to_sell() -> None:
    async def scenario(lots: LotKeeper, told: Told) -> None:
        lots.offer(replace(OFFER, code=ReasonCode.NO_LOT, lot_wh=0), TERMS)
        assert (told.opened, lots.open_lot()) == ([], (0, 0))
        assert lots.quote("", 0, now_ms()) == 300_000
        lots.offer(OFFER, TERMS)
        (lot,) = told.opened
        assert (lot.lot_id, lot.energy_wh, lot.power_w, lot.terms.min_power_w) == (10, 2_000, 5_000, 50)
        assert lots.open_lot() == (2_000, 5_000)
        lots.offer(OFFER, TERMS)
        assert len(told.opened) == 1

    on(scenario)


def test_no_lot_opens_without_the_journal() -> None:
    async def scenario(lots: LotKeeper, told: Told) -> None:
        told.journal_full = True
        lots.offer(OFFER, TERMS)
        assert (told.opened, lots.open_lot()) == ([], (0, 0))
        told.journal_full = False
        lots.offer(OFFER, TERMS)
        assert lots.open_lot() == (2_000, 5_000)

    on(scenario)


def test_the_award_comes_when_the_standing_time_is_over_without_anybody_calling() -> None:
    async def scenario(lots: LotKeeper, told: Told) -> None:
        lots.offer(OFFER, TERMS)
        await asyncio.sleep(1)
        assert lots.refuse_all([Bid("a", 1, 400_000, 1_000)], now_ms()) is None
        lots.bids([Bid("a", 1, 400_000, 1_000)], now_ms())
        assert (lots.own_price("a"), lots.own_price("b")) == (400_000, 0)
        await asyncio.sleep(5)
        ((award, at_ms),) = told.awarded
        assert (award.peer, award.energy_wh, award.power_w, at_ms) == ("a", 1_000, 2_500, 1_200)
        assert lots.open_lot() == (1_000, 2_500)
        lots.confirmed("a", 1)
        assert told.closed == []

    on(scenario)


def test_how_late_an_award_is_can_be_asked_while_it_is_told() -> None:
    """Whether the loop was busy when the time was up, or another event came first."""

    async def scenario(lots: LotKeeper, told: Told) -> None:
        lots.offer(OFFER, TERMS)
        for bid_id, late_ms in ((1, 0), (2, 30), (3, 70)):
            lots.bids([Bid("a", bid_id, 400_000, 300)], now_ms())
            lots._now_ms = partial(_behind, late_ms)
            if late_ms == 70:
                await asyncio.sleep(0.19)
                lots.bids([Bid("b", 4, 400_000, 300)], now_ms() + late_ms)
                break
            await asyncio.sleep(0.3)
            lots.confirmed("a", bid_id)
        assert told.late_ms == [0, 30, 60]

    on(scenario)


def test_a_lot_that_is_sold_closes() -> None:
    async def scenario(lots: LotKeeper, told: Told) -> None:
        lots.offer(OFFER, TERMS)
        lots.bids([Bid("a", 1, 400_000, 2_000)], now_ms())
        await asyncio.sleep(1)
        (closed,) = told.closed
        assert (closed.reason, closed.sold_wh, closed.distinct_bidders) == ("sold", 2_000, 1)
        lots.offer(OFFER, TERMS)
        assert [lot.lot_id for lot in told.opened] == [10, 11]

    on(scenario)


def test_a_refusal_needs_no_step() -> None:
    async def scenario(lots: LotKeeper, told: Told) -> None:
        lots.offer(OFFER, TERMS)
        before = lots.state
        refusals = lots.refuse_all([Bid("a", 1, 100, 1_000), Bid("b", 1, 400_000, 2_100)], now_ms())
        assert refusals is not None
        assert [refusal.code for refusal in refusals] == [ReasonCode.PRICE_TOO_LOW, ReasonCode.NOT_ENOUGH_ENERGY]
        assert standing(lots.state) == standing(before) == ()
        assert told.refused == []

    on(scenario)


@pytest.mark.parametrize("code", [ReasonCode.FAULT, ReasonCode.OFFLINE, ReasonCode.WITHDRAWN])
def test_a_lot_that_may_not_be_sold_is_withdrawn(code: ReasonCode) -> None:
    async def scenario(lots: LotKeeper, told: Told) -> None:
        lots.offer(OFFER, TERMS)
        lots.bids([Bid("a", 1, 400_000, 1_000)], now_ms())
        lots.offer(Offer(code=code), TERMS)
        ((refusal, _),) = told.refused
        assert (refusal.peer, refusal.code) == ("a", code)
        assert told.closed[0].reason == "withdrawn"
        assert lots.open_lot() == (0, 0)
        await asyncio.sleep(1)
        assert told.awarded == []

    on(scenario)


def test_a_lot_shrinks_with_what_is_left_and_never_grows() -> None:
    async def scenario(lots: LotKeeper, told: Told) -> None:
        lots.offer(OFFER, TERMS)
        lots.bids([Bid("a", 1, 400_000, 1_000), Bid("b", 1, 500_000, 1_000)], now_ms())
        lots.offer(replace(OFFER, sellable_wh=1_190, free_power_w=3_000), TERMS)
        assert lots.open_lot() == (1_100, 3_000)
        ((refusal, _),) = told.refused
        assert (refusal.peer, refusal.code) == ("a", ReasonCode.NOT_ENOUGH_ENERGY)
        lots.offer(replace(OFFER, lot_wh=9_000, sellable_wh=9_000), TERMS)
        assert lots.open_lot() == (1_100, 3_000)

    on(scenario)


def test_new_terms_wait_until_the_lot_is_empty() -> None:
    async def scenario(lots: LotKeeper, told: Told) -> None:
        lots.offer(OFFER, TERMS)
        lots.bids([Bid("a", 1, 400_000, 1_000)], now_ms())
        dearer = replace(TERMS, reserve_e4=500_000)
        lots.offer(OFFER, dearer)
        assert lots.quote("b", 1_000, now_ms()) == 300_000
        await asyncio.sleep(1)
        lots.confirmed("a", 1)
        assert lots.quote("b", 1_000, now_ms()) == 500_000
        assert len(told.opened) == 1

    on(scenario)


@pytest.mark.parametrize(
    "offer",
    [replace(OFFER, sellable_wh=500), replace(OFFER, code=ReasonCode.FAULT, sellable_wh=0)],
    ids=["less is left", "nothing may be sold"],
)
def test_energy_that_is_gone_is_not_awarded_because_the_terms_change_too(offer: Offer) -> None:
    """The bid has fallen due, and the loop has not come round to it when the battery is read."""

    async def scenario() -> None:
        told, ahead_ms = Told(), 0
        lots = LotKeeper(
            rule="standing_bid",
            listener=told,
            lot_id=told.lot_id,
            seed=lambda: bytes(32),
            now_ms=lambda: now_ms() + ahead_ms,
        )
        lots.offer(OFFER, TERMS)
        lots.bids([Bid("a", 1, 400_000, 1_000)], now_ms())
        ahead_ms = TERMS.standing_ms
        lots.offer(offer, replace(TERMS, reserve_e4=310_000))
        assert told.awarded == []
        assert [refusal.bid_id for refusal, _ in told.refused] == [1]
        lots.close()

    run(scenario())


def test_who_leaves_is_abandoned_and_leaves_a_shield() -> None:
    async def scenario(lots: LotKeeper, told: Told) -> None:
        lots.offer(OFFER, TERMS)
        lots.bids([Bid("a", 1, 600_000, 2_000)], now_ms())
        assert lots.refuse_all([Bid("b", 1, 500_000, 2_000)], now_ms()) is not None
        assert lots.shield(now_ms()) is None
        lots.peer_gone("a")
        assert told.abandoned == [Unconfirmed("a", 1)]
        assert lots.shield(now_ms()) == Shield(500_000, now_ms() + 2_000)
        assert lots.quote("b", 2_000, now_ms()) == 500_000
        await asyncio.sleep(2.1)
        assert lots.quote("b", 2_000, now_ms()) == 300_000

    on(scenario)


def test_a_voided_award_comes_back_with_a_shield_only_when_there_is_blame() -> None:
    async def scenario(lots: LotKeeper, told: Told) -> None:
        lots.offer(OFFER, TERMS)
        for blame in (False, True):
            lots.bids([Bid("a", 1 + blame, 600_000, 2_000)], now_ms())
            lots.refuse_all([Bid("b", 1, 500_000, 2_000)], now_ms())
            await asyncio.sleep(0.5)
            lots.voided("a", 1 + blame, blame=blame)
            lots.offer(OFFER, TERMS)
            assert lots.open_lot() == (2_000, 5_000)
            assert (lots.shield(now_ms()) is not None) == blame
        assert lots.quote("b", 2_000, now_ms()) == 500_000

    on(scenario)


def test_the_first_lot_inherits_the_shield_of_the_last_run_and_no_other() -> None:
    async def scenario(lots: LotKeeper, told: Told) -> None:
        lots.restore_shield(Shield(450_000, now_ms() + 2_000))
        lots.offer(OFFER, TERMS)
        assert lots.quote("a", 0, now_ms()) == 450_000
        lots.offer(Offer(code=ReasonCode.WITHDRAWN), TERMS)
        await asyncio.sleep(3)
        lots.offer(OFFER, TERMS)
        assert told.opened[0].shield == Shield(450_000, 2_000)
        assert told.opened[1].shield is None

    on(scenario)


def test_a_collecting_rule_clears_when_its_time_is_over() -> None:
    async def scenario(lots: LotKeeper, told: Told) -> None:
        lots.offer(OFFER, TERMS)
        lots.bids([Bid("a", 1, 600_000, 2_000), Bid("b", 1, 500_000, 2_000)], now_ms())
        await asyncio.sleep(1)
        ((award, at_ms),) = told.awarded
        assert (award.peer, award.price_e4, at_ms) == ("a", 500_000, 200)
        ((refusal, _),) = told.refused
        assert (refusal.peer, refusal.code) == ("b", ReasonCode.OUTBID)

    on(scenario, "sealed_second")
