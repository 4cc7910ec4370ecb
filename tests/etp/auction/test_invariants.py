"""Random sequences of events under every rule, against what must hold whatever happens."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etp.auction import (
    RULES,
    Award,
    Bid,
    Bids,
    Confirmed,
    Effect,
    Effects,
    Event,
    LotClosed,
    LotStats,
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
    open_energy,
    open_power,
    own_price,
    quote,
    standing,
    stats,
    step,
)
from etp.auction.testing import Bench

PEERS = "abcde"
TERMS = (
    Terms(reserve_e4=100_000, doubling=2),
    Terms(reserve_e4=102_000, keep_e4=100, increment_e4=300, standing_ms=50, max_standing=3),
    Terms(reserve_e4=0, price_cap_e4=106_000, min_power_w=400, shield_ms=300),
)
Move: TypeAlias = tuple[str, tuple[int, ...]]
SMALL = st.integers(0, 7)
BID = st.tuples(st.integers(0, len(PEERS) - 1), st.integers(998, 1_065), st.integers(1, 12), st.integers(0, 9))
MOVES = st.one_of(
    st.tuples(st.just("bids"), BID),
    st.tuples(st.just("bids"), st.tuples(BID, BID, BID).map(lambda bids: tuple(part for bid in bids for part in bid))),
    st.tuples(st.just("wait"), st.tuples(st.sampled_from([0, 1, 49, 50, 150, 399, 400]))),
    st.tuples(st.just("beat"), st.tuples(SMALL, SMALL)),
    st.tuples(
        st.sampled_from(["gone", "confirm", "void", "blame", "shrink", "retune", "open", "withdraw"]), st.tuples(SMALL)
    ),
)


class Checked(Bench):
    """A bench that keeps its own books and checks every effect against them."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule, terms=TERMS[0], seed=rule.encode())
        self.rule = rule
        self.entered: dict[int, tuple[Bid, int]] = {}
        self.answers: Counter[int] = Counter()
        self.seen: Counter[str] = Counter()
        self.frozen = TERMS[0]
        self.owed: list[Award] = []
        self.lot_id = 0
        self.lot_wh = self.lot_w = self.sold_wh = self.sold_w = 0

    def _step(self, event: Event) -> Effects:
        if isinstance(event, Bids):
            self.entered |= {bid.bid_id: (bid, self.now_ms) for bid in event.bids}
        before = stats(self.auction)
        self.frozen = self.terms if before is None else before.terms
        effects = super()._step(event)
        for effect in effects:
            self.seen[type(effect).__name__] += 1
            self._check(effect)
        self._check_lot(before)
        return effects

    def _check(self, effect: Effect) -> None:
        match effect:
            case Refuse(_, bid_id, code, beat_e4, _):
                self.answers[bid_id] += 1
                self.seen[f"refused {code}"] += 1
                assert beat_e4 % 100 == 0
            case Unconfirmed(_, bid_id):
                self.answers[bid_id] += 1
            case Award():
                self._check_award(effect)
            case LotClosed():
                assert effect.sold_wh == self.sold_wh
            case _:
                pass

    def _check_award(self, award: Award) -> None:
        bid, at_ms = self.entered[award.bid_id]
        terms = self.frozen
        self.answers[award.bid_id] += 1
        assert (award.peer, award.energy_wh, award.lot_id) == (bid.peer, bid.energy_wh, self.lot_id)
        assert terms.reserve_e4 == award.reserve_e4 <= award.price_e4 <= bid.price_e4
        assert award.power_w >= max(1, terms.min_power_w)
        stood_ms = self.now_ms - at_ms
        if self.rule == "standing_bid":
            assert (stood_ms, award.price_e4) == (terms.standing_ms, bid.price_e4)
        else:
            assert stood_ms <= terms.standing_ms
        self.sold_wh += award.energy_wh
        self.sold_w += award.power_w
        self.owed.append(award)

    def _check_lot(self, before: LotStats | None) -> None:
        """Awarded + standing never exceed the lot, nor the powers its power; the books agree."""
        if (lot := stats(self.auction)) is None:
            return
        held = standing(self.auction)
        assert len({entry.peer for entry in held}) == len(held) <= lot.terms.max_standing
        assert lot.sold_wh == self.sold_wh
        assert self.sold_wh + open_energy(self.auction) <= self.lot_wh
        assert self.sold_w + open_power(self.auction) <= self.lot_w
        if self.rule == "standing_bid":
            assert sum(entry.energy_wh for entry in held) <= open_energy(self.auction)
        if self.rule == "first_acceptable":
            assert held == ()
        assert all(entry.due_ms > self.now_ms for entry in held)
        for peer in PEERS:
            assert own_price(self.auction, peer) == next((e.price_e4 for e in held if e.peer == peer), 0)
        if before is not None and before.lot_id == lot.lot_id and before.terms != lot.terms:
            self.seen["retuned"] += 1
            assert not held
            assert all(award.lot_id != lot.lot_id for award in self.owed)

    def start(self, which: int) -> None:
        if stats(self.auction) is not None:
            return
        self.terms = TERMS[which % len(TERMS)]
        self.lot_wh, self.lot_w = 500 + 100 * which, 1_999
        self.sold_wh = self.sold_w = 0
        self.lot_id += 1
        shield = Shield(103_000, self.now_ms + 200) if which == 6 else None
        self.open(self.lot_wh, self.lot_w, shield=shield)

    def close_award(self, which: int, kind: str) -> None:
        if not self.owed:
            return
        award = self.owed.pop(which % len(self.owed))
        if kind == "confirm":
            self.send(Confirmed(award.peer, award.bid_id))
            return
        back = award.lot_id == self.lot_id and stats(self.auction) is not None
        if back:
            self.sold_wh -= award.energy_wh
            self.sold_w -= award.power_w
        effects = self.send(Voided(award.peer, award.bid_id, blame=kind == "blame"))
        assert any(isinstance(effect, Returned) for effect in effects) is not back

    def beat(self, who: int, steps: int) -> None:
        """The price to beat enters at the same instant; a tick less does not, where something would be pushed out."""
        lot = stats(self.auction)
        if lot is None:
            return
        peer = "stranger" if who >= len(PEERS) else PEERS[who]
        energy_wh = min(max(1, steps) * 100, lot.open_wh)
        own = next((entry for entry in standing(self.auction) if entry.peer == peer), None)
        if own is not None:
            energy_wh = max(energy_wh, own.energy_wh)
        beat_e4 = quote(self.auction, peer, energy_wh, self.now_ms)
        _, effects = step(self.auction, Bids((Bid(peer, 0, beat_e4, energy_wh),)), self.now_ms)
        refused = [effect.code for effect in effects if isinstance(effect, Refuse) and effect.bid_id == 0]
        assert refused == [] or (refused == [9]) == (beat_e4 > lot.terms.price_cap_e4)
        assert refused in ([], [9]) or refused == [2] or len(standing(self.auction)) == lot.terms.max_standing
        less = Bids((Bid(peer, 0, beat_e4 - 100, energy_wh),))
        _, effects = step(self.auction, less, self.now_ms)
        assert any(isinstance(effect, Refuse) and effect.bid_id == 0 for effect in effects)

    def finish(self) -> None:
        self.send(Withdraw(12))
        for bid, _ in self.entered.values():
            assert self.answers[bid.bid_id] == 1, bid


def play(bench: Checked, move: Move) -> None:
    name, numbers = move
    which = numbers[0]
    match name:
        case "bids":
            bids = [numbers[at : at + 4] for at in range(0, len(numbers), 4)]
            bench.send(
                Bids(
                    tuple(
                        bench.make_bid(PEERS[who], ticks * 100, steps * 100, covered=luck > 0)
                        for who, ticks, steps, luck in bids
                    )
                )
            )
        case "wait":
            bench.until(bench.now_ms + which)
            bench.send(Tick())
        case "beat":
            bench.beat(which, numbers[1])
        case "gone":
            bench.send(PeerGone(PEERS[which % len(PEERS)]))
        case "shrink":
            bench.send(
                Shrink(open_energy(bench.auction) - 100 * (which - 3), open_power(bench.auction) - 90 * (which - 2))
            )
        case "retune":
            bench.send(Retune(TERMS[which % len(TERMS)]))
        case "open":
            bench.start(which)
        case "withdraw":
            bench.send(Withdraw(which))
        case _:
            bench.close_award(which, name)
    if stats(bench.auction) is None and name != "withdraw":
        bench.start(which)


@pytest.mark.parametrize("rule", sorted(RULES))
@settings(max_examples=100, deadline=None)
@given(st.lists(MOVES, min_size=5, max_size=40))
def test_what_must_always_hold(rule: str, moves: list[Move]) -> None:
    bench = Checked(rule)
    bench.start(5)
    for move in moves:
        play(bench, move)
    bench.finish()


def drawn(rng: Random) -> Move:
    """Return a move as a lively market makes them: mostly bids and waits."""
    name = rng.choices([*WEIGHTS], [*WEIGHTS.values()])[0]
    match name:
        case "bids":
            count = rng.choice((1, 1, 1, 2, 3))
            bids = [
                (rng.randrange(5), rng.randrange(998, 1_066), rng.randrange(1, 13), rng.randrange(10))
                for _ in range(count)
            ]
            return name, tuple(part for bid in bids for part in bid)
        case "wait":
            return name, (rng.choice((0, 1, 49, 50, 150, 399, 400)),)
        case _:
            return name, (rng.randrange(8), rng.randrange(8))


WEIGHTS = {
    "bids": 40,
    "wait": 20,
    "beat": 10,
    "confirm": 8,
    "void": 3,
    "blame": 4,
    "gone": 3,
    "shrink": 2,
    "retune": 2,
    "withdraw": 1,
}


@pytest.mark.parametrize("rule", sorted(RULES))
def test_what_must_hold_through_long_sales(rule: str) -> None:
    seen: Counter[str] = Counter()
    for seed in range(20):
        rng, bench = Random(seed), Checked(rule)
        bench.start(5)
        for _ in range(300):
            play(bench, drawn(rng))
        bench.finish()
        seen += bench.seen
    common = {"Award", "LotClosed", "Returned", "refused 1", "refused 2", "refused 4", "refused 8", "refused 9"}
    assert common <= set(seen)
    if rule != "first_acceptable":
        assert {"Unconfirmed", "refused 7", "retuned"} <= set(seen)
    assert seen["Award"] > 200
