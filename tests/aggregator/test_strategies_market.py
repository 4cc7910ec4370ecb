"""The strategies against the production engine in virtual time, with pushes and answers under way for a while."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.quotes import Offer, QuoteBook
from aggregator.strategies import NAMES, NEW_MIND, LotView, Mind, Outcome, Strategy, make_strategy
from etp import auction

if TYPE_CHECKING:
    from collections.abc import Callable

LOT_WH = 5_000
PRICES = st.integers(1, 2_000).map(lambda ticks: ticks * 100)


@dataclass
class Buyer:
    """A buyer that wants the whole lot once, and what happened to it."""

    name: str
    strategy: Strategy
    value_e4: int
    delay_ms: int
    mind: Mind = NEW_MIND
    book: QuoteBook = field(default_factory=QuoteBook)
    pending: Outcome | None = None
    bids: list[int] = field(default_factory=list)
    paid_e4: int | None = None


class Market:
    """One lot, its engine and its buyers; events on a heap, ties in the order they were made."""

    def __init__(self, buyers: list[Buyer], reserve_e4: int, seed: int, rule: str = "standing_bid") -> None:
        self.buyers = {buyer.name: buyer for buyer in buyers}
        self.rng = random.Random(seed)
        self.now_ms = 0
        self.heap: list[tuple[int, int, Callable[[], None]]] = []
        self.count = 0
        self.is_sealed = rule != "standing_bid"
        self.state = auction.new_auction(rule)
        terms = auction.Terms(reserve_e4=reserve_e4)
        lot = auction.Lot(lot_id=1, energy_wh=LOT_WH, power_w=5_000, seed=b"seed", terms=terms)
        self.feed(auction.Open(lot))

    def at(self, delay_ms: int, act: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.heap, (self.now_ms + delay_ms, self.count, act))

    def feed(self, event: auction.Event) -> None:
        self.state, effects = auction.step(self.state, event, self.now_ms)
        for effect in effects:
            if isinstance(effect, auction.Refuse | auction.Award):
                self.answer(effect.peer, effect)
            elif isinstance(effect, auction.BookChanged):
                for name in self.buyers:
                    self.push(name)
        deadline = auction.next_deadline(self.state)
        if deadline is not None:
            self.at(max(0, deadline - self.now_ms), lambda: self.feed(auction.Tick()))

    def push(self, name: str) -> None:
        buyer = self.buyers[name]
        offer = Offer(
            auction.open_energy(self.state),
            auction.open_power(self.state),
            auction.quote(self.state, name, LOT_WH, self.now_ms),
            auction.own_price(self.state, name),
        )
        self.at(buyer.delay_ms, lambda: self.pushed(buyer, offer))

    def pushed(self, buyer: Buyer, offer: Offer) -> None:
        if offer.lot_wh == 0:
            buyer.book.gone()
            return
        buyer.book.quoted(offer, self.now_ms)
        if buyer.pending is not None and offer.own_e4 == 0 and offer.beat_e4 > buyer.pending.price_e4:
            buyer.pending = None
        self.consider(buyer)

    def answer(self, name: str, effect: auction.Refuse | auction.Award) -> None:
        buyer = self.buyers[name]
        self.at(buyer.delay_ms, lambda: self.answered(buyer, effect))

    def answered(self, buyer: Buyer, effect: auction.Refuse | auction.Award) -> None:
        bid = buyer.pending if buyer.bids and effect.bid_id == len(buyer.bids) else None
        if isinstance(effect, auction.Award):
            buyer.paid_e4 = effect.price_e4
            if bid is not None:
                won = bid._replace(won=True, paid_e4=effect.price_e4)
                buyer.mind = buyer.strategy.learn(buyer.mind, won, self.draw)
        elif bid is not None:
            buyer.pending = None
            buyer.mind = buyer.strategy.learn(buyer.mind, bid, self.draw)
            buyer.book.outbid(bid.price_e4, effect.beat_e4, self.now_ms)
            self.consider(buyer)

    def consider(self, buyer: Buyer) -> None:
        offer = buyer.book.offer
        if offer is None or buyer.pending is not None or buyer.paid_e4 is not None:
            return
        view = LotView(
            beat_e4=offer.beat_e4,
            floor_e4=buyer.book.floor_e4,
            want_wh=LOT_WH,
            value_e4=buyer.value_e4,
            common_e4=buyer.value_e4,
            own_e4=offer.own_e4,
            lost_e4=buyer.book.lost_e4,
            bidders=len(self.buyers),
            sealed=self.is_sealed,
        )
        decision, buyer.mind = buyer.strategy.decide(view, buyer.mind, self.now_ms, self.draw)
        price_e4 = decision.price_e4
        if price_e4 is None:
            return
        buyer.bids.append(price_e4)
        bid_id = len(buyer.bids)
        buyer.pending = Outcome(won=False, price_e4=price_e4, beat_e4=offer.beat_e4, value_e4=buyer.value_e4)
        bid = auction.Bid(buyer.name, bid_id, price_e4, LOT_WH)

        def arrive() -> None:
            own_e4 = auction.own_price(self.state, buyer.name)
            assert own_e4 == 0, f"{buyer.strategy.name} bids {price_e4} over its own {own_e4}"
            self.feed(auction.Bids((bid,)))

        self.at(buyer.delay_ms, arrive)

    def draw(self, purpose: str) -> float:
        return self.rng.random()

    def run(self) -> None:
        # Looking again every 10 s is what a session does when nothing is pushed.
        for second in range(10, 600, 10):
            for name in self.buyers:
                self.at(second * 1_000, lambda name=name: self.push(name))  # type: ignore[misc]
        while self.heap and any(buyer.paid_e4 is None for buyer in self.buyers.values()):
            self.now_ms, _, act = heapq.heappop(self.heap)
            act()


def play(
    names: list[str],
    values: list[int],
    reserve_e4: int,
    seed: int,
    delays: list[int] | None = None,
    *,
    rule: str = "standing_bid",
) -> list[Buyer]:
    delays = delays or [5 + 3 * index for index in range(len(names))]
    buyers = [
        Buyer(f"b{index}", make_strategy(name, spread_e4=20_000), values[index], delays[index])
        for index, name in enumerate(names)
    ]
    Market(buyers, reserve_e4, seed, rule).run()
    return buyers


@pytest.mark.parametrize("name", NAMES)
@given(reserve=PRICES, surplus=PRICES, seed=st.integers(0, 1 << 30), delay=st.integers(0, 200))
@settings(max_examples=25)
def test_alone_each_pays_the_reserve(name: str, reserve: int, surplus: int, seed: int, delay: int) -> None:
    (buyer,) = play([name], [reserve + surplus], reserve, seed, [delay])
    assert buyer.bids == [reserve]
    assert buyer.paid_e4 == reserve


@pytest.mark.parametrize("rule", ["sealed_second", "ascending_clock"])
@pytest.mark.parametrize("name", NAMES)
@given(reserve=PRICES, surplus=PRICES, seed=st.integers(0, 1 << 30))
@settings(max_examples=5, deadline=None)
def test_alone_under_a_uniform_price_each_pays_the_reserve(
    name: str, rule: str, reserve: int, surplus: int, seed: int
) -> None:
    (buyer,) = play([name], [reserve + reserve // 2 + surplus], reserve, seed, rule=rule)
    assert buyer.paid_e4 == reserve
    assert len(buyer.bids) == 1


@pytest.mark.parametrize("rule", ["sealed_first", "sealed_second", "ascending_clock", "first_acceptable"])
@given(
    names=st.lists(st.sampled_from(NAMES), min_size=2, max_size=4),
    values=st.lists(PRICES, min_size=4, max_size=4),
    seed=st.integers(0, 1 << 30),
)
@settings(max_examples=15, deadline=None)
def test_under_every_rule_nobody_pays_above_its_bid(rule: str, names: list[str], values: list[int], seed: int) -> None:
    for buyer in play(names, values, 20_000, seed, rule=rule):
        assert all(20_000 <= bid <= buyer.value_e4 for bid in buyer.bids)
        assert buyer.paid_e4 is None or 20_000 <= buyer.paid_e4 <= max(buyer.bids)


@given(
    names=st.lists(st.sampled_from(NAMES), min_size=2, max_size=5),
    values=st.lists(PRICES, min_size=5, max_size=5),
    reserve=st.integers(1, 500).map(lambda ticks: ticks * 100),
    seed=st.integers(0, 1 << 30),
    delays=st.lists(st.integers(0, 180), min_size=5, max_size=5),
)
@settings(max_examples=60, deadline=None)
def test_in_company_nobody_pays_above_value_or_below_reserve(
    names: list[str], values: list[int], reserve: int, seed: int, delays: list[int]
) -> None:
    buyers = play(names, values, reserve, seed, delays)
    for buyer in buyers:
        assert all(reserve <= bid <= buyer.value_e4 for bid in buyer.bids)
        if buyer.paid_e4 is not None:
            assert buyer.paid_e4 in buyer.bids
    assert sum(buyer.paid_e4 is not None for buyer in buyers) <= 1
    if any(buyer.value_e4 >= reserve and buyer.strategy.name == "truthful" for buyer in buyers):
        assert any(buyer.paid_e4 is not None for buyer in buyers)


@given(values=st.lists(PRICES, min_size=2, max_size=4), seed=st.integers(0, 1 << 30))
@settings(max_examples=30, deadline=None)
def test_among_truthful_buyers_the_best_pays_about_the_second_value(values: list[int], seed: int) -> None:
    reserve = 100
    buyers = play(["truthful"] * len(values), values, reserve, seed)
    (winner,) = [buyer for buyer in buyers if buyer.paid_e4 is not None]
    first, second = sorted(values, reverse=True)[:2]
    improvements = sum(len(buyer.bids) for buyer in buyers)
    increment = 1_000 << (improvements // 32)
    assert winner.paid_e4 is not None
    assert winner.value_e4 >= first - increment
    assert abs(winner.paid_e4 - min(second, winner.value_e4)) <= increment + 100
