"""Commanding one device: take over, change, renew, let go, and see whether the registers hold what we wrote.

Each public method runs as one job that has the line for itself. What is allowed when:

    state     prepare          command                          refresh    release
    IDLE      -> PREPARED      refused                          refused    nothing, or what a record says
    PREPARED  reads again      take over -> ACTIVE              refused    -> IDLE
    ACTIVE    same record      change; 0 lets go -> PREPARED    renew      let go -> IDLE

Before any write the registers are read: a remote-mode register that does not allow us, or a command register that holds
what we did not write, stops everything and nothing is written (dispatch.md section 3). After the writes they are read
back until they match, for at most a second; one retry, then EchoFailed (section 6).
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Final

from drivers.command_plan import Write
from drivers.device import CommandResult, TakeOver
from drivers.errors import EchoFailed, ForeignWrite, NotReady, RangeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from drivers.bus.line import Port
    from drivers.command_plan import CommandPlan
    from drivers.device import BatteryInfo
    from drivers.image import Image
    from drivers.writes import WriteBook

ECHO_MS: Final = 1_000
ECHO_PAUSE_MS: Final = 100
TIMER_SLACK_S: Final = 2  # a timer in whole seconds, read a moment later


def _is_due(write: Write, image: Image) -> bool:
    return write.feeds or image.raw(write.point) != write.raw


class Hold(Enum):
    """Who has the battery, as far as we are concerned."""

    IDLE = "idle"
    PREPARED = "prepared"
    ACTIVE = "active"


class Commander:
    """The command side of one device. `now_ms` is the event loop's clock."""

    def __init__(
        self, plan: CommandPlan, info: BatteryInfo, unit: int, writes: WriteBook, *, now_ms: Callable[[], int]
    ) -> None:
        self.hold = Hold.IDLE
        self._plan = plan
        self._info = info
        self._unit = unit
        self._writes = writes
        self._now_ms = now_ms
        self._record: TakeOver | None = None
        self._power_w = 0
        self._held: dict[str, int] | None = None  # what our last verified write left behind
        self._fed_at_ms = 0
        self._foreign: ForeignWrite | None = None
        self.trouble = ""  # why nobody should sell now: a foreign mode or a foreign write

    async def prepare(self, port: Port) -> TakeOver:
        """Return what is there before us. Raises NotReady where somebody else is in control."""
        if self.hold is Hold.ACTIVE and self._record is not None and self._foreign is None:
            return self._record
        image = await self._look(port)
        self._check_remote(image)
        self._check_own_control(image)
        self._check_budget(self._plan.writes(self._plan.command.take, 0, image))
        release = self._plan.writes(self._plan.command.release, 0, image)
        names = [*dict.fromkeys(step.point for step in (*self._plan.command.take, *self._plan.command.release))]
        found_raw = {name: raw for name in names if name in image and (raw := image.raw(name)) is not None}
        self._record = TakeOver(
            found=found_raw,
            recipe=tuple((write.point, write.raw) for write in release),
            addresses={
                name: (self._plan.placed[name].address, self._plan.placed[name].point.words) for name in found_raw
            },
            unit=self._unit,
            serial=self._info.serial,
        )
        self.hold, self._held, self._foreign, self.trouble = Hold.PREPARED, None, None, ""
        return self._record

    async def command(self, port: Port, power_w: int) -> CommandResult:
        """Write a discharge target (<= 0 W)."""
        if power_w > 0 or -power_w > self._info.rated_power_w:
            raise RangeError(f"{power_w} W is outside {-self._info.rated_power_w}..0")
        if self.hold is Hold.IDLE:
            raise NotReady("a command needs `prepare` first")
        if -power_w < self._info.min_power_w:
            return await self._let_go(port)
        image = await self._look(port)
        self._check_remote(image)
        if self.hold is Hold.ACTIVE:
            self._check_held(image)
            writes = self._plan.writes(self._plan.command.change, power_w, image)
            self._check_budget(writes, image)
            sent_at_ms = await self._apply(port, writes, image)
        else:
            self._check_own_control(image)
            writes = self._plan.writes(self._plan.command.take, power_w, image)
            self._check_budget(writes, image)
            self._power_w = power_w
            self.hold = Hold.ACTIVE
            first = await self._apply(port, writes[:-1], image)
            second = await self._apply(port, writes[-1:], image, expect=writes)
            sent_at_ms = second if first is None else first
        self._power_w = power_w
        await self._check_timer(port)
        target = next(write.raw for write in writes if write.point == self._plan.command.target)
        return CommandResult(self._now_ms() if sent_at_ms is None else sent_at_ms, self._plan.power_w(target, image))

    async def refresh(self, port: Port) -> None:
        """Renew the dead-man; the registers must hold what we wrote, before and after."""
        if self.hold is not Hold.ACTIVE:
            raise NotReady("nothing is commanded")
        image = await self._look(port)
        self._check_remote(image)
        self._check_held(image)
        self._check_counting(image)
        writes = self._plan.writes(self._plan.command.renew, self._power_w, image)
        self._check_budget(writes, image)
        await self._apply(port, writes, image)
        await self._check_timer(port)

    async def release(self, port: Port, record: TakeOver | None) -> None:
        """Run the release recipe; see `drivers.device.Battery.release`."""
        if self.hold is Hold.PREPARED or (record is None and self.hold is Hold.IDLE):
            self._forget()  # nothing was written since the device was seen under its own control
            return
        record = record or self._record
        if record is None:
            return
        if record.serial and self._info.serial and record.serial != self._info.serial:
            raise NotReady(f"the take-over record is of {record.serial}, this is {self._info.serial}")
        image = await self._look(port)
        try:
            self._check_ours(image)
        except ForeignWrite:
            self._forget()
            if self._is_own_control(image):
                return
            raise
        writes = [Write(name, raw, feeds=False) for name, raw in record.recipe if name in self._plan.placed]
        await self._apply(port, writes, image)
        self._forget()

    async def watch(self, port: Port) -> None:
        """Look at the command registers between commands; `trouble` says what is wrong with them, "" = nothing."""
        image = await self._look(port)
        if self._foreign is not None and self._is_own_control(image):
            self._forget()  # whoever took it has given it back to itself
        try:
            if self.hold is Hold.ACTIVE:
                self._check_held(image)
            else:
                self._check_own_control(image)
        except (ForeignWrite, NotReady, EchoFailed) as error:
            self.trouble = error.reason
        else:
            self.trouble = ""

    def _forget(self) -> None:
        self.hold, self._held, self._record, self._power_w = Hold.IDLE, None, None, 0
        self._foreign, self.trouble = None, ""

    async def _let_go(self, port: Port) -> CommandResult:
        record = self._record
        sent_at_ms = None
        if self.hold is Hold.ACTIVE and record is not None:
            image = await self._look(port)
            self._check_ours(image)
            writes = [Write(name, raw, feeds=False) for name, raw in record.recipe]
            sent_at_ms = await self._apply(port, writes, image)
            self.hold, self._held, self._power_w = Hold.PREPARED, None, 0
        return CommandResult(self._now_ms() if sent_at_ms is None else sent_at_ms, 0)

    async def _look(self, port: Port) -> Image:
        image = self._plan.new_image()
        for block in image.blocks:
            image.store(block, await port.read(self._unit, block.address, block.words, block.space))
        return image

    async def _apply(
        self, port: Port, writes: Sequence[Write], image: Image, *, expect: Sequence[Write] = ()
    ) -> int | None:
        """Write what differs or feeds, read back; return when the first frame left, None where none did."""
        wanted = {write.point: write for write in (*expect, *writes)}
        held = {**(self._held or {}), **{name: write.raw for name, write in wanted.items()}}
        self._held = None
        sent = [await self._write(port, write) for write in writes if _is_due(write, image)]
        missing = await self._missing(port, held)
        if missing:
            sent += [await self._write(port, write) for name, write in wanted.items() if name in missing]
            missing = await self._missing(port, held)
        if missing:
            point, found = next(iter(missing.items()))
            raise EchoFailed(point, held[point], found)
        self._held = held
        return sent[0] if sent else None

    async def _write(self, port: Port, write: Write) -> int:
        placed = self._plan.placed[write.point]
        self._writes.count(write.point, placed.point.budget_per_day, self._now_ms())
        words = self._plan.registers(write)
        at_ms = await port.write(self._unit, placed.address, words, single=self._plan.single_write)
        self._fed_at_ms = at_ms if write.feeds else self._fed_at_ms
        return at_ms

    async def _missing(self, port: Port, held: Mapping[str, int]) -> dict[str, int]:
        """Return the registers that do not hold what they should (name -> what they hold), after up to a second."""
        deadline_ms = self._now_ms() + ECHO_MS
        while True:
            image = await self._look(port)
            found = {name: image.raw(name) for name in held}
            missing = {name: -1 if raw is None else raw for name, raw in found.items() if raw != held[name]}
            if not missing or self._now_ms() >= deadline_ms:
                return missing
            await asyncio.sleep(ECHO_PAUSE_MS / 1_000)

    def _check_remote(self, image: Image) -> None:
        for point, allowed in self._plan.command.remote.items():
            if point in image and (found := image.raw(point)) not in allowed:
                raise NotReady(f"not under remote control: {point} holds {found}")

    def _check_own_control(self, image: Image) -> None:
        for point, own in self._plan.command.own_control.items():
            if (found := image.raw(point)) not in own:
                raise NotReady(f"foreign mode: {point} holds {found}")

    def _check_held(self, image: Image) -> None:
        """Raise ForeignWrite where a register changed under us, EchoFailed where the dead-man stopped the device."""
        if self._foreign is not None:
            raise self._foreign
        for point, expected in (self._held or {}).items():
            found = image.raw(point)
            if found == expected:
                continue
            if self._fired(image):
                raise EchoFailed(point, expected, found or 0, reason="the device's dead-man fired: it stopped itself")
            self._foreign = ForeignWrite(point, expected, -1 if found is None else found)
            raise self._foreign

    def _fired(self, image: Image) -> bool:
        """Whether the device fell back to its own control because our last renewal is a dead-man's time ago."""
        if self._plan.dead_man_s is None or self._now_ms() - self._fed_at_ms < (self._plan.dead_man_s - 1) * 1_000:
            return False
        return self._is_own_control(image)

    def _is_own_control(self, image: Image) -> bool:
        return all(image.raw(point) in own for point, own in self._plan.command.own_control.items())

    def _check_ours(self, image: Image) -> None:
        """Raise ForeignWrite unless each mode register holds our value or the device's own."""
        if self.hold is Hold.ACTIVE:
            try:
                self._check_held(image)
            except EchoFailed:
                return
        ours = {step.point: step.value for step in self._plan.command.take}
        for point, own in self._plan.command.own_control.items():
            found = image.raw(point)
            if found not in own and found != ours.get(point):
                raise ForeignWrite(point, int(ours.get(point, 0)), -1 if found is None else found)

    def _check_budget(self, writes: Sequence[Write], image: Image | None = None) -> None:
        """Raise NotReady unless the budgets cover `writes` (where they change something) and a release with a retry."""
        due = [write.point for write in writes if image is None or _is_due(write, image)]
        if not due:
            return
        due += [step.point for step in self._plan.command.release] * 2
        for name in {*due} - self._plan.left_out:
            left = self._writes.left(name, self._plan.placed[name].point.budget_per_day, self._now_ms())
            if left is not None and left < due.count(name):
                raise NotReady(f"the write budget of {name} is spent")

    async def _check_timer(self, port: Port) -> None:
        """Raise EchoFailed unless the device's timer runs: above zero, at most what we set."""
        dead_man = self._plan.command.dead_man
        if dead_man is None or dead_man.remaining is None or dead_man.remaining not in self._plan.placed:
            return
        limit = self._plan.dead_man_s or 0
        deadline_ms = self._now_ms() + ECHO_MS
        while True:
            left = (await self._look(port)).raw(dead_man.remaining)
            if left is not None and 0 < left <= limit:
                return
            if self._now_ms() >= deadline_ms:
                reason = f"the dead-man does not run: {dead_man.remaining} holds {left}"
                raise EchoFailed(dead_man.remaining, limit, left or 0, reason=reason)
            await asyncio.sleep(ECHO_PAUSE_MS / 1_000)

    def _check_counting(self, image: Image) -> None:
        """Raise EchoFailed where the timer did not count down since we fed it."""
        dead_man = self._plan.command.dead_man
        if dead_man is None or dead_man.remaining is None or dead_man.remaining not in self._plan.placed:
            return
        left = image.raw(dead_man.remaining) or 0
        passed_s = (self._now_ms() - self._fed_at_ms) // 1_000
        if passed_s > TIMER_SLACK_S and left > (self._plan.dead_man_s or 0) - passed_s + TIMER_SLACK_S:
            reason = f"the dead-man does not count down: {left} s left {passed_s} s after it was set"
            raise EchoFailed(dead_man.remaining, 0, left, reason=reason)
