"""From `[battery.reserve]` (or a fixed price) to the value that prices by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.pricing import (
    MARKUP_MAX_E4,
    WEAR_ASSUMED_E4,
    Band,
    DynamicTerms,
    FixedReserve,
    FlatTariff,
    OwnSales,
    PriceFile,
    SocTiers,
    Tier,
    TimeOfUse,
    wear_e4,
)

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config_model import BatterySection
    from agent.config_reserve import ForecastSection, ReserveSection
    from agent.pricing.dynamic import WearBasis

_HOUR_MS = 3_600_000


def with_paths(reserve: ReserveSection | None, directory: Path) -> ReserveSection | None:
    """Return a reserve whose files have absolute paths."""
    if reserve is None:
        return None
    update = {
        key: section.model_copy(update={"path": str(directory / section.path)})
        for key, section in (("sell", reserve.sell), ("buy", reserve.buy))
        if section is not None and section.path is not None
    }
    return reserve.model_copy(update=update)


def reserve_of(battery: BatterySection) -> FixedReserve | SocTiers | DynamicTerms:
    """Return the reserve of a battery that has passed the rules."""
    reserve = battery.reserve
    if reserve is None:
        return FixedReserve(price_e4(battery.reserve_c_per_kwh or 0.0))
    if reserve.kind == "dynamic":
        return _dynamic_of(reserve, reserve_min_c=battery.reserve_min_c)
    tiers = reserve.tiers or ()
    return SocTiers(tuple(Tier(tenths(tier.from_soc_percent), price_e4(tier.c_per_kwh)) for tier in tiers))


def _dynamic_of(reserve: ReserveSection, *, reserve_min_c: float) -> DynamicTerms:
    sell = FlatTariff(0) if reserve.sell is None else _forecast_of(reserve.sell, reserve.zone)
    buy = None if reserve.buy is None else _forecast_of(reserve.buy, reserve.zone)
    wear, basis = _wear_of(reserve)
    return DynamicTerms(
        floor_e4=price_e4(max(reserve.floor_c_per_kwh or 0.0, reserve_min_c)),
        sell=sell,
        buy=None if isinstance(buy, OwnSales) else buy,
        charge_w=reserve.charge_power_w,
        charge_permille=tenths(reserve.charge_efficiency_percent),
        wear_e4=wear,
        wear_basis=basis,
        markup_max_e4=_markup_max_of(reserve.markup_max_c_per_kwh, sell),
        terminal_e4=None if reserve.end_c_per_kwh is None else price_e4(reserve.end_c_per_kwh),
        fallback_e4=price_e4(reserve.fallback_c_per_kwh),
        keep_ms=reserve.keep_h * _HOUR_MS,
    )


def _markup_max_of(most_c: float | None, sell: FlatTariff | TimeOfUse | PriceFile | OwnSales) -> int:
    """Return what the file says; own sales hold the mark-up already and would raise cost and reserve in turns."""
    if most_c is None:
        return 0 if isinstance(sell, OwnSales) else MARKUP_MAX_E4
    return price_e4(most_c)


def _forecast_of(section: ForecastSection, zone: str) -> FlatTariff | TimeOfUse | PriceFile | OwnSales:
    match section.kind:
        case "flat":
            return FlatTariff(price_e4(section.c_per_kwh or 0.0))
        case "time_of_use":
            times = section.times or ()
            return TimeOfUse(zone, tuple(Band(_minutes(time.from_time), price_e4(time.c_per_kwh)) for time in times))
        case "file":
            return PriceFile(section.path or "", zone, section.stale_after_h * _HOUR_MS)
        case "own_sales":
            return OwnSales()


def _wear_of(reserve: ReserveSection) -> tuple[int, WearBasis]:
    if reserve.wear_c_per_kwh is not None:
        return price_e4(reserve.wear_c_per_kwh), "set"
    if reserve.replacement_cost is not None and reserve.throughput_kwh is not None:
        return wear_e4(reserve.replacement_cost * 100, reserve.throughput_kwh * 1_000), "replacement"
    return WEAR_ASSUMED_E4, "assumed"


def _minutes(time: str) -> int:
    hours, _, minutes = time.partition(":")
    return int(hours) * 60 + int(minutes)


def price_e4(cents_per_kwh: float) -> int:
    """Return a price of the file in the agent's units."""
    return round(cents_per_kwh * 100) * 100


def tenths(value: float) -> int:
    """Return a number with one decimal in tenths: per cent as permille."""
    return round(value * 10)
