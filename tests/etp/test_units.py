"""Integers inside, floats outside: nothing is lost on the grid and nothing overflows off it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etp import units

FINITE = st.floats(min_value=0, max_value=1.7976931348623157e308)


@given(st.integers(0, 10**9))
def test_prices_and_energies_survive_the_wire(value: int) -> None:
    assert units.price_from_wire(units.price_to_wire(value)) == value
    assert units.energy_from_wire(units.energy_to_wire(value)) == value
    assert units.power_from_wire(units.power_to_wire(-value)) == -value


def test_charging_is_no_discharge() -> None:
    assert units.power_to_wire(5_000) == 0.0


@given(st.integers(0, 42_949_672), st.floats(-9e-7, 9e-7))
def test_what_is_nearly_on_the_grid_is_on_it(ticks: int, noise: float) -> None:
    price = abs((ticks + noise) / 100)
    assert units.is_on_price_grid(price)
    assert units.cut_price(price) == ticks * 100
    assert units.is_on_energy_grid(abs((ticks + noise) / 10))
    assert units.cut_energy(abs((ticks + noise) / 10)) == ticks * 100


@pytest.mark.parametrize("value", [12.505, 0.001, 0.014])
def test_prices_between_ticks_are_cut_down(value: float) -> None:
    assert not units.is_on_price_grid(value)
    assert units.cut_price(value) == math.floor(value * 100) * 100


@pytest.mark.parametrize("value", [0.05, 2.55, 0.0999])
def test_quantities_between_steps_are_cut_down(value: float) -> None:
    assert not units.is_on_energy_grid(value)
    assert units.cut_energy(value) == math.floor(value * 10) * 100


@given(FINITE)
def test_no_finite_number_overflows(value: float) -> None:
    for convert in (
        units.price_from_wire,
        units.energy_from_wire,
        units.power_from_wire,
        units.cut_price,
        units.cut_energy,
    ):
        assert abs(convert(value)) < 1 << 63
    units.is_on_price_grid(value)
    units.is_on_energy_grid(value)


@given(st.integers(0, 10**9))
def test_ticks_and_steps(value: int) -> None:
    assert 0 <= units.ceil_tick(value) - value < 100
    assert 0 <= value - units.floor_step(value) < 100
    assert units.ceil_tick(value) % 100 == units.floor_step(value) % 100 == 0
