"""What a study may ask: every value that makes no sense is refused by its key."""

from __future__ import annotations

from typing import Any

import pytest

from market.errors import StudyError
from market.setting import PRICE_MAX_E4, Buyer, Setting, affordable_e4, buyers_fit, on_grid

SETTING: dict[str, Any] = {"rule": "standing_bid", "lot_wh": 1_000, "reserve_e4": 50_000}
BUYER: dict[str, Any] = {"value_e4": 100_000, "need_wh": 1_000}


NO_SETTING: dict[str, tuple[Any, ...]] = {
    "rule": ("english", "", None, 5, ["standing_bid"], {}),
    "lot_wh": (0, -100, 150, 1_000_100, 1_000.0, "1000", True, None, float("nan"), 10**400),
    "reserve_e4": (-100, 50, 20_300_100, 1e5, False, None),
    "keep_e4": (-100, 50, 50_100, 0.0, True),
    "increment_e4": (0, -100, 150, None, 1e3),
    "doubling": (-1, 1.5, 10**7),
    "standing_ms": (0, -1, 400.0, 10**9),
    "price_cap_e4": (-100, 150, PRICE_MAX_E4 + 100),
    "drop": (-0.1, 1.1, float("nan"), float("inf"), True, "0", None),
    "loss": (-0.1, 0.6, float("nan"), False),
}
NO_BUYER: dict[str, tuple[Any, ...]] = {
    "value_e4": (1.5, None, True, PRICE_MAX_E4 + 1, -PRICE_MAX_E4 - 1, "1", float("nan")),
    "need_wh": (-100, 50, 1e3, True, 10**13),
    "budget": (-1, 1.5, True, 10**25),
    "strategy": (None, 5, ["truthful"]),
    **dict.fromkeys(("up_ms", "down_ms"), (-1, 60_001, float("nan"), True, None, 10**400)),
}


@pytest.mark.parametrize(("key", "value"), [(key, bad) for key, some in NO_SETTING.items() for bad in some])
def test_a_setting_that_cannot_be_names_its_key(key: str, value: Any) -> None:
    with pytest.raises(StudyError) as caught:
        Setting(**{**SETTING, key: value})
    assert caught.value.key == key
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(("key", "value"), [(key, bad) for key, some in NO_BUYER.items() for bad in some])
def test_a_buyer_that_cannot_be_names_its_key(key: str, value: Any) -> None:
    with pytest.raises(StudyError) as caught:
        Buyer(**{**BUYER, key: value})
    assert caught.value.key == key
    assert len(str(caught.value)) < 300


def test_values_are_floored_to_the_grid() -> None:
    assert [Buyer(value, 100).value_e4 for value in (199, 100, 99, 0, -1, -100)] == [100, 100, 0, 0, -100, -100]
    assert [on_grid(value) for value in (199.9, -0.1)] == [100, -100]


def test_a_market_has_one_to_sixty_four_buyers() -> None:
    for count in (0, 65):
        with pytest.raises(StudyError, match="buyers"):
            buyers_fit([Buyer(**BUYER)] * count)
    buyers_fit([Buyer(**BUYER)] * 64)


def test_what_money_pays_for() -> None:
    assert affordable_e4(None, 1_000) == PRICE_MAX_E4
    assert affordable_e4(1_000 * 299, 1_000) == 200
    assert affordable_e4(0, 1_000) < 0


def test_without_a_reserve_keep_may_be_a_tick() -> None:
    assert Setting("standing_bid", 100, 0, keep_e4=100).terms.base_e4 == 0
    assert Setting("standing_bid", 100, 0).terms.base_e4 == -100
