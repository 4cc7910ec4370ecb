from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agent.pricing
from agent.pricing import (
    HORIZON_SLOTS,
    SLOT_MS,
    DynamicTerms,
    FlatTariff,
    ForecastError,
    LotSeen,
    Markup,
    PriceList,
    Step,
    horizon,
    parts_of,
    terminal_e4,
    wear_e4,
)

TERMS = DynamicTerms(floor_e4=80_000, sell=FlatTariff(200_000), wear_e4=50_000, fallback_e4=180_000)
NEW = Markup(50_000)


def learnt() -> Markup:
    markup = NEW
    for number in range(250):
        markup = markup.learn(LotSeen(100_000, 100_000, 2, 190_000, 110_000 if number % 3 else None))
    return markup


def test_the_reserve_is_the_cost_where_that_is_above_the_floor() -> None:
    assert parts_of(TERMS, 120_000, NEW, "forecast") == (170_000, 80_000, 170_000, 120_000, 50_000, 0, "forecast")


def test_the_floor_holds_under_a_lower_cost() -> None:
    assert parts_of(TERMS, -90_000, NEW, "kept") == (80_000, 80_000, -40_000, -90_000, 50_000, 0, "kept")


def test_without_an_opportunity_value_the_fallback_is_the_cost() -> None:
    assert parts_of(TERMS, None, NEW, "fallback") == (180_000, 80_000, 180_000, None, 50_000, 0, "fallback")


def test_the_mark_up_comes_on_top() -> None:
    markup = learnt()
    asked = parts_of(TERMS, 120_000, markup, "forecast")
    assert asked.markup_e4 == markup.markup_e4() > 0
    assert asked.reserve_e4 == 170_000 + asked.markup_e4
    assert parts_of(TERMS, -90_000, markup, "forecast").markup_e4 == 0  # the floor asks more than that already


@given(
    floor=st.integers(0, 10**7), fallback=st.integers(0, 10**7), opportunity=st.none() | st.integers(-(10**9), 10**9)
)
def test_nothing_is_ever_cheaper_than_the_floor_or_off_the_tick(
    floor: int, fallback: int, opportunity: int | None
) -> None:
    terms = DynamicTerms(floor_e4=floor, sell=FlatTariff(0), wear_e4=33, fallback_e4=fallback)
    asked = parts_of(terms, opportunity, NEW, "forecast").reserve_e4
    assert asked >= floor
    assert asked % 100 == 0


def test_a_horizon_joins_what_energy_fetches_and_what_it_costs() -> None:
    steps = horizon(FlatTariff(5), FlatTariff(3), 7 * SLOT_MS)
    assert steps == (Step(5, 3),) * HORIZON_SLOTS
    assert horizon(FlatTariff(5), None, 0)[0] == Step(5, None)


def test_where_the_purchase_price_ends_nothing_is_bought_any_more() -> None:
    buy = PriceList(tuple((slot, slot) for slot in range(100, 115)), 0, 10**15)
    steps = horizon(FlatTariff(5), buy, 100 * SLOT_MS)
    assert steps[14:16] == (Step(5, 114), Step(5, None))
    with pytest.raises(ForecastError):
        horizon(FlatTariff(5), buy, 110 * SLOT_MS)


def test_what_is_left_is_worth_the_mean_less_wear_unless_the_owner_says() -> None:
    steps = (Step(100_000), Step(300_000), Step(None))
    assert terminal_e4(TERMS, steps) == 150_000
    assert terminal_e4(TERMS, ()) == terminal_e4(TERMS, (Step(10_000),)) == 0
    said = DynamicTerms(floor_e4=0, sell=FlatTariff(0), terminal_e4=7)
    assert terminal_e4(said, steps) == 7


def test_wear_is_what_replacement_costs_over_what_it_moves() -> None:
    assert wear_e4(1_000_000, 37_800_000) == 264_600  # A$10,000 over 37.8 MWh: 26.46 c
    assert wear_e4(1, 10**12) == 100  # never zero
    for wrong in ((0, 1), (1, 0), (-1, 5)):
        with pytest.raises(ValueError, match="above 0"):
            wear_e4(*wrong)


def test_the_owners_price_needs_nothing_else_of_the_agent() -> None:
    code = "import agent.pricing, sys; print(*sorted(sys.modules))"
    root = Path(agent.pricing.__file__).parents[2]
    loaded = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    names = loaded.stdout.split()
    assert {name for name in names if name.startswith("agent")} == {
        "agent",
        "agent.pricing",
        *(f"agent.pricing.{path.stem}" for path in Path(agent.pricing.__file__).parent.glob("[a-z]*.py")),
    }
    assert not {"asyncio", "socket", "pydantic", "structlog", "numpy"} & set(names)
