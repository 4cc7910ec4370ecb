from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.lot_lesson import LotLesson
from agent.pricing import LotSeen, Parts
from etp.auction import Bid

CAP_E4 = 1_000
BIDS = st.lists(st.builds(Bid, st.sampled_from("abcd"), st.just(1), st.integers(0, 1_100), st.just(100)), max_size=12)


def lesson(reserve_e4: int = 300, basis: str = "forecast") -> LotLesson:
    return LotLesson(Parts(reserve_e4, 0, 200, 150, 50, 100, basis), CAP_E4)  # type: ignore[arg-type]


@given(BIDS, st.integers(0, 500), st.integers(0, 12))
def test_it_is_the_two_highest_bidders_best_bids(bids: list[Bid], reserve_e4: int, cut: int) -> None:
    found = lesson(reserve_e4)
    found.heed(bids[:cut])
    found.heed(bids[cut:])
    best: dict[str, int] = {}
    for bid in bids:
        if reserve_e4 <= bid.price_e4 <= CAP_E4:
            best[bid.peer] = max(bid.price_e4, best.get(bid.peer, 0))
    first, second, *_ = [*sorted(best.values(), reverse=True), None, None]
    assert found.seen(3) == LotSeen(200, reserve_e4, 3, first, second)


def test_a_lot_whose_cost_nobody_knew_teaches_nothing() -> None:
    assert not lesson(basis="fallback").teaches
    assert lesson(basis="kept").teaches
