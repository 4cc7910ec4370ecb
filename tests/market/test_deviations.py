"""Deviations do what their names say, and do not pay."""

from __future__ import annotations

from pathlib import Path

import pytest

import market as room
from aggregator.strategies import NEW_MIND
from market.adversaries import CONFIRM_WAIT_MS, Conduct, DeviantBook, Jump
from market.deviations import SCHEMES, DeviationCell, deviation_cells, play_deviation
from market.mechanism import play as honest
from market.setting import Buyer, Outcome, Setting
from market.strategies import strategy_of

pytestmark = pytest.mark.slow

PAGE = (Path(room.__file__).parents[1] / "docs" / "standing-bid.md").read_text()
SETTING = Setting("standing_bid", 1_000, 100_000)


def play(buyers: list[Buyer], conducts: dict[int, Conduct], *, jump_e4: int = 0) -> tuple[Outcome, DeviantBook]:
    truthful = strategy_of("truthful", SETTING, len(buyers), None)
    strategies = [Jump(jump_e4) if jump_e4 and not index else truthful for index in range(len(buyers))]
    minds = [NEW_MIND] * len(buyers)
    book = DeviantBook(SETTING, buyers, strategies, minds, conducts=conducts, seed=1, lot=0)
    return book.play(), book


def buyer(value_e4: int) -> Buyer:
    return Buyer(value_e4, 1_000, up_ms=10, down_ms=10)


def test_honest_conduct_is_the_honest_lot() -> None:
    buyers = [buyer(150_000), buyer(140_000), buyer(130_000)]
    assert play(buyers, {})[0] == honest(SETTING, buyers, seed=1)


def test_a_patient_buyer_waits_for_the_last_moment_and_wins_all_the_same() -> None:
    outcome, _ = play([buyer(150_000), buyer(120_000)], {0: Conduct(patience_ms=360)})
    assert [award.buyer for award in outcome.awards] == [0]
    assert outcome.ended_ms > 5 * 360


def test_a_pump_raises_its_own_bid_and_pays_for_it() -> None:
    alone, _ = play([buyer(200_000)], {0: Conduct(pump_e4=50_000)})
    assert alone.awards[0].price_e4 > 100_000 + 32 * 1_000
    assert alone.increment_end_e4 > 1_000
    assert alone.improvements == alone.bids - 1


def test_a_jump_is_a_jump() -> None:
    outcome, _ = play([buyer(200_000), buyer(100_500)], {}, jump_e4=20_000)
    assert outcome.awards[0].price_e4 in {120_000, 121_000}


def test_what_is_not_confirmed_is_sold_again_at_the_price_that_others_were_refused() -> None:
    outcome, book = play([buyer(150_000), buyer(140_000), buyer(300_000)], {2: Conduct(confirms=False)})
    assert book.voided == 1
    assert [award.buyer for award in outcome.awards] == [0]
    assert 145_000 < outcome.awards[0].price_e4 <= 150_000
    assert outcome.ended_ms > CONFIRM_WAIT_MS


def test_whom_nobody_outbids_and_who_does_not_confirm_leaves_the_lot_unsold() -> None:
    outcome, book = play([buyer(150_000)], {0: Conduct(confirms=False)})
    assert (book.voided, outcome.awards, outcome.revenue) == (1, (), 0)


@pytest.mark.parametrize("name", SCHEMES)
def test_no_deviation_pays(name: str) -> None:
    found = play_deviation(DeviationCell(name, 2), lots=60, seed=11)
    assert found.gain_e4.mean <= 500, "more than 0.05 c"
    assert found.honest_e4 > 0


@pytest.mark.parametrize("name", ["jumps 1 c above the price to beat", "splits its need between two names"])
def test_the_page_holds_what_a_deviation_comes_to(name: str) -> None:
    found = play_deviation(DeviationCell(name, 2), lots=400, seed=1)
    gain = f"{found.gain_e4.mean / 10_000:+.3f} ± {found.gain_e4.half_width / 10_000:.3f}"
    owner = f"{found.owner_e4.mean / 10_000:+.3f} ± {found.owner_e4.half_width / 10_000:.3f}"
    assert f"| {name} | 2 | {found.honest_e4 / 10_000:.2f} | {gain} | {owner} |" in PAGE


def test_the_page_has_a_row_for_each_and_none_of_them_pays() -> None:
    for cell in deviation_cells():
        (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| {cell.name} | {cell.n} |")]
        gain = float(row.split("|")[4].split("±")[0])
        assert gain <= 0.05
