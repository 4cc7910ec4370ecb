"""The standing bid follows the second value, near and far, and its page is what its cells come to."""

from __future__ import annotations

from pathlib import Path

import pytest

import market as room
from market.sequence import WaitCell, play_wait
from market.standing_bid import (
    LATENCIES_MS,
    RESERVE_E4,
    Mean,
    ReachCell,
    SizeCell,
    market,
    mean_of,
    play_reach,
    play_size,
    reach_cells,
    size_cells,
)

pytestmark = pytest.mark.slow

PAGE = (Path(room.__file__).parents[1] / "docs" / "standing-bid.md").read_text()
LOTS, SEED = 400, 1


@pytest.mark.parametrize("latency_ms", LATENCIES_MS)
@pytest.mark.parametrize("n", [2, 5])
def test_the_price_is_the_second_value_near_and_far(n: int, latency_ms: tuple[int, int]) -> None:
    found = play_reach(ReachCell(n, latency_ms, 3), lots=40, seed=7)
    assert abs(found.gap_e4.mean) < 1_000
    assert found.price_e4 >= 0.97 * found.second_e4
    assert found.second_e4 > RESERVE_E4 + 10_000


def test_alone_it_is_the_reserve() -> None:
    found = play_reach(ReachCell(1, (150, 200), 3), lots=40, seed=7)
    assert (found.price_e4, found.gap_e4) == (RESERVE_E4, Mean(0.0, 0.0))


def test_who_cannot_be_back_in_time_is_counted() -> None:
    near, far = (play_reach(ReachCell(4, way, 1), lots=40, seed=7) for way in ((5, 50), (195, 200)))
    assert near.reachable == 4
    assert far.reachable == 0


def test_a_further_buyer_changes_no_other() -> None:
    assert market(1, 5, 3, 3, (5, 50)) == market(1, 5, 9, 3, (5, 50))[:3]


def test_small_lots_go_where_they_are_worth_most() -> None:
    whole, cut = (play_size(SizeCell("standing_bid", 5, is_cut), lots=40, seed=3) for is_cut in (False, True))
    assert cut.efficiency > 0.995 > whole.efficiency
    assert cut.revenue_e4.mean > whole.revenue_e4.mean
    assert whole.sold_share == cut.sold_share == 1


def test_the_mean_of_little_has_no_error() -> None:
    assert mean_of([]) == Mean(0.0, 0.0)
    assert mean_of([3.0]) == Mean(3.0, 0.0)
    assert mean_of([1.0, 3.0]) == Mean(2.0, 1.0)


def test_the_page_says_how_it_was_made() -> None:
    assert f"wattbid study standing-bid --lots {LOTS} --seed {SEED}" in PAGE
    assert len(reach_cells()) == 90
    assert len(size_cells()) == 12


@pytest.mark.parametrize(
    ("cell", "line"), [(ReachCell(2, (5, 50), 1), 0), (ReachCell(3, (150, 200), 5), 2)], ids=["near", "far"]
)
def test_the_page_holds_what_a_cell_comes_to(cell: ReachCell, line: int) -> None:
    found = play_reach(cell, lots=LOTS, seed=SEED)
    gap = f"{found.gap_e4.mean / 10_000:+.3f} ± {found.gap_e4.half_width / 10_000:.3f}"
    told = f"| {found.second_e4 / 10_000:.2f} | {found.price_e4 / 10_000:.2f} | {gap} |"
    tables = PAGE.split("One-way latencies of ")[1:]
    (row,) = [text for text in tables[line].splitlines() if text.startswith(f"| {cell.n} |")]
    assert told in row


def test_the_page_holds_what_lots_of_several_needs_come_to() -> None:
    found = play_size(SizeCell("standing_bid", 2, cut=True), lots=LOTS, seed=SEED)
    shares = f"{found.efficiency:.1%} | {found.large_share:.0%} | {found.sold_share:.0%}"
    prices = f"{found.revenue_e4.mean / 10_000:.2f} | {found.competitive_e4 / 10_000:.2f}"
    assert f"| 2 | standing bid, lots of 1 kWh | {prices} | {shares} |" in PAGE


def test_the_page_holds_what_waiting_comes_to() -> None:
    found = play_wait(WaitCell(2, 1), lots=LOTS, seed=SEED)
    gain = f"{found.gain_e4.mean / 10_000:+.3f} ± {found.gain_e4.half_width / 10_000:.3f}"
    assert f"| 2 | 1 | {found.price_e4 / 10_000:.2f} | {found.competitive_e4 / 10_000:.2f} | {gain} |" in PAGE
