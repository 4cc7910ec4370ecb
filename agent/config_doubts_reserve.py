"""What a dynamic reserve may say but surely does not mean, and what its owner should know it has assumed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.appraisal import read
from agent.config_build_reserve import reserve_of
from agent.config_errors import Problem
from agent.pricing import DynamicTerms, ForecastError, OwnSales, PriceFile, parse_prices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config_model import BatterySection
    from agent.config_reserve import ReserveSection

_WEAR_HIGH_E4: Final = 150_000


def dynamic_doubts(battery: BatterySection, reserve: ReserveSection) -> Iterator[Problem]:
    """Return each doubt about a dynamic reserve that has passed the rules; its files are read."""
    terms = reserve_of(battery)
    if not isinstance(terms, DynamicTerms):
        return
    for key, what in [*_wear(terms), *_sources(terms), *_keys(battery, reserve, terms)]:
        yield Problem(("reserve", *key.split(".")), what)


def _wear(terms: DynamicTerms) -> Iterator[tuple[str, str]]:
    shown = f"{terms.wear_e4 / 10_000:.2f} c/kWh"
    if terms.wear_basis == "assumed":
        what = f"{shown} is assumed; name it, or replacement_cost and throughput_kwh that it follows from"
        yield "wear_c_per_kwh", what
    elif not terms.wear_e4:
        yield "wear_c_per_kwh", "0: the battery is worn for nothing"
    elif terms.wear_e4 > _WEAR_HIGH_E4:
        key = "wear_c_per_kwh" if terms.wear_basis == "set" else "replacement_cost"
        yield key, f"{shown} of wear is more than most evenings pay above what the energy cost"


def _sources(terms: DynamicTerms) -> Iterator[tuple[str, str]]:
    for key, source in (("sell", terms.sell), ("buy", terms.buy)):
        if isinstance(source, PriceFile) and (what := _unreadable(source)):
            yield f"{key}.path", what
    if isinstance(terms.sell, (PriceFile, OwnSales)) and terms.fallback_e4 <= terms.floor_e4:
        shown = f"{terms.fallback_e4 / 10_000:.2f}"
        yield "fallback_c_per_kwh", f"{shown}: while no forecast speaks, the reserve is the floor"


def _unreadable(source: PriceFile) -> str:
    (file,) = read((source,), None) or ()
    if file.trouble:
        return f"{source.path} {file.trouble}"
    try:
        parse_prices(file.data, name=source.path, zone=source.zone)
    except ForecastError as error:
        return str(error)
    return ""


def _keys(battery: BatterySection, reserve: ReserveSection, terms: DynamicTerms) -> Iterator[tuple[str, str]]:
    if reserve.buy is None and reserve.charge_power_w is not None:
        yield "charge_power_w", "nothing is charged without [battery.reserve.buy]"
    if isinstance(terms.sell, OwnSales) and terms.markup_max_e4:
        yield "markup_max_c_per_kwh", "own sales hold the mark-up already: cost and reserve raise each other"
    if battery.rule == "sealed_first" and terms.markup_max_e4:
        yield (
            "markup_max_c_per_kwh",
            "no mark-up is learned under sealed_first: what is bid there is not what it is worth",
        )
