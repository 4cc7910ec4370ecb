"""A battery whose reserve follows the market, in virtual time: what is asked, when, and why."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from agent import records
from agent.appraiser import LOOK_EVERY_S
from agent.control_protocol import encode_line
from agent.errors import CommandRefusedError
from agent.pricing import SLOT_MS, LotSeen
from agent.records import Kind
from agent.snapshot import battery_snapshot
from etp.messages import MessageType
from tests.agent.gateway_world import WALL_START_MS, World, run, world

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.control_protocol import PriceSnapshot

FLAT = """
[battery.reserve]
kind = "dynamic"
floor_c_per_kwh = 8.00
wear_c_per_kwh = 5.00
{more}
[battery.reserve.sell]
{sell}
"""


def reserve(sell: str = 'kind = "flat"\nc_per_kwh = 25.00', more: str = "") -> str:
    return FLAT.format(sell=sell, more=more)


def price(here: World) -> PriceSnapshot:
    shown = battery_snapshot(here.seller, "")["price"]
    assert shown is not None
    assert encode_line(dict(shown))
    return shown


def lines(first_slot: int, prices: Sequence[float | None]) -> str:
    return "".join(
        f"{datetime.fromtimestamp((first_slot + n) * SLOT_MS / 1_000, tz=UTC).isoformat()},{'' if c is None else c}\n"
        for n, c in enumerate(prices)
    )


def write(path: Path, prices: Sequence[float | None], *, at_ms: int = WALL_START_MS) -> None:
    path.write_text(lines(at_ms // SLOT_MS, prices))
    os.utime(path, ns=(at_ms * 1_000_000, at_ms * 1_000_000))


FROM_FILE = 'kind = "file"\npath = "prices.csv"\nstale_after_h = 30'


def test_the_reserve_is_what_the_energy_can_still_fetch(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery=reserve()) as here:
            shown = price(here)
            assert shown["reserve_e4"] == here.seller.terms().reserve_e4 == 250_000
            assert (shown["floor_e4"], shown["cost_e4"], shown["opportunity_e4"]) == (80_000, 250_000, 200_000)
            assert (shown["wear_e4"], shown["wear_basis"], shown["markup_e4"]) == (50_000, "set", 0)
            assert (shown["basis"], shown["trouble"], shown["forecast_half_hours"]) == ("forecast", "", 96)
            buyer = await here.connect()
            assert (await buyer.ask()).sale_price_e4 == 250_000
            assert (await buyer.bid(24.9, 1.0)).body.message_type == MessageType.BID_REJECT
            await buyer.trade(25.0, 1.0)

    run(scenario())


def test_no_lot_opens_before_the_price_is_known_and_every_lot_tells_its_parts(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery=reserve()) as here:
            await asyncio.sleep(0.1)  # until it is on disk
            assert [record.body["reserve_e4"] for record in here.records(Kind.LOT_OPENED)] == [250_000]
            told = await here.told("reserve_priced")
            assert (told["reserve_e4"], told["opportunity_e4"], told["basis"]) == (250_000, 200_000, "forecast")
            told = await here.told("lot_opened")
            assert (told["reserve_e4"], told["floor_e4"], told["wear_e4"]) == (250_000, 80_000, 50_000)
            assert (told["opportunity_e4"], told["markup_e4"], told["cost_e4"]) == (200_000, 0, 250_000)
            figures = here.gateway.metrics.summary()
            assert figures["batteries"]["battery-1"]["reserve_parts"]["opportunity_e4"] == 200_000
            assert figures["total"]["reserve_parts"] is None

    run(scenario())


def test_every_lot_sold_makes_the_next_one_as_dear_as_what_is_left(tmp_path: Path) -> None:
    """Two half hours at 40 c take 5 of the 8.1 kWh that are for sale; the rest would fetch 10 c."""
    write(tmp_path / "prices.csv", [10.0, 10.0, 40.0, 40.0, *[10.0] * 20])

    async def scenario() -> None:
        more = "end_c_per_kwh = 0"
        async with world(tmp_path, battery=reserve(FROM_FILE, more)) as here:
            assert price(here)["reserve_e4"] == 100_000
            buyer = await here.connect()
            await buyer.trade(12.0, 2.0)
            await here.until(lambda: price(here)["reserve_e4"] > 100_000)
            assert price(here)["reserve_e4"] <= 400_000

    run(scenario())


def test_a_forecast_that_fails_is_kept_then_the_fallback_holds_and_never_less_than_the_floor(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    write(path, [25.0] * 60)

    async def scenario() -> None:
        more = "keep_h = 2\nfallback_c_per_kwh = 18.00"
        async with world(tmp_path, battery=reserve(FROM_FILE, more)) as here:
            assert (price(here)["basis"], price(here)["reserve_e4"]) == ("forecast", 250_000)
            path.unlink()
            await asyncio.sleep(LOOK_EVERY_S + 1)
            assert (price(here)["basis"], price(here)["reserve_e4"]) == ("kept", 250_000)
            assert "cannot be read" in price(here)["trouble"]
            [alarm] = here.seller.watch.alarms()
            assert (alarm["name"], alarm["blocks_selling"]) == ("forecast", False)
            assert here.seller.offer.code == 0
            await asyncio.sleep(2 * 3_600)
            shown = price(here)
            assert (shown["basis"], shown["opportunity_e4"], shown["reserve_e4"]) == ("fallback", None, 180_000)
            write(path, [30.0] * 60, at_ms=here.wall_ms())
            await asyncio.sleep(LOOK_EVERY_S + 1)
            assert (price(here)["basis"], price(here)["reserve_e4"]) == ("forecast", 300_000)
            assert here.seller.watch.alarms() == []

    run(scenario())


@pytest.mark.slow
def test_a_kept_forecast_is_read_at_the_right_time_of_day(tmp_path: Path) -> None:
    """Refilled for 4 c until the evening, when a kWh fetches 30 c; after it hardly anything."""
    path = tmp_path / "prices.csv"
    write(path, [6.0] * 12 + [30.0] * 6 + [6.0] * 30)
    write(tmp_path / "costs.csv", [4.0] * 12)
    refill = f'{FROM_FILE}\n[battery.reserve.buy]\nkind = "file"\npath = "costs.csv"'

    async def scenario() -> None:
        more = "keep_h = 12\nend_c_per_kwh = 0\nfallback_c_per_kwh = 18.00"
        async with world(tmp_path, battery=reserve(refill, more)) as here:
            path.unlink()
            asked = []
            for half_hour in range(25):
                await asyncio.sleep(
                    WALL_START_MS / 1_000 + (half_hour + 0.5) * SLOT_MS / 1_000 - here.wall_ms() / 1_000
                )
                shown = price(here)
                asked.append(shown["cost_e4"])
                if half_hour in {1, 13, 20}:
                    assert (shown["basis"], shown["forecast_half_hours"]) == ("kept", 48 - half_hour)
            assert max(asked[:9]) < 110_000
            assert asked[12] == asked[13] == 300_000
            assert max(asked[18:24]) < 110_000
            assert asked[24] == 180_000

    run(scenario())


@pytest.mark.slow
def test_of_a_kept_forecast_that_has_ended_nothing_holds(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    write(path, [25.0] * 13)

    async def scenario() -> None:
        async with world(tmp_path, battery=reserve(FROM_FILE, "keep_h = 12\nfallback_c_per_kwh = 18.00")) as here:
            path.unlink()
            await asyncio.sleep(12.5 * SLOT_MS / 1_000)
            assert (price(here)["basis"], price(here)["forecast_half_hours"]) == ("kept", 1)
            await asyncio.sleep(SLOT_MS / 1_000)
            shown = price(here)
            assert (shown["basis"], shown["forecast_half_hours"], shown["reserve_e4"]) == ("fallback", 0, 180_000)

    run(scenario())


def test_without_any_forecast_the_floor_is_the_reserve(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery=reserve('kind = "own_sales"')) as here:
            shown = price(here)
            assert (shown["basis"], shown["reserve_e4"], shown["forecast_age_ms"]) == ("fallback", 80_000, None)
            assert shown["trouble"].startswith("own sales of two weeks: in 0 half hours")

    run(scenario())


def test_a_file_is_read_again_when_it_changes_and_every_half_hour(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    write(path, [25.0] * 30 + [35.0] * 30)

    async def scenario() -> None:
        async with world(tmp_path, battery=reserve(FROM_FILE, "end_c_per_kwh = 0")) as here:
            assert price(here)["reserve_e4"] == 350_000
            before = price(here)["forecast_half_hours"]
            await asyncio.sleep(SLOT_MS / 1_000)
            assert price(here)["forecast_half_hours"] == before - 1
            age_ms = price(here)["forecast_age_ms"]
            assert age_ms is not None
            assert age_ms < SLOT_MS
            write(path, [20.0] * 60, at_ms=here.wall_ms())
            await asyncio.sleep(LOOK_EVERY_S + 1)
            assert price(here)["reserve_e4"] == 200_000

    run(scenario())


def test_what_lots_and_sales_teach_survives_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery=reserve()) as here:
            one, other = await here.connect(), await here.connect()
            one.register()
            other.register()
            await asyncio.sleep(0.1)
            one.bids(26.0, 2.0)
            await asyncio.sleep(0.05)
            accept = await other.bid(27.0, 2.0)
            other.confirm(accept.body)
            await other.until(MessageType.BESS_STATUS, message_id=accept.body.message_id)
            await asyncio.sleep(0.1)
            [record] = here.records(Kind.LOT_SEEN)
            assert record.body == {
                "cost_e4": 250_000,
                "reserve_e4": 250_000,
                "reached": 2,
                "best_e4": 270_000,
                "second_e4": 260_000,
                "cap_e4": 50_000,
            }
            assert price(here)["lots_learned"] == 1
            await here.restart()
            await here.until_selling()
            assert price(here)["lots_learned"] == 1
            assert sum(one is not None for one in here.front.appraiser._sales.sold) == 1  # type: ignore[union-attr]

    run(scenario())


def test_a_mark_up_learned_before_is_asked_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery=reserve(more="markup_max_c_per_kwh = 4")) as here:
            for number in range(240):
                second_e4 = 250_000 + 2_000 * (number % 20) if number % 2 else None
                seen = LotSeen(250_000, 250_000, 2, 300_000, second_e4)
                here.gateway.journal.append("battery-1", Kind.LOT_SEEN, records.lot_seen(seen, cap_e4=40_000))
            await here.restart()
            await here.until_selling()
            shown = price(here)
            assert shown["lots_learned"] == 240
            assert 0 < shown["markup_e4"] <= 40_000
            assert shown["reserve_e4"] == 250_000 + shown["markup_e4"] == here.seller.terms().reserve_e4

    run(scenario())


def test_a_clock_that_is_set_is_followed_with_the_batterys_next_word(tmp_path: Path) -> None:
    sell = (
        'kind = "time_of_use"\ntimes = [{from_time = "00:00", c_per_kwh = 20}, {from_time = "12:00", c_per_kwh = 40}]'
    )

    async def scenario() -> None:
        async with world(tmp_path, battery=reserve(sell, "end_c_per_kwh = 0\nkeep_h = 1")) as here:
            assert price(here)["basis"] == "forecast"
            here.wall_offset_ms = 400 * 86_400_000
            await asyncio.sleep(2.5)
            shown = price(here)
            assert (shown["basis"], shown["reserve_e4"]) == ("forecast", 400_000)
            assert shown["forecast_age_ms"] is not None
            assert shown["forecast_age_ms"] < 2_500

    run(scenario())


def test_a_clock_that_is_not_trusted_leaves_the_fallback_and_an_alarm(tmp_path: Path) -> None:
    sell = 'kind = "time_of_use"\ntimes = [{from_time = "00:00", c_per_kwh = 20}]'

    async def scenario() -> None:
        async with world(tmp_path, battery=reserve(sell, "fallback_c_per_kwh = 18")) as here:
            assert (price(here)["basis"], price(here)["reserve_e4"]) == ("forecast", 200_000)
            here.clock_trusted = False
            await here.until(lambda: price(here)["basis"] == "fallback")
            assert (price(here)["reserve_e4"], price(here)["trouble"]) == (180_000, "the time of day is not trusted")
            assert "forecast" in {alarm["name"] for alarm in here.seller.watch.alarms()}
            await here.until(lambda: here.seller.desk.lots.quote("", 0, 0) == 180_000)
            await asyncio.sleep(SLOT_MS / 1_000)
            assert price(here)["basis"] == "fallback"
            here.clock_trusted = True
            await here.until(lambda: price(here)["basis"] == "forecast")
            assert (price(here)["reserve_e4"], price(here)["trouble"]) == (200_000, "")
            await here.until(lambda: here.seller.desk.lots.quote("", 0, 0) == 200_000)
            assert here.seller.watch.alarms() == []

    run(scenario())


def test_a_price_that_is_always_the_same_needs_no_clock(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery=reserve()) as here:
            here.clock_trusted = False
            await asyncio.sleep(120)
            assert (price(here)["basis"], price(here)["reserve_e4"]) == ("forecast", 250_000)

    run(scenario())


def test_a_battery_that_is_silent_for_a_while_is_not_taken_for_another(tmp_path: Path) -> None:
    write(tmp_path / "prices.csv", [10.0, 10.0, 40.0, 40.0, *[10.0] * 20])

    async def scenario() -> None:
        async with world(tmp_path, battery=reserve(FROM_FILE, "end_c_per_kwh = 0")) as here:
            assert here.front.appraiser is not None
            before = here.front.appraiser._last
            assert price(here)["reserve_e4"] == 100_000
            here.device.troubles.silent = True
            await asyncio.sleep(6)
            assert here.seller.for_sale() is None
            assert price(here)["reserve_e4"] == 400_000  # what is unsure is not sold cheaply
            here.device.troubles.silent = False
            await here.until_selling()
            assert price(here)["reserve_e4"] == 100_000
            assert here.front.appraiser._last is before

    run(scenario())


def test_work_that_fails_is_done_again_and_nothing_is_sold_before(tmp_path: Path) -> None:
    write(tmp_path / "prices.csv", [25.0] * 60)

    async def scenario() -> None:
        async with world(tmp_path, battery=reserve(FROM_FILE), selling=False) as here:
            here.pricing_disk.full = True
            await asyncio.sleep(3)
            assert here.seller.offer.reason == "the reserve is being worked out"
            assert here.seller.desk.lots.open_lot() == (0, 0)
            here.pricing_disk.full = False
            await here.until_selling()
            assert price(here)["reserve_e4"] == 250_000

    run(scenario())


def test_a_half_hour_without_a_bid_counts_as_a_lot_that_nobody_wanted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery=reserve()) as here:
            buyer = await here.connect()
            buyer.register()
            await asyncio.sleep(2 * SLOT_MS / 1_000)
            seen = [record.body for record in here.records(Kind.LOT_SEEN)]
            assert len(seen) in {1, 2}
            assert {(body["reached"], body["best_e4"], body["second_e4"]) for body in seen} == {(1, None, None)}

    run(scenario())


def test_the_owners_own_price_is_not_below_the_floor(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery=reserve()) as here:
            owner = here.gateway.owner_desk()
            with pytest.raises(CommandRefusedError, match="below the site's minimum"):
                owner.set_reserve("battery-1", 0)
            with pytest.raises(CommandRefusedError, match="below the site's minimum"):
                owner.set_reserve("battery-1", 79_900)
            owner.set_reserve("battery-1", 80_000)
            await here.until(lambda: here.seller.terms().reserve_e4 == 80_000)
            owner.set_reserve("battery-1", None)
            await here.until(lambda: here.seller.terms().reserve_e4 == price(here)["reserve_e4"])

    run(scenario())


def test_the_owners_own_price_holds_and_teaches_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, battery=reserve()) as here:
            here.gateway.owner_desk().set_reserve("battery-1", 100_000)
            buyer = await here.connect()
            buyer.register()
            await here.until(lambda: here.seller.desk.lots.quote("", 0, 0) == 100_000)
            await buyer.trade(12.0, 2.0)
            shown = battery_snapshot(here.seller, "")
            assert shown["reserve_e4"] == 100_000
            assert price(here)["reserve_e4"] == 250_000
            await asyncio.sleep(SLOT_MS / 1_000)
            assert here.records(Kind.LOT_SEEN) == []

    run(scenario())
