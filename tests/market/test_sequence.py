"""Equal lots one after the other: prices fall for buyers who do not look ahead, and waiting pays."""

from __future__ import annotations

import pytest

from market.sequence import WaitCell, play_wait, wait_cells

pytestmark = pytest.mark.slow


def test_prices_fall_from_lot_to_lot_towards_the_competitive_price() -> None:
    found = [play_wait(WaitCell(3, waits), lots=60, seed=3) for waits in range(3)]
    first, second, last = (result.price_e4 for result in found)
    assert first > second > last
    assert abs(last - found[0].competitive_e4) < 2_000
    assert len({result.competitive_e4 for result in found}) == 1


def test_waiting_pays_and_not_waiting_is_honest() -> None:
    honest, late = (play_wait(WaitCell(3, waits), lots=60, seed=3) for waits in (0, 2))
    assert (honest.gain_e4.mean, honest.owner_e4.mean) == (0, 0)
    assert late.gain_e4.mean - late.gain_e4.half_width > 500
    assert late.owner_e4.mean < 0


def test_who_waits_for_the_last_lot_loses_nothing_it_would_have_had_alone() -> None:
    found = play_wait(WaitCell(1, 0), lots=30, seed=5)
    assert abs(found.price_e4 - found.competitive_e4) < 1_000


def test_each_lot_of_each_sequence_is_a_cell() -> None:
    assert wait_cells() == [WaitCell(2, 0), WaitCell(2, 1), *(WaitCell(5, waits) for waits in range(5))]
