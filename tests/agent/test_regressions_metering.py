"""What buyers are billed for: what left the battery for them, and not what its owner's house takes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from etp.messages import MessageType
from tests.agent.market_lab import BOOT_S, Lab

if TYPE_CHECKING:
    from pathlib import Path

TRADE_S = 120


def billed_wh(lab: Lab) -> list[int]:
    """Return what every buyer was told it got, in the order of the ends."""
    return [each["delivered_wh"] for each in lab.told("delivery_ended")]


@pytest.mark.parametrize("away_s", [3, 180])
def test_what_the_battery_discharges_for_its_owner_while_nobody_meters_is_not_billed(
    tmp_path: Path, away_s: float
) -> None:
    """Its own control takes 1 kW for the house before, after and between deliveries."""
    lab = Lab(tmp_path, time_lapse=1, own_power_w=-1_000)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        accept = await buyer.buys(1, 12, 500)
        granted_w = -accept.power_w
        await asyncio.sleep(60)
        (running,) = lab.front().delivery.active
        before_wh = running.delivered_wh
        lab.host.crash()
        await asyncio.sleep(away_s)
        await lab.up()
        (running,) = lab.front().delivery.active
        held_s = min(away_s, 10) + BOOT_S + 1
        at_most_wh = granted_w * (held_s + 2 * 1) / 3_600
        assert before_wh <= running.delivered_wh <= before_wh + at_most_wh + 1

    lab.run(story())


def test_the_house_does_not_pay_for_a_trade_nor_the_buyer_for_the_house(tmp_path: Path) -> None:
    lab = Lab(tmp_path, own_power_w=-1_000)

    async def story() -> None:
        await lab.up()
        began_wh, began_ms = lab.device().model.counters.ac_discharged_wh, lab.now_ms
        await (await lab.buyer()).buys(1, 12, 500)
        await asyncio.sleep(6)
        await lab.crash_and_boot(away_s=20)
        await asyncio.sleep(TRADE_S)
        (told_wh,) = billed_wh(lab)
        flowed_wh = lab.device().model.counters.ac_discharged_wh - began_wh
        house_wh = 1_000 * (lab.now_ms - began_ms) * 20 / 3_600_000
        assert told_wh <= flowed_wh - house_wh + 30  # the ramps, and what stands still while the battery is let go
        assert told_wh >= 300

    lab.run(story())


def test_what_a_battery_does_since_it_let_itself_go_is_its_own(tmp_path: Path) -> None:
    """It cannot be reached until long after its dead-man, and sells again as soon as it can."""
    lab = Lab(tmp_path, lot_kwh=0.2)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        await buyer.buys(1, 12, 200)
        await asyncio.sleep(2)
        device = lab.device()
        device.troubles.silent = True
        device.live(-1_000, lab.now_ms)
        await asyncio.sleep(45)
        device.troubles.silent = False
        await buyer.until(MessageType.TERMINATE, about=1, within_s=5)
        while lab.front().seller.offer.code:  # noqa: ASYNC110 - virtual time, and any state may be looked at
            await asyncio.sleep(0.1)
        began_wh, began_ms = lab.device().model.counters.ac_discharged_wh, lab.now_ms
        await buyer.buys(2, 12, 200)
        await buyer.until(MessageType.TERMINATE, about=2, within_s=TRADE_S)
        flowed_wh = lab.device().model.counters.ac_discharged_wh - began_wh
        house_wh = 1_000 * (lab.now_ms - began_ms) * 20 / 3_600_000
        assert billed_wh(lab)[1] <= flowed_wh - house_wh + 5

    lab.run(story())


@pytest.mark.parametrize("alone_s", [11, 12, 13, 14])
def test_what_one_trade_got_is_not_billed_to_the_other_that_survives_a_crash(tmp_path: Path, alone_s: float) -> None:
    """Two run side by side, the first ends, and the power goes before the other's energy is on record again."""
    lab = Lab(tmp_path, lot_kwh=1.0)

    async def story() -> None:
        await lab.up()
        began_wh = lab.device().model.counters.ac_discharged_wh
        buyer = await lab.buyer()
        await buyer.buys(1, 12, 300)
        await asyncio.sleep(alone_s)
        await buyer.buys(2, 12, 700)
        await buyer.until(MessageType.TERMINATE, about=1, within_s=TRADE_S)
        lab.host.crash()
        await asyncio.sleep(20)
        await lab.up()
        flowed_wh = lab.device().model.counters.ac_discharged_wh - began_wh
        running_wh = sum(active.delivered_wh for active in lab.front().delivery.active)
        assert 900 <= sum(billed_wh(lab)) + running_wh <= flowed_wh + 1

    lab.run(story())


def test_a_battery_that_was_let_go_owes_its_buyer_nothing_of_what_its_owner_takes(tmp_path: Path) -> None:
    """A second crash comes when the battery was given back and before it was taken over again."""
    lab = Lab(tmp_path, time_lapse=1)

    async def story() -> None:
        await lab.up()
        await (await lab.buyer()).buys(1, 12, 500)
        await asyncio.sleep(58)
        lab.host.crash()
        await asyncio.sleep(20)
        (on_disk,) = lab.books().trades.values()
        before_wh = on_disk.delivered_wh
        lab.host.boot()
        while on_disk.delivered_wh == before_wh:
            await asyncio.sleep(0.001)
            (on_disk,) = lab.books().trades.values()
        lab.host.crash()
        assert not lab.device().held
        assert lab.books().take_over is None
        for own_power_w in (-3_000, 0):
            lab.device().live(own_power_w, lab.now_ms)
            await asyncio.sleep(40)
        lab.host.boot()
        await asyncio.sleep(0.5)
        (running,) = lab.front().delivery.active
        assert running.delivered_wh == on_disk.delivered_wh

    lab.run(story())
