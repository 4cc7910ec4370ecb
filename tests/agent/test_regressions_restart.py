"""What a new process of the agent knows of the last one: bid ids, shields, ends, what flowed, whose battery it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agent import records
from agent.errors import AgentError
from agent.journal import Journal
from agent.records import Kind
from etp.messages import Body, MessageType, ReasonCode
from simulation.disk import VirtualExecutor
from tests.agent.market_lab import ANSWERS, Lab, c

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.market_lab import Buyer

TRADE_S = 120


def ends(lab: Lab) -> list[tuple[int, int, int]]:
    """Return bid id, code and delivered Wh of every delivery that ended."""
    return [(each["bid_id"], each["end_code"], each["delivered_wh"]) for each in lab.told("delivery_ended")]


async def told_the_end(buyer: Buyer, lab: Lab, *, since_ms: int) -> tuple[int, int]:
    body = await buyer.until(MessageType.TERMINATE, about=1, since_ms=since_ms, within_s=2)
    return body.termination_code, body.energy_wh


def test_a_new_unsigned_buyer_is_not_taken_for_one_from_before_the_restart(tmp_path: Path) -> None:
    """Both are the first connection of their process of the agent, and both number their bids from 1."""
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        await (await lab.buyer("alice")).buys(1, 12, 300)
        await asyncio.sleep(5)
        await lab.crash_and_boot()
        bob = await lab.buyer("bob")
        await bob.buys(1, 15, 400)
        ended = await bob.until(MessageType.TERMINATE, about=1, within_s=TRADE_S)
        assert (ended.termination_code, ended.energy_wh) == (ReasonCode.NONE, 400)
        await asyncio.sleep(TRADE_S)
        assert len(ends(lab)) == 2
        assert (1, 0, 400) in ends(lab)
        await lab.crash_and_boot()
        assert lab.books().contradictions == ()
        await (await lab.buyer("carol")).buys(1, 15, 100)

    lab.run(story())


def test_the_bid_id_of_a_running_trade_stays_taken_over_a_restart(tmp_path: Path) -> None:
    lab = Lab(tmp_path, signed=True, time_lapse=5)

    async def story() -> None:
        await lab.up()
        await (await lab.buyer()).buys(1, 12, 300)
        await asyncio.sleep(5)
        await lab.crash_and_boot()
        again = await lab.buyer()
        again.bid(1, 15, 400)
        refused = await again.until(*ANSWERS, about=1)
        assert refused.message_type == MessageType.BID_REJECT
        assert refused.termination_code == ReasonCode.DUPLICATE_ID
        await again.buys(2, 15, 200)
        await asyncio.sleep(TRADE_S + 90)
        assert sorted(ends(lab)) == [(1, 0, 300), (2, 0, 200)]
        await again.buys(1, 15, 100)  # the trade has ended, and its id is no longer remembered

    lab.run(story())


@pytest.mark.parametrize("away_s", [0.0, 0.5])
def test_a_shield_survives_a_crash(tmp_path: Path, away_s: float) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        alice, bob = await lab.buyer("alice"), await lab.buyer("bob")
        alice.bid(1, 30, 500)
        await asyncio.sleep(0.01)
        bob.bid(1, 20, 500)
        await alice.until(MessageType.BID_REJECT, about=1, within_s=2)
        await asyncio.sleep(0.001)  # the record of a lapse follows its answer to the disk
        lapsed_ms = lab.now_ms
        lab.host.crash()
        await asyncio.sleep(away_s)
        lab.host.boot()
        await asyncio.sleep(0.2)
        bob = await lab.buyer("bob")
        bob.bid(2, 15, 500)
        refused = await bob.until(*ANSWERS, about=2)
        assert refused.message_type == MessageType.BID_REJECT
        assert (await bob.asks(3)).sale_price_e4 == c(20)
        await asyncio.sleep((lapsed_ms + 2_100 - lab.now_ms) / 1_000)
        assert (await bob.asks(4)).sale_price_e4 == c(10)

    lab.run(story())


@pytest.mark.parametrize("how", ["restart", "dead link", "dead link unnoticed"])
def test_the_end_of_a_trade_is_told_to_a_signed_buyer_that_was_away(tmp_path: Path, how: str) -> None:
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        accept = await buyer.buys(1, 12, 100)
        await asyncio.sleep(1)
        links = lab.network.open_ends()
        if how == "restart":
            buyer.lose_link()
        else:
            links[0].cut()
        await asyncio.sleep(60)
        assert ends(lab) == [(1, 0, 100)]
        if how == "restart":
            await lab.crash_and_boot()
        elif how == "dead link":
            for end in links:
                end.abort()
            await asyncio.sleep(1)
        again, since_ms = await lab.buyer(), lab.now_ms
        again.register()
        assert await told_the_end(again, lab, since_ms=since_ms) == (ReasonCode.NONE, 100)
        await asyncio.sleep(5)
        since_ms = lab.now_ms
        again.confirm(accept)
        assert await told_the_end(again, lab, since_ms=since_ms) == (ReasonCode.NONE, 100)
        assert not again.of(MessageType.BID_REJECT)

    lab.run(story())


def test_a_confirm_that_comes_again_after_two_restarts_gets_the_end(tmp_path: Path) -> None:
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        accept = await buyer.buys(1, 12, 100)
        await asyncio.sleep(60)
        for _ in range(2):
            await lab.crash_and_boot()
        again, since_ms = await lab.buyer(), lab.now_ms
        again.confirm(accept)
        assert await told_the_end(again, lab, since_ms=since_ms) == (ReasonCode.NONE, 100)
        assert not again.of(MessageType.BID_REJECT)

    lab.run(story())


@pytest.mark.parametrize("with_trade", [True, False], ids=["a trade runs", "the battery is held"])
def test_a_battery_that_was_renamed_with_business_open_is_not_sold_from(tmp_path: Path, with_trade: bool) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        await buyer.buys(1, 12, 300)
        await asyncio.sleep(3)
        if not with_trade:
            lab.device().troubles.silent = True
            buyer.link.send(Body.terminate(1, buyer.device, code=0, delivered_wh=0))
            await asyncio.sleep(1)
        lab.host.crash()
        lab.device().troubles.silent = False
        lab.rename("battery-1", "garage")
        since_ms = lab.now_ms
        try:
            await lab.up()
        except AgentError:
            return
        assert lab.told("alarm", since_ms=since_ms)
        assert lab.told("lot_opened", since_ms=since_ms) == []
        assert (await (await lab.buyer("bob")).asks(1)).energy_wh == 0

    lab.run(story())


def test_a_battery_that_was_renamed_with_nothing_open_sells_on(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        await (await lab.buyer()).buys(1, 12, 300)
        await asyncio.sleep(TRADE_S)
        lab.host.crash()
        lab.rename("battery-1", "garage")
        await lab.up()
        await (await lab.buyer("bob")).buys(1, 12, 300)

    lab.run(story())


def test_a_contradiction_that_the_owner_has_acknowledged_stays_acknowledged(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        lab.host.crash()
        await contradict(lab)
        await lab.up()
        buyer = await lab.buyer()
        assert (await buyer.asks(1)).termination_code == ReasonCode.WITHDRAWN
        gateway = lab.host.gateway
        assert gateway is not None
        gateway.owner_desk().resume(None)
        await asyncio.sleep(1)
        await lab.crash_and_boot()
        await (await lab.buyer()).buys(1, 12, 300)

    lab.run(story())


async def contradict(lab: Lab) -> None:
    """Write progress of a trade that nobody made, as a journal from another site would hold."""
    executor = VirtualExecutor(lab.host.disk, lab.rng)
    journal = Journal.open(lab.host.site.storage.journal, executor=executor, wall_ms=lab.host.wall_ms)
    progress = records.delivery_progress(peer="conn:0", bid_id=77, delivered_wh=5, counter_wh=None)
    await journal.append("battery-1", Kind.DELIVERY_PROGRESS, progress)[1]
    await journal.close()


@pytest.mark.parametrize(
    ("time_lapse", "full_after_s", "back_after_s"),
    [(1, 60, 900), (1, 60, 400), (20, 3, 60), (20, 3, 21)],
    ids=["window over", "within the window", "window over, fast", "within the window, fast"],
)
def test_what_a_buyer_was_told_on_a_full_disk_is_what_the_books_say_afterwards(
    tmp_path: Path, time_lapse: int, full_after_s: int, back_after_s: int
) -> None:
    """The delivery went on without records and ended well; the operator makes room and restarts."""
    lab = Lab(tmp_path, time_lapse=time_lapse)

    async def story() -> None:
        await lab.up()
        began_ms = lab.now_ms
        buyer = await lab.buyer()
        await buyer.buys(1, 12, 500)
        await asyncio.sleep(full_after_s)
        lab.host.disk.full = True
        ended = await buyer.until(MessageType.TERMINATE, about=1, within_s=500)
        assert (ended.termination_code, ended.energy_wh) == (ReasonCode.NONE, 500)
        (on_disk,) = lab.books().trades.values()
        assert on_disk.delivered_wh < 200
        lab.host.disk.full = False
        lab.host.crash()
        await asyncio.sleep(1)  # the battery ramps down
        flowed_wh = lab.device().model.counters.ac_discharged_wh
        await asyncio.sleep((began_ms - lab.now_ms) / 1_000 + back_after_s)
        await lab.up()
        await asyncio.sleep(5)
        assert ends(lab) == [(1, ReasonCode.NONE, 500)] * 2
        assert lab.books().trades == {}
        assert lab.device().model.counters.ac_discharged_wh == pytest.approx(flowed_wh, abs=0.1)
        await (await lab.buyer("bob")).buys(1, 12, 100)

    lab.run(story())


def test_after_a_full_disk_a_crash_is_a_crash_again(tmp_path: Path) -> None:
    """What the house takes after the dead-man of a later crash is not billed on account of an earlier full disk."""
    lab = Lab(tmp_path, time_lapse=1)

    async def story() -> None:
        await lab.up()
        lab.host.disk.full = True
        (await lab.buyer()).bid(1, 12, 500)
        await asyncio.sleep(2)
        lab.host.disk.full = False
        await lab.crash_and_boot()
        await asyncio.sleep(10)
        await (await lab.buyer()).buys(1, 12, 500)
        await asyncio.sleep(60)
        (running,) = lab.front().delivery.active
        lab.host.crash()
        await asyncio.sleep(20)
        lab.device().live(-3_000, lab.now_ms)
        await asyncio.sleep(600)
        await lab.up()
        ((_, code, delivered_wh),) = ends(lab)
        assert code == ReasonCode.NOT_ENOUGH_ENERGY
        assert running.delivered_wh + 5_000 * 9 / 3_600 <= delivered_wh
        assert delivered_wh <= running.delivered_wh + 5_000 * (10 + 5 + 1) / 3_600

    lab.run(story())


def test_what_flowed_until_the_dead_man_is_billed_though_the_window_is_over(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        began_wh = lab.device().model.counters.ac_discharged_wh
        await (await lab.buyer()).buys(1, 12, 500)
        await asyncio.sleep(4)
        lab.host.crash()
        (on_disk,) = lab.books().trades.values()
        await asyncio.sleep(40)
        flowed_wh = lab.device().model.counters.ac_discharged_wh - began_wh
        assert on_disk.delivered_wh + 200 < flowed_wh < 490
        await lab.up()
        ((_, code, delivered_wh),) = ends(lab)
        assert code == ReasonCode.NOT_ENOUGH_ENERGY
        assert delivered_wh == pytest.approx(flowed_wh, abs=2)
        (told,) = lab.told("delivery_ended")
        assert f"window over after {delivered_wh} of 500 Wh" in told["reason"]
        assert not told["derived"]
        assert lab.device().model.counters.ac_discharged_wh - began_wh == pytest.approx(flowed_wh, abs=0.1)

    lab.run(story())


def test_the_times_of_a_trade_survive_a_restart(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        await (await lab.buyer()).buys(1, 12, 500)
        await asyncio.sleep(4)
        await lab.crash_and_boot()
        await asyncio.sleep(60)
        (agreed,), (began, _again), (over,) = map(lab.told, ("trade_confirmed", "delivery_started", "delivery_ended"))
        for name in ("asked_at_ms", "awarded_at_ms", "confirmed_at_ms"):
            assert over[name] == agreed[name] > 0
        assert over["first_setpoint_at_ms"] == began["first_setpoint_at_ms"] >= agreed["confirmed_at_ms"]

    lab.run(story())
