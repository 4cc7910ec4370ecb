"""When a battery must not sell and must not go on delivering: pure, a state in, the first obstacle out.

dispatch.md section 6: no sale off-grid, with the grid lost, on fault, while starting or in local mode, with the cell
temperature absent or out of range, or with discharge not allowed. What is not known is treated as stale, never as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from etp.messages import ReasonCode

if TYPE_CHECKING:
    from drivers.device import BatteryState

GRID_LOST: Final = "grid lost"


class Obstacle(NamedTuple):
    """Why not: the reason code (ETP section 5) and words for people."""

    code: ReasonCode
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrails:
    """What a site allows: cell temperatures in tenths of a degree Celsius, and how old a value may be."""

    temp_min_dc: int = 0
    temp_max_dc: int = 500
    state_age_max_ms: int = 2_500


def obstacle_of(state: BatteryState, rules: Guardrails, now_ms: int) -> Obstacle | None:
    """Return what forbids power to flow for a buyer now; None when nothing does. Fault goes before stale."""
    state = state.fresh(now_ms, rules.state_age_max_ms)
    if not state.connected:
        return Obstacle(ReasonCode.OFFLINE, state.reason or "battery does not answer")
    return _fault(state) or _absence(state) or _temperature(state, rules)


def sale_obstacle(state: BatteryState, rules: Guardrails, now_ms: int) -> Obstacle | None:
    """Return what forbids a new sale: every obstacle of a delivery, and a battery that allows no discharge (14)."""
    obstacle = obstacle_of(state, rules, now_ms)
    if obstacle is not None:
        return obstacle
    if state.max_discharge_w is not None and state.max_discharge_w.value <= 0:
        return Obstacle(ReasonCode.NO_LOT, "battery allows no discharge")
    return None


def _fault(state: BatteryState) -> Obstacle | None:
    if state.fault:
        return Obstacle(ReasonCode.FAULT, state.fault)
    if state.grid_ok is False:
        return Obstacle(ReasonCode.FAULT, GRID_LOST)
    if state.ready is False:
        return Obstacle(ReasonCode.FAULT, state.reason or "battery's state forbids discharge")
    return None


def _absence(state: BatteryState) -> Obstacle | None:
    for name, value in (
        ("status", state.fault),
        ("status", state.ready),
        ("state of charge", state.soc_permille),
        ("power", state.power_w),
        ("discharge limit", state.max_discharge_w),
        ("cell temperature", state.temp_min_dc),
        ("cell temperature", state.temp_max_dc),
    ):
        if value is None:
            return Obstacle(ReasonCode.OFFLINE, f"{name} is absent" + (f": {state.reason}" if state.reason else ""))
    return None


def _temperature(state: BatteryState, rules: Guardrails) -> Obstacle | None:
    coldest, hottest = state.temp_min_dc, state.temp_max_dc
    if coldest is None or hottest is None:
        return None
    if rules.temp_min_dc <= coldest.value and hottest.value <= rules.temp_max_dc:
        return None
    found = f"cells at {coldest.value / 10:.1f}..{hottest.value / 10:.1f} C"
    return Obstacle(ReasonCode.FAULT, f"{found}, allowed {rules.temp_min_dc / 10:.0f}..{rules.temp_max_dc / 10:.0f} C")
