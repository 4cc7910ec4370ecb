from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from agent.books import books_of
from agent.delivery import Delivery
from agent.delivery_ports import DeliveryRules
from agent.journal import Journal
from agent.records import Deal, Kind, confirmed
from drivers.open import open_battery
from drivers.sim.device import SimulatedBattery
from drivers.sim.physics import BatteryConfig
from drivers.sim.server import ModbusServer
from etp.messages import ReasonCode
from settlement.executor import ThreadExecutor
from tests.agent.delivery_world import Ear, now_ms, trade, wall_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LAPSE = 60


class Bench:
    """A delivery on a declared battery, over Modbus TCP, to a simulated SunSpec device."""

    def __init__(self, device: SimulatedBattery, port: int, path: Path) -> None:
        self.device = device
        self.port = port
        self.path = path
        self.boot()

    def boot(self) -> None:
        """Start an agent's worth of objects."""
        self.ear = Ear()
        self.journal = Journal.open(self.path, executor=ThreadExecutor(), wall_ms=wall_ms)
        self.battery = open_battery(f"127.0.0.1:{self.port}", name="b1")
        self.delivery = Delivery(
            self.battery, self.journal, "b1", rules=DeliveryRules(time_lapse=LAPSE), listener=self.ear, wall_ms=wall_ms
        )
        self.tasks: list[asyncio.Task[None]] = []

    async def go(self) -> None:
        answered = asyncio.Event()
        self.battery.on_change(lambda state: answered.set() if state.soc_permille else None)
        self.tasks = [asyncio.create_task(self.battery.run()), asyncio.create_task(self.delivery.run())]
        async with asyncio.timeout(30):
            await answered.wait()

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.journal.abandon()

    async def until_started(self) -> None:
        async with asyncio.timeout(30):
            while not self.ear.started:
                self.ear.heard.clear()
                await self.ear.heard.wait()

    def is_commanded(self) -> bool:
        self.device.advance(now_ms())
        return self.device.model.target_w is not None

    def discharged_wh(self) -> float:
        self.device.advance(now_ms())
        return self.device.model.counters.ac_discharged_wh


@asynccontextmanager
async def bench(tmp_path: Path, profile: str) -> AsyncIterator[Bench]:
    device = SimulatedBattery(BatteryConfig(time_lapse=LAPSE), profile=profile)
    server = ModbusServer(device)
    made = Bench(device, await server.start("127.0.0.1", 0), tmp_path / "journal.db")
    try:
        await made.go()
        yield made
    finally:
        await made.end()
        await server.close()


@pytest.mark.parametrize("profile", ["704", "124"])
async def test_a_trade_reaches_a_sunspec_battery_and_leaves_it_as_it_was(tmp_path: Path, profile: str) -> None:
    async with bench(tmp_path, profile) as here:
        before_wh = here.discharged_wh()
        here.delivery.start(trade(energy_wh=150, power_w=4_000, window_ms=30_000))
        [ended] = await here.ear.until_ended(timeout_s=30)
        assert (ended.code, ended.reason, ended.derived) == (0, "", False)
        assert 148 <= ended.delivered_wh <= 150
        assert here.discharged_wh() - before_wh >= 148
        assert here.delivery.released
        assert here.ear.alarms == []
        assert not here.is_commanded()


@pytest.mark.parametrize("profile", ["704", "124"])
async def test_a_start_after_a_crash_releases_and_goes_on(tmp_path: Path, profile: str) -> None:
    async with bench(tmp_path, profile) as here:
        before_wh = here.discharged_wh()
        once = trade(energy_wh=200, power_w=4_000, window_ms=30_000)
        deal = Deal(
            peer=once.peer, bid_id=once.bid_id, price_e4=1, energy_wh=200, power_w=4_000, lot_id=1, window_s=1_800
        )
        _, written = here.journal.append("b1", Kind.CONFIRMED, confirmed(deal, award_seq=1, confirmed_at_ms=0))
        await written
        here.delivery.start(once)
        await here.until_started()
        await here.end()
        assert here.is_commanded()
        here.boot()
        here.delivery.reconcile(books_of(here.journal.replay())["b1"])
        await here.go()
        [ended] = await here.ear.until_ended(timeout_s=30)
        assert ended.code == 0
        assert here.discharged_wh() - before_wh >= 198
        assert not here.is_commanded()
        assert [record.kind for record in here.journal.replay()].count(Kind.TAKE_OVER) == 2


async def test_a_second_controller_is_noticed_and_left_alone(tmp_path: Path) -> None:
    async with bench(tmp_path, "704") as here:
        here.delivery.start(trade(energy_wh=5_000, power_w=4_000, window_ms=60_000))
        await here.until_started()
        [taken] = [record for record in here.journal.replay() if record.kind == Kind.TAKE_OVER]
        address, words = taken.body["addresses"]["ctl.w_set"]
        here.device.write(address, [0xFFFF] * (words - 1) + [0xFC18], now_ms())
        [ended] = await here.ear.until_ended(timeout_s=30)
        assert ended.code == ReasonCode.FAULT
        await asyncio.sleep(0.2)
        writes = here.device.writes
        assert ("foreign-controller", True) in here.ear.alarms
        report = await here.delivery.stop_all(12)
        assert "foreign-controller" in report.reason
        assert here.device.writes == writes
