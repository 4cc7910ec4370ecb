"""What a site says about one battery's driver, on top of its family file."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.errors import DeclarationError

_BOUNDS = {
    "capacity_wh": (100, 100_000_000),
    "rated_power_w": (10, 3_000_000),
    "min_power_w": (1, 1_000_000),
    "efficiency_permille": (500, 1_000),
    "dead_man_s": (1, 86_400),
    "wake_s": (0, 3_600),
    "settle_ms": (0, 600_000),
    "poll_ms": (50, 60_000),
    "status_ms": (50, 60_000),
    "slow_ms": (1_000, 600_000),
    "state_age_max_ms": (200, 60_000),
    "timeout_ms": (50, 30_000),
    "time_lapse": (1, 3_600),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Every field has a default; None = what the device or its family says.

    `capacity_wh`, `rated_power_w`, `min_power_w`: overrides (the last one only upwards). `efficiency_permille`: DC to
    AC, for counters measured at DC. `dead_man_s`: inside the family's bounds. `wake_s`: this battery may be sold from
    standby. `poll_ms`, `status_ms`, `slow_ms`: read periods. `state_age_max_ms`: older is absent. `timeout_ms`: of one
    request. `time_lapse`: dispatch.md section 9. `accept_no_deadman`: command a device that never stops by itself.
    Raises DeclarationError for a value outside its bounds.
    """

    capacity_wh: int | None = None
    rated_power_w: int | None = None
    min_power_w: int | None = None
    efficiency_permille: int | None = None
    dead_man_s: int | None = None
    wake_s: int | None = None
    settle_ms: int | None = None
    poll_ms: int = 500
    status_ms: int = 1_000
    slow_ms: int = 30_000
    state_age_max_ms: int = 2_500
    timeout_ms: int = 1_000
    time_lapse: int = 1
    accept_no_deadman: bool = False

    def __post_init__(self) -> None:
        """Check the bounds."""
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise DeclarationError(f"{name} = {value}, allowed: {low}..{high}")
