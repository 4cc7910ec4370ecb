from __future__ import annotations

from fractions import Fraction
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.pricing import Plant, Step, appraise

PRICES = st.integers(-3_000, 3_000).map(lambda cents: cents * 100)
STEPS = st.lists(st.builds(Step, st.none() | PRICES, st.none() | PRICES), max_size=4)


@st.composite
def plants(draw: st.DrawFn) -> Plant:
    """Small batteries whose levels and powers are whole: 1 kWh a level."""
    states = draw(st.integers(2, 6))
    return Plant(
        range_wh=(states - 1) * 1_000,
        discharge_w=draw(st.sampled_from([0, 500, 2_000, 3_700, 20_000])),
        charge_w=draw(st.sampled_from([0, 500, 2_500, 20_000])),
        discharge_permille=draw(st.sampled_from([1_000, 900, 617])),
        charge_permille=draw(st.sampled_from([1_000, 950, 800])),
        wear_e4=draw(st.sampled_from([0, 50_000])),
        states=states,
    )


def by_trying(plant: Plant, steps: tuple[Step, ...], terminal_e4: int, level: int) -> Fraction:
    """Return the most that a level earns, in e4 x kWh, by trying every plan there is."""
    per_level = Fraction(plant.discharge_permille, 1_000)
    taken_in = Fraction(1_000, plant.charge_permille)
    out = max(plant.discharge_w * 1_000 // (plant.discharge_permille * 2_000), 1) if plant.discharge_w else 0
    into = max(plant.charge_w * plant.charge_permille // 2_000_000, 1) if plant.charge_w else 0

    @cache
    def best(at: int, left: int) -> Fraction:
        if at == len(steps):
            return left * per_level * terminal_e4
        plans = [best(at + 1, left)]
        sell_e4, buy_e4 = steps[at]
        if sell_e4 is not None:
            net_e4 = sell_e4 - plant.wear_e4
            plans += [k * per_level * net_e4 + best(at + 1, left - k) for k in range(1, min(out, left) + 1)]
        if buy_e4 is not None:
            room = plant.states - 1 - left
            plans += [-k * taken_in * buy_e4 + best(at + 1, left + k) for k in range(1, min(into, room) + 1)]
        return max(plans)

    return best(0, level)


def ticks_up(price_e4: Fraction) -> int:
    return -(-price_e4 // 100) * 100


@settings(deadline=None, max_examples=200)
@given(plant=plants(), steps=STEPS, terminal_e4=PRICES, data=st.data())
def test_it_is_exactly_what_trying_every_plan_finds(
    plant: Plant, steps: list[Step], terminal_e4: int, data: st.DataObject
) -> None:
    table = appraise(plant, steps, terminal_e4=terminal_e4)
    level = data.draw(st.integers(1, plant.states - 1))
    lot = data.draw(st.integers(1, level))
    lost = by_trying(plant, tuple(steps), terminal_e4, level) - by_trying(plant, tuple(steps), terminal_e4, level - lot)
    per_kwh = lost / (lot * Fraction(plant.discharge_permille, 1_000))
    lot_wh = Fraction(lot * plant.discharge_permille)
    assert lot_wh.denominator == 1
    assert table.opportunity_e4(level * 1_000, int(lot_wh)) == ticks_up(per_kwh)


@settings(deadline=None)
@given(plant=plants(), steps=STEPS, terminal_e4=PRICES)
def test_no_level_is_dearer_than_the_dearest(plant: Plant, steps: list[Step], terminal_e4: int) -> None:
    table = appraise(plant, steps, terminal_e4=terminal_e4)
    per_level = plant.discharge_permille
    found = [table.opportunity_e4(level * 1_000, per_level) for level in range(1, plant.states)]
    assert max(found) == table.dearest_e4()


HOME = Plant(range_wh=10_000, discharge_w=5_000, charge_w=5_000, discharge_permille=1_000, charge_permille=1_000)


def test_energy_that_can_all_be_sold_at_the_evening_price_is_worth_that() -> None:
    steps = [Step(80_000)] * 10 + [Step(300_000)] * 8 + [Step(90_000)] * 6
    assert appraise(HOME, steps).opportunity_e4(5_000, 1_000) == 300_000


def test_of_more_energy_than_the_evening_takes_the_last_is_worth_what_the_night_pays() -> None:
    steps = [Step(80_000)] * 2 + [Step(300_000)] * 3 + [Step(90_000)] * 6
    table = appraise(HOME, steps)
    assert table.opportunity_e4(10_000, 1_000) == 90_000
    assert table.opportunity_e4(7_000, 1_000) == 300_000


def test_what_can_be_bought_back_before_the_evening_is_worth_what_that_costs() -> None:
    steps = [Step(80_000)] * 2 + [Step(None, 120_000)] * 6 + [Step(300_000)] * 8
    lossless = appraise(HOME, steps)
    assert lossless.opportunity_e4(10_000, 1_000) == 120_000
    lossy = Plant(range_wh=10_000, discharge_w=5_000, charge_w=5_000, discharge_permille=900, charge_permille=900)
    assert appraise(lossy, steps).opportunity_e4(9_000, 900) == 148_200  # 120 000 / 0.81, up to the tick


def test_wear_of_the_later_sale_is_not_lost_by_selling_now() -> None:
    worn = Plant(range_wh=10_000, discharge_w=5_000, wear_e4=50_000)
    assert appraise(worn, [Step(None)] * 4 + [Step(300_000)] * 8).opportunity_e4(5_000, 1_000) == 250_000


def test_what_is_left_at_the_end_has_the_terminal_value() -> None:
    assert appraise(HOME, [], terminal_e4=70_000).opportunity_e4(5_000, 1_000) == 70_000
    assert appraise(HOME, [Step(50_000)] * 4, terminal_e4=70_000).opportunity_e4(5_000, 1_000) == 70_000


def test_room_can_be_worth_more_than_energy_when_taking_it_in_is_paid() -> None:
    full = appraise(HOME, [Step(None, -50_000)] * 4)
    assert full.opportunity_e4(10_000, 1_000) == -50_000


def test_nothing_stored_is_priced_like_the_last_level_and_more_than_full_like_full() -> None:
    table = appraise(HOME, [Step(300_000)] * 2 + [Step(90_000)] * 4)
    assert table.opportunity_e4(0, 1_000) == table.dearest_e4() == 300_000
    assert table.opportunity_e4(50_000, 1_000) == table.opportunity_e4(10_000, 1_000)
    assert table.opportunity_e4(500, 2_000) == 300_000  # a lot larger than what is there


def test_a_battery_too_slow_for_one_level_in_a_half_hour_still_sells() -> None:
    slow = Plant(range_wh=100_000, discharge_w=100)
    assert appraise(slow, [Step(300_000)]).opportunity_e4(1_000, 900) == 300_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"range_wh": 0},
        {"discharge_w": -1},
        {"charge_w": -1},
        {"discharge_permille": 0},
        {"charge_permille": 1_001},
        {"states": 1},
        {"states": 1_001},
    ],
)
def test_what_is_no_battery_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"battery|efficienc|states"):
        Plant(**{"range_wh": 1_000, "discharge_w": 1_000, **wrong})
