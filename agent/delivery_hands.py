"""The one pair of hands on a battery: take-over, setpoint, refresh, release, and what is known of their effect.

Order of a take-over (dispatch.md section 4): read what is there, put that and the way back on disk, then write. The
hands know whether the battery is ours; which power it should give is somebody else's decision, asked for at the last
moment. Errors of the driver pass through; a driver that does not come back in time counts as a lost link.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from agent.delivery_plan import Hold, effect_failed, effect_ok
from drivers.errors import LinkLost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.delivery_log import DeliveryLog
    from drivers.device import Battery, BatteryInfo, BatteryState, CommandResult, TakeOver

OPERATION_MAX_S: Final = 10.0
"""A slow device (half a second an answer) needs 6 s for a take-over; what takes longer than this is a lost link."""

CHECK_EVERY_MS: Final = 5_000
"""How often the registers of a battery without a dead-man are checked."""

_Answer = TypeVar("_Answer")


class Hands:
    """What we hold of one battery. One operation at a time; the caller sees to that."""

    def __init__(self, battery: Battery, log: DeliveryLog, now_ms: Callable[[], int]) -> None:
        self._battery = battery
        self._log = log
        self._now_ms = now_ms
        self.hold = Hold.FREE
        self.target_w = 0
        self.written_w = 0
        self.refresh_at_ms: int | None = None
        self.released_at_ms: int | None = None
        """When the battery was last its own again: let go by us, or by its dead-man while it could not be reached."""
        self._found: TakeOver | None = None
        self._written_at_ms = 0
        self._held_up_at_ms = 0
        self._effect_at_ms = 0
        self._releasing_since_ms: int | None = None

    def inherit(self, take_over: TakeOver) -> None:
        """Take responsibility for a take-over that an earlier start left in force: it is to be released."""
        self._found = take_over
        self.hold = Hold.RELEASING

    async def take_over(self, *, baseline_w: int) -> None:
        """Make the battery ours: on disk, not yet in its registers. Raises DeviceError, JournalError."""
        found = await _in_time(self._battery.prepare(), "prepare")
        # Ours from here on: whatever happens next, a release does no harm and a forgotten take-over would.
        self._found, self.hold = found, Hold.HELD
        try:
            await self._log.take_over(found, baseline_w=baseline_w)
        except Exception:
            self._let_go()
            raise
        self._effect_at_ms = self._now_ms()

    async def command(self, power_w: int) -> CommandResult:
        """Write a setpoint (< 0). Raises DeviceError."""
        self._held_up_at_ms = self._now_ms()
        result = await _in_time(self._battery.command(power_w), "command")
        self.target_w, self.written_w = power_w, result.written_w
        self._written_at_ms = self._now_ms()
        self._due_again()
        return result

    async def refresh(self) -> None:
        """Renew the dead-man and check that nobody else wrote. Raises DeviceError."""
        self._held_up_at_ms = self._now_ms()
        await _in_time(self._battery.refresh(), "refresh")
        self._due_again()

    async def release(self, reason: str) -> None:
        """Give the battery back; comes back only when it has answered. Raises EchoFailed, ForeignWrite."""
        if self._releasing_since_ms is None:
            self._releasing_since_ms = self._now_ms()
        self.hold = Hold.RELEASING
        await self._battery.release(self._found)
        self._let_go()
        self._log.released(reason, verified=True)

    def give_up(self, reason: str) -> None:
        """Somebody else commands this battery: it is not ours any more, and nothing is written to it."""
        self._let_go()
        self._log.released(reason, verified=False)

    def releasing_for_ms(self) -> int:
        """Return how long a release has been waiting for an answer; 0 when none is."""
        since_ms = self._releasing_since_ms
        return 0 if since_ms is None else self._now_ms() - since_ms

    def flow_w(self, state: BatteryState) -> int:
        """Return what the battery discharges now (magnitude): as measured, or as told if told since."""
        power = state.power_w
        if power is None or (self.hold is Hold.HELD and power.at_ms <= self._written_at_ms):
            return -self.written_w
        return max(0, -power.value)

    def observe(self, state: BatteryState, info: BatteryInfo) -> None:
        """Note whether what is measured shows the effect of what was written."""
        power = state.power_w
        if self.hold is not Hold.HELD or power is None or power.at_ms <= self._written_at_ms:
            return
        allowed = state.max_discharge_w
        if effect_ok(
            power.value,
            self.written_w,
            rated_power_w=info.rated_power_w,
            allowed_w=allowed.value if allowed else None,
        ):
            self._effect_at_ms = power.at_ms

    def is_without_effect(self, settle_ms: int) -> bool:
        """Whether the battery had its time to follow the setpoint and has not."""
        if self.hold is not Hold.HELD or self.target_w == 0:
            return False
        return effect_failed(
            self._now_ms(), changed_at_ms=self._written_at_ms, ok_at_ms=self._effect_at_ms, settle_ms=settle_ms
        )

    def _due_again(self) -> None:
        info = self._battery.info
        dead_man_ms = info.dead_man_ms if info else None
        every_ms = CHECK_EVERY_MS if dead_man_ms is None else dead_man_ms // 2
        self.refresh_at_ms = self._now_ms() + max(1, every_ms)

    def _let_go(self) -> None:
        self.hold = Hold.FREE
        self.target_w = self.written_w = 0
        self.refresh_at_ms = self._releasing_since_ms = self._found = None
        self.released_at_ms = self._now_ms()
        info = self._battery.info
        if self._held_up_at_ms and info is not None and info.dead_man_ms is not None:
            # A request that nobody answered may have arrived all the same, but none came later.
            last_ms = self._held_up_at_ms + int(OPERATION_MAX_S * 1_000) + info.dead_man_ms
            self.released_at_ms = min(self.released_at_ms, last_ms)


async def _in_time(operation: Awaitable[_Answer], what: str) -> _Answer:
    try:
        async with asyncio.timeout(OPERATION_MAX_S):
            return await operation
    except TimeoutError:
        raise LinkLost(f"{what}: no end after {OPERATION_MAX_S:.0f} s") from None
