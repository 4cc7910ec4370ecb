"""A world for delivery tests: virtual time, the simulated battery's physics, the real journal."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from agent.books import books_of
from agent.delivery import Delivery
from agent.delivery_ports import DeliveryRules
from agent.journal import Journal
from agent.records import Deal, Kind, Record, confirmed
from agent.trades import Delivered, Trade
from drivers.device import BatteryInfo, BatteryState, CommandResult, TakeOver, Value
from drivers.errors import DeviceError, EchoFailed, ForeignWrite, LinkLost
from drivers.sim.physics import BatteryConfig, BatteryModel
from simulation.loop import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

T = TypeVar("T")
WALL_START_MS = 1_790_000_000_000


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


def now_ms() -> int:
    return round(asyncio.get_running_loop().time() * 1_000)


def wall_ms() -> int:
    return WALL_START_MS + now_ms()


class InlineExecutor:
    """A disk that takes 3 ms; `broken` refuses every job, `cut` reports nothing any more."""

    def __init__(self) -> None:
        self.broken: OSError | None = None
        self.cut = False

    def submit(self, job: Callable[[], None], done: Callable[[BaseException | None], None]) -> None:
        error: BaseException | None = self.broken
        if error is None and not self.cut:
            job()
        if not self.cut:
            asyncio.get_running_loop().call_later(0.003, done, error)

    def close(self) -> None:
        self.cut = True


def _as_it_is(value: int) -> int:
    return value


@dataclass
class Switches:
    silent: bool = False
    deaf: bool = False  # acknowledges setpoints and does not follow them
    counter: Callable[[int], int] = _as_it_is
    power: Callable[[int], int] = _as_it_is
    fault: str = ""
    grid_ok: bool = True
    ready: bool = True
    temp_max_dc: int | None = 250
    on_prepare: DeviceError | None = None
    on_command: DeviceError | None = None
    on_refresh: DeviceError | None = None
    on_release: DeviceError | None = None


class ModelBattery:
    """The device interface on the simulated battery's physics; one register: the setpoint, with a dead-man."""

    name = "b1"

    def __init__(
        self,
        model: BatteryModel,
        *,
        counter_step_wh: int = 1,
        dead_man_ms: int | None = 10_000,
        soc_step_permille: int = 1,
    ) -> None:
        self.model = model
        self.switches = Switches()
        self.info: BatteryInfo | None = BatteryInfo(
            family="test",
            rated_power_w=model.config.rated_power_w,
            capacity_wh=model.config.capacity_wh,
            min_power_w=model.config.rated_power_w // 100,
            dead_man_ms=dead_man_ms,
            counter_step_wh=counter_step_wh,
            counter_point="ac" if counter_step_wh else "none",
            soc_step_permille=soc_step_permille,
        )
        self.writes: list[tuple[int, str, int]] = []
        self.held = False
        self.device_floor_permille: int | None = None
        self.lowest_soc = model.soc
        self._step_wh = counter_step_wh
        self._shown_permille = int(model.soc * 1_000)
        self._at_ms = now_ms()
        self._refreshed_ms = 0
        self._state = BatteryState()
        self._callbacks: list[Callable[[BatteryState], None]] = []

    @property
    def state(self) -> BatteryState:
        return self._state.fresh(now_ms(), 2_500)

    @property
    def discharged_wh(self) -> float:
        self.advance()
        return self.model.counters.ac_discharged_wh

    def on_change(self, callback: Callable[[BatteryState], None]) -> None:
        self._callbacks.append(callback)

    def advance(self) -> None:
        at_ms = now_ms()
        dead_man_ms = self.info.dead_man_ms if self.info else None
        if self.held and dead_man_ms is not None and at_ms - self._refreshed_ms > dead_man_ms:
            self.model.step(max(0, self._refreshed_ms + dead_man_ms - self._at_ms))
            self._at_ms = max(self._at_ms, self._refreshed_ms + dead_man_ms)
            self.held, self.model.target_w = False, None
        self.model.step(at_ms - self._at_ms)
        self._at_ms = at_ms
        self.lowest_soc = min(self.lowest_soc, self.model.soc)

    def soc_permille(self) -> int:
        """Return what the gauge shows: it stands still until the charge has moved by a whole step."""
        step = self.info.soc_step_permille if self.info else 1
        moved = self.model.soc * 1_000 - self._shown_permille
        if step == 1:
            self._shown_permille = int(self.model.soc * 1_000)
        elif abs(moved) >= step:
            self._shown_permille += int(moved / step) * step
        return self._shown_permille

    def read(self) -> BatteryState:
        self.advance()
        model, switches, at_ms = self.model, self.switches, now_ms()
        counter = switches.counter(int(model.counters.ac_discharged_wh) // max(1, self._step_wh) * self._step_wh)
        warm = None if switches.temp_max_dc is None else Value(switches.temp_max_dc, at_ms)
        return BatteryState(
            soc_permille=Value(self.soc_permille(), at_ms),
            power_w=Value(switches.power(round(model.power_w)), at_ms),
            voltage_mv=Value(51_200, at_ms),
            temp_min_dc=Value(200, at_ms),
            temp_max_dc=warm,
            max_discharge_w=Value(int(model.limits().discharge_w), at_ms),
            discharged_wh=Value(counter, at_ms) if self._step_wh else None,
            device_floor_permille=None
            if self.device_floor_permille is None
            else Value(self.device_floor_permille, at_ms),
            connected=True,
            fault=switches.fault,
            ready=switches.ready,
            grid_ok=switches.grid_ok,
            status_at_ms=at_ms,
            answered_at_ms=at_ms,
        )

    async def run(self) -> None:
        while True:
            if self.switches.silent:
                self.advance()
            else:
                self._state = self.read()
            for callback in self._callbacks:
                callback(self.state)
            await asyncio.sleep(1.0)

    async def _talk(self, error: DeviceError | None) -> None:
        await asyncio.sleep(0.02)
        if self.switches.silent:
            await asyncio.sleep(1.0)
            raise LinkLost("no answer", device=self.name)
        if error is not None:
            raise error

    def _write(self, what: str, value: int) -> None:
        self.advance()
        self.writes.append((now_ms(), what, value))

    async def prepare(self) -> TakeOver:
        await self._talk(self.switches.on_prepare)
        return TakeOver(found={"WSet": 0}, recipe=(("WSetEna", 0),), addresses={"WSetEna": (40_000, 1)}, serial="T1")

    async def command(self, power_w: int) -> CommandResult:
        assert power_w < 0, "only discharge"
        first_frame_at_ms = now_ms()
        await self._talk(self.switches.on_command)
        self._write("command", power_w)
        self._refreshed_ms = now_ms()
        self.held = True
        self.model.target_w = 0.0 if self.switches.deaf else float(power_w)
        return CommandResult(first_frame_at_ms, power_w)

    async def refresh(self) -> None:
        await self._talk(self.switches.on_refresh)
        self._write("refresh", 0)
        self._refreshed_ms = now_ms()

    async def release(self, take_over: TakeOver | None) -> None:
        while True:
            try:
                await self._talk(self.switches.on_release)
            except LinkLost:
                continue
            break
        self._write("release", 0)
        self.held, self.model.target_w = False, None

    def let_time_kill_the_setpoint(self) -> None:
        self.held, self.model.target_w = False, None


@dataclass
class Ear:
    """A listener that remembers."""

    started: dict[tuple[str, int], int] = field(default_factory=dict)
    progress: list[tuple[int, int, int]] = field(default_factory=list)
    ended: list[Delivered] = field(default_factory=list)
    alarms: list[tuple[str, bool]] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def delivery_started(self, trade: Trade, first_setpoint_at_ms: int) -> None:
        assert trade.key not in self.started
        self.started[trade.key] = first_setpoint_at_ms
        self.heard.set()

    def delivery_progress(self, trade: Trade, delivered_wh: int) -> None:
        self.progress.append((now_ms(), trade.bid_id, delivered_wh))

    def delivery_ended(self, delivered: Delivered) -> None:
        assert all(each.trade.key != delivered.trade.key for each in self.ended), "a trade ends once"
        self.ended.append(delivered)
        self.heard.set()

    def delivery_alarm(self, name: str, reason: str, *, raised: bool, blocks_selling: bool) -> None:
        self.alarms.append((name, raised))
        self.heard.set()

    async def until_ended(self, count: int = 1, timeout_s: float = 3_600.0) -> list[Delivered]:
        async with asyncio.timeout(timeout_s):
            while len(self.ended) < count:
                self.heard.clear()
                await self.heard.wait()
        return self.ended


class World:
    """One battery, its journal and its delivery."""

    def __init__(self, path: Path, battery: ModelBattery, rules: DeliveryRules, tick_ms: int) -> None:
        self.path = path
        self.tick_ms = tick_ms
        self.battery = battery
        self.rules = rules
        self.beats: list[int] = []
        self.boot()

    def boot(self) -> None:
        """Start an agent's worth of objects on the same disk and battery."""
        self.executor = InlineExecutor()
        self.journal = Journal.open(self.path, executor=self.executor, wall_ms=wall_ms)
        self.ear = Ear()
        self.battery._callbacks.clear()
        self.delivery = Delivery(
            self.battery,
            self.journal,
            "b1",
            rules=self.rules,
            listener=self.ear,
            wall_ms=wall_ms,
            beat=None if self.tick_ms > 250 else lambda: self.beats.append(now_ms()),
            tick_ms=self.tick_ms,
        )

    def reconcile(self) -> None:
        books = books_of(self.journal.replay()).get("b1")
        if books is not None:
            self.delivery.reconcile(books)

    def records(self, kind: Kind | None = None) -> list[Record]:
        return [record for record in self.journal.replay() if kind is None or record.kind == kind]

    async def confirm(self, trade: Trade) -> None:
        """Put a trade's Confirm on disk, then start it."""
        deal = Deal(
            peer=trade.peer,
            bid_id=trade.bid_id,
            price_e4=trade.price_e4,
            energy_wh=trade.energy_wh,
            power_w=trade.power_w,
            lot_id=trade.lot_id,
            window_s=trade.window_ms // 1_000,
        )
        _, written = self.journal.append("b1", Kind.CONFIRMED, confirmed(deal, award_seq=1, confirmed_at_ms=now_ms()))
        await written
        self.delivery.start(trade)

    async def crash(self) -> None:
        """The process dies between two instructions; the disk keeps what it has."""
        self.executor.cut = True
        for task in self.tasks:
            task.cancel()
        for task in self.tasks:
            with suppress(asyncio.CancelledError):
                await task
        self.journal.abandon()

    def go(self) -> None:
        self.tasks = [asyncio.create_task(self.battery.run()), asyncio.create_task(self.delivery.run())]


@asynccontextmanager
async def world(
    tmp_path: Path,
    *,
    config: BatteryConfig | None = None,
    rules: DeliveryRules | None = None,
    counter_step_wh: int = 1,
    dead_man_ms: int | None = 10_000,
    soc_step_permille: int = 1,
    tick_ms: int = 250,
) -> AsyncIterator[World]:
    """A running delivery on a battery that has answered."""
    battery = ModelBattery(
        BatteryModel(config or BatteryConfig()),
        counter_step_wh=counter_step_wh,
        dead_man_ms=dead_man_ms,
        soc_step_permille=soc_step_permille,
    )
    made = World(tmp_path / "journal.db", battery, rules or DeliveryRules(), tick_ms)
    made.go()
    try:
        await asyncio.sleep(0.1)
        yield made
    finally:
        for task in made.tasks:
            task.cancel()
        results = await asyncio.gather(*made.tasks, return_exceptions=True)
        await made.journal.close()
        for result in results:
            if isinstance(result, Exception):
                raise result


def trade(bid_id: int = 1, *, energy_wh: int = 1_000, power_w: int = 4_000, window_ms: int | None = None) -> Trade:
    return Trade(
        battery="b1",
        peer=f"conn:{bid_id}",
        bid_id=bid_id,
        price_e4=200_000,
        energy_wh=energy_wh,
        power_w=power_w,
        lot_id=1,
        award_seq=1,
        confirmed_wall_ms=wall_ms(),
        window_ms=window_ms if window_ms is not None else -(-4_500_000 * energy_wh // power_w) + 60_000,
    )


ECHO = EchoFailed("WSet", 1, 2)
FOREIGN = ForeignWrite("WSet", 1, 2)
