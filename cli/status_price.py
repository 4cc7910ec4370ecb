"""How a dynamic reserve came about, for `wattbid status`: every part with where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cli.words import counted, price

if TYPE_CHECKING:
    from collections.abc import Mapping

_WEAR: Final = {"assumed": "assumed", "set": "set by the owner", "replacement": "replacement cost over throughput"}


def price_lines(battery: Mapping[str, Any]) -> list[str]:
    """Return the lines that explain a battery's reserve, none for one whose owner simply named it."""
    parts = battery.get("price")
    if not parts:
        return []
    name, asked_e4 = battery.get("name", "?"), battery.get("reserve_e4")
    lines = [f"{name}: reserve {price(parts.get('reserve_e4'))} = {_base(parts)} + mark-up {_markup(parts)}"]
    if asked_e4 != parts.get("reserve_e4"):
        lines[0] += f"; not asked: {price(asked_e4)} holds, which the owner has set"
    return [*lines, f"{' ' * len(str(name))}  cost {_cost(parts)}; {_forecast(parts)}"]


def _base(parts: Mapping[str, Any]) -> str:
    floor_e4, cost_e4 = parts.get("floor_e4") or 0, parts.get("cost_e4") or 0
    if floor_e4 > cost_e4:
        return f"floor {price(floor_e4)} (cost {price(cost_e4)})"
    return f"cost {price(cost_e4)} (floor {price(floor_e4)})"


def _markup(parts: Mapping[str, Any]) -> str:
    return f"{price(parts.get('markup_e4'))} (learned from {counted(parts.get('lots_learned'), 'lot')})"


def _cost(parts: Mapping[str, Any]) -> str:
    if parts.get("opportunity_e4") is None:
        return f"{price(parts.get('cost_e4'))}, the owner's fallback"
    wear = f"wear {price(parts.get('wear_e4'))} ({_WEAR.get(str(parts.get('wear_basis')), '?')})"
    return f"= opportunity {price(parts.get('opportunity_e4'))} + {wear}"


def _forecast(parts: Mapping[str, Any]) -> str:
    """Return how old what is known about later prices is, and how far it looks."""
    age_ms, trouble = parts.get("forecast_age_ms"), parts.get("trouble")
    known = "nothing is known of later prices"
    if age_ms is not None:
        hours = (parts.get("forecast_half_hours") or 0) / 2
        known = f"worked out {age_ms // 60_000} min ago over {hours:g} h of prices"
    return f"{known} ({trouble})" if trouble else known
