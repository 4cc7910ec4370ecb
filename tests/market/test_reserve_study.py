"""The reserve study: its parts against what can be reckoned by hand, and its page against what the code gives."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from statistics import NormalDist

import pytest

from agent.pricing import HORIZON_SLOTS, Plant, Step, appraise, terminal_e4
from market.aest import hour_of
from market.errors import StudyError
from market.heard_lot import Heard, hear
from market.markup_study import COST_E4, MARKETS, Cell, best_reserve_e4, regret, run
from market.paired import interval, t_bound
from market.reserve_page import markup_row, page, week_row
from market.reserve_rules import Dynamic, fixed, terms_of
from market.reserve_study import (
    ARMS,
    MARKED_UP,
    SEEDS,
    SIMPLE,
    SIMPLE_E4,
    SITE,
    Arm,
    Row,
    Study,
    added,
    arms_of,
    compare,
    rule_of,
    study,
    world_of,
)
from market.reserve_week import World, play
from market.setting import Setting

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "reserve-study.md"
NEVER, OWN, TABLE, TRUE = ARMS[0], *ARMS[-3:]


def flat_world(spot_e4: int, *, spread_e4: int = 0, days: int = 4) -> tuple[World, range]:
    """Return a world with one spot price, its days from 00:00 AEST on."""
    first = next(slot for slot in range(1_000_000, 1_000_048) if hour_of(slot) == 0 and hour_of(slot - 1) == 23)
    site = type(SITE)(spread_e4=spread_e4)
    return World(site, 1, first, (spot_e4,) * (days * 48 + HORIZON_SLOTS)), range(first, first + days * 48)


@pytest.mark.parametrize(("freedom", "expected"), [(1, 12.7062), (2, 4.3027), (9, 2.2622), (29, 2.0452)])
def test_student_bounds_are_those_of_the_tables(freedom: int, expected: float) -> None:
    assert t_bound(freedom) == pytest.approx(expected, abs=1e-4)


def test_an_interval_is_that_of_the_textbook_and_one_unit_has_none() -> None:
    seen = interval([1.0, 2.0, 3.0])
    half = t_bound(2) / math.sqrt(3)
    assert seen == pytest.approx((2.0, 2.0 - half, 2.0 + half))
    assert interval([4.0]) == (4.0, None, None)


def test_a_seller_hears_bids_and_never_what_the_winner_would_have_paid() -> None:
    setting = Setting("standing_bid", 1_200, 100_000)
    heard = hear(setting, [130_000, 190_000, 90_000], seed=1, lot=3)
    assert heard.price_e4 == heard.best_e4
    assert heard.second_e4 is not None
    assert 128_000 <= heard.second_e4 <= 130_000 <= (heard.best_e4 or 0) <= 132_000
    assert hear(setting, [190_000, 90_000], seed=1, lot=3) == Heard(100_000, 100_000, None)
    assert hear(setting, [99_900, 90_000], seed=1, lot=3) == Heard(None)
    sealed = hear(Setting("sealed_second", 1_200, 100_000), [130_000, 190_000], seed=1, lot=3)
    assert sealed == Heard(130_000, 190_000, 130_000)


def test_who_sells_nothing_has_the_tariff_for_every_kwh_that_came() -> None:
    world, slots = flat_world(120_000)
    seen, left_mwh = play(world, fixed(SITE, 20_300_000), 2, slots=slots, stored_mwh=0)
    sun_wh = SITE.solar_w * 6 * 4
    assert left_mwh == SITE.range_wh * 1_000
    assert seen.available_wh == pytest.approx(4 * SITE.range_wh * 0.95)
    assert seen.exported_wh + left_mwh / 950 == pytest.approx(sun_wh)
    expected = (seen.exported_wh + SITE.range_wh * 0.95) * SITE.tariff_e4 / seen.available_wh
    assert seen.per_kwh(SITE) == pytest.approx(expected)
    assert (seen.lots, seen.receipts) == (0, 0)


def test_energy_and_money_of_a_week_add_up() -> None:
    world, slots = flat_world(120_000)
    half_mwh = SITE.range_wh * 500
    seen, left_mwh = play(world, fixed(SITE, 100_000), 2, slots=slots, stored_mwh=half_mwh)
    taken_wh = SITE.solar_w * 6 * 4 - seen.exported_wh
    assert seen.lots > 10
    assert left_mwh == pytest.approx(half_mwh + taken_wh * 950 - seen.lots * SITE.lot_mwh)
    assert seen.stored_wh == pytest.approx((left_mwh - half_mwh) * 0.95 / 1_000)
    assert seen.receipts == seen.capped
    assert 100_000 <= seen.receipts / (seen.lots * SITE.lot_wh) <= 121_000
    money = seen.receipts - seen.lots * SITE.lot_wh * 50_000 + (seen.exported_wh + seen.stored_wh) * 50_000
    assert seen.per_kwh(SITE) == pytest.approx(money / seen.available_wh)


def test_a_spike_counts_in_full_and_at_30_cents() -> None:
    world, slots = flat_world(900_000, days=1)
    seen, _ = play(world, fixed(SITE, 100_000), 2, slots=slots, stored_mwh=SITE.range_wh * 1_000)
    assert seen.receipts > 2.9 * seen.capped
    assert seen.capped == seen.lots * SITE.lot_wh * 300_000


def test_a_further_buyer_changes_nobody_elses_values_and_every_rule_meets_the_same() -> None:
    world, _ = world_of(0, SEEDS)
    quarter = 2 * world.first + 77
    assert world.values_e4(quarter, 100_000, 5)[:2] == world.values_e4(quarter, 100_000, 2)
    assert world.values_e4(quarter + 1, 100_000, 5) != world.values_e4(quarter, 100_000, 5)


def test_seed_weeks_are_spread_over_the_year_and_whole() -> None:
    starts = [world_of(number, SEEDS)[1] for number in range(SEEDS)]
    assert len({week.start for week in starts}) == SEEDS
    assert starts[-1].start - starts[0].start > 300 * 48
    world, week = world_of(3, SEEDS)
    assert hour_of(week.start) == 0
    assert world.first + len(world.prices) == week.stop + HORIZON_SLOTS


def test_a_dynamic_rule_asks_what_the_agents_parts_ask() -> None:
    world, week = world_of(2, SEEDS)
    rule = rule_of(TRUE, world)
    slot, stored_mwh = week.start + 36, SITE.range_wh * 700
    prices = world.prices[slot - world.first :][:HORIZON_SLOTS]
    steps = [
        Step(price, SITE.tariff_e4 if hour_of(at) in range(9, 15) else None) for at, price in enumerate(prices, slot)
    ]
    for states, apart in ((28, 0), (100, 5_000)):
        plant = Plant(
            range_wh=SITE.range_wh, discharge_w=5_000, charge_w=SITE.solar_w, wear_e4=SITE.wear_e4, states=states
        )
        table = appraise(plant, steps, terminal_e4=terminal_e4(terms_of(SITE), steps))
        asked_e4 = max(SIMPLE_E4, table.opportunity_e4(stored_mwh // 1_000, 1_200) + SITE.wear_e4)
        assert rule.reserve_e4(slot, stored_mwh) == pytest.approx(asked_e4, abs=apart)
    assert asked_e4 > SIMPLE_E4


def test_without_a_forecast_the_fallback_is_asked() -> None:
    world, week = world_of(0, SEEDS)
    assert rule_of(OWN, world).reserve_e4(week.start, 8_000_000) == SIMPLE_E4


def test_own_sales_of_dear_evenings_raise_the_reserve() -> None:
    rule = Dynamic(SITE, None, learns=False)
    first = flat_world(0)[1].start
    for slot in range(first + 36, first + 42):
        rule.heard(slot, Heard(250_000, 250_000, 249_000), 2, is_last=True)
    assert rule.reserve_e4(first + 48, 8_640_000) > SIMPLE_E4


def test_a_mark_up_is_learned_from_lots_nobody_wants_too_and_never_by_one_buyer() -> None:
    table = Dynamic(SITE, None, learns=True)
    assert table.least_e4 is None
    assert Dynamic(SITE, None, learns=False).least_e4 == SIMPLE_E4
    assert not set(MARKED_UP) & set(arms_of(1))
    assert set(MARKED_UP) <= set(arms_of(2))


def test_a_forecast_that_is_right_beats_a_fixed_reserve_where_the_price_is_known() -> None:
    """Two prices a day: 11 c by night, 25 c from 18 to 20 h; who asks tariff + wear sells everything by night."""
    site = type(SITE)(spread_e4=0)
    first = flat_world(0)[1].start
    prices = tuple(250_000 if hour_of(slot) in {18, 19} else 110_000 for slot in range(first, first + 5 * 48))
    world, slots = World(site, 1, first, prices), range(first, first + 3 * 48)
    simple, known = (play(world, rule_of(arm, world), 2, slots=slots, stored_mwh=0)[0] for arm in (SIMPLE, TRUE))
    assert known.per_kwh(site) > simple.per_kwh(site) + 20_000


def test_the_best_reserve_is_myersons() -> None:
    assert best_reserve_e4(MARKETS["uniform 8 to 14 c"], COST_E4) == (140_000 + COST_E4) // 2
    normal = NormalDist(120_000, 20_000)
    best_e4 = best_reserve_e4(MARKETS["normal 12 c, sd 2 c"], COST_E4)
    assert best_e4 - (1 - normal.cdf(best_e4)) / normal.pdf(best_e4) == pytest.approx(COST_E4, abs=200)


def test_the_learner_earns_more_than_a_reserve_at_cost_and_hears_only_bids() -> None:
    found = run(Cell("sealed_second", "uniform 8 to 14 c", 2, 2), seed=5, lots=900, counted=500)
    assert found.at_cost < found.learned < found.best * 1.05
    assert 5_000 < found.markup < 35_000
    alone = run(Cell("standing_bid", "uniform 8 to 14 c", 1, 1), seed=5, lots=300, counted=50)
    assert alone.markup == alone.learned == alone.at_cost == 0 < alone.best


def test_what_cannot_be_studied_is_refused() -> None:
    with pytest.raises(StudyError, match="seeds"):
        study(0)


def test_the_page_has_what_a_few_weeks_of_the_code_give() -> None:
    """Rules and numbers of buyers that take little time, over the seed-weeks the page is made of."""
    text = PAGE.read_text()
    rows = compare([(NEVER, 1), (SIMPLE, 1), (SIMPLE, 5), (TABLE, 1)], seeds=SEEDS)
    for row in rows:
        assert week_row(row) in text
    dearest = next(arm for arm in ARMS if arm.name == "fixed, 35 c")
    assert week_row(compare([(SIMPLE, 5), (dearest, 5)], seeds=SEEDS)[1], "paid") in text


def test_the_page_begins_and_ends_as_the_code_says() -> None:
    rows = tuple(
        Row(arm.name, n, *(interval([0.0]),) * 2, 0.0, interval([0.0]), 0.0, None, (0.0,), (0.0,))
        for n in (1, 2, 5)
        for arm in arms_of(n)
    )
    for part in (
        page(Study(SEEDS, rows, ())).split("### 1 buyer")[0],
        page(Study(SEEDS, rows, ())).split("## What it")[1],
    ):
        assert part in PAGE.read_text()


@pytest.mark.slow
def test_the_page_has_what_the_learners_give() -> None:
    text = PAGE.read_text()
    assert markup_row(regret(Cell("sealed_second", "uniform 8 to 14 c", 2, 2), seeds=SEEDS)) in text
    simple, learner = compare([(SIMPLE, 5), (MARKED_UP[0], 5)], seeds=SEEDS)
    assert week_row(simple) in text
    assert week_row(learner) in text


def test_a_page_marks_the_best_fixed_reserve_and_says_where_a_dynamic_one_loses() -> None:
    rows = tuple(
        Row(arm.name, n, interval([mean]), interval([mean]), mean, interval([mean]), 3.0, mean, (mean,), (mean,))
        for n in (1, 2, 5)
        for place, arm in enumerate(arms_of(n))
        for mean in [(place - 1) * 10_000.0 if "own" not in arm.name else -5.0]
    )
    told = page(Study(1, rows, ()))
    assert "| by state of charge |" in told
    assert told.count("| fixed, 35 c (best fixed, paid and capped) |") == told.count("(best fixed, ") == 3
    losers = told.split("Not above the simple owner (capped mean): ")[1].split("\n\n")[0].replace("\n", " ")
    assert losers == (
        "dynamic, own sales (n = 1); dynamic, own sales (n = 2); dynamic, own sales, mark-up (n = 2); dynamic, own"
        " sales (n = 5); dynamic, own sales, mark-up (n = 5)."
    )
    assert "(whole interval below 0): none." in told
    assert added(rows, "dynamic, true spot", "dynamic, time of use", 2)[0].mean == 10_000


def test_a_page_says_by_which_money_a_fixed_reserve_is_best() -> None:
    """Dearer is better as paid; capped, 20 c are best. The true spot lies between the two."""

    def row(arm: Arm, n: int) -> Row:
        paid, capped = arm.price_e4 / 10, -abs(arm.price_e4 - 200_000.0)
        if arm.kind == "true":
            paid, capped = 34_999.0, 20_000.0
        if arm == NEVER:
            paid = capped = 10.0**9
        seen = interval([paid])
        return Row(arm.name, n, seen, seen, capped, seen, 3.0, 1.0, (paid,), (capped,))

    told = page(Study(1, tuple(row(arm, n) for n in (1, 2, 5) for arm in arms_of(n)), ())).replace("\n", " ")
    assert told.count("| fixed, 35 c (best fixed, paid) |") == told.count("| fixed, 20 c (best fixed, capped) |") == 3
    assert told.count("(best fixed, ") == 6
    capped, paid = (
        told.split(f"{start} (")[1].split(".")[0]
        for start in (
            "Below the best fixed reserve, which nobody knows beforehand",
            "Below the fixed reserve best in money as paid",
        )
    )
    assert "true spot" not in capped
    assert paid.count("true spot (n") == 3
    assert "| true spot | 1 | +2.00 |" in told


def test_a_page_says_where_the_mark_up_surely_harms() -> None:
    def row(arm: Arm, n: int) -> Row:
        off = 30_000.0 if arm.kind == "own" and not arm.learns else 0.0
        weeks = (off, off + 10.0)
        return Row(arm.name, n, *(interval(weeks),) * 2, 1.0, interval(weeks), 3.0, 1.0, weeks, weeks)

    told = page(Study(2, tuple(row(arm, n) for n in (1, 2, 5) for arm in arms_of(n)), ()))
    assert "(whole interval below 0): dynamic, own sales, mark-up (n = 2);" in told


def test_equal_seeds_give_equal_figures_whatever_the_hash_seed() -> None:
    code = (
        "import json; from market.reserve_study import *;"
        "world, week = world_of(0, 10);"
        "rule = rule_of(MARKED_UP[0], world);"
        "print(json.dumps(play(world, rule, 2, slots=week[:96], stored_mwh=0)))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
            cwd=PAGE.parents[1],
            timeout=120,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    world, week = world_of(0, 10)
    seen, left_mwh = play(world, rule_of(MARKED_UP[0], world), 2, slots=week[:96], stored_mwh=0)
    assert seen.lots
    assert json.loads(told[0]) == [list(seen), left_mwh]


def test_a_rule_that_learns_has_lived_before_its_week() -> None:
    assert Arm("x", "own").weeks_before == Arm("x", "table", learns=True).weeks_before == 2
    assert SIMPLE.weeks_before == TABLE.weeks_before == TRUE.weeks_before == 0
