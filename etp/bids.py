"""What makes a Bid's numbers unfit before any auction looks at them: code 9 of ETP sections 1 and 5."""

from __future__ import annotations

from typing import Final

from etp.messages import FIRST_BATTERY_ID, Body
from etp.units import (
    ENERGY_STEP_WH,
    PRICE_TICK_E4,
    cut_energy,
    cut_price,
    energy_to_wire,
    is_on_energy_grid,
    is_on_price_grid,
    price_to_wire,
)

PRICE_MAX: Final = 429_496.72
"""c/kWh; the highest tick that a contract's u32 price_e4 holds. Above it a price is no price."""
ENERGY_MAX: Final = 4_294_967.2
"""kWh; the highest step that a contract's u32 energy_wh holds. More is cut to it: no lot is as large."""


_HALF_STEP: Final = 0.05


def checked_bid(body: Body, *, signed: bool, cap: float = PRICE_MAX) -> Body | str:
    """Return the bid with price and quantity on the grid, or why it is malformed.

    Signed bids must be on the grid; unsigned ones are cut down to it. `cap` is the battery's highest price, c/kWh.
    """
    if body.message_id >= FIRST_BATTERY_ID:
        return "bids use ids below 2^63"
    price, energy = body.bid_price, body.required_energy_amount
    if price > PRICE_MAX:
        return f"price above {PRICE_MAX} c/kWh"
    if energy > ENERGY_MAX:
        body = body._replace(required_energy_amount=ENERGY_MAX)
        energy = ENERGY_MAX
    if not (is_on_price_grid(price) and is_on_energy_grid(energy)):
        if signed:
            return "price or quantity off the grid of 0.01 c/kWh and 0.1 kWh"
        energy = energy_to_wire(cut_energy(energy))
        price = price_to_wire(cut_price(price))
        body = body._replace(bid_price=price, required_energy_amount=energy)
    if price > cap:
        return f"price above this battery's cap of {cap:.2f} c/kWh"
    if energy < _HALF_STEP:
        return "no quantity: 0.1 kWh is the least"
    return body


def is_fit_as_it_is(bid_id: int, price: float, energy: float, cap: float = PRICE_MAX) -> bool:
    """Whether `checked_bid` would return a bid with these numbers unchanged; made for the connection's fast lane."""
    return (
        bid_id < FIRST_BATTERY_ID
        and 0.0 <= price <= cap
        and _HALF_STEP < energy <= ENERGY_MAX
        and not _OFF < price * 100 % 1.0 < 1.0 - _OFF
        and not _OFF < energy * 10 % 1.0 < 1.0 - _OFF
    )


def on_the_grid(body: Body) -> tuple[int, int]:
    """Return `price_e4` and `energy_wh` of a bid that `checked_bid` has returned: whole ticks and whole steps."""
    return round(body[4] * 100) * PRICE_TICK_E4, round(body[8] * 10) * ENERGY_STEP_WH


_OFF: Final = 1e-6
