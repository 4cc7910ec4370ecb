"""A battery that a family file declares: polls its line, publishes states, passes commands on.

`run` polls by group (live, status, slow), one request per job, so that a command waits for at most one request. After a
failure the rest of the round is skipped and rounds grow apart. Every new connection is asked first whether it is still
the same device. A timer of its own publishes the first value that goes stale, also when no poll succeeds.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from drivers.assemble import Assembler
from drivers.bus.line import Priority
from drivers.command import Commander
from drivers.declaration import Group
from drivers.device import LIVE_FIELDS, BatteryInfo, BatteryState, CommandResult, TakeOver
from drivers.discovery import Device, discover
from drivers.errors import BadReply, DeviceError, LinkLost, NotReady
from drivers.identity import identify
from drivers.image import Image
from drivers.writes import WriteBook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from drivers.bus.line import Line, LineStats, Port, Reply
    from drivers.declaration import Family, Space
    from drivers.options import Options
    from drivers.places import Block

T = TypeVar("T")

PAUSE_MIN_MS: Final = 100  # after one lost answer the next comes before anything is stale
PAUSE_MAX_MS: Final = 2_000  # a battery that came back is found within the age limit
RELEASE_PAUSE_MIN_MS: Final = 250
RELEASE_PAUSE_MAX_MS: Final = 2_000


class _UnitReader:
    """A port that asks one unit only."""

    def __init__(self, port: Port, unit: int) -> None:
        self._port = port
        self._unit = unit

    async def read(self, address: int, count: int, space: Space = "holding") -> Reply:
        """Read registers of the unit."""
        return await self._port.read(self._unit, address, count, space)


class DeclaredBattery:
    """`drivers.device.Battery` over a line and a family; built by `drivers.open.open_battery`."""

    def __init__(self, *, name: str, line: Line, unit: int, family: Family, options: Options) -> None:
        self.name = name
        self.writes = WriteBook()
        self._line = line
        self._unit = unit
        self._family = family
        self._options = options
        self._device: Device | None = None
        self._commander: Commander | None = None
        self._assembler: Assembler | None = None
        self._images: dict[Group, Image] = {}
        self._due_ms: dict[Group, int] = {}
        self._generation = 0
        self._state = BatteryState()
        self._answered_at_ms: int | None = None
        self._problem = "not identified yet"
        self._failures = 0
        self._callbacks: list[Callable[[BatteryState], None]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def state(self) -> BatteryState:
        """Return the latest state; values that went stale since are already absent."""
        return self._aged(self._state)

    @property
    def info(self) -> BatteryInfo | None:
        """Return what is fixed about the device; None until it was identified."""
        return self._device.info if self._device is not None else None

    @property
    def line(self) -> LineStats:
        """Return what happened on the line."""
        return self._line.stats

    def on_change(self, callback: Callable[[BatteryState], None]) -> None:
        """Call `callback` after each poll, and on loss."""
        self._callbacks.append(callback)

    async def run(self) -> None:
        """Poll and reconnect until cancelled."""
        async with self._line.used():
            try:
                while True:
                    await self._round()
                    await asyncio.sleep(self._pause_ms() / 1_000)
            finally:
                self._disarm()

    async def prepare(self) -> TakeOver:
        """Read what the command registers hold, before any write."""
        lasting = self.info is None or self.info.dead_man_ms is not None
        if self._commander is not None and not lasting and not self._options.accept_no_deadman:
            raise NotReady("the device never stops by itself and accept_no_deadman is not set", device=self.name)
        taken = await self._commanding(lambda commander, port: commander.prepare(port))
        if self._assembler is not None:
            self._assembler.plausibility.delivery(active=True)
        return taken

    async def command(self, power_w: int) -> CommandResult:
        """Set the discharge target in W (<= 0), revert timer first."""
        return await self._commanding(lambda commander, port: commander.command(port, power_w))

    async def refresh(self) -> None:
        """Renew the dead-man and check that the registers hold what we wrote."""
        await self._commanding(lambda commander, port: commander.refresh(port))

    async def release(self, take_over: TakeOver | None) -> None:
        """Run the release recipe with read-back; tries again until the device answers or the caller cancels."""
        pause_ms = RELEASE_PAUSE_MIN_MS
        async with self._line.used():
            while True:
                try:
                    await self._identified(Priority.COMMAND)
                    if self._commander is None and take_over is None:
                        return
                    await self._commanding(lambda commander, port: commander.release(port, take_over))
                except (LinkLost, BadReply) as error:
                    self._problem = f"release not done yet: {error}"
                    await asyncio.sleep(pause_ms / 1_000)
                    pause_ms = min(2 * pause_ms, RELEASE_PAUSE_MAX_MS)
                else:
                    break
        if self._assembler is not None:
            self._assembler.plausibility.delivery(active=False)

    async def _commanding(self, work: Callable[[Commander, Port], Awaitable[T]]) -> T:
        commander = self._commander
        if commander is None:
            known = self._device is not None
            raise NotReady("this device cannot be commanded" if known else "not identified yet", device=self.name)
        async with self._line.used():
            return await self._on_line(lambda port: work(commander, port), Priority.COMMAND)

    async def _on_line(self, work: Callable[[Port], Awaitable[T]], priority: Priority) -> T:
        """Run `work` alone on the line, after making sure that a new connection leads to the same device."""

        async def job(port: Port) -> T:
            if port.generation != self._generation and self._device is not None:
                identity = await identify(_UnitReader(port, self._unit), self._family)
                if identity != self._device.identity:
                    raise NotReady(f"another device answers: {identity.texts}, known is {self._device.identity.texts}")
                self._generation = port.generation
            return await work(port)

        return await self._line.run(job, priority=priority)

    async def _identified(self, priority: Priority) -> None:
        if self._device is not None:
            return

        async def job(port: Port) -> tuple[Device, int]:
            return await discover(_UnitReader(port, self._unit), self._family, self._options), port.generation

        device, self._generation = await self._line.run(job, priority=priority)
        limits = {"read_max": self._family.file.read_max, "gap_max": self._family.file.gap_max}
        for group in (Group.LIVE, Group.STATUS, Group.SLOW):
            points = [placed for placed in device.placed.values() if placed.point.group is group]
            self._images[group] = Image(points, **limits)
            self._due_ms[group] = 0
        self._assembler = Assembler(device, tuple(self._images.values()), may_wake=self._options.wake_s is not None)
        if device.command is not None:
            self._commander = Commander(device.command, device.info, self._unit, self.writes, now_ms=self._now_ms)
        self._device = device

    async def _round(self) -> None:
        try:
            await self._identified(Priority.POLL)
            await self._poll()
        except DeviceError as error:
            self._failures += 1
            self._problem = str(error)
        else:
            self._failures = 0
            self._problem = ""
            if self._assembler is not None:
                self._assembler.judge(self._now_ms())
        self._publish()

    async def _poll(self) -> None:
        now_ms = self._now_ms()
        due = [group for group, at_ms in self._due_ms.items() if at_ms <= now_ms]
        refusals: list[BadReply] = []
        answers = 0
        for group in due:
            for block in self._images[group].blocks:
                refusal = await self._read_block(self._images[group], block)
                answers += refusal is None
                refusals += [refusal] if refusal is not None else []
            self._due_ms[group] = now_ms + self._period_ms(group)
        if refusals and not answers:
            raise refusals[0]
        if Group.STATUS in due and self._commander is not None:
            await self._on_line(self._commander.watch, Priority.POLL)

    async def _read_block(self, image: Image, block: Block) -> BadReply | None:
        """Read one block; return the device's refusal, None where it answered."""

        async def ask(port: Port) -> Reply:
            return await port.read(self._unit, block.address, block.words, block.space)

        try:
            reply = await self._on_line(ask, Priority.POLL)
        except BadReply as error:
            if not error.exception_code:
                raise
            image.forget(block)
            return error
        image.store(block, reply)
        self._answered_at_ms = reply.at_ms
        return None

    def _period_ms(self, group: Group) -> int:
        options = self._options
        return {Group.LIVE: options.poll_ms, Group.STATUS: options.status_ms}.get(group, options.slow_ms)

    def _pause_ms(self) -> int:
        if self._failures:
            return min(PAUSE_MIN_MS << min(self._failures - 1, 8), PAUSE_MAX_MS)
        next_ms = min(self._due_ms.values(), default=0)
        return max(next_ms - self._now_ms(), 1)

    def _publish(self) -> None:
        """Make the state of now, arm the timer for the first value that will go stale, and tell everybody."""
        if self._assembler is None:
            state = BatteryState(reason=self._problem)
        else:
            state = self._assembler.state(
                connected=not (self._failures and self._line.down),
                answered_at_ms=self._answered_at_ms,
                problem=self._problem,
                trouble=self._commander.trouble if self._commander is not None else "",
            )
        self._state = self._aged(state)
        self._arm(self._now_ms())
        for callback in self._callbacks:
            callback(self._state)

    def _arm(self, now_ms: int) -> None:
        self._disarm()
        ages = [value.at_ms for name in LIVE_FIELDS if (value := getattr(self._state, name)) is not None]
        ages += [at_ms for at_ms in (self._state.status_at_ms, self._state.answered_at_ms) if at_ms is not None]
        due = [at_ms + self._options.state_age_max_ms for at_ms in ages]
        due = [at_ms for at_ms in due if at_ms >= now_ms]
        if due:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at((min(due) + 1) / 1_000, self._stale)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stale(self) -> None:
        """Publish that a value has gone stale."""
        self._state = self._aged(self._state)
        self._arm(self._now_ms())
        for callback in self._callbacks:
            callback(self._state)

    def _aged(self, state: BatteryState) -> BatteryState:
        fresh = state.fresh(self._now_ms(), self._options.state_age_max_ms)
        lost = state.connected and not fresh.connected
        return replace(fresh, reason=self._problem or "no answer") if lost else fresh

    @staticmethod
    def _now_ms() -> int:
        return int(asyncio.get_running_loop().time() * 1_000)
