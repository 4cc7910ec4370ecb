"""Lots sold one after the other to buyers who each need one of them: what waiting for a later lot is worth.

Buyers who bid up to their values pay less from lot to lot, because the strongest are served first. A buyer who knows it
waits, or stops at what a later lot is expected to cost; when all do, every lot is expected to fetch the highest value
that goes without (Weber 1983, Multiple-object auctions). That price is `competitive_e4`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from market.setting import Setting
from market.standing_bid import LATENCIES_MS, NEED_WH, RESERVE_E4, Mean, honest, market, mean_of

if TYPE_CHECKING:
    from market.setting import Buyer, Sold

LOTS: Final = (2, 5)
_SPREAD_C: Final = 3


class WaitCell(NamedTuple):
    """So many lots, twice as many buyers of one lot each; buyer 0 sits out the first `waits` of them."""

    lots: int
    waits: int


class Wait(NamedTuple):
    """What it came to; prices in price_e4, gains per kWh of one lot."""

    cell: WaitCell
    price_e4: float
    """What the lot fetches that comes after the wait, when everybody is honest."""
    competitive_e4: float
    """The highest value that goes without: what every lot fetches when all buyers know that prices fall."""
    gain_e4: Mean
    owner_e4: Mean
    """What the owner gets more, per kWh of all lots."""


def wait_cells() -> list[WaitCell]:
    """Return every cell."""
    return [WaitCell(lots, waits) for lots in LOTS for waits in range(lots)]


def play_wait(cell: WaitCell, *, lots: int, seed: int) -> Wait:
    """Return what a cell comes to, over so many sequences."""
    prices: list[float] = []
    competitive: list[float] = []
    gains: list[float] = []
    owner: list[float] = []
    for number in range(lots):
        buyers = market(seed, number, 2 * cell.lots, _SPREAD_C, LATENCIES_MS[0])
        straight = _sequence(cell, buyers, 0, seed=seed, number=number)
        waited = _sequence(cell, buyers, cell.waits, seed=seed, number=number)
        values = sorted((buyer.value_e4 for buyer in buyers), reverse=True)
        competitive.append(max(RESERVE_E4, values[cell.lots]))
        prices.extend(sold.price_e4 for sold in straight[cell.waits])
        gains.append(_profit(waited, buyers[0].value_e4) - _profit(straight, buyers[0].value_e4))
        owner.append((_receipts(waited) - _receipts(straight)) / cell.lots)
    return Wait(cell, mean_of(prices).mean, mean_of(competitive).mean, mean_of(gains), mean_of(owner))


def _sequence(cell: WaitCell, buyers: list[Buyer], waits: int, *, seed: int, number: int) -> list[tuple[Sold, ...]]:
    """Return the awards of each lot; who has bought wants no more, and buyer 0 sits out the first lots."""
    setting = Setting("standing_bid", NEED_WH, RESERVE_E4)
    still = list(buyers)
    made: list[tuple[Sold, ...]] = []
    for place in range(cell.lots):
        present = [replace(still[0], need_wh=0) if place < waits else still[0], *still[1:]]
        awards = honest(setting, present, seed=seed, lot=number * cell.lots + place).awards
        for award in awards:
            still[award.buyer] = replace(still[award.buyer], need_wh=0)
        made.append(awards)
    return made


def _profit(sequence: list[tuple[Sold, ...]], value_e4: int) -> float:
    return float(sum(value_e4 - sold.price_e4 for awards in sequence for sold in awards if sold.buyer == 0))


def _receipts(sequence: list[tuple[Sold, ...]]) -> float:
    return float(sum(sold.price_e4 for awards in sequence for sold in awards))
