from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from etp.auction import RULES, Bid, Bids, Terms, new_auction, refuse_all, step
from etp.auction.testing import Bench

TERMS = Terms(reserve_e4=100_000)
PRICES = st.integers(900, 1_400).map(lambda ticks: ticks * 100)
BIDS = st.lists(
    st.builds(
        Bid,
        peer=st.sampled_from("abcdef"),
        bid_id=st.integers(100, 10_000),
        price_e4=PRICES,
        energy_wh=st.sampled_from([50, 100, 1_000, 5_000, 9_000]),
        covered=st.sampled_from([True, True, True, False]),
    ),
    min_size=1,
    max_size=8,
)


@given(rule=st.sampled_from(sorted(RULES)), standing=BIDS, late=BIDS)
def test_it_says_and_learns_what_a_step_does_or_declines(rule: str, standing: list[Bid], late: list[Bid]) -> None:
    bench = Bench(rule, terms=TERMS)
    bench.open(5_000)
    bench.send(Bids(tuple(standing)), at_ms=1)
    before = bench.auction
    refused = refuse_all(before, late, 2)
    after, effects = step(before, Bids(tuple(late)), 2)
    if refused is not None:
        learned, refusals = refused
        assert (learned, refusals) == (after, list(effects))
        assert [bid[:2] for bid in late] == [refusal[:2] for refusal in refusals]


def test_without_a_lot_or_when_something_is_due_it_declines() -> None:
    bid = Bid("a", 1, 90_000, 1_000)
    assert refuse_all(new_auction("standing_bid", TERMS), [bid], 0) is None
    bench = Bench(terms=TERMS)
    bench.open(5_000)
    bench.bid("b", 120_000, 5_000, at_ms=0)
    assert refuse_all(bench.auction, [bid], 399) is not None
    assert refuse_all(bench.auction, [bid], 400) is None


def test_what_teaches_nothing_leaves_the_auction_as_it_is() -> None:
    bench = Bench(terms=TERMS)
    bench.open(5_000)
    bench.bid("z", 150_000, 5_000)
    for peer in "abc":
        bench.bid(peer, 120_000, 5_000)
    before = bench.auction
    for peer in "abc":
        bench.bid(peer, 120_000, 5_000)
    assert bench.auction is before
