"""Which keys of `[battery.reserve]` go together. Each rule yields problems with the path below the battery's table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from agent.config_errors import Problem
from agent.config_fields import PRICE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config_model import BatterySection
    from agent.config_reserve import ForecastSection, ReserveSection


class _Needs(NamedTuple):
    """The key of a forecast that its kind needs, and what may stand there."""

    key: str
    allowed: str


_NEEDS: Final = {
    "flat": _Needs("c_per_kwh", "a price"),
    "time_of_use": _Needs("times", "[[battery.reserve....times]] tables"),
    "file": _Needs("path", "the path of a file"),
    "own_sales": _Needs("", ""),
}


def reserve_problems(battery: BatterySection) -> Iterator[Problem]:
    """Return what is wrong with the reserve of a battery."""
    cap, reserve, fixed = battery.price_cap_c, battery.reserve, battery.reserve_c_per_kwh
    if reserve is None and fixed is None:
        yield Problem(("reserve_c_per_kwh",), "missing", f"{PRICE}; or tiers in [battery.reserve]")
    if fixed is not None and fixed > cap:
        yield Problem(("reserve_c_per_kwh",), f"{fixed:.12g} is above price_cap_c", f"at most {cap:.12g}")
    if reserve is None:
        return
    if fixed is not None:
        what = "tiers" if reserve.kind == "tiers" else "a dynamic reserve"
        yield Problem(("reserve",), f"{what} beside reserve_c_per_kwh", "one of the two")
    for path, what, allowed in _tiers(reserve, cap) if reserve.kind == "tiers" else _dynamic(reserve, cap):
        yield Problem(("reserve", *path), what, allowed)


def _tiers(reserve: ReserveSection, cap: float) -> Iterator[Problem]:
    if reserve.tiers is None:
        yield Problem(("tiers",), "missing", '[[battery.reserve.tiers]] tables; or kind = "dynamic"')
    for key in sorted(reserve.model_fields_set - {"kind", "tiers"}):
        yield Problem((key,), 'without kind = "dynamic"', "only tiers")
    seen: set[float] = set()
    for position, tier in enumerate(reserve.tiers or ()):
        if tier.from_soc_percent in seen:
            what = f"{tier.from_soc_percent:.12g} stands there twice"
            yield Problem(("tiers", position, "from_soc_percent"), what, "one tier for each state of charge")
        seen.add(tier.from_soc_percent)
        if tier.c_per_kwh > cap:
            what = f"{tier.c_per_kwh:.12g} is above price_cap_c"
            yield Problem(("tiers", position, "c_per_kwh"), what, f"at most {cap:.12g}")


def _dynamic(reserve: ReserveSection, cap: float) -> Iterator[Problem]:
    if reserve.tiers is not None:
        yield Problem(("tiers",), 'beside kind = "dynamic"', "one of the two")
    if reserve.floor_c_per_kwh is None:
        yield Problem(("floor_c_per_kwh",), "missing", PRICE)
    elif reserve.floor_c_per_kwh > cap:
        what = f"{reserve.floor_c_per_kwh:.12g} is above price_cap_c"
        yield Problem(("floor_c_per_kwh",), what, f"at most {cap:.12g}")
    if reserve.sell is None:
        yield Problem(("sell",), "missing", "a [battery.reserve.sell] table")
    yield from _wear(reserve)
    for key, section in (("sell", reserve.sell), ("buy", reserve.buy)):
        for path, what, allowed in _forecast(section) if section is not None else ():
            yield Problem((key, *path), what, allowed)
    if reserve.buy is not None and reserve.buy.kind == "own_sales":
        yield Problem(("buy", "kind"), "own sales do not tell what charging costs", '"flat", "time_of_use", "file"')


def _wear(reserve: ReserveSection) -> Iterator[Problem]:
    given = {key: getattr(reserve, key) is not None for key in ("replacement_cost", "throughput_kwh")}
    if reserve.wear_c_per_kwh is not None and any(given.values()):
        what = f"beside {' and '.join(key for key, there in given.items() if there)}"
        yield Problem(("wear_c_per_kwh",), what, "either the wear, or what it follows from")
    elif any(given.values()) and not all(given.values()):
        missing = next(key for key, there in given.items() if not there)
        yield Problem((missing,), "missing", "replacement_cost and throughput_kwh, both or neither")


def _forecast(section: ForecastSection) -> Iterator[Problem]:
    needed, allowed = _NEEDS[section.kind]
    if needed and getattr(section, needed) is None:
        yield Problem((needed,), f'missing while kind = "{section.kind}"', allowed)
    for kind, (key, _) in _NEEDS.items():
        if key and kind != section.kind and getattr(section, key) is not None:
            yield Problem((key,), f'beside kind = "{section.kind}"', f'only with kind = "{kind}"')
    seen: set[str] = set()
    for position, time in enumerate(section.times or ()):
        if time.from_time in seen:
            what = f'"{time.from_time}" stands there twice'
            yield Problem(("times", position, "from_time"), what, "one price for each time")
        seen.add(time.from_time)
