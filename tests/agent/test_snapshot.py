"""One look at a battery, as the control socket shows it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.control_protocol import BatterySnapshot, encode_line
from agent.snapshot import battery_snapshot
from tests.agent.gateway_world import World, run, world

if TYPE_CHECKING:
    from pathlib import Path


def look(here: World) -> BatterySnapshot:
    shown = battery_snapshot(here.seller, "127.0.0.1:4084")
    assert shown.keys() == BatterySnapshot.__annotations__.keys()
    assert encode_line(dict(shown))  # plain JSON
    return shown


def test_a_battery_that_sells(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            shown = look(here)
            assert (shown["connected"], shown["stopped"], shown["fault"]) == (True, "", "")
            assert (shown["soc_permille"], shown["power_w"], shown["committed_wh"]) == (800, 0, 0)
            assert (shown["usable_wh"], shown["reserve_e4"], shown["peers"]) == (7_695, 300_000, 0)
            assert shown["voltage_mv"]
            assert shown["temp_max_dc"]
            lot = shown["lot"]
            assert lot is not None
            assert (lot["energy_wh"], lot["power_w"], lot["price_to_beat_e4"]) == (2_000, 5_000, 300_000)
            assert lot["standing"] == []

    run(scenario())


def test_a_standing_bid_and_a_delivery(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            trader, bidder = await here.connect(), await here.connect()
            accept = await trader.trade(40.0, 1.0)
            await asyncio.sleep(8)
            bid_id = bidder.bids(41.0, 0.5)
            await asyncio.sleep(0.05)
            shown = look(here)
            lot = shown["lot"]
            assert lot is not None
            (standing,) = lot["standing"]
            assert (standing["bid_id"], standing["price_e4"], standing["energy_wh"]) == (bid_id, 410_000, 500)
            assert 40 <= standing["stands_ms"] <= 50
            (delivery,) = shown["deliveries"]
            assert (delivery["bid_id"], delivery["energy_wh"], delivery["power_w"]) == (accept.message_id, 1_000, 2_500)
            assert 0 < delivery["delivered_wh"] < 1_000
            assert shown["power_w"] is not None
            assert shown["power_w"] < -2_000
            assert shown["committed_wh"] == 1_000 - delivery["delivered_wh"]
            assert shown["peers"] == 2

    run(scenario())


def test_a_battery_that_says_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            here.device.troubles.silent = True
            await here.until(lambda: look(here)["lot"] is None)
            shown = look(here)
            assert shown["connected"] is False
            assert shown["stopped"]
            assert (shown["soc_permille"], shown["power_w"], shown["voltage_mv"], shown["temp_max_dc"]) == (None,) * 4
            assert (shown["usable_wh"], shown["sellable_wh"]) == (0, 0)

    run(scenario())
