"""The whole agent: start, stop, restart on the same disk, and what it says when a part of it fails."""

from __future__ import annotations

import asyncio
import sqlite3
from random import Random
from typing import TYPE_CHECKING

import pytest

from agent.config import load_site
from agent.gateway import CLOCK_EVERY_S, METRICS_EVERY_S, Gateway
from agent.journal_errors import JournalBusy
from agent.surroundings import Surroundings
from agent.telemetry import read_samples
from drivers.sim.physics import BatteryConfig, BatteryModel
from etp.io.server import ListenError
from etp.messages import MessageType, ReasonCode
from settlement.executor import ThreadExecutor
from simulation.battery import Device, DeviceLink
from tests.agent.gateway_world import World, key, run, site_toml, world

if TYPE_CHECKING:
    from pathlib import Path


def test_before_the_start_there_is_no_journal(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            made = Gateway(here.site, here.gateway._around)
            with pytest.raises(RuntimeError, match="has not started"):
                _ = made.journal
            assert await made.stop() == []

    run(scenario())


def test_a_second_agent_on_the_same_journal_refuses_and_harms_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            second = Gateway(here.site, here.gateway._around)
            with pytest.raises(JournalBusy, match="in use by another agent"):
                await second.start(control=False)
            assert await second.stop() == []
            assert (await (await here.connect()).bid(40.0, 0.1)).body.message_type == MessageType.BID_ACCEPT

    run(scenario())


def test_a_port_in_use_fails_the_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            other = tmp_path / "other"
            other.mkdir()
            blocked = World(other, here.toml, here.network, here.rng)
            with pytest.raises(ListenError):
                await blocked.start()
            assert not blocked.gateway.is_open
            assert await blocked.gateway.stop() == []

    run(scenario())


def test_a_restart_voids_open_awards_and_tells_signed_buyers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect(key(1))
            accept = await buyer.bid(40.0, 0.5)
            await here.crash()
            await asyncio.sleep(1)
            assert here.seller.promises().energy_wh == 0
            assert [void.body["bid_id"] for void in here.records("void")] == [accept.body.message_id]
            again = await here.connect(key(1))
            ended = await again.until(MessageType.TERMINATE, message_id=accept.body.message_id)
            assert (ended.body.termination_code, ended.body.energy_wh) == (ReasonCode.NOT_CONFIRMED, 0)

    run(scenario())


def test_a_trade_survives_a_crash_and_is_delivered_whole(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect(key(1))
            before_wh = here.device.discharged_wh
            accept = await buyer.trade(40.0, 1.0)
            await here.until(lambda: here.device.discharged_wh > before_wh + 200, timeout_s=120)
            await here.crash()
            again = await here.connect(key(1))
            ended = await again.until(MessageType.TERMINATE, message_id=accept.message_id, timeout_s=600)
            assert (ended.body.termination_code, ended.body.energy_wh) == (ReasonCode.NONE, 1_000)
            # what flowed until the revert timer acted was counted, so no more than a moment's flow is given away
            assert 999 <= here.device.discharged_wh - before_wh < 1_300

    run(scenario())


def test_what_the_owner_said_and_what_buyers_earned_hold_over_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            good, bad = await here.connect(key(1)), await here.connect(key(2))
            await good.trade(40.0, 0.1)
            await here.until(lambda: not here.seller.delivery.active, timeout_s=300)
            await here.until_selling()
            await bad.bid(40.0, 0.2)
            await asyncio.sleep(1.5)
            owner = here.gateway.owner_desk()
            owner.set_reserve("battery-1", 555_000)
            owner.stop_selling(None, "holiday")
            await here.restart()
            assert here.seller.stopped["owner"] == "stopped by the owner before the last start"
            here.gateway.owner_desk().resume(None)
            await here.until_selling()
            assert here.seller.terms().reserve_e4 == 555_000
            standing = {n: here.seller.reputation.standing(f"key:{key(n).public_key.hex()}") for n in (1, 2)}
            assert (standing[1].trades, standing[2].trades) == (1, 0)
            assert standing[1].score > 5_000 > standing[2].score
            again = await here.connect(key(2))
            assert (await again.bid(90.0, 0.1)).body.termination_code == ReasonCode.NOT_TRUSTED

    run(scenario())


def test_a_shield_holds_over_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            winner, second = await here.connect(key(1)), await here.connect(key(2))
            winner.bids(60.0, 2.0)
            await asyncio.sleep(0.02)
            assert (await second.bid(50.0, 2.0)).body.termination_code == ReasonCode.OUTBID
            await winner.until(MessageType.BID_REJECT)  # never confirmed: lapsed after a second
            await asyncio.sleep(0.1)
            await here.crash()
            await here.until_selling()
            again = await here.connect(key(2))
            refused = (await again.bid(49.0, 2.0)).body
            assert (refused.termination_code, refused.sale_price_e4) == (ReasonCode.OUTBID, 500_000)

    run(scenario())


def test_a_journal_that_contradicts_itself_sells_nothing_until_the_owner_has_looked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            await buyer.trade(40.0, 0.1)
            await here.until(lambda: bool(here.records("delivery_ended")), timeout_s=300, step_s=0.5)
            (end,) = here.records("delivery_ended")
            here.gateway.journal.append("battery-1", "delivery_ended", end.body)  # it ends a second time
            await asyncio.sleep(1)
            await here.crash()
            assert "the journal contradicts itself" in here.seller.stopped["journal contradiction"]
            here.gateway.owner_desk().resume("battery-1")
            await here.until_selling()

    run(scenario())


def test_a_damaged_record_is_read_around(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            await (await here.connect()).trade(40.0, 0.1)
            await here.until(lambda: not here.seller.delivery.active, timeout_s=300)
            await here.gateway.stop()
            connection = sqlite3.connect(here.site.storage.journal)
            with connection:
                connection.execute("UPDATE records SET crc = 0 WHERE kind = 'award'")
            connection.close()
            here.boot()
            await here.start()
            await asyncio.sleep(3)
            assert "fails its checksum" in here.seller.stopped["journal"]
            buyer = await here.connect()
            offer = await buyer.ask()
            assert (offer.termination_code, offer.remaining_battery_energy > 5) == (ReasonCode.WITHDRAWN, True)
            owner = here.gateway.owner_desk()
            owner.stop_selling("battery-1", "holiday")  # a command works, and says that it was not written
            assert any("not written" in alarm["reason"] for alarm in owner.snapshot()["alarms"])

    run(scenario())


def test_a_disk_that_fills_up_stops_the_selling_and_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            here.disk.full = True
            here.gateway.owner_desk().set_reserve("battery-1", 310_000)  # anything that writes
            alarm = await here.told("alarm")
            assert (alarm["alarm"], alarm["raised"]) == ("journal", True)
            assert here.seller.offer.code == ReasonCode.WITHDRAWN
            here.disk.full = False
            await here.restart()
            await here.until_selling()

    run(scenario())


def test_metrics_are_published(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            await (await here.connect()).trade(40.0, 0.1)
            metrics = await here.told("metrics", timeout_s=3 * METRICS_EVERY_S)
            assert (metrics["total"]["trades"], metrics["batteries"]["battery-1"]["trades"]) == (1, 1)
            assert metrics["total"]["one_bidder"]["average_improvement_e4"] == 100_000

    run(scenario())


def test_a_task_that_crashes_is_reported_and_started_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:

            async def break_once() -> None:
                here.seller.report = whole  # type: ignore[method-assign]
                raise ValueError("broken")

            whole = here.seller.report
            here.gateway._supervisor.start("test", break_once)
            alarm = await here.told("alarm")
            assert (alarm["alarm"], alarm["raised"]) == ("task test", True)
            assert "ValueError: broken" in alarm["reason"]

    run(scenario())


def test_a_task_that_keeps_crashing_stops_the_selling(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:

            async def break_always() -> None:
                await asyncio.sleep(0)
                raise ValueError("broken")

            here.gateway._supervisor.start("test", break_always)
            await here.until(lambda: "supervisor" in here.seller.stopped, timeout_s=1_000)
            assert (await (await here.connect()).ask()).termination_code == ReasonCode.WITHDRAWN

    run(scenario())


def test_signed_buyers_wait_for_a_clock_that_can_be_trusted(tmp_path: Path) -> None:
    async def scenario() -> None:
        network = 'peers = "signed"\ntrusted_peers = "any"'
        async with world(tmp_path, network=network) as here:
            buyer = await here.connect(key(1))
            assert (await buyer.bid(40.0, 0.1)).body.message_type == MessageType.BID_ACCEPT
            here.clock_trusted = False
            await asyncio.sleep(CLOCK_EVERY_S + 1)
            assert await buyer.until_closed()
            assert "the time of day is not trusted" in here.seller.stopped["clock"]
            here.clock_trusted = True
            await here.until_selling()
            assert (await (await here.connect(key(1))).bid(40.0, 0.1, 77)).body.message_type == MessageType.BID_ACCEPT

    run(scenario())


def test_stopping_tells_what_could_not_be_released(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            await (await here.connect()).trade(40.0, 2.0)
            await here.until(lambda: here.device.held)
            here.device.troubles.silent = True
            (trouble,) = await here.gateway.stop()
            assert trouble == "battery-1: no answer to the release within 10 s"

    run(scenario())


def test_stopping_ends_trades_openly(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer, idle = await here.connect(), await here.connect()
            accept = await buyer.trade(40.0, 2.0)
            await here.until(lambda: here.device.held)
            assert await here.gateway.stop("the owner goes home") == []
            assert not here.device.held
            ended = await buyer.until(MessageType.TERMINATE, message_id=accept.message_id)
            assert ended.body.termination_code == ReasonCode.WITHDRAWN
            assert await idle.until_closed()
            assert here.gateway.endpoints

    run(scenario())


async def test_a_start_on_a_real_disk_in_real_time(tmp_path: Path) -> None:
    """The same with the thread that writes the journal, UDP beside TCP, and the control socket."""
    path = tmp_path / "site.toml"
    path.write_text(site_toml().replace("port = 4084", "port = 0"))
    beats: list[None] = []
    around = Surroundings(
        open_battery=lambda battery, _site: DeviceLink(Device(battery.name, BatteryModel(BatteryConfig())), Random(1)),
        journal_executor=ThreadExecutor,
        signer=lambda _battery: key(99),
        wall_ms=lambda: 1_790_000_000_000,
        random_bytes=Random(1).randbytes,
        clock_trusted=lambda: True,
    )
    made = Gateway(load_site(path), around, beat=lambda: beats.append(None))
    await made.start()
    try:
        assert made.is_open
        assert made.site.control_socket.is_socket()
        seller = made.fronts["battery-1"].seller
        async with asyncio.timeout(30):
            while not beats or not seller.desk.lots.open_lot()[0]:  # noqa: ASYNC110 - both are seen from outside
                await asyncio.sleep(0.02)
    finally:
        assert await made.stop() == []
    assert not made.site.control_socket.exists()
    assert {sample.battery for _, sample in read_samples(made.site.storage.telemetry)} == {"battery-1"}
