"""Stopping, by the owner and by a fault: what was promised ends in words, and the battery is let go at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from etp.messages import MessageType, ReasonCode
from tests.agent.market_lab import Lab

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.market_lab import Buyer

STOP_MS = 9_000
"""Below the battery's own time-out: it is the stop that releases it."""
ENDS = (MessageType.TERMINATE, MessageType.BID_REJECT)


async def stop(lab: Lab) -> int:
    """Stop the agent as its service manager does; return how long it took in ms."""
    began_ms = lab.now_ms
    assert await lab.host.stop() == []
    return lab.now_ms - began_ms


def assert_nothing_is_left(lab: Lab, buyer: Buyer, bid_id: int) -> None:
    device = lab.device("battery-1")
    assert not device.held
    assert device.reverts == 0
    ended = {(each["peer"], each["bid_id"]) for each in lab.told("delivery_ended")}
    assert {(each["peer"], each["bid_id"]) for each in lab.told("trade_confirmed")} <= ended
    books = lab.books("battery-1")
    assert books.take_over is None
    assert not books.trades
    assert buyer.of(*ENDS, about=bid_id), buyer.heard


def test_a_confirm_that_comes_during_a_stop_takes_no_battery_over(tmp_path: Path) -> None:
    """The other battery is still being released when the Confirm arrives."""
    lab = Lab(tmp_path, batteries=2)

    async def story() -> None:
        await lab.up()
        other = await lab.buyer("other", battery=2)
        await other.buys(1, 12, 500)
        await asyncio.sleep(5)
        buyer = await lab.buyer()
        accept = await buyer.wins(1, 12, 300)
        lab.devices["battery-2"].troubles.silent = True
        stopping = asyncio.get_running_loop().create_task(stop(lab))
        await asyncio.sleep(0.3)
        buyer.confirm(accept)
        await asyncio.sleep(1)
        lab.devices["battery-2"].troubles.silent = False
        assert await stopping < STOP_MS
        assert_nothing_is_left(lab, buyer, 1)
        assert not lab.device("battery-2").held

    lab.run(story())


@pytest.mark.parametrize("disk_ms", [0, 50, 300, 2_000])
def test_a_confirm_on_its_way_to_the_disk_when_a_stop_begins_is_ended_openly(tmp_path: Path, disk_ms: float) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        accept = await buyer.wins(1, 12, 300)
        lab.host.disk.stall_ms = disk_ms
        buyer.confirm(accept)
        await asyncio.sleep(0.004)
        assert await stop(lab) < STOP_MS
        await asyncio.sleep(0.1)
        assert_nothing_is_left(lab, buyer, 1)

    lab.run(story())


def test_an_award_that_nobody_has_confirmed_ends_with_a_stop(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        await buyer.wins(1, 12, 300)
        await stop(lab)
        await asyncio.sleep(0.1)
        assert_nothing_is_left(lab, buyer, 1)
        assert buyer.of(*ENDS, about=1)[0].body.termination_code == ReasonCode.WITHDRAWN

    lab.run(story())


@pytest.mark.parametrize("stopped", [False, True], ids=["selling", "stopped by the owner"])
def test_a_fault_is_told_to_every_buyer_and_ends_awards(tmp_path: Path, stopped: bool) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        watching, winning = await lab.buyer("watching"), await lab.buyer("winning")
        watching.register()
        readings: list[int] = []
        lab.front().battery.on_change(lambda _state: readings.append(lab.now_ms))
        await asyncio.sleep(1.1)
        await asyncio.sleep((readings[-1] + 700 - lab.now_ms) / 1_000)
        await winning.wins(1, 12, 300)
        gateway = lab.host.gateway
        assert gateway is not None
        if stopped:
            gateway.owner_desk().stop_selling(None, "the owner wants it")
        since_ms = lab.now_ms
        lab.device().troubles.fault = "contactor"
        await asyncio.sleep(0.8)
        for buyer in (watching, winning):
            assert len(buyer.of(MessageType.DEVICE_FAILURE, since_ms=since_ms)) == 1
        ended = winning.of(MessageType.TERMINATE, about=1)
        assert [each.body.termination_code for each in ended] == [ReasonCode.FAULT]
        assert "contactor" in {alarm["reason"] for alarm in lab.told("alarm", since_ms=since_ms)}

    lab.run(story())


def test_a_fault_during_a_stop_of_selling_ends_the_running_trade(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        await buyer.buys(1, 12, 300)
        await asyncio.sleep(3)
        gateway = lab.host.gateway
        assert gateway is not None
        gateway.owner_desk().stop_selling(None, "the owner wants it")
        lab.device().troubles.fault = "contactor"
        assert (await buyer.until(MessageType.TERMINATE, about=1, within_s=5)).termination_code == ReasonCode.FAULT
        assert len(buyer.of(MessageType.DEVICE_FAILURE)) == 1
        assert not lab.device().held

    lab.run(story())
