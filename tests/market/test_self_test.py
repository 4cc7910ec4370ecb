"""The self-test finds an engine that is right, and one that is not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from etp.auction.sealed import SealedSecond
from market.self_test import LIMIT, Check, cases, checks, held, second_of

if TYPE_CHECKING:
    from etp.auction.book import Entry
    from etp.auction.lot import OpenLot


@pytest.mark.slow
def test_every_rule_is_what_theory_says() -> None:
    made = list(checks(1, 4_000))
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


def test_a_score_where_nothing_may_differ() -> None:
    assert Check("same", 1.0, 1.0, 0.0).z == 0
    assert Check("more", 1.0, 2.0, 0.0).z == math.inf
    assert Check("less", 1.0, 0.5, 0.0).z == -math.inf


@pytest.mark.parametrize(("n", "reserve", "revenue"), [(1, 0.5, 0.25), (2, 0.0, 1 / 3), (2, 0.5, 5 / 12)])
def test_the_closed_form_has_the_values_of_the_books(n: int, reserve: float, revenue: float) -> None:
    assert second_of(n, reserve) == pytest.approx(revenue)
