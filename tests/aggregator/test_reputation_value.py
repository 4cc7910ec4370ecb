"""A battery that delivers less than it agreed is worth less a promised kWh, and bid for less."""

from __future__ import annotations

import pytest

from aggregator.buyer import Buyer
from aggregator.forecast import Forecast
from aggregator.purse import Purse
from aggregator.reputation import Reputation
from aggregator.strategies import make_strategy
from aggregator.value import ValueModel
from etp.messages import ReasonCode

VALUE_E4 = 200_000


def buyer() -> Buyer:
    return Buyer(
        strategy=make_strategy("truthful"),
        value=ValueModel(forecast=Forecast.flat(VALUE_E4)),
        purse=Purse(need_wh=None, budget=None),
        reputation=Reputation(),
        draws=lambda _: 0.5,
        wall_ms=lambda: 0,
    )


def ended(who: Buyer, battery: str, delivered_wh: int, *, times: int = 1, code: int = 0) -> None:
    for _ in range(times):
        who.reputation.ended(battery, agreed_wh=5_000, delivered_wh=delivered_wh, code=code)


def test_the_value_is_discounted_by_what_was_delivered_of_what_was_agreed() -> None:
    who = buyer()
    assert who.value_e4("home", 0) == VALUE_E4
    ended(who, "home", 0, code=ReasonCode.FAULT)
    assert who.value_e4("home", 0) == VALUE_E4 // 2  # 5 kWh of trust, 5 kWh agreed, none of it delivered
    ended(who, "barn", 2_500)
    assert who.value_e4("barn", 0) == VALUE_E4 * 3 // 4
    assert who.value_e4("stranger", 0) == VALUE_E4


def test_the_discount_is_the_ratio_and_is_earned_back() -> None:
    who = buyer()
    ended(who, "home", 4_000, times=200)
    assert who.value_e4("home", 0) == pytest.approx(0.8 * VALUE_E4, rel=0.01)
    ended(who, "home", 5_000, times=200)
    assert who.value_e4("home", 0) == pytest.approx(VALUE_E4, rel=0.01)


def test_delivering_more_is_worth_no_more_than_what_was_agreed() -> None:
    who = buyer()
    ended(who, "home", 9_000, times=20)
    assert who.value_e4("home", 0) == VALUE_E4
