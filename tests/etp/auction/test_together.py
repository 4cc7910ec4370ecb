"""Bids that come in one event end as they would one by one, in the order of their draws."""

from __future__ import annotations

from hmac import digest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etp.auction import (
    RULES,
    Award,
    Bid,
    Bids,
    BookChanged,
    Effect,
    Lot,
    Open,
    Refuse,
    Shield,
    Terms,
    new_auction,
    next_deadline,
    refuse_all,
    step,
)
from etp.auction import standing as standing_of
from etp.auction import stats as stats_of
from etp.auction.judge import draw, key_pads
from etp.auction.testing import Bench

TERMS = (
    Terms(reserve_e4=100_000),
    Terms(reserve_e4=100_000, max_standing=4, increment_e4=300),
    Terms(reserve_e4=0, keep_e4=100, shield_ms=300, min_power_w=400),
)
BID = st.builds(
    Bid,
    peer=st.sampled_from("abcdefghi"),
    bid_id=st.integers(1, 6),
    price_e4=st.integers(995, 1_060).map(lambda ticks: ticks * 100),
    energy_wh=st.sampled_from([100, 300, 500, 1_000, 1_000, 1_000, 2_000]),
    covered=st.sampled_from([True, True, True, True, False]),
)
STRANGERS = st.lists(BID, min_size=2, max_size=9, unique_by=lambda bid: bid.peer)
ANYBODY = st.lists(BID, min_size=2, max_size=9)
SEEDS = st.binary(max_size=100)
COLLECTING = ("sealed_first", "sealed_second", "ascending_clock")


def place_of(seed: bytes, bid: Bid) -> bytes:
    return digest(seed, bid.peer.encode() + bid.bid_id.to_bytes(8, "little"), "sha256")


def told(effects: list[Effect]) -> list[Effect]:
    """Without the word that the book changed, which is said once an event."""
    return [effect for effect in effects if not isinstance(effect, BookChanged)]


@pytest.mark.parametrize("length", [0, 1, 32, 63, 64, 65, 128])
def test_a_seed_of_any_length_draws(length: int) -> None:
    seed, bid = bytes(range(length)), Bid("fünf", 2**64 - 1, 100_000, 1_000)
    assert draw(key_pads(seed), bid.peer, bid.bid_id) == place_of(seed, bid)


@given(SEEDS, st.lists(st.tuples(st.text(max_size=20), st.integers(0, 2**64 - 1)), max_size=4))
def test_a_draw_is_the_hmac_of_who_bids(seed: bytes, names: list[tuple[str, int]]) -> None:
    bids = [Bid(peer, bid_id, 100_000, 1_000) for peer, bid_id in names]
    pads = key_pads(seed)
    assert [draw(pads, bid.peer, bid.bid_id) for bid in bids] == [place_of(seed, bid) for bid in bids]


@settings(max_examples=400, deadline=None)
@given(
    rule=st.sampled_from(sorted(RULES)),
    terms=st.sampled_from(TERMS),
    seed=SEEDS,
    shield=st.none() | st.builds(Shield, st.just(102_000), st.just(1_000)),
    early=st.lists(BID, max_size=3),
    together=STRANGERS | ANYBODY,
)
def test_together_is_one_by_one_in_the_order_of_the_draws(
    *, rule: str, terms: Terms, seed: bytes, shield: Shield | None, early: list[Bid], together: list[Bid]
) -> None:
    one, all_at_once = Bench(rule, terms=terms), Bench(rule, terms=terms)
    for bench in (one, all_at_once):
        bench.send(Open(Lot(lot_id=1, energy_wh=1_000, power_w=2_000, seed=seed, terms=terms, shield=shield)))
        for bid in early:
            bench.send(Bids((bid,)))
    start = len(one.said)
    entering = refuse_all(one.auction, together, 0) is None and one.auction.lot is not None
    ordered = sorted(together, key=lambda bid: place_of(seed, bid)) if entering else together
    for bid in ordered:
        one.send(Bids((bid,)))
    all_at_once.send(Bids(tuple(together)))
    assert standing_of(one.auction) == standing_of(all_at_once.auction)
    assert stats_of(one.auction) == stats_of(all_at_once.auction)
    for bench in (one, all_at_once):
        bench.until(2_000)
    assert told([said for _, said in one.said[start:]]) == told([said for _, said in all_at_once.said[start:]])


def collecting(rule: str, terms: Terms, *, energy_wh: int = 1_000, power_w: int = 1_000) -> Bench:
    bench = Bench(rule, terms=terms)
    bench.open(energy_wh, power_w)
    return bench


@pytest.mark.parametrize("rule", COLLECTING)
class TestCollectingTogether:
    @pytest.mark.parametrize(
        ("bad", "code"),
        [
            (Bid("x", 9, 120_000, 1_000, covered=False), 8),
            (Bid("x", 9, 99_900, 1_000), 1),
            (Bid("x", 9, 120_000, 1_100), 2),
            (Bid("x", 9, 120_000, 300), 2),
            (Bid("x", 9, 120_050, 1_000), 9),
            (Bid("x", 9, 120_000, 1_050), 9),
            (Bid("x", 9, 20_300_100, 1_000), 9),
        ],
    )
    def test_one_that_is_refused_does_not_keep_out_the_others(self, rule: str, bad: Bid, code: int) -> None:
        bench = collecting(rule, Terms(reserve_e4=100_000, min_power_w=400))
        (refusal,) = bench.send(Bids((Bid("a", 1, 120_000, 1_000), bad, Bid("b", 2, 130_000, 500))))
        assert isinstance(refusal, Refuse)
        assert (refusal.bid_id, refusal.code) == (9, code)
        assert {entry.peer for entry in standing_of(bench.auction)} == {"a", "b"}

    def test_the_bounds_of_what_may_enter_enter(self, rule: str) -> None:
        bench = collecting(rule, Terms(reserve_e4=100_000, min_power_w=400))
        assert bench.send(Bids((Bid("a", 1, 100_000, 400), Bid("b", 2, 20_300_000, 1_000)))) == ()

    def test_collecting_lasts_from_the_first(self, rule: str) -> None:
        bench = collecting(rule, TERMS[0])
        bench.bid("a", 120_000, 1_000)
        bench.send(Bids((Bid("b", 2, 120_000, 1_000), Bid("c", 3, 130_000, 1_000))), at_ms=100)
        assert next_deadline(bench.auction) == 400
        assert {entry.due_ms for entry in standing_of(bench.auction)} == {400}

    def test_of_equals_the_lowest_draw_wins(self, rule: str) -> None:
        bench = collecting(rule, TERMS[0])
        bids = [Bid(peer, 7, 120_000, 1_000) for peer in "abcdefgh"]
        bench.send(Bids(tuple(bids)))
        won = [effect.peer for effect in bench.until(400) if isinstance(effect, Award)]
        assert won == [min(bids, key=lambda bid: place_of(b"bench", bid)).peer]

    def test_the_shares_of_power_add_up(self, rule: str) -> None:
        bench = collecting(rule, TERMS[0], energy_wh=700, power_w=1_000)
        bench.send(Bids(tuple([Bid(peer, 1, 120_000, 100) for peer in "abcdefg"])))
        powers = [effect.power_w for effect in bench.until(400) if isinstance(effect, Award)]
        assert len(powers) == 7
        assert sum(powers) == 1_000
        assert max(powers) - min(powers) <= 1


def test_a_crowd_of_new_names_is_counted_to_its_bound() -> None:
    terms = Terms(reserve_e4=100_000, max_standing=2_000)
    auction, _ = step(
        new_auction("sealed_second"),
        Open(Lot(lot_id=1, energy_wh=1_000, power_w=1_000, seed=b"", terms=terms)),
        0,
    )
    for first in (0, 600, 1_200):
        crowd = tuple([Bid(f"p{first + index}", 1, 110_000, 1_000) for index in range(600)])
        auction, _ = step(auction, Bids(crowd), 0)
    facts = stats_of(auction)
    assert facts is not None
    assert (facts.entered, facts.distinct_bidders) == (1_800, 1_024)
