"""The self-test finds an engine that is right, and one that is not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from etp.auction.sealed import SealedSecond
from market.self_test import (
    LIMIT,
    Check,
    cases,
    checks,
    held,
    second_lot_by_lot,
    second_of,
    standing_lot_by_lot,
    standing_price,
)
from market.strategies import UpTo

if TYPE_CHECKING:
    from etp.auction.book import Entry
    from etp.auction.lot import OpenLot


@pytest.mark.slow
def test_every_rule_is_what_theory_says() -> None:
    made = list(checks(1, 2_000))
    assert len(made) > 40
    assert {check.name: check.z for check in made if abs(check.z) > LIMIT} == {}
    assert max(abs(check.z) for check in made) > 0.5, "nothing was measured"


def test_a_price_a_hundredth_too_high_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = SealedSecond.clear

    def dearer(self: SealedSecond, lot: OpenLot, entries: list[Entry], now_ms: int) -> tuple[list[Entry], list[int]]:
        winners, prices = honest(self, lot, entries, now_ms)
        return winners, [price + 40_000 for price in prices]

    monkeypatch.setattr(SealedSecond, "clear", dearer)
    second, first = (next(case for case in cases() if case.name == f"{name} n=5 r=0.0") for name in ("second", "first"))
    assert abs(held(second, 1, 2_000).z) > LIMIT
    assert abs(held(first, 1, 2_000).z) < LIMIT


def test_one_tick_too_much_in_a_hundred_lots_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    honest, count = SealedSecond.clear, 0

    def dearer(self: SealedSecond, lot: OpenLot, entries: list[Entry], now_ms: int) -> tuple[list[Entry], list[int]]:
        nonlocal count
        count += 1
        winners, prices = honest(self, lot, entries, now_ms)
        return winners, [price + 100 * (count % 100 == 0) for price in prices]

    assert second_lot_by_lot(1, 60) == ("second price, lots off the second value", 0.0, 0.0, 0.0)
    monkeypatch.setattr(SealedSecond, "clear", dearer)
    found = second_lot_by_lot(1, 60)
    assert found.measured > 0
    assert found.z == math.inf


@pytest.mark.parametrize(("n", "reserve"), [(2, 0.0), (2, 0.5), (5, 0.5), pytest.param(5, 0.0, marks=pytest.mark.slow)])
def test_the_standing_bid_is_its_second_value_and_buyers_who_stop_early_are_found(n: int, reserve: float) -> None:
    honest, beyond = standing_lot_by_lot(n, reserve, 1, 200)
    assert abs(honest.z) < LIMIT
    assert honest.se < 50
    assert beyond == 0
    for early_e4, least in ((500, LIMIT), (1_000, 10.0), (4_000, 40.0)):
        shy = UpTo("shy", lambda value_e4, early_e4=early_e4: value_e4 - early_e4)  # type: ignore[misc]
        seen, outside = standing_lot_by_lot(n, reserve, 1, 200, shy)
        assert seen.z < -least
        assert outside > 0


def test_alone_at_the_standing_bid_nothing_may_differ() -> None:
    alone, beyond = standing_lot_by_lot(1, 0.5, 1, 100)
    assert (alone.expected, alone.measured, alone.se, beyond) == (0.0, 0.0, 0.0, 0)


@pytest.mark.parametrize(
    ("values_e4", "mean_e4", "variance"),
    [
        ([52_000], 50_000, 0),
        ([90_000, 40_000], 50_000, 0),
        ([50_000, 90_000], 50_500, 250_000),
        ([52_300, 90_000], 52_500, 250_000),
        ([52_300, 52_900], 52_000, 0),
        ([52_300, 53_000, 51_900], 52_500, 250_000),
        ([52_300, 53_000, 52_000], 52_000 + 1_000 * 2 / 3, 1_000_000 * 2 / 9),
    ],
)
def test_the_price_of_a_standing_bid_by_hand(values_e4: list[int], mean_e4: float, variance: float) -> None:
    assert standing_price(values_e4, 50_000, 1_000) == pytest.approx((mean_e4, variance))


def test_a_score_where_nothing_may_differ() -> None:
    assert Check("same", 1.0, 1.0, 0.0).z == 0
    assert Check("more", 1.0, 2.0, 0.0).z == math.inf
    assert Check("less", 1.0, 0.5, 0.0).z == -math.inf


@pytest.mark.parametrize(("n", "reserve", "revenue"), [(1, 0.5, 0.25), (2, 0.0, 1 / 3), (2, 0.5, 5 / 12)])
def test_the_closed_form_has_the_values_of_the_books(n: int, reserve: float, revenue: float) -> None:
    assert second_of(n, reserve) == pytest.approx(revenue)
