"""A physical battery that outlives the agent's process, and the agent's way to it, behind the drivers' interface.

`Device` is the thing on the wall: physics, one setpoint register with a revert timer, a serial number. `DeviceLink` is
what one process of the agent holds; it polls, commands, and sees what the line lets through.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from drivers.device import BatteryInfo, BatteryState, CommandResult, TakeOver, Value
from drivers.errors import EchoFailed, LinkLost

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from drivers.sim.physics import BatteryModel

DEAD_MAN_MS: Final = 10_000
POLL_S: Final = 1.0
_ANSWER_S: Final = (0.005, 0.030)
_TIMEOUT_S: Final = 1.0
_STATE_AGE_MS: Final = 2_500
_SEEN_MS: Final = 13_000
"""What the battery does by itself must last so long to be known: the last setpoint dies away, then a reading comes."""
_READINGS_MAX: Final = 1_200
"""20 minutes of polls: no journal here is out of order for longer."""


@dataclass(slots=True)
class Troubles:
    """What is wrong with a device or its line right now."""

    silent: bool = False
    fault: str = ""
    deaf: bool = False
    """It acknowledges setpoints and does not follow them."""
    hot: bool = False
    gauge_permille: int | None = None
    """Its gauge has lost its count and shows this at most."""


class Reading(NamedTuple):
    """What was true when the battery was read: what had left it for buyers, and for its house."""

    at_ms: int
    sold_wh: float
    own_wh: float


class Device:
    """The battery itself. `held` = it follows a setpoint; the revert timer ends that without anybody's help."""

    def __init__(
        self,
        name: str,
        model: BatteryModel,
        *,
        counter_step_wh: int = 1,
        soc_step_permille: int = 1,
        soc_bias_permille: int = 0,
    ) -> None:
        """`soc_bias_permille` is what its gauge adds before it cuts down to its step: 0 .. one step less 1."""
        self.name = name
        self.model = model
        self.troubles = Troubles()
        self.sun_w = model.config.own_power_w
        """What charges it while nobody commands it and its owner's house is content."""
        self.held = False
        self.reverts = 0
        self.counter_step_wh = counter_step_wh
        self.soc_step_permille = soc_step_permille
        self._soc_bias_permille = soc_bias_permille
        self.own_discharged_wh = 0.0
        """What it has discharged of its own accord, and would have without anybody who commands it."""
        self.readings: deque[Reading] = deque(maxlen=_READINGS_MAX)
        """When it was read, the newest last; a process that dies does not take them along."""
        self.met: Reading | None = None
        """The first of the process that reads it now; None until there is one."""
        self.reads = 0
        """How often it has been read."""
        self.shown_permille = 0
        """The state of charge of the last reading, as its gauge showed it."""
        self.let_go_at_ms = 0
        """When it last became its own master again."""
        self.silent_at_ms = 0
        """When its line last was, or ceased to be, silent."""
        self._own_since_ms = 0
        self._seen_own_ms: int | None = 0
        """Since when it can be known to be its own master: the release, or the first look after its revert timer."""
        self._baseline_w = 0.0
        self._reverts_at_ms = 0
        self._at_ms = 0
        self._note()

    @property
    def discharged_wh(self) -> int:
        """The AC discharge counter, in its steps."""
        return int(self.model.counters.ac_discharged_wh) // self.counter_step_wh * self.counter_step_wh

    @property
    def sold_wh(self) -> float:
        """What has left it beyond what it discharges of its own accord: what buyers can have got."""
        return self.model.counters.ac_discharged_wh - self.own_discharged_wh

    @property
    def soc_permille(self) -> int:
        """The state of charge as its gauge shows it."""
        step = self.soc_step_permille
        most = 1_000 if self.troubles.gauge_permille is None else self.troubles.gauge_permille
        return min(most, (int(self.model.soc * 1_000) + self._soc_bias_permille) // step * step)

    def flowed_wh(self, over_ms: int) -> float:
        """Return what has left it, for whomever, since the last reading that is at least so old."""
        since = next(
            (each for each in reversed(self.readings) if each.at_ms <= self._at_ms - over_ms), self.readings[0]
        )
        return self.model.counters.ac_discharged_wh - since.sold_wh - since.own_wh

    def advance(self, now_ms: int) -> None:
        """Let time pass up to now, the revert timer included."""
        if self.held and now_ms >= self._reverts_at_ms:
            self._step_to(self._reverts_at_ms)
            self.reverts += 1
            self.let_go(self._reverts_at_ms)
            self._seen_own_ms = None
        known_at_ms = self._own_since_ms + _SEEN_MS
        if not self.held and self._at_ms < known_at_ms < now_ms:
            self._step_to(known_at_ms)
        self._step_to(now_ms)

    def read(self, now_ms: int, *, is_first: bool) -> None:
        """Somebody reads it, for the first time in his life or again."""
        self.advance(now_ms)
        self.reads += 1
        self.shown_permille = self.soc_permille
        self._note()
        if self._seen_own_ms is None:
            self._seen_own_ms = now_ms
        if is_first:
            self.met = self.readings[-1]

    def hold(self, power_w: int, now_ms: int) -> None:
        """Follow a setpoint until the revert timer ends."""
        self.advance(now_ms)
        if not self.held:
            seen = self._seen_own_ms is not None and now_ms - self._seen_own_ms >= _SEEN_MS
            self._baseline_w = self._own_w() if seen else 0.0
        self.held = True
        self._reverts_at_ms = now_ms + DEAD_MAN_MS
        self.model.target_w = 0.0 if self.troubles.deaf else float(power_w)

    def renew(self, now_ms: int) -> bool:
        """Start the revert timer anew; False when the device is under its own control."""
        self.advance(now_ms)
        self._reverts_at_ms = now_ms + DEAD_MAN_MS
        return self.held

    def let_go(self, now_ms: int) -> None:
        """Be its own master again."""
        if self.held:
            self._own_since_ms = self.let_go_at_ms = now_ms
        self._seen_own_ms = now_ms
        self.held = False
        self.model.target_w = None

    def live(self, own_power_w: int, now_ms: int) -> None:
        """Do something else of its own accord from now on (positive = charging)."""
        self.advance(now_ms)
        self.model.own_power_w = float(own_power_w)
        self._own_since_ms = now_ms

    def _note(self) -> None:
        self.readings.append(Reading(self._at_ms, self.sold_wh, self.own_discharged_wh))

    def _own_w(self) -> float:
        """Return what it is known to discharge by itself, while it is its own master."""
        known = self._at_ms - self._own_since_ms >= _SEEN_MS
        return max(0.0, -self.model.own_power_w) if known else 0.0

    def _step_to(self, now_ms: int) -> None:
        took_ms = max(0, now_ms - self._at_ms)
        counter_wh = self.model.counters.ac_discharged_wh
        self.model.step(took_ms)
        own_w = self._baseline_w if self.held else self._own_w()
        own_wh = own_w * took_ms * self.model.config.time_lapse / 3_600_000
        self.own_discharged_wh += min(own_wh, self.model.counters.ac_discharged_wh - counter_wh)
        self._at_ms = max(self._at_ms, now_ms)


class DeviceLink:
    """Implements `drivers.device.Battery` on a `Device`."""

    def __init__(self, device: Device, rng: random.Random, *, idle_poll_s: float = POLL_S) -> None:
        """`idle_poll_s` is the time between polls while nobody commands the device."""
        self._device = device
        self._rng = rng
        self._idle_poll_s = idle_poll_s
        self._state = BatteryState()
        self._callbacks: list[Callable[[BatteryState], None]] = []
        self._commanded = False
        self.info: BatteryInfo | None = None

    @property
    def name(self) -> str:
        """Return the device's name."""
        return self._device.name

    @property
    def state(self) -> BatteryState:
        """Return what the last polls told, stale values left out."""
        state = self._state
        now_ms = _now_ms()
        if state.answered_at_ms is not None and now_ms - state.answered_at_ms <= _STATE_AGE_MS:
            return state  # all of it was read at once
        return state.fresh(now_ms, _STATE_AGE_MS)

    def on_change(self, callback: Callable[[BatteryState], None]) -> None:
        """Call after each poll, answered or not."""
        self._callbacks.append(callback)

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            if not self._device.troubles.silent:
                await asyncio.sleep(self._rng.uniform(*_ANSWER_S))
            if not self._device.troubles.silent:
                self._read()
            state = self.state
            for callback in self._callbacks:
                callback(state)
            await asyncio.sleep(POLL_S if self._commanded else self._idle_poll_s)

    async def prepare(self) -> TakeOver:
        """Read what there is to give back."""
        await self._exchange()
        return TakeOver(
            found={"setpoint": 0},
            recipe=(("setpoint", 0),),
            addresses={"setpoint": (40_000, 1)},
            serial=self._device.name,
        )

    async def command(self, power_w: int) -> CommandResult:
        """Hand over a setpoint."""
        first_frame_at_ms = _now_ms()
        await self._exchange()
        self._commanded = power_w < 0
        if power_w < 0:
            self._device.hold(power_w, _now_ms())
        else:
            self._device.let_go(_now_ms())
        return CommandResult(first_frame_at_ms, power_w)

    async def refresh(self) -> None:
        """Renew the revert timer."""
        await self._exchange()
        if not self._device.renew(_now_ms()):
            raise EchoFailed("setpoint", 1, 0, reason="the revert timer has run out", device=self.name)

    async def release(self, take_over: TakeOver | None) -> None:  # noqa: ARG002 - the interface's signature
        """Let go; again and again until the device answers."""
        while True:
            try:
                await self._exchange()
            except LinkLost:
                continue
            self._device.advance(_now_ms())
            self._device.let_go(_now_ms())
            self._commanded = False
            return

    async def _exchange(self) -> None:
        """One request and its answer."""
        await asyncio.sleep(self._rng.uniform(*_ANSWER_S))
        if self._device.troubles.silent:
            await asyncio.sleep(_TIMEOUT_S)
            raise LinkLost("no answer", device=self.name)

    def _read(self) -> None:
        device, model, now_ms = self._device, self._device.model, _now_ms()
        device.read(now_ms, is_first=self.info is None)
        self.info = self.info or _info_of(device)
        limits = model.limits()
        self._state = BatteryState(
            soc_permille=Value(device.soc_permille, now_ms),
            power_w=Value(round(model.power_w), now_ms),
            voltage_mv=Value(round(model.voltage_v * 1_000), now_ms),
            temp_min_dc=Value(round(model.temp_c * 10), now_ms),
            temp_max_dc=Value(600 if device.troubles.hot else round(model.temp_c * 10), now_ms),
            max_charge_w=Value(int(limits.charge_w), now_ms),
            max_discharge_w=Value(int(limits.discharge_w), now_ms),
            discharged_wh=Value(device.discharged_wh, now_ms),
            connected=True,
            fault=device.troubles.fault,
            ready=True,
            grid_ok=True,
            status_at_ms=now_ms,
            answered_at_ms=now_ms,
        )


def _info_of(device: Device) -> BatteryInfo:
    config = device.model.config
    return BatteryInfo(
        family="simulated",
        rated_power_w=config.rated_power_w,
        capacity_wh=config.capacity_wh,
        min_power_w=config.rated_power_w // 100,
        dead_man_ms=DEAD_MAN_MS,
        counter_step_wh=device.counter_step_wh,
        counter_point="ac",
        soc_step_permille=device.soc_step_permille,
    )


def _now_ms() -> int:
    return int(asyncio.get_running_loop().time() * 1_000)
