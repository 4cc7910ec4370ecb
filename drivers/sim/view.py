"""What every SunSpec model of the simulated battery is filled from, and the states that several of them share.

Signs: generation (discharge) is positive in 103, 701, 704, 714 and here also in 802, whose model leaves the sign open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drivers.sim.readings import Reading, Scales, scaled

if TYPE_CHECKING:
    from drivers.sim.controls import Controls
    from drivers.sim.physics import BatteryModel
    from drivers.sim.settings import Settings

Values = dict[str, int | str | None]
_IDLE_SHARE: Final = 0.005


@dataclass(frozen=True, slots=True)
class View:
    """Everything a register can depend on."""

    model: BatteryModel
    controls: Controls
    settings: Settings
    scales: Scales
    reading: Reading
    now_ms: int
    serial: str
    unit: int
    local: bool

    def power(self, watts: float) -> int:
        """Return a power in register units."""
        return scaled(watts, self.scales.power)


def inverter_state(view: View) -> int:
    """701.InvSt: 0 off, 3 running, 4 throttled, 6 fault, 7 standby; model 103 counts the same from one."""
    switches = view.model.switches
    if switches.fault:
        return 6
    if switches.blocked():
        return 7
    limits = view.model.limits()
    throttled = min(limits.charge_w, limits.discharge_w) < view.model.config.rated_power_w
    return 4 if throttled and not (view.model.full or view.model.empty) else 3


def inverter_alarms(model: BatteryModel) -> int:
    """701.Alrm and 103.Evt1 agree in the bits used here."""
    switches = model.switches
    return switches.disconnected << 3 | switches.grid_lost << 4 | model.over_temperature << 7 | switches.fault << 15


def bank_state(model: BatteryModel) -> int:
    """802.State: 1 disconnected, 3 connected, 4 standby, 5 protected from emptiness, 99 fault."""
    switches = model.switches
    if switches.fault:
        return 99
    if switches.disconnected:
        return 1
    if switches.standby:
        return 4
    return 5 if model.empty else 3


def bank_events(model: BatteryModel) -> int:
    """802.Evt1 and 803.StrEvt1: temperature (1, 2), state of charge low (14) or high (16), other alarm (25)."""
    hot, warm = model.over_temperature, model.hot_warning
    return hot << 1 | (warm and not hot) << 2 | model.empty << 14 | model.full << 16 | model.switches.fault << 25


def charge_status(view: View) -> int:
    """802.ChaSt and 124.ChaSt: 1 off, 2 empty, 3 discharging, 4 charging, 5 full, 6 holding."""
    model = view.model
    if model.switches.blocked():
        return 1
    if abs(model.power_w) > _IDLE_SHARE * model.config.rated_power_w:
        return 3 if model.power_w < 0 else 4
    if model.empty:
        return 2
    return 5 if model.full else 6
