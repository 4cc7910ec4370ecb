"""How the buyers of a study bid: the equilibrium bid against the formula, and limits against decisions."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.strategies import NAMES, NEW_MIND, LotView, make_strategy
from etp.auction import RULES
from market.errors import StudyError
from market.mechanism import equilibrium_bid
from market.setting import Setting
from market.strategies import REMEMBERED_MAX, SEALED, limit_of, strategy_of

if TYPE_CHECKING:
    from collections.abc import Callable

UNIFORM = {"kind": "uniform", "low_e4": 0, "high_e4": 1_000_000}
_GAUSS = NormalDist(300_000, 50_000)


def _truncated(x: float) -> float:
    below, above = _GAUSS.cdf(150_000), _GAUSS.cdf(400_000)
    return min(1.0, max(0.0, (_GAUSS.cdf(x) - below) / (above - below)))


def _triangular(x: float) -> float:
    if x <= 200_000:
        return max(0.0, x) ** 2 / (900_000 * 200_000)
    return 1.0 - max(0.0, 900_000 - x) ** 2 / (900_000 * 700_000)


TABLE = [100_000, 150_000, 150_000, 320_000, 600_000]
KINDS: dict[str, tuple[dict[str, Any], Callable[[float], float], list[int]]] = {
    "uniform": (
        {"kind": "uniform", "low_e4": 100_000, "high_e4": 500_000},
        lambda x: min(1.0, max(0.0, (x - 100_000) / 400_000)),
        [100_100, 180_000, 333_300, 500_000],
    ),
    "normal": (
        {"kind": "normal", "mean_e4": 300_000, "sd_e4": 50_000},
        _GAUSS.cdf,
        [150_000, 240_000, 300_000, 450_000],
    ),
    "truncnorm": (
        {"kind": "truncnorm", "mean_e4": 300_000, "sd_e4": 50_000, "low_e4": 150_000, "high_e4": 400_000},
        _truncated,
        [160_000, 240_000, 300_000, 399_900],
    ),
    "triangular": (
        {"kind": "triangular", "low_e4": 0, "mode_e4": 200_000, "high_e4": 900_000},
        _triangular,
        [10_000, 200_000, 200_100, 500_000, 899_900],
    ),
    "table": (
        {"kind": "table", "values_e4": TABLE},
        lambda x: sum(value <= x for value in TABLE) / len(TABLE),
        [100_000, 150_000, 320_000, 600_000],
    ),
}


def by_quadrature(value_e4: int, n: int, reserve_e4: int, cdf: Callable[[float], float]) -> float:
    """Return b(v) by the midpoint rule on steps that shrink towards the value, where the integrand is."""
    steps, span, top = 5_000, value_e4 - reserve_e4, cdf(value_e4)
    inside = math.fsum(
        3 * t * t * (cdf(value_e4 - span * t**3) / top) ** (n - 1) for t in ((k + 0.5) / steps for k in range(steps))
    )
    return value_e4 - span * inside / steps


@pytest.mark.parametrize("n", [2, 10, 64])
@pytest.mark.parametrize("kind", list(KINDS))
def test_the_equilibrium_bid_is_the_formula(kind: str, n: int) -> None:
    declared, cdf, values_e4 = KINDS[kind]
    for value_e4 in values_e4:
        for reserve_e4 in (0, 120_000):
            bid_e4 = equilibrium_bid(value_e4, n, reserve_e4, declared)
            if value_e4 < reserve_e4:
                assert bid_e4 is None
                continue
            exact_e4 = by_quadrature(value_e4, n, reserve_e4, cdf)
            error_e4 = 200 if kind == "table" else 0.5  # the midpoint rule cannot see a step better than that
            assert bid_e4 is not None
            assert exact_e4 - 100 - error_e4 < bid_e4 <= exact_e4 + error_e4
            assert bid_e4 % 100 == 0


@given(ticks=st.integers(1, 10_000), n=st.integers(2, 100), reserve_ticks=st.integers(0, 10_000))
def test_the_uniform_bid_is_its_closed_form(ticks: int, n: int, reserve_ticks: int) -> None:
    value_e4, reserve_e4 = ticks * 100, reserve_ticks * 100
    bid_e4 = equilibrium_bid(value_e4, n, reserve_e4, UNIFORM)
    if value_e4 < reserve_e4:
        assert bid_e4 is None
        return
    exact_e4 = value_e4 * (n - 1) / n + reserve_e4 * (reserve_e4 / value_e4) ** (n - 1) / n
    assert bid_e4 == math.floor((exact_e4 + 1e-5) / 100) * 100


def test_nobody_is_shaded_alone_below_the_reserve_or_by_what_all_share() -> None:
    assert equilibrium_bid(500_000, 1, 200_000, UNIFORM) == 200_000
    assert equilibrium_bid(199_900, 3, 200_000, UNIFORM) is None
    assert equilibrium_bid(-100, 3, 0, UNIFORM) is None
    shading = make_strategy("equilibrium", {"bidders": 2}, private=UNIFORM)
    for common_e4 in (0, 300_000):
        view = LotView(common_e4, common_e4, 1_000, 400_000 + common_e4, common_e4, sealed=True)
        decision, _ = shading.decide(view, NEW_MIND, 0, lambda _: 0.5)
        assert decision.price_e4 == common_e4 + 200_000


def test_a_value_off_the_grid_is_floored() -> None:
    assert equilibrium_bid(500_099, 2, 0, UNIFORM) == equilibrium_bid(500_000, 2, 0, UNIFORM) == 250_000


def test_a_bid_is_computed_once_and_no_more_are_remembered_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[float] = []

    def half(value_e4: float, *_: object) -> float:
        computed.append(value_e4)
        return value_e4 / 2

    monkeypatch.setattr("market.strategies.shaded", half)
    limit = limit_of("equilibrium", Setting("sealed_first", 100, 0), 2, UNIFORM)
    assert limit is not None
    assert [limit(600), limit(600), limit(1_000)] == [300, 300, 500]
    assert computed == [600, 1_000]
    for ticks in range(REMEMBERED_MAX):
        limit(1_000_000 + 100 * ticks)
    assert limit(600) == 300
    assert computed.count(600) == 2
    assert limit(1_000_000 + 100 * (REMEMBERED_MAX - 1)) == 1_000_000 // 2 + 50 * (REMEMBERED_MAX - 1) // 100 * 100
    assert len(computed) == REMEMBERED_MAX + 3


def test_rows_of_values_are_observations() -> None:
    flat = {"kind": "table", "values_e4": [100_000, 200_000, 300_000, 400_000]}
    rows = {"kind": "table", "rows": [[100_000, 400_000], [300_000, 200_000]]}
    assert equilibrium_bid(400_000, 3, 0, rows) == equilibrium_bid(400_000, 3, 0, flat)


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        ("n", {"n": 0}),
        ("n", {"n": 1_001}),
        ("n", {"n": 2.0}),
        ("value_e4", {"value_e4": None}),
        ("value_e4", {"value_e4": 10**13}),
        ("reserve_e4", {"reserve_e4": 150}),
        ("reserve_e4", {"reserve_e4": -100}),
        ("values.kind", {"values": {}}),
        ("values.kind", {"values": {"kind": "cauchy"}}),
        ("values.kind", {"values": {"kind": ["uniform"]}}),
        ("values.high_e4", {"values": {"kind": "uniform", "low_e4": 0}}),
        ("values.low_e4", {"values": {"kind": "uniform", "low_e4": 5, "high_e4": 4}}),
        ("values.sd_e4", {"values": {"kind": "normal", "mean_e4": 0, "sd_e4": -1}}),
        ("values.sd_e4", {"values": {"kind": "normal", "mean_e4": 0, "sd_e4": math.nan}}),
        ("values.mode_e4", {"values": {"kind": "triangular", "low_e4": 0, "mode_e4": 9, "high_e4": 8}}),
        ("values.spread", {"values": {**UNIFORM, "spread": 1}}),
        ("values.values_e4", {"values": {"kind": "table", "values_e4": []}}),
        ("values.values_e4", {"values": {"kind": "table", "rows": [["x"]]}}),
        ("values.values_e4", {"values": {"kind": "table", "values_e4": [True]}}),
    ],
)
def test_what_has_no_equilibrium_names_its_key(key: str, fields: dict[str, Any]) -> None:
    request: dict[str, Any] = {"value_e4": 500_000, "n": 2, "reserve_e4": 0, "values": UNIFORM, **fields}
    with pytest.raises(StudyError) as caught:
        equilibrium_bid(**request)
    assert caught.value.key == key


@settings(max_examples=15)
@given(value_e4=st.integers(-20, 9_000).map(lambda ticks: ticks * 100), n=st.integers(2, 9))
@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize("name", ["truthful", "reserve", "naive", "fraction:0.8", "fraction:0.29", "equilibrium"])
def test_a_limit_is_what_is_bid(name: str, rule: str, value_e4: int, n: int) -> None:
    setting = Setting(rule, 1_000, 200_000)
    limit = limit_of(name, setting, n, UNIFORM)
    if limit is None:
        assert (name, rule in SEALED) == ("equilibrium", False)
        return
    view = LotView(200_000, 200_000, 1_000, value_e4, 0, bidders=n, sealed=rule in SEALED)
    decision, mind = strategy_of(name, setting, n, UNIFORM).decide(view, NEW_MIND, 0, lambda _: 0.5)
    bid_e4 = limit(value_e4)
    assert mind is NEW_MIND
    assert decision.price_e4 == (bid_e4 if rule in SEALED or bid_e4 is None else 200_000)
    if bid_e4 is not None:
        assert 200_000 <= bid_e4 <= value_e4
        assert bid_e4 % 100 == 0


def test_shares_of_a_value_are_not_cut_by_rounding() -> None:
    limit = limit_of("fraction:0.29", Setting("sealed_first", 100, 0), 2, None)
    assert limit is not None
    assert [limit(value_e4) for value_e4 in (100_000, 1_000_000)] == [29_000, 290_000]


def test_every_strategy_of_the_aggregator_is_known() -> None:
    for name in NAMES:
        for rule in sorted(RULES):
            assert strategy_of(name, Setting(rule, 100, 0), 2, UNIFORM).name == name
