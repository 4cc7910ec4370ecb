from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.pricing import FixedReserve, OwnerReserve, PricingError, SocTiers, Tier

TIERS = SocTiers((Tier(800, 120_000), Tier(0, 300_000), Tier(500, 180_000)))


def test_a_fixed_reserve_is_the_same_always_and_on_the_tick() -> None:
    assert FixedReserve(150_000).reserve_e4(None, 0) == 150_000
    assert FixedReserve(150_001).reserve_e4(500, 1) == 150_100


@pytest.mark.parametrize(
    ("soc", "price_e4"), [(1_000, 120_000), (800, 120_000), (799, 180_000), (499, 300_000), (0, 300_000)]
)
def test_the_fuller_the_battery_the_lower_its_tier(soc: int, price_e4: int) -> None:
    assert TIERS.reserve_e4(soc, 0) == price_e4


def test_an_unknown_or_unlisted_charge_gets_the_dearest_tier() -> None:
    assert TIERS.reserve_e4(None, 0) == 300_000
    assert SocTiers((Tier(500, 100_000), Tier(800, 200_000))).reserve_e4(499, 0) == 200_000


@pytest.mark.parametrize("tiers", [(), (Tier(0, 1), Tier(0, 2))])
def test_tiers_must_say_one_price_for_each_charge(tiers: tuple[Tier, ...]) -> None:
    with pytest.raises(ValueError, match="reserve tiers"):
        SocTiers(tiers)


def test_nobody_is_paid_for_taking_energy() -> None:
    with pytest.raises(PricingError, match="below the site's minimum"):
        FixedReserve(-100)
    with pytest.raises(PricingError):
        SocTiers((Tier(0, -1),))


def test_the_owner_may_set_a_price_down_to_the_minimum_and_give_it_back() -> None:
    reserve = OwnerReserve(TIERS, minimum_e4=100_000)
    reserve.set(100_000)
    assert reserve.reserve_e4(100, 0) == reserve.set_e4 == 100_000
    with pytest.raises(PricingError) as refused:
        reserve.set(99_900)
    assert (refused.value.price_e4, refused.value.minimum_e4) == (99_900, 100_000)
    assert reserve.reserve_e4(100, 0) == 100_000
    reserve.set(None)
    assert reserve.reserve_e4(100, 0) == 300_000
    assert OwnerReserve(TIERS).set_e4 is None


@given(minimum=st.integers(0, 10**7), rule=st.integers(0, 10**7), wanted=st.none() | st.integers(-1_000, 10**7))
def test_no_reserve_is_ever_below_the_minimum_or_off_the_tick(minimum: int, rule: int, wanted: int | None) -> None:
    reserve = OwnerReserve(FixedReserve(rule), minimum_e4=minimum)
    try:
        reserve.set(wanted)
    except PricingError:
        assert wanted is not None
    price_e4 = reserve.reserve_e4(None, 0)
    assert price_e4 >= minimum
    assert price_e4 % 100 == 0
