from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import energy
from etp.messages import Health

PERMILLE = st.integers(0, 1_000)
WH = st.integers(0, 1_000_000)


def test_usable_energy_is_what_is_above_the_floor_behind_the_discharge_efficiency() -> None:
    assert energy.usable_wh(800, 200, 13_500) == 7_695
    assert energy.usable_wh(800, 200, 13_500, 1_000) == 8_100
    assert energy.usable_wh(200, 200, 13_500) == 0
    assert energy.usable_wh(150, 200, 13_500) == 0


def test_the_highest_floor_holds() -> None:
    assert energy.floor_of(200) == 200
    assert energy.floor_of(200, (None, 300, 100)) == 300
    assert energy.floor_of(0, (None,)) == 0


def test_what_is_promised_and_the_owners_share_are_not_for_sale() -> None:
    assert energy.sellable_wh(7_695, 10_260, 0, 800) == 7_695 - 2_052
    assert energy.sellable_wh(7_695, 10_260, 5_000, 800) == 643
    assert energy.sellable_wh(2_000, 10_260, 0, 800) == 0
    assert energy.sellable_wh(7_695, 10_260, 0, 1_000) == 7_695


@given(usable=WH, full=WH, promised=WH, share=PERMILLE)
def test_never_sells_what_is_not_there(usable: int, full: int, promised: int, share: int) -> None:
    sold = energy.sellable_wh(usable, full, promised, share)
    assert 0 <= sold <= max(0, usable - promised)


def test_default_lot_is_a_quarter_of_an_hour_up_to_five_kwh() -> None:
    assert energy.default_lot_wh(5_000) == 1_200
    assert energy.default_lot_wh(10_000) == 2_500
    assert energy.default_lot_wh(100_000) == 5_000


@given(sellable=WH, limit=WH, need=st.none() | WH)
def test_a_lot_is_whole_steps_within_every_limit(sellable: int, limit: int, need: int | None) -> None:
    lot = energy.lot_wh(sellable, limit, need)
    assert lot % 100 == 0
    assert 0 <= lot <= min(sellable, limit, 50_000)
    if need is not None:
        assert lot <= max(need, 100)


def test_the_smallest_regular_need_bounds_the_lot_but_never_to_nothing() -> None:
    assert energy.lot_wh(8_000, 5_000, 730) == 700
    assert energy.lot_wh(8_000, 5_000, 20) == 100


def test_a_time_lapse_divides_a_window_and_rounds_up() -> None:
    assert energy.window_ms(1_185) == 1_185_000
    assert energy.window_ms(1_185, 60) == 19_750
    assert energy.window_ms(1_185, 7) == 169_286


@pytest.mark.parametrize(
    ("soh", "health"),
    [
        (1_000, Health.EXCELLENT),
        (900, Health.EXCELLENT),
        (899, Health.GOOD),
        (800, Health.GOOD),
        (700, Health.FAIR),
        (699, Health.POOR),
        (0, Health.POOR),
        (None, Health.FAIR),
    ],
)
def test_health_follows_the_state_of_health(soh: int | None, health: Health) -> None:
    assert energy.health_of(soh) is health
