"""What a client may command, and the revert timers that take it back: SunSpec models 704 and 124.

Both have the same doors: `write` checks and stores what one request wrote and starts the timer, `expire` performs a
reversion that is due, `command` says what the battery shall do. Commands are AC power, positive = charging; the
registers count generation positive (704) or use negative rates to force the other direction (124).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

WATTS: Final = 1
FULL_RATE: Final = 10_000  # hundredths of a per cent
_FOREVER_S: Final = 0xFFFFFFFE


class IllegalValueError(Exception):
    """A written value that this device refuses (Modbus exception 3)."""


class Command(NamedTuple):
    """What is commanded now: a target (None = own control) and caps on top of the battery's own limits, in W."""

    target_w: float | None
    charge_cap_w: float = float("inf")
    discharge_cap_w: float = float("inf")


class Controls(Protocol):
    """The commanding part of a device."""

    model_id: int

    @property
    def deadline_ms(self) -> int | None:
        """When the next reversion is due."""

    def values(self, now_ms: int) -> dict[str, int]:
        """Every register of the model that holds a command, by point name."""

    def write(self, changes: Mapping[str, int], now_ms: int) -> None:
        """Take the points of one request, all or none. Raises IllegalValueError."""

    def expire(self, now_ms: int) -> None:
        """Perform the reversions that are due."""

    def command(self) -> Command:
        """Say what the battery shall do."""


class _Timer:
    """One reversion timer: seconds on the register, milliseconds inside."""

    def __init__(self) -> None:
        self.deadline_ms: int | None = None

    def start(self, running: bool, seconds: int, now_ms: int) -> None:
        self.deadline_ms = now_ms + 1_000 * seconds if running and seconds > 0 else None

    def due(self, now_ms: int) -> bool:
        return self.deadline_ms is not None and now_ms >= self.deadline_ms

    def remaining_s(self, now_ms: int) -> int:
        return 0 if self.deadline_ms is None else max(0, -((now_ms - self.deadline_ms) // 1_000))


class AcControls:
    """Model 704: a power setpoint and a power limit, each with its own reversion."""

    model_id = 704

    def __init__(self, rated_power_w: int) -> None:
        self._rated_w = rated_power_w
        self._set_timer, self._limit_timer = _Timer(), _Timer()
        self._points = {
            **dict.fromkeys(("WSetEna", "WSet", "WSetRvrt", "WSetPct", "WSetPctRvrt", "WSetEnaRvrt", "WSetRvrtTms"), 0),
            **dict.fromkeys(("WMaxLimPctEna", "WMaxLimPctEnaRvrt", "WMaxLimPctRvrtTms"), 0),
            "WSetMod": WATTS,
            "WMaxLimPct": FULL_RATE,
            "WMaxLimPctRvrt": FULL_RATE,
        }
        self._ranges = {
            **dict.fromkeys(("WSetEna", "WSetMod", "WSetEnaRvrt", "WMaxLimPctEna", "WMaxLimPctEnaRvrt"), (0, 1)),
            **dict.fromkeys(("WSet", "WSetRvrt"), (-rated_power_w, rated_power_w)),
            **dict.fromkeys(("WSetPct", "WSetPctRvrt"), (-FULL_RATE, FULL_RATE)),
            **dict.fromkeys(("WMaxLimPct", "WMaxLimPctRvrt"), (0, FULL_RATE)),
            **dict.fromkeys(("WSetRvrtTms", "WMaxLimPctRvrtTms"), (0, _FOREVER_S)),
        }

    @property
    def deadline_ms(self) -> int | None:
        """When the next of the two reversions is due."""
        running = (self._set_timer.deadline_ms, self._limit_timer.deadline_ms)
        return min((at_ms for at_ms in running if at_ms is not None), default=None)

    def values(self, now_ms: int) -> dict[str, int]:
        """Return the stored points and the two remaining times in seconds."""
        return {
            **self._points,
            "WSetRvrtRem": self._set_timer.remaining_s(now_ms),
            "WMaxLimPctRvrtRem": self._limit_timer.remaining_s(now_ms),
        }

    def write(self, changes: Mapping[str, int], now_ms: int) -> None:
        """Store; a written setpoint, percentage or enable restarts its timer with the seconds stored by then."""
        _check(changes, self._ranges)
        self._points |= changes
        points = self._points
        if not changes.keys().isdisjoint(("WSet", "WSetPct", "WSetEna")):
            self._set_timer.start(points["WSetEna"] == 1, points["WSetRvrtTms"], now_ms)
        if not changes.keys().isdisjoint(("WMaxLimPct", "WMaxLimPctEna")):
            self._limit_timer.start(points["WMaxLimPctEna"] == 1, points["WMaxLimPctRvrtTms"], now_ms)

    def expire(self, now_ms: int) -> None:
        """Put the reversion values in force."""
        points = self._points
        if self._set_timer.due(now_ms):
            points |= {"WSet": points["WSetRvrt"], "WSetPct": points["WSetPctRvrt"], "WSetEna": points["WSetEnaRvrt"]}
            self._set_timer.deadline_ms = None
        if self._limit_timer.due(now_ms):
            points |= {"WMaxLimPct": points["WMaxLimPctRvrt"], "WMaxLimPctEna": points["WMaxLimPctEnaRvrt"]}
            self._limit_timer.deadline_ms = None

    def command(self) -> Command:
        """Return the setpoint while it is enabled, inside the generation limit while that is."""
        points = self._points
        cap_w = float("inf")
        if points["WMaxLimPctEna"]:
            cap_w = self._rated_w * points["WMaxLimPct"] / FULL_RATE
        if not points["WSetEna"]:
            return Command(None, discharge_cap_w=cap_w)
        generated_w = float(points["WSet"])
        if points["WSetMod"] != WATTS:
            generated_w = self._rated_w * points["WSetPct"] / FULL_RATE
        return Command(-generated_w, discharge_cap_w=cap_w)


class StorageControls:
    """Model 124: limits on both directions, where a negative limit forces the other direction."""

    model_id = 124
    _CHARGE_LIMIT: Final = 1
    _DISCHARGE_LIMIT: Final = 2
    _RANGES: Final = {
        "StorCtl_Mod": (0, 3),
        "InWRte": (-FULL_RATE, FULL_RATE),
        "OutWRte": (-FULL_RATE, FULL_RATE),
        "InOutWRte_RvrtTms": (0, 0xFFFE),
        "ChaGriSet": (0, 1),
    }

    def __init__(self, rated_power_w: int) -> None:
        self._rated_w = rated_power_w
        self._timer = _Timer()
        self._points = {"StorCtl_Mod": 0, "InOutWRte_RvrtTms": 0, "ChaGriSet": 1}
        self._points |= {"InWRte": FULL_RATE, "OutWRte": FULL_RATE}

    @property
    def deadline_ms(self) -> int | None:
        """When the rates revert."""
        return self._timer.deadline_ms

    def values(self, now_ms: int) -> dict[str, int]:  # noqa: ARG002 - this model shows no remaining time
        """Return the stored points."""
        return dict(self._points)

    def write(self, changes: Mapping[str, int], now_ms: int) -> None:
        """Store; a written rate or mode restarts the timer while a mode is active."""
        _check(changes, self._RANGES)
        self._points |= changes
        if not changes.keys().isdisjoint(("StorCtl_Mod", "InWRte", "OutWRte")):
            self._timer.start(self._points["StorCtl_Mod"] != 0, self._points["InOutWRte_RvrtTms"], now_ms)

    def expire(self, now_ms: int) -> None:
        """Go back to own control with both rates at 100 %."""
        if self._timer.due(now_ms):
            self._points |= {"StorCtl_Mod": 0, "InWRte": FULL_RATE, "OutWRte": FULL_RATE}
            self._timer.deadline_ms = None

    def command(self) -> Command:
        """Return what the active limits mean; forced discharge goes before forced charge."""
        points = self._points
        in_w = self._rated_w * points["InWRte"] / FULL_RATE
        out_w = self._rated_w * points["OutWRte"] / FULL_RATE
        target_w: float | None = None
        charge_cap_w = discharge_cap_w = float("inf")
        if points["StorCtl_Mod"] & self._DISCHARGE_LIMIT:
            if out_w < 0:
                target_w = -out_w if points["ChaGriSet"] else 0.0
            discharge_cap_w = max(0.0, out_w)
        if points["StorCtl_Mod"] & self._CHARGE_LIMIT:
            if in_w < 0:
                target_w = in_w
            charge_cap_w = max(0.0, in_w)
        return Command(target_w, charge_cap_w, discharge_cap_w)


def _check(changes: Mapping[str, int], ranges: Mapping[str, tuple[int, int]]) -> None:
    for name, value in changes.items():
        low, high = ranges[name]
        if not low <= value <= high:
            raise IllegalValueError(f"{name} = {value} is outside {low}..{high}")
