"""Integer units inside the product, floats on the wire, and the trading grid between them.

Inside: `price_e4` is 1/10 000 c/kWh, `energy_wh` is Wh, `power_w` is W. The wire carries c/kWh, kWh and kW as f64.
Prices trade in ticks of 0.01 c/kWh, quantities in steps of 0.1 kWh (ETP section 1, "Grid").
"""

from __future__ import annotations

PRICE_TICK_E4 = 100
ENERGY_STEP_WH = 100
_GRID_TOLERANCE = 1e-6
_LARGEST = 1e12
"""No price, energy or power is as large; a peer that sends 1e308 gets this instead of an overflow in our arithmetic."""


def price_from_wire(cents_per_kwh: float) -> int:
    """Return the nearest `price_e4` of a wire price in c/kWh."""
    return round((cents_per_kwh if cents_per_kwh < _LARGEST else _LARGEST) * 10_000)


def price_to_wire(price_e4: int) -> float:
    """Return the wire price in c/kWh of a `price_e4`."""
    return price_e4 / 10_000


def energy_from_wire(kwh: float) -> int:
    """Return the nearest Wh of a wire energy in kWh."""
    return round((kwh if kwh < _LARGEST else _LARGEST) * 1_000)


def energy_to_wire(energy_wh: int) -> float:
    """Return the wire energy in kWh of an energy in Wh."""
    return energy_wh / 1_000


def power_from_wire(kw: float) -> int:
    """Return the product power in W (zero or negative) of a wire discharge rate in kW."""
    return -round((kw if kw < _LARGEST else _LARGEST) * 1_000)


def power_to_wire(power_w: int) -> float:
    """Return the wire's discharge rate in kW of a product power in W (positive = charging)."""
    return max(0, -power_w) / 1_000


def is_on_price_grid(cents_per_kwh: float) -> bool:
    """Whether a wire price is a whole number of ticks, within 1e-6 of a tick."""
    ticks = (cents_per_kwh if cents_per_kwh < _LARGEST else _LARGEST) * 100
    return abs(ticks - round(ticks)) <= _GRID_TOLERANCE


def is_on_energy_grid(kwh: float) -> bool:
    """Whether a wire energy is a whole number of 0.1 kWh steps, within 1e-6 of a step."""
    steps = (kwh if kwh < _LARGEST else _LARGEST) * 10
    return abs(steps - round(steps)) <= _GRID_TOLERANCE


def cut_price(cents_per_kwh: float) -> int:
    """Return the `price_e4` of the highest tick not above a wire price (a price on the grid keeps its tick)."""
    return int((cents_per_kwh if cents_per_kwh < _LARGEST else _LARGEST) * 100 + _GRID_TOLERANCE) * PRICE_TICK_E4


def cut_energy(kwh: float) -> int:
    """Return the Wh of the largest number of steps not above a wire energy (an energy on the grid keeps its steps)."""
    return int((kwh if kwh < _LARGEST else _LARGEST) * 10 + _GRID_TOLERANCE) * ENERGY_STEP_WH


def ceil_tick(price_e4: int) -> int:
    """Return the lowest whole tick not below a `price_e4`."""
    return -(-price_e4 // PRICE_TICK_E4) * PRICE_TICK_E4


def floor_step(energy_wh: int) -> int:
    """Return the largest whole number of 0.1 kWh steps not above an energy, in Wh."""
    return energy_wh // ENERGY_STEP_WH * ENERGY_STEP_WH
