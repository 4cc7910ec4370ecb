"""A reserve that knows what energy is worth: max(floor, cost) + mark-up, cost = opportunity + wear.

Each part is a number of its own, so that everybody can see why a price is what it is: the floor is the owner's word,
the opportunity what the kWh would still earn if it were kept, wear what delivering it costs the cells, the mark-up what
past lots speak for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from agent.pricing.forecast import HORIZON_SLOTS, SLOT_MS, FlatTariff, OwnSales, PriceFile, TimeOfUse
from agent.pricing.opportunity import Step
from etp.units import ceil_tick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.pricing.forecast import Forecast
    from agent.pricing.markup import Markup

MARKUP_MAX_E4: Final = 50_000
"""Most that past lots may add to cost, where the owner does not say."""
WEAR_ASSUMED_E4: Final = 50_000
"""5 c a delivered kWh: an assumption, the middle of 3..8 c. Replacement cost over throughput is often above 20 c, more
than most evenings pay; nothing at all would wear the battery for minimal gains."""

Basis = Literal["forecast", "kept", "fallback"]
"""Where the opportunity value comes from: a forecast that speaks, the last one that did, or the owner's word alone."""
WearBasis = Literal["assumed", "set", "replacement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicTerms:
    """What the owner says about a dynamic reserve.

    `charge_w` None = as fast as it discharges; without `buy` it is never charged from what costs money. `terminal_e4`
    is what a kWh is worth that is left at the end of the forecast, None = the mean price of the forecast less wear.
    `fallback_e4` stands for the cost when no forecast has spoken for `keep_ms`.
    """

    floor_e4: int
    sell: FlatTariff | TimeOfUse | PriceFile | OwnSales
    buy: FlatTariff | TimeOfUse | PriceFile | None = None
    charge_w: int | None = None
    charge_permille: int = 950
    wear_e4: int = WEAR_ASSUMED_E4
    wear_basis: WearBasis = "assumed"
    markup_max_e4: int = MARKUP_MAX_E4
    terminal_e4: int | None = None
    fallback_e4: int = 0
    keep_ms: int = 12 * 3_600_000


class Parts(NamedTuple):
    """A reserve and what it is made of; without a known `opportunity_e4` (None) the fallback is the cost."""

    reserve_e4: int
    floor_e4: int
    cost_e4: int
    opportunity_e4: int | None
    wear_e4: int
    markup_e4: int
    basis: Basis


def parts_of(terms: DynamicTerms, opportunity_e4: int | None, markup: Markup, basis: Basis) -> Parts:
    """Return the reserve at an opportunity value (None = not known): max(floor, cost) + mark-up, on the tick."""
    cost_e4 = terms.fallback_e4 if opportunity_e4 is None else opportunity_e4 + terms.wear_e4
    base_e4 = ceil_tick(max(terms.floor_e4, cost_e4, 0))
    markup_e4 = markup.markup_e4(base_e4 - cost_e4)
    return Parts(base_e4 + markup_e4, terms.floor_e4, cost_e4, opportunity_e4, terms.wear_e4, markup_e4, basis)


def horizon(sell: Forecast, buy: Forecast | None, now_ms: int) -> tuple[Step, ...]:
    """Return the half hours from now on, as far as `sell` goes but 48 h at most.

    Where `buy` ends before, nothing is charged any more. Raises ForecastError when either has too little to say.
    """
    first_slot = now_ms // SLOT_MS
    fetched = sell.prices_e4(first_slot, HORIZON_SLOTS, now_ms)
    costs: Sequence[int | None] = () if buy is None else buy.prices_e4(first_slot, len(fetched), now_ms)
    return tuple(Step(sell_e4, costs[place] if place < len(costs) else None) for place, sell_e4 in enumerate(fetched))


def terminal_e4(terms: DynamicTerms, steps: Sequence[Step]) -> int:
    """Return what a kWh left at the end of a forecast is worth: the owner's word, or the mean price less wear."""
    if terms.terminal_e4 is not None:
        return terms.terminal_e4
    prices = [step.sell_e4 for step in steps if step.sell_e4 is not None]
    return max(0, sum(prices) // len(prices) - terms.wear_e4) if prices else 0


def wear_e4(replacement_c: int, throughput_wh: int) -> int:
    """Return what a delivered kWh wears off when a battery that costs so many cents moves so much energy in its life.

    Rounded up to the tick. Raises ValueError unless both are above 0.
    """
    if replacement_c <= 0 or throughput_wh <= 0:
        raise ValueError(f"wear of {replacement_c} c over {throughput_wh} Wh; allowed: both above 0")
    return ceil_tick(-(-replacement_c * 10_000 * 1_000 // throughput_wh))
