"""Equilibrium shading against closed forms and its own defining properties."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.errors import StrategyError
from aggregator.strategies import declared, shaded
from aggregator.strategies.distributions import Distribution, Normal, Table, Triangular, Uniform

KINDS: list[dict[str, Any]] = [
    {"kind": "uniform", "low_e4": 0, "high_e4": 1_000_000},
    {"kind": "normal", "mean_e4": 500_000, "sd_e4": 100_000},
    {"kind": "truncnorm", "mean_e4": 500_000, "sd_e4": 300_000, "low_e4": 0, "high_e4": 1_000_000},
    {"kind": "triangular", "low_e4": 0, "mode_e4": 300_000, "high_e4": 1_000_000},
    {"kind": "table", "values_e4": [100_000, 300_000, 300_000, 800_000]},
]


@pytest.mark.parametrize("n", range(2, 11))
def test_uniform_without_reserve_is_v_times_n_minus_one_over_n(n: int) -> None:
    assert shaded(800_000, n, 0, Uniform(0, 1_000_000)) == pytest.approx(800_000 * (n - 1) / n)


@pytest.mark.parametrize("n", range(2, 11))
def test_uniform_with_reserve_has_the_textbook_form(n: int) -> None:
    v, r = 0.8, 0.3
    bid = shaded(v * 1e6, n, r * 1e6, Uniform(0, 1_000_000))
    assert bid == pytest.approx(1e6 * (v * (n - 1) / n + r**n / (n * v ** (n - 1))))


@pytest.mark.parametrize("n", [2, 3, 7, 10])
@pytest.mark.parametrize("reserve", [0, 250_000])
def test_quadrature_agrees_with_the_closed_form(n: int, reserve: int) -> None:
    exact = shaded(700_000, n, reserve, Uniform(0, 1_000_000))
    nearly = shaded(700_000, n, reserve, Triangular(0, 1_000_000, 1_000_000))
    squared = 700_000 * (2 * n - 2) / (2 * n - 1) + reserve ** (2 * n - 1) / ((2 * n - 1) * 700_000 ** (2 * n - 2))
    assert nearly == pytest.approx(squared, rel=1e-6)
    assert exact is not None
    assert nearly is not None
    assert nearly > exact


def test_a_wide_truncated_normal_is_nearly_uniform() -> None:
    flat = Normal(500_000, 50_000_000, 0, 1_000_000)
    assert shaded(600_000, 4, 100_000, flat) == pytest.approx(
        shaded(600_000, 4, 100_000, Uniform(0, 1_000_000)), rel=1e-4
    )


@given(
    kind=st.sampled_from(KINDS),
    value=st.integers(0, 1_200_000),
    reserve=st.integers(-200_000, 900_000),
    n=st.integers(1, 12),
)
def test_a_bid_lies_between_reserve_and_value_and_rises_with_rivals(
    kind: dict[str, Any], value: int, reserve: int, n: int
) -> None:
    values = declared(kind)
    bid = shaded(value, n, reserve, values)
    if value < reserve:
        assert bid is None
        return
    more = shaded(value, n + 1, reserve, values)
    assert bid is not None
    assert more is not None
    assert reserve - 1e-6 <= bid <= value + 1e-6
    assert bid <= more + 1.0


def test_alone_the_reserve_is_bid() -> None:
    assert shaded(700_000, 1, 123_000, Uniform(0, 1_000_000)) == 123_000


def test_nothing_is_shaded_where_nobody_can_be_below() -> None:
    assert shaded(100_000, 3, 0, Uniform(200_000, 300_000)) == 100_000
    assert shaded(0, 3, -5, Normal(0, 0)) == 0
    assert shaded(-900_000, 3, -2_000_000, Normal(0, 100_000)) == -900_000


@pytest.mark.parametrize("fields", KINDS, ids=lambda fields: fields["kind"])
def test_a_declared_distribution_is_one(fields: dict[str, Any]) -> None:
    values: Distribution = declared(fields)
    grid = [values.low_e4 + (values.high_e4 - values.low_e4) * k / 100 for k in range(101)]
    chances = [values.cdf(x) for x in grid]
    assert chances == sorted(chances)
    assert values.cdf(values.low_e4 - 1) == 0
    assert values.cdf(values.high_e4) == 1
    assert hash(values) == hash(declared(fields))


@given(share=st.floats(0.0005, 0.9995))
@pytest.mark.parametrize("fields", KINDS, ids=lambda fields: fields["kind"])
def test_a_quantile_is_where_the_distribution_reaches_its_share(fields: dict[str, Any], share: float) -> None:
    values: Distribution = declared(fields)
    value = values.quantile(share)
    assert values.low_e4 <= value <= values.high_e4
    span = (values.high_e4 - values.low_e4) * 1e-6
    assert values.cdf(value - span) <= share + 1e-9
    assert values.cdf(value + span) >= share - 1e-9


def test_a_table_is_shaded_exactly() -> None:
    values = Table((1.0, 2.0, 4.0))
    assert shaded(4, 2, 0, values) == pytest.approx(4 - (1 * (1 / 3) + 2 * (2 / 3)))
    assert shaded(4, 3, 2, values) == pytest.approx(4 - 2 * (2 / 3) ** 2)


def test_a_large_table_is_as_exact_as_a_sum_over_its_steps() -> None:
    values = Table(tuple(sorted((k * 7_919 % 10_007) * 100.0 for k in range(400))))
    for n in (2, 5, 64, 1_000):
        for v, r in ((900_000, 0), (500_050, 123_400), (30_000, 0), (values.high_e4 + 500, 200_000)):
            edges = [max(r, values.low_e4), *[x for x in values.values_e4 if r < x < v], v]
            rent = sum((b - a) * (values.cdf(a) / values.cdf(v)) ** (n - 1) for a, b in pairwise(edges))
            assert shaded(v, n, r, values) == pytest.approx(v - rent, rel=1e-9)


def test_a_kink_does_not_disturb_the_quadrature() -> None:
    values = Triangular(0, 1, 10)
    v, n = 10.0, 2
    # F = x^2/10 below 1, 1 - (10-x)^2/90 above: integral = 1/30 + (9 - (9^3)/270)
    assert shaded(v, n, 0, values) == pytest.approx(v - (1 / 30 + 9 - 729 / 270), rel=1e-8)


def test_degenerate_distributions_are_steps() -> None:
    for values in (Uniform(5, 5), Triangular(5, 5, 5), Normal(5, 0), Table((5.0,))):
        assert (values.cdf(4), values.cdf(5), values.cdf(6)) == (0, 1, 1)
    assert Triangular(0, 0, 10).cdf(5) == pytest.approx(0.75)
    assert Triangular(0, 10, 10).cdf(5) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({}, "kind"),
        ({"kind": "cauchy"}, "kind"),
        ({"kind": ["uniform"]}, "kind"),
        ({"kind": "uniform", "low_e4": 0}, "high_e4"),
        ({"kind": "uniform", "low_e4": 0, "high_e4": "x"}, "high_e4"),
        ({"kind": "uniform", "low_e4": 0, "high_e4": True}, "high_e4"),
        ({"kind": "uniform", "low_e4": 0, "high_e4": float("nan")}, "high_e4"),
        ({"kind": "uniform", "low_e4": 0, "high_e4": 1, "sd_e4": 1}, "sd_e4"),
        ({"kind": "uniform", "low_e4": 2, "high_e4": 1}, "low_e4"),
        ({"kind": "normal", "mean_e4": 0, "sd_e4": -1}, "sd_e4"),
        ({"kind": "triangular", "low_e4": 0, "mode_e4": 3, "high_e4": 2}, "mode_e4"),
        ({"kind": "table"}, "values_e4"),
        ({"kind": "table", "values_e4": []}, "values_e4"),
        ({"kind": "table", "values_e4": [1, "2"]}, "values_e4"),
    ],
)
def test_impossible_distributions_are_refused_by_key(fields: dict[str, Any], key: str) -> None:
    with pytest.raises(StrategyError) as caught:
        declared(fields)
    assert caught.value.key == key
