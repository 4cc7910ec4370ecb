"""The owner's rules that are held against each other: fixed, by state of charge, and dynamic with its forecasts.

The dynamic ones put the parts of `agent.pricing` together as the agent does: a table of what energy is worth for every
half hour, a look into it at the energy that is left for each lot, the owner's fallback while no forecast speaks.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from agent.pricing import (
    SLOT_MS,
    DynamicTerms,
    FixedReserve,
    ForecastError,
    LotSeen,
    Markup,
    OwnSales,
    Plant,
    PriceList,
    SalesHistory,
    SocTiers,
    Tier,
    TimeOfUse,
    appraise,
    horizon,
    parts_of,
    terminal_e4,
)
from market.aest import hour_of

if TYPE_CHECKING:
    from agent.pricing import Forecast, Parts, Reserve, Step, WorthTable
    from market.heard_lot import Heard
    from market.reserve_week import Site

ZONE: Final = "Australia/Brisbane"
"""AEST all year."""
TIERS: Final = (Tier(800, 100_000), Tier(600, 140_000), Tier(0, 200_000))
STATES: Final = 28
"""Levels of 0.32 kWh, for speed; the agent takes 100."""


class Plain:
    """A rule that looks at the state of charge at most, and never learns."""

    def __init__(self, reserve: Reserve, site: Site, least_e4: int) -> None:
        self.least_e4: int | None = least_e4
        self._reserve = reserve
        self._site = site

    def reserve_e4(self, slot: int, stored_mwh: int) -> int:
        """Return the reserve for a lot now."""
        return self._reserve.reserve_e4(self._site.soc_permille(stored_mwh), slot * SLOT_MS)

    def heard(self, slot: int, heard: Heard, n: int, *, is_last: bool) -> None:
        """A lot is over, and nothing follows from it."""


def fixed(site: Site, price_e4: int) -> Plain:
    """Return the same reserve always."""
    return Plain(FixedReserve(price_e4), site, price_e4)


def tiers(site: Site) -> Plain:
    """Return reserves by state of charge, as an owner may write them into the site file."""
    return Plain(SocTiers(TIERS), site, min(tier.price_e4 for tier in TIERS))


def terms_of(site: Site, *, markup_max_e4: int = 50_000) -> DynamicTerms:
    """Return what the owner says: the floor and the fallback are what the simple owner asks, tariff + wear."""
    simple_e4 = site.tariff_e4 + site.wear_e4
    return DynamicTerms(
        floor_e4=simple_e4,
        sell=OwnSales(),
        charge_w=site.solar_w,
        charge_permille=site.permille,
        wear_e4=site.wear_e4,
        markup_max_e4=markup_max_e4,
        fallback_e4=simple_e4,
    )


class Sunshine(NamedTuple):
    """What energy costs that is taken in: in the solar hours what it would have been exported for; never otherwise."""

    site: Site

    def prices_e4(self, first_slot: int, slots: int, now_ms: int) -> tuple[int | None, ...]:  # noqa: ARG002
        """Return the tariff for half hours with sun, None for the others."""
        hours, tariff_e4 = self.site.solar_hours, self.site.tariff_e4
        return tuple(tariff_e4 if hour_of(slot) in hours else None for slot in range(first_slot, first_slot + slots))


class Dynamic:
    """A dynamic reserve. `sell` is its forecast, None = the history of own sales."""

    def __init__(self, site: Site, sell: TimeOfUse | PriceList | None, *, learns: bool, states: int = STATES) -> None:
        self._terms = terms_of(site)
        self._plant = Plant(
            range_wh=site.range_wh,
            discharge_w=site.power_w,
            charge_w=site.solar_w,
            discharge_permille=site.permille,
            charge_permille=site.permille,
            wear_e4=site.wear_e4,
            states=states,
        )
        self._sell = sell
        self._buy = Sunshine(site)
        self._lot_wh = site.lot_wh
        self._learns = learns
        self._sales = SalesHistory()
        self._markup = self._chosen = Markup(self._terms.markup_max_e4)
        self._table: tuple[int, WorthTable] | None = None
        self._tried = -1
        self._parts: Parts | None = None

    @property
    def least_e4(self) -> int | None:
        """The floor; a rule that learns is asked for every lot, for it learns from those that nobody wants, too."""
        return None if self._learns else self._terms.floor_e4

    def reserve_e4(self, slot: int, stored_mwh: int) -> int:
        """Return the reserve for a lot now."""
        if slot != self._tried:
            self._think(slot)
        table = self._table
        if table is None or (slot - table[0]) * SLOT_MS > self._terms.keep_ms:
            self._parts = parts_of(self._terms, None, self._chosen, "fallback")
        else:
            opportunity_e4 = table[1].opportunity_e4(stored_mwh // 1_000, self._lot_wh)
            self._parts = parts_of(self._terms, opportunity_e4, self._chosen, "forecast")
        return self._parts.reserve_e4

    def heard(self, slot: int, heard: Heard, n: int, *, is_last: bool) -> None:
        """A lot is over: keep its price, and learn from it; one without a bid counts once a half hour."""
        if heard.price_e4 is not None:
            self._sales = self._sales.with_sale(slot * SLOT_MS, heard.price_e4)
        parts = self._parts
        if not self._learns or parts is None or parts.basis == "fallback":
            return
        if heard.price_e4 is not None or is_last:
            seen = LotSeen(parts.cost_e4, parts.reserve_e4, n, heard.best_e4, heard.second_e4)
            self._markup = self._markup.learn(seen)

    def _think(self, slot: int) -> None:
        self._tried, self._chosen = slot, self._markup
        terms, now_ms = self._terms, slot * SLOT_MS
        forecast: Forecast = self._sales if self._sell is None else self._sell
        try:
            steps = horizon(forecast, self._buy, now_ms)
        except ForecastError:
            return
        self._table = slot, _table(self._plant, steps, terminal_e4(terms, steps))


@lru_cache(maxsize=4_096)
def _table(plant: Plant, steps: tuple[Step, ...], left_e4: int) -> WorthTable:
    """Return a table; equal forecasts of several markets are worked out once."""
    return appraise(plant, steps, terminal_e4=left_e4)
