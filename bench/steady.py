"""A battery that costs nothing: it answers at once, does what it is told, and never runs dry.

It stands behind the agent where not the device but the trading is measured; energy is counted as told.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from drivers.device import BatteryInfo, BatteryState, CommandResult, TakeOver, Value

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_S: Final = 0.5
CAPACITY_WH: Final = 1_000_000_000


class SteadyBattery:
    """Implements `drivers.device.Battery` in memory."""

    def __init__(self, name: str, *, rated_power_w: int) -> None:
        self.name = name
        self.fault = ""
        self.info: BatteryInfo | None = BatteryInfo(
            family="steady",
            rated_power_w=rated_power_w,
            capacity_wh=CAPACITY_WH,
            min_power_w=1,
            dead_man_ms=None,
            counter_step_wh=1,
            counter_point="ac",
        )
        self._callbacks: list[Callable[[BatteryState], None]] = []
        self._power_w = 0
        self._discharged_wh = 0.0
        self._at_ms = 0

    @property
    def state(self) -> BatteryState:
        """Everything fresh, full and healthy, unless a fault is set."""
        now_ms = self._advance()
        return BatteryState(
            soc_permille=Value(1_000, now_ms),
            power_w=Value(self._power_w, now_ms),
            voltage_mv=Value(400_000, now_ms),
            temp_min_dc=Value(250, now_ms),
            temp_max_dc=Value(250, now_ms),
            max_charge_w=Value(0, now_ms),
            max_discharge_w=Value(self.info.rated_power_w if self.info else 0, now_ms),
            discharged_wh=Value(int(self._discharged_wh), now_ms),
            connected=True,
            fault=self.fault,
            ready=True,
            grid_ok=True,
            status_at_ms=now_ms,
            answered_at_ms=now_ms,
        )

    def on_change(self, callback: Callable[[BatteryState], None]) -> None:
        """Call after each poll."""
        self._callbacks.append(callback)

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            self.poll()
            await asyncio.sleep(POLL_S)

    def poll(self) -> None:
        """Tell everybody the state."""
        state = self.state
        for callback in self._callbacks:
            callback(state)

    async def prepare(self) -> TakeOver:
        """Nothing is found and nothing has to be put back."""
        return TakeOver({}, (), {})

    async def command(self, power_w: int) -> CommandResult:
        """Follow at once."""
        self._advance()
        self._power_w = power_w
        return CommandResult(self._at_ms, power_w)

    async def refresh(self) -> None:
        """There is no dead-man."""

    async def release(self, take_over: TakeOver | None) -> None:  # noqa: ARG002 - the interface's signature
        """Stop."""
        self._advance()
        self._power_w = 0

    def _advance(self) -> int:
        now_ms = int(asyncio.get_running_loop().time() * 1_000)
        if self._at_ms:
            self._discharged_wh += -self._power_w * (now_ms - self._at_ms) / 3_600_000
        self._at_ms = now_ms
        return now_ms
