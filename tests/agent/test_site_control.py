"""What the owner may ask of a running agent, and that it holds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from agent.errors import CommandRefusedError
from agent.site_control import CONTRADICTION, OWNER
from etp.messages import MessageType, ReasonCode
from tests.agent.gateway_world import WALL_START_MS, World, run, world

if TYPE_CHECKING:
    from pathlib import Path

    from agent.site_control import OwnerDesk


def owner(here: World) -> OwnerDesk:
    return here.gateway.owner_desk()


def owner_records(here: World) -> list[dict[str, Any]]:
    return [record.body for record in here.records("owner")]


@pytest.mark.parametrize("battery", ["battery-1", None])
def test_stop_and_resume(tmp_path: Path, battery: str | None) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            owner(here).stop_selling(battery, "holiday")
            assert here.seller.stopped == {OWNER: "holiday"}
            assert (await buyer.bid(40.0, 0.1)).body.termination_code == ReasonCode.WITHDRAWN
            here.seller.block(CONTRADICTION, "two ends of one trade")
            owner(here).resume(battery)
            assert here.seller.stopped == {}
            assert (await buyer.bid(40.0, 0.1)).body.message_type == MessageType.BID_ACCEPT
            await asyncio.sleep(1)
            assert len(owner_records(here)) == 2

    run(scenario())


def test_the_reserve_holds_from_the_next_empty_lot_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            buyer = await here.connect()
            bid_id = buyer.bids(40.0, 0.5)
            await asyncio.sleep(0.02)
            owner(here).set_reserve("battery-1", 500_000)
            accept = await buyer.until(MessageType.BID_ACCEPT, message_id=bid_id)  # the lot's terms are frozen
            buyer.confirm(accept.body)
            await asyncio.sleep(0.5)
            assert (await buyer.bid(49.99, 0.1)).body.termination_code == ReasonCode.PRICE_TOO_LOW
            assert (await buyer.bid(50.0, 0.1)).body.message_type == MessageType.BID_ACCEPT

    run(scenario())


def test_the_rule_can_have_the_reserve_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            owner(here).set_reserve("battery-1", 500_000)
            assert here.seller.terms().reserve_e4 == 500_000
            owner(here).set_reserve("battery-1", None)
            assert here.seller.terms().reserve_e4 == 300_000
            await here.until(lambda: len(owner_records(here)) == 2)
            assert owner_records(here)[-1]["reserve_e4"] is None

    run(scenario())


def test_what_cannot_be_is_refused_and_not_journaled(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery="reserve_min_c = 10.0") as here:
            with pytest.raises(CommandRefusedError, match=r"no battery 'cellar' here; there are: battery-1"):
                owner(here).stop_selling("cellar", "holiday")
            with pytest.raises(CommandRefusedError, match="cellar"):
                owner(here).resume("cellar")
            with pytest.raises(CommandRefusedError, match="cellar"):
                owner(here).set_reserve("cellar", 400_000)
            with pytest.raises(CommandRefusedError, match=r"reserve 9\.99 c/kWh is below the site's minimum of 10\.00"):
                owner(here).set_reserve("battery-1", 99_900)
            await asyncio.sleep(0.5)
            assert owner_records(here) == []
            assert here.seller.terms().reserve_e4 == 300_000

    run(scenario())


def test_a_stop_works_also_when_the_disk_takes_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            here.disk.full = True
            owner(here).stop_selling(None, "fire")
            assert here.seller.offer.code == ReasonCode.WITHDRAWN
            await asyncio.sleep(1)
            owner(here).stop_selling(None, "fire again")
            assert "journal" in [alarm["name"] for alarm in owner(here).snapshot()["alarms"]]

    run(scenario())


def test_a_snapshot_of_everything(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            await (await here.connect()).trade(40.0, 0.1)
            look = owner(here).snapshot()
            assert look["site"] == "virtual"
            assert look["version"]
            assert WALL_START_MS <= look["started_at_ms"] <= look["at_ms"] < WALL_START_MS + 60_000
            (battery,) = look["batteries"]
            assert battery["endpoint"] == "127.0.0.1:4084"
            assert len(battery["deliveries"]) == 1
            assert look["metrics"]["total"]["trades"] == 1
            assert look["alarms"] == []
            tasks = {task["name"]: task["state"] for task in look["tasks"]}
            assert tasks["battery-1.delivery"] == "running"
            assert "loop_lag_ms" in look

    run(scenario())
