"""The grid: signed bids are on it, unsigned ones are cut down to it, and the fast lane agrees."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from etp.bids import ENERGY_MAX, PRICE_MAX, checked_bid, is_fit_as_it_is, on_the_grid
from etp.messages import FIRST_BATTERY_ID, Body

NUMBERS = st.one_of(
    st.floats(0, 1e309, allow_infinity=False),
    st.integers(0, 5_000_000).map(lambda ticks: ticks / 100),
    st.floats(0, 100),
    st.integers(0, 1_000).flatmap(lambda ticks: st.floats(-2e-8, 2e-8).map(lambda noise: abs(ticks / 100 + noise))),
)


def bid(price: float, energy: float, bid_id: int = 1) -> Body:
    return Body(3, bid_id, 9, bid_price=price, required_energy_amount=energy)


@given(NUMBERS, NUMBERS, st.booleans())
@example(PRICE_MAX, ENERGY_MAX, True)
@example(1e308, 1e308, False)
def test_what_passes_is_on_the_grid_and_never_more_than_was_bid(price: float, energy: float, signed: bool) -> None:
    result = checked_bid(bid(price, energy), signed=signed)
    if isinstance(result, str):
        return
    assert result.bid_price_e4 % 100 == 0
    assert result.energy_wh % 100 == 0
    assert result.energy_wh >= 100
    assert result.bid_price_e4 / 10_000 <= price + 1e-7
    assert result.energy_wh / 1_000 <= energy + 1e-6
    if signed:
        assert result.bid_price == price


@given(NUMBERS, NUMBERS, st.sampled_from([0, 1, FIRST_BATTERY_ID - 1, FIRST_BATTERY_ID, (1 << 64) - 1]))
def test_the_fast_lane_takes_only_what_needs_no_change(price: float, energy: float, bid_id: int) -> None:
    body = bid(price, energy, bid_id)
    if is_fit_as_it_is(bid_id, price, energy):
        assert checked_bid(body, signed=False) == body == checked_bid(body, signed=True)


def test_reasons_name_the_fault() -> None:
    assert "2^63" in str(checked_bid(bid(1.0, 1.0, FIRST_BATTERY_ID), signed=False))
    assert "grid" in str(checked_bid(bid(1.001, 1.0), signed=True))
    assert "no quantity" in str(checked_bid(bid(1.0, 0.0), signed=True))
    assert "price above" in str(checked_bid(bid(1e6, 1.0), signed=False))


@given(st.integers(0, 42_949_672), st.integers(1, 4_294_967_200 // 100), st.booleans())
def test_the_numbers_of_a_checked_bid_are_whole_ticks_and_steps(ticks: int, steps: int, signed: bool) -> None:
    bid = Body.bid(1, 2, price_e4=ticks * 100, energy_wh=steps * 100)
    checked = checked_bid(bid, signed=signed)
    assert isinstance(checked, Body)
    assert on_the_grid(checked) == (ticks * 100, steps * 100)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(("price", "fits"), [(150.0, True), (150.01, False), (150.004, None)])
def test_a_price_above_the_battery_s_cap_is_malformed(price: float, fits: bool | None, signed: bool) -> None:
    """What is off the grid is refused to signers, and cut before it is compared for others."""
    checked = checked_bid(bid(price, 1.0), signed=signed, cap=150.0)
    assert isinstance(checked, str) == (signed if fits is None else not fits)
    assert is_fit_as_it_is(1, price, 1.0, 150.0) == bool(fits)
