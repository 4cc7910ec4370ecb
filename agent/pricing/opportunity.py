"""What energy is worth later: a dynamic programme over state of charge and a price forecast.

V(s, t) is the most that energy s can still earn from half hour t on, if it is sold, kept or refilled as well as the
forecast allows; its difference over a lot, D = V(s) - V(s - lot), is what the owner loses later by selling the lot now.
That is the reserve of a battery with several blocks and auctions left, for a buyer who pays exactly that.

The energy between floor and full charge is cut into equal levels, and in each half hour the level moves down by selling
or up by charging, never both. Within a half hour every level costs and brings the same, so the best move is the largest
of a few sliding windows, and one half hour takes time in proportion to the levels whatever the power. All arithmetic is
of whole numbers: values are exact, and only the last division rounds, up to the tick.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from agent.pricing.slices import finished
from etp.units import PRICE_TICK_E4

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.pricing.slices import Slices

STATES: Final = 100
STATES_MAX: Final = 1_000
_EFFICIENCY_FULL: Final = 1_000


class Step(NamedTuple):
    """One half hour of a forecast.

    `sell_e4` is what a delivered kWh is expected to fetch, `buy_e4` what a kWh costs that is taken in; both may be
    negative, and None = cannot be done then.
    """

    sell_e4: int | None
    buy_e4: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """The battery as the programme sees it. Raises ValueError for one that cannot be.

    `range_wh` is what the cells hold between floor and full charge. Powers are magnitudes at the meter, efficiencies
    permille between meter and cells one way, `wear_e4` what a delivered kWh wears off: later sales pay for it, too.
    """

    range_wh: int
    discharge_w: int
    charge_w: int = 0
    discharge_permille: int = 950
    charge_permille: int = 950
    wear_e4: int = 0
    states: int = STATES

    def __post_init__(self) -> None:
        """Refuse what is no battery."""
        if self.range_wh <= 0 or self.discharge_w < 0 or self.charge_w < 0:
            raise ValueError(f"no battery: range {self.range_wh} Wh, {self.discharge_w} W out, {self.charge_w} W in")
        if not (0 < self.discharge_permille <= _EFFICIENCY_FULL and 0 < self.charge_permille <= _EFFICIENCY_FULL):
            raise ValueError(f"efficiencies of {self.discharge_permille} and {self.charge_permille} permille")
        if not 2 <= self.states <= STATES_MAX:
            raise ValueError(f"{self.states} states; from 2 to {STATES_MAX}")

    @property
    def levels_out(self) -> int:
        """How many levels a half hour of full power empties; one at least, or a slow battery could never sell."""
        cells_mwh = self.discharge_w * 500 * 1_000 // self.discharge_permille
        return max(self._levels(cells_mwh), 1) if self.discharge_w else 0

    @property
    def levels_in(self) -> int:
        """How many levels a half hour of full power fills; one at least."""
        return max(self._levels(self.charge_w * self.charge_permille // 2), 1) if self.charge_w else 0

    def _levels(self, cells_mwh: int) -> int:
        return cells_mwh * (self.states - 1) // (self.range_wh * 1_000)


@dataclass(frozen=True, slots=True)
class WorthTable:
    """What the energy in a battery can still earn, level by level, from the first half hour of its forecast on.

    `values` count in `price_e4` a level, times both efficiencies, so that they are whole.
    """

    plant: Plant
    values: tuple[int, ...]

    def opportunity_e4(self, stored_wh: int, lot_wh: int) -> int:
        """Return what each kWh of a lot could still earn if it were kept, on the tick, rounded up.

        `stored_wh` is what the cells hold above the floor and have not promised, `lot_wh` what would be delivered. More
        than is stored counts as all of it; nothing stored counts as the last level, the dearest as a rule. It is
        negative where room for energy is worth more than energy.
        """
        plant = self.plant
        full = plant.range_wh * plant.discharge_permille
        level = -(-full // (plant.states - 1))
        high = max(min(stored_wh * plant.discharge_permille, full), level)
        low = max(0, high - max(lot_wh, 1) * 1_000)
        lost = self._at(high, full) - self._at(low, full)
        per = plant.discharge_permille * plant.charge_permille * (plant.states - 1) * (high - low)
        return -(-lost // (per * PRICE_TICK_E4)) * PRICE_TICK_E4

    def dearest_e4(self) -> int:
        """Return the opportunity value of the level whose loss costs most: it holds while the charge is not known."""
        values = self.values
        per = self.plant.discharge_permille * self.plant.charge_permille
        most = max(after - before for before, after in pairwise(values))
        return -(-most // (per * PRICE_TICK_E4)) * PRICE_TICK_E4

    def _at(self, energy: int, full: int) -> int:
        """Return the value of an energy in 1/1000 delivered Wh, times `full`; between two levels it is a line."""
        level, rest = divmod(energy * (self.plant.states - 1), full)
        here = self.values[level]
        return here * full + ((self.values[level + 1] - here) * rest if rest else 0)


def appraise(plant: Plant, steps: Sequence[Step], *, terminal_e4: int = 0) -> WorthTable:
    """Return what energy is worth at the first of some half hours.

    `terminal_e4` is what a deliverable kWh is worth that is left after the last of them.
    """
    return finished(appraising(plant, steps, terminal_e4=terminal_e4))


def appraising(plant: Plant, steps: Sequence[Step], *, terminal_e4: int = 0) -> Slices[WorthTable]:
    """Do what `appraise` does, a half hour a slice."""
    out, into = plant.levels_out, plant.levels_in
    scale_out = plant.discharge_permille * plant.charge_permille
    scale_in = _EFFICIENCY_FULL * _EFFICIENCY_FULL
    values = [level * scale_out * terminal_e4 for level in range(plant.states)]
    for step in reversed(steps):
        best = values
        if step.sell_e4 is not None and out:
            best = _better(best, _sold(values, scale_out * (step.sell_e4 - plant.wear_e4), out))
        if step.buy_e4 is not None and into:
            best = _better(best, _bought(values, scale_in * step.buy_e4, into))
        values = best
        yield
    return WorthTable(plant, tuple(values))


def _better(some: list[int], others: list[int]) -> list[int]:
    return list(map(max, some, others))


def _sold(values: list[int], price: int, levels: int) -> list[int]:
    """Return the values when up to so many levels are sold: the money for them and what is left."""
    left = _behind([value - price * level for level, value in enumerate(values)], levels)
    return [value + price * level for level, value in enumerate(left)]


def _bought(values: list[int], price: int, levels: int) -> list[int]:
    """Return the values when up to so many levels are taken in: what is then there, less the money for them."""
    gained = _ahead([value - price * level for level, value in enumerate(values)], levels)
    return [value + price * level for level, value in enumerate(gained)]


def _ahead(values: list[int], reach: int) -> list[int]:
    """Return at each place the largest value from there to `reach` places on, or to the end."""
    most, span = values, 0
    while span < reach and span < len(values):
        step = min(span + 1, reach - span, len(values))
        most = [*map(max, most, most[step:]), *most[max(0, len(most) - step) :]]
        span += step
    return most


def _behind(values: list[int], reach: int) -> list[int]:
    """Return at each place the largest value from `reach` places before, or from the beginning, to there."""
    return _ahead(values[::-1], reach)[::-1]
