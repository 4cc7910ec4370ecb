"""Samples: the sum of the lots they are made of, the same on every path, and learners that go on learning."""

from __future__ import annotations

import statistics
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.strategies import NAMES, NEW_MIND
from etp.auction import RULES
from market.draws import uniform
from market.errors import StudyError
from market.mechanism import Buyer, Outcome, Setting, play_lot
from market.sampling import Summary, best_use, sample
from market.strategies import SEALED, strategy_of
from market.values import values_of

pytestmark = pytest.mark.slow

UNIFORM = {"kind": "uniform", "low_e4": 0, "high_e4": 1_000_000}
SHADED = ["truthful", "equilibrium", "reserve", "fraction:0.8", "naive"]


def at_once(setting: Setting, **changes: Any) -> Summary:
    fields: dict[str, Any] = {"n": 3, "auctions": 40, "seed": 5, "need_wh": 1_000, "rows": True, **changes}
    return sample(setting, UNIFORM, **fields)


@pytest.mark.parametrize("reserve_e4", [0, 300_000])
@pytest.mark.parametrize("rule", sorted(SEALED))
@pytest.mark.parametrize("strategy", SHADED)
def test_the_fast_path_is_the_long_way(strategy: str, rule: str, reserve_e4: int) -> None:
    setting = Setting(rule, 1_500, reserve_e4)
    for n, need_wh in ((1, 1_500), (2, 1_500), (4, 700), (3, 9_900), (2, 0)):
        fast = at_once(setting, strategy=strategy, n=n, need_wh=need_wh)
        assert at_once(setting, strategy=strategy, n=n, need_wh=need_wh, latency_ms=(0, 0)) == fast


@pytest.mark.parametrize("latency_ms", [None, (5, 50)])
@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize("strategy", ["truthful", "zip", "random"])
def test_a_sample_is_its_lots_one_after_the_other(
    strategy: str, rule: str, latency_ms: tuple[float, float] | None
) -> None:
    setting, n, seed = Setting(rule, 1_000, 200_000), 2, 11
    drawn = values_of(UNIFORM, n)
    minds = [NEW_MIND] * n
    outcomes: list[Outcome] = []
    for lot in range(12):
        buyers = []
        for index, value_e4 in enumerate(drawn.of_lot(seed, lot, n)):
            ways = [0.0, 0.0]
            if latency_ms:
                low, high = latency_ms
                ways = [low + uniform(seed, lot, index, way) * (high - low) for way in ("way-up", "way-down")]
            buyers.append(Buyer(value_e4, 1_000, None, strategy, *ways))
        strategies = [strategy_of(strategy, setting, n, UNIFORM)] * n
        outcome, minds = play_lot(setting, buyers, strategies, minds, seed=seed, lot=lot)
        outcomes.append(outcome)
    told = at_once(setting, strategy=strategy, n=n, auctions=12, seed=seed, latency_ms=latency_ms)
    assert told.rows is not None
    assert [row["awards"] for row in told.rows] == [outcome.awards for outcome in outcomes]
    assert told.bids == sum(outcome.bids for outcome in outcomes)
    assert told.improvements == sum(outcome.improvements for outcome in outcomes)
    assert told.sold == sum(bool(outcome.awards) for outcome in outcomes)


@settings(max_examples=25)
@given(
    rows=st.lists(st.lists(st.integers(-100, 10_000).map(lambda t: t * 100), min_size=4, max_size=4), min_size=2),
    rule=st.sampled_from(sorted(RULES)),
    need_wh=st.sampled_from([500, 1_000, 2_000]),
)
def test_figures_are_those_of_the_rows(rows: list[list[int]], rule: str, need_wh: int) -> None:
    setting, lots = Setting(rule, 1_000, 200_000), len(rows) + 3
    values = {"kind": "table", "rows": rows}
    told = sample(setting, values, n=4, auctions=lots, seed=1, need_wh=need_wh, rows=True)
    assert told.rows is not None
    revenues = [sum(sold.price_e4 * sold.wh for sold in row["awards"]) for row in told.rows]
    volumes = [sum(sold.wh for sold in row["awards"]) for row in told.rows]
    per_kwh = [revenue / 1_000 for revenue in revenues]
    assert told.revenue_per_kwh_e4.mean == pytest.approx(statistics.fmean(per_kwh))
    assert told.revenue_per_kwh_e4.sd == pytest.approx(statistics.stdev(per_kwh))
    assert told.revenue_per_kwh_e4.se == pytest.approx(statistics.stdev(per_kwh) / lots**0.5)
    prices = [revenue / wh for revenue, wh in zip(revenues, volumes, strict=True) if wh]
    assert told.sold == len(prices)
    assert told.price_e4.mean == (pytest.approx(statistics.fmean(prices)) if prices else None)
    assert (told.price_e4.sd is None) == (len(prices) < 2)
    assert told.second_value_e4.mean == pytest.approx(
        statistics.fmean(sorted(rows[lot % len(rows)])[-2] for lot in range(lots))
    )
    bought = sum(row["values_e4"][sold.buyer] * sold.wh for row in told.rows for sold in row["awards"])
    best = sum(by_force(row["values_e4"], need_wh, 1_000) for row in told.rows)
    assert told.efficiency == (pytest.approx(bought / best) if best else None)
    assert told.efficiency is None or 0 <= told.efficiency <= 1


def by_force(values_e4: list[int], need_wh: int, lot_wh: int) -> int:
    want_wh = min(need_wh, lot_wh)
    sets = [one for k in range(5) for one in combinations(values_e4, k) if k * want_wh <= lot_wh]
    return max(sum(one) * want_wh for one in sets)


def test_the_best_use_takes_nobody_who_loses_by_it() -> None:
    assert best_use([-500, 300, 200], 1_000, 3_000) == 500_000
    assert best_use([-500], 1_000, 1_000) == best_use([500], 0, 1_000) == 0


def test_what_is_not_sold_earned_nothing() -> None:
    told = sample(Setting("sealed_second", 1_000, 900_000), UNIFORM, n=1, auctions=50, seed=1, need_wh=1_000)
    assert 0 < told.sold < 15
    assert told.revenue_per_kwh_e4.mean == pytest.approx(900_000 * told.sold / 50)
    assert told.price_e4.mean == 900_000
    assert told.second_value_e4 == (None, None, None)
    never = sample(Setting("sealed_second", 1_000, 1_000_000), UNIFORM, n=1, auctions=1, seed=1, need_wh=1_000)
    assert (never.sold, never.revenue_per_kwh_e4, never.price_e4) == (0, (0, None, None), (None, None, None))
    assert never.efficiency == 0


def test_learners_go_on_learning_and_others_do_not() -> None:
    setting = Setting("sealed_first", 1_000, 100_000)
    one = {"kind": "uniform", "low_e4": 900_000, "high_e4": 900_000}
    learned = sample(setting, one, n=2, auctions=40, seed=3, need_wh=1_000, strategy="zip", rows=True)
    same = sample(setting, one, n=2, auctions=40, seed=3, need_wh=1_000, strategy="fraction:0.8", rows=True)
    assert learned.rows is not None
    assert same.rows is not None
    assert len({row["revenue"] for row in learned.rows}) > 20
    assert len({row["revenue"] for row in same.rows}) == 1


@pytest.mark.parametrize("strategy", NAMES)
@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_further_buyer_shifts_nobodys_draws(rule: str, strategy: str) -> None:
    setting = Setting(rule, 1_000, 100_000)
    few, more = (at_once(setting, n=n, auctions=5, strategy=strategy, latency_ms=(5, 50)) for n in (2, 3))
    assert few.rows is not None
    assert more.rows is not None
    assert [row["values_e4"] for row in few.rows] == [row["values_e4"][:2] for row in more.rows]


def test_a_third_random_buyer_leaves_the_first_bids_of_two() -> None:
    """Under sealed bids each bid is one draw: whoever wins among two wins among three, or the third does."""
    setting = Setting("sealed_first", 1_000, 100_000)
    two, three = (at_once(setting, n=n, auctions=60, strategy="random").rows for n in (2, 3))
    assert two is not None
    assert three is not None
    for before, after in zip(two, three, strict=True):
        if after["awards"] and after["awards"][0].buyer != 2:
            assert after["awards"] == before["awards"]
    assert sum(row["awards"] and row["awards"][0].buyer == 2 for row in three) > 5


def test_progress_is_told_by_the_thousand() -> None:
    told: list[int] = []
    sample(Setting("sealed_second", 100, 0), UNIFORM, n=1, auctions=2_500, seed=1, need_wh=100, progress=told.append)
    assert told == [1_000, 2_000]


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        *[("n", {"n": bad}) for bad in (0, -1, 65, True)],
        *[("auctions", {"auctions": bad}) for bad in (0, 1_000_001, 2.5)],
        ("auctions", {"auctions": 10_000_001, "rows": False}),
        *[("seed", {"seed": bad}) for bad in (-1, 2**63, None)],
        *[("need_wh", {"need_wh": bad}) for bad in (-100, 150)],
        *[("latency_ms", {"latency_ms": bad}) for bad in ((50, 5), (-1, 5), (0, 60_001), (0, float("nan")))],
        ("strategy", {"strategy": "bold"}),
    ],
)
def test_a_sample_that_cannot_be_names_its_key(key: str, changes: dict[str, Any]) -> None:
    with pytest.raises(StudyError) as caught:
        at_once(Setting("standing_bid", 1_000, 0), **changes)
    assert caught.value.key == key
