"""Writable points that are not a power command: power settings, the reserve, heartbeat, connection, alarm reset.

`store` names them as the standard does, with the model in front; MinRsvPct of model 124 is the same reserve as
SoCRsvMin of model 802.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drivers.sim.controls import IllegalValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.sim.physics import BatteryModel

CONNECT: Final = 1
DISCONNECT: Final = 2
STANDBY: Final = 2
STARTED: Final = 3


class Settings:
    """Holds the settings of one battery and applies them to its model."""

    def __init__(self, model: BatteryModel, power_unit_w: int) -> None:
        self._model = model
        self._power_unit_w = power_unit_w
        rated = model.config.rated_power_w // power_unit_w
        self._points = {
            **dict.fromkeys(("WMax", "WChaRteMax", "WDisChaRteMax"), rated),
            "SocRsvMax": model.config.soc_max_permille,
            "SoCRsvMin": model.config.soc_min_permille,
            "CtrlHb": 0,
            "AlmRst": 0,
            "SetOp": CONNECT,
            "SetInvState": STARTED,
        }
        self._ranges = {
            **dict.fromkeys(("WMax", "WChaRteMax", "WDisChaRteMax"), (0, rated)),
            "SocRsvMax": (500, 1_000),
            "SoCRsvMin": (0, 500),
            "CtrlHb": (0, 0xFFFE),
            "AlmRst": (0, 1),
            "SetOp": (CONNECT, DISCONNECT),
            "SetInvState": (1, STARTED),
        }

    def values(self) -> dict[str, int]:
        """Every setting by its point name; MinRsvPct is added in hundredths of a per cent."""
        return {**self._points, "MinRsvPct": self._points["SoCRsvMin"] * 10}

    def knows(self, name: str) -> bool:
        """Whether a point of this name is a setting."""
        return name in self._points or name == "MinRsvPct"

    def write(self, changes: Mapping[str, int]) -> None:
        """Store and apply the points of one request, all or none. Raises IllegalValueError."""
        wanted = {
            ("SoCRsvMin" if name == "MinRsvPct" else name): (value // 10 if name == "MinRsvPct" else value)
            for name, value in changes.items()
        }
        for name, value in wanted.items():
            low, high = self._ranges[name]
            if not low <= value <= high:
                raise IllegalValueError(f"{name} = {value} is outside {low}..{high}")
        self._points |= wanted
        self._points["AlmRst"] = 0
        self._apply()

    def power_caps_w(self) -> tuple[float, float]:
        """Return the charge and the discharge power that the settings allow."""
        points, unit_w = self._points, self._power_unit_w
        most = points["WMax"]
        return float(min(most, points["WChaRteMax"]) * unit_w), float(min(most, points["WDisChaRteMax"]) * unit_w)

    def _apply(self) -> None:
        points, model = self._points, self._model
        model.reserve = points["SoCRsvMin"] / 1_000
        model.ceiling = points["SocRsvMax"] / 1_000
        model.switches.disconnected = points["SetOp"] == DISCONNECT
        model.switches.standby = points["SetInvState"] != STARTED
