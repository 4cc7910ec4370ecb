"""The device interface: what a battery tells, and what may be asked of it.

`BatteryState` is immutable. A value that is stale, a sentinel, out of range or contradicted by its neighbours is absent
(None), never a number. Sign: positive = charging. Every time is milliseconds of the running event loop's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable

SLOW_AGE_MAX_MS: Final = 180_000
"""How old the values of `SLOW_FIELDS` may be: they are read every 30 s, two misses are tolerated."""

SLOW_FIELDS: Final = ("soh_permille", "capacity_wh", "cycles")
LIVE_FIELDS: Final = (
    "soc_permille",
    "power_w",
    "voltage_mv",
    "current_ma",
    "temp_min_dc",
    "temp_max_dc",
    "max_charge_w",
    "max_discharge_w",
    "charged_wh",
    "discharged_wh",
    "device_floor_permille",
)


class Value(NamedTuple):
    """A number and when its last byte was on the wire (monotonic ms)."""

    value: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryState:
    """What is known of a battery now; None = absent.

    Units: `_permille` of full, `_w` watts, `_mv` millivolts, `_ma` milliamperes, `_dc` tenths of a degree Celsius,
    `_wh` watt-hours. `max_charge_w` and `max_discharge_w` are magnitudes. `charged_wh` and `discharged_wh` are running
    counters (only differences mean anything). `device_floor_permille` is the highest floor the device itself keeps.
    `connected`: a valid answer within the age limit. `status_at_ms` is the age of `fault`, `ready` and `grid_ok`, the
    oldest of the registers they were read from; `fault` is "" when there is none; `ready`: the device's state allows
    discharge; `reason` says in words why it is not ready or what was found implausible ("" = nothing to say).
    """

    soc_permille: Value | None = None
    power_w: Value | None = None
    voltage_mv: Value | None = None
    current_ma: Value | None = None
    temp_min_dc: Value | None = None
    temp_max_dc: Value | None = None
    soh_permille: Value | None = None
    capacity_wh: Value | None = None
    max_charge_w: Value | None = None
    max_discharge_w: Value | None = None
    charged_wh: Value | None = None
    discharged_wh: Value | None = None
    cycles: Value | None = None
    device_floor_permille: Value | None = None
    connected: bool = False
    fault: str | None = None
    ready: bool | None = None
    grid_ok: bool | None = None
    status_at_ms: int | None = None
    answered_at_ms: int | None = None
    reason: str = ""

    def fresh(self, now_ms: int, max_age_ms: int) -> BatteryState:
        """Return the state without values older than `max_age_ms` (`SLOW_FIELDS`: `SLOW_AGE_MAX_MS`)."""
        changes: dict[str, Any] = {}
        for fields, age_ms in ((LIVE_FIELDS, max_age_ms), (SLOW_FIELDS, max(max_age_ms, SLOW_AGE_MAX_MS))):
            for field in fields:
                value: Value | None = getattr(self, field)
                if value is not None and now_ms - value.at_ms > age_ms:
                    changes[field] = None
        if self.status_at_ms is not None and now_ms - self.status_at_ms > max_age_ms:
            changes.update(fault=None, ready=None, grid_ok=None, status_at_ms=None)
        if self.connected and (self.answered_at_ms is None or now_ms - self.answered_at_ms > max_age_ms):
            changes["connected"] = False
        return replace(self, **changes) if changes else self


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryInfo:
    """What does not change while a device is the same device; read once when it first answers.

    `rated_power_w` is the largest discharge the device is made for (magnitude); `min_power_w` the smallest power it can
    be told, below which a command is a release. `dead_man_ms`: after this long without `refresh` the device stops by
    itself, None = it never does. `settle_ms`: how long it may take to follow a setpoint. `counter_step_wh`: resolution
    of `discharged_wh`, 0 = no counter; `counter_point`: "ac" = measured at the battery's AC side, "derived" = DC energy
    times `efficiency_permille` (dispatch.md section 2). `soc_step_permille`: resolution of the state of charge.
    `release_ms`: from the first release frame to the last on an answering line.
    """

    family: str
    manufacturer: str = ""
    model: str = ""
    version: str = ""
    serial: str = ""
    rated_power_w: int
    capacity_wh: int
    min_power_w: int
    dead_man_ms: int | None
    settle_ms: int = 10_000
    release_ms: int = 1_000
    counter_step_wh: int = 0
    counter_point: Literal["ac", "derived", "none"] = "none"
    efficiency_permille: int = 1_000
    soc_step_permille: int = 1
    command: str = ""
    """Which of the family's command sets is used, e.g. "704"; "" = this device cannot be commanded."""
    dispatch: Literal["full", "after-commissioning", "never"] = "full"
    """Who may sell with that command (dispatch.md section 8)."""


class TakeOver(NamedTuple):
    """What must be on disk before the first write (dispatch.md section 4): what we found, and how to let go.

    `found`: register name -> raw value before us. `recipe`: the release writes, in order, as (register, raw value).
    `addresses`: register name -> (wire address, number of registers), so that another process can run the recipe.
    `serial` ties the record to one device.
    """

    found: dict[str, int]
    recipe: tuple[tuple[str, int], ...]
    addresses: dict[str, tuple[int, int]]
    unit: int = 1
    serial: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return {
            "found": dict(self.found),
            "recipe": [list(step) for step in self.recipe],
            "addresses": {name: list(place) for name, place in self.addresses.items()},
            "unit": self.unit,
            "serial": self.serial,
        }

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Self:
        """Return the record that `to_json` wrote; KeyError, TypeError or ValueError if it is something else."""
        return cls(
            found={str(name): int(value) for name, value in body["found"].items()},
            recipe=tuple((str(name), int(value)) for name, value in body["recipe"]),
            addresses={str(n): (int(address), int(count)) for n, (address, count) in body["addresses"].items()},
            unit=int(body["unit"]),
            serial=str(body["serial"]),
        )


class CommandResult(NamedTuple):
    """When the first frame of a command was handed to the line, and the power the registers now hold (<= 0)."""

    first_frame_at_ms: int
    written_w: int


class Battery(Protocol):
    """One battery. Commands may be called only between `prepare` and `release`, by one caller at a time."""

    @property
    def name(self) -> str:
        """Return the name the site file gives it."""
        ...

    @property
    def state(self) -> BatteryState:
        """Return the latest state; values that went stale since are already absent."""
        ...

    @property
    def info(self) -> BatteryInfo | None:
        """Return what is fixed about the device; None until it has answered for the first time."""
        ...

    def on_change(self, callback: Callable[[BatteryState], None]) -> None:
        """Call `callback` after each poll, and on loss: link lost, or a first value gone stale."""
        ...

    async def run(self) -> None:
        """Poll and reconnect until cancelled."""
        ...

    async def prepare(self) -> TakeOver:
        """Read what the command registers hold, before any write.

        Raises NotReady when the mode registers do not hold the device's own-control values or it is in local mode,
        LinkLost or BadReply when it does not answer properly. Writes nothing.
        """
        ...

    async def command(self, power_w: int) -> CommandResult:
        """Set the discharge target in W (<= 0), revert timer first; 0 or below the smallest step = release.

        Raises RangeError (positive, above the rating, or would wrap), NotReady (not prepared, local mode), EchoFailed
        after one retry, LinkLost, BadReply: the caller releases. ForeignWrite: nothing was written and nothing may be.
        """
        ...

    async def refresh(self) -> None:
        """Renew the dead-man and check that the registers hold what we wrote; due at half of `info.dead_man_ms`.

        Raises ForeignWrite, EchoFailed (also when the device's timer does not run), NotReady, LinkLost, BadReply.
        """
        ...

    async def release(self, take_over: TakeOver | None) -> None:
        """Run the release recipe with read-back; tries again until the device answers or the caller cancels.

        None = of our own take-over; a record from a journal releases what an earlier run left behind. Returns at once
        when the device is already under its own control. Raises ForeignWrite when the mode registers hold neither our
        values nor its own (then nothing is written), EchoFailed when it answers but will not let go.
        """
        ...
