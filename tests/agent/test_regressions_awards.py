"""Awards against slow and broken disks, lost links and falling energy: each ends once and frees what it held."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agent.records import Kind
from etp.messages import MessageType, ReasonCode
from tests.agent.market_lab import ANSWERS, Lab, c

if TYPE_CHECKING:
    from pathlib import Path


def test_an_award_that_is_not_on_disk_in_time_is_refused_then_and_not_when_the_disk_wakes(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        lab.host.disk.stall_ms = 3_000
        await asyncio.sleep(0.1)
        asked_ms = lab.now_ms
        buyer.bid(1, 12, 300)
        await asyncio.sleep(8)
        answers = buyer.of(*ANSWERS, about=1)
        assert [(each.kind, each.body.termination_code) for each in answers] == [
            (MessageType.BID_REJECT, ReasonCode.TOO_LATE)
        ]
        assert 480 <= answers[0].at_ms - asked_ms <= 500
        assert not lab.books().awards
        lab.host.disk.stall_ms = 0
        await buyer.wins(2, 12, 500)

    lab.run(story())


def test_a_bid_sent_again_while_its_award_goes_to_disk_gets_one_answer(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        lab.host.disk.stall_ms = 2_500
        await asyncio.sleep(0.1)
        buyer.bid(1, 12, 300)
        await asyncio.sleep(0.2)
        buyer.bid(1, 12, 300)
        await asyncio.sleep(0.2)
        assert buyer.of(*ANSWERS, about=1) == []
        await asyncio.sleep(1)
        buyer.bid(1, 12, 300)
        await asyncio.sleep(5)
        answers = {(each.kind, each.body.termination_code) for each in buyer.of(*ANSWERS, about=1)}
        assert answers == {(MessageType.BID_REJECT, ReasonCode.TOO_LATE)}
        assert [r.body["bid_id"] for r in lab.host.records() if r.kind == Kind.AWARD] == [1]

    lab.run(story())


def test_a_lapsed_award_gives_its_bid_id_back(tmp_path: Path) -> None:
    """Taken while the award is open, the id is remembered like any other once the award has lapsed."""
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        await buyer.wins(100, 12, 300)
        buyer.lose_link()
        await asyncio.sleep(120)
        again = await lab.buyer()
        accept = await again.buys(100, 15, 500)
        assert accept.energy_wh == 500

    lab.run(story())


@pytest.mark.parametrize("comes_back", [False, True], ids=["the buyer stays", "the buyer comes back"])
def test_a_confirm_whose_commit_failed_is_left_unanswered_until_a_restart_decides(
    tmp_path: Path, comes_back: bool
) -> None:
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        accept = await buyer.wins(1, 12, 300)
        lab.host.disk.fails_after_commit = True
        since_ms = lab.now_ms
        for pause_s in (0.25, 0.5, 1, 2):
            if comes_back and pause_s == 1:
                buyer.lose_link()
                await buyer.dial()
            buyer.confirm(accept)
            await asyncio.sleep(pause_s)
        said = buyer.of(MessageType.BID_REJECT, MessageType.TERMINATE, MessageType.BESS_STATUS, about=1)
        assert [each for each in said if each.at_ms > since_ms] == []
        lab.host.disk.fails_after_commit = False
        since_ms = lab.now_ms
        await lab.crash_and_boot()
        await buyer.dial()
        buyer.confirm(accept)
        ended = await buyer.until(MessageType.TERMINATE, about=1, within_s=60)
        assert (ended.termination_code, ended.energy_wh) == (ReasonCode.NONE, 300)
        assert buyer.of(MessageType.BESS_STATUS, about=1, since_ms=since_ms)
        assert not buyer.of(MessageType.BID_REJECT, about=1)

    lab.run(story())


def test_a_confirm_that_never_reached_the_disk_is_told_void_after_the_restart(tmp_path: Path) -> None:
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        accept = await buyer.wins(1, 12, 300)
        lab.host.disk.full = True
        since_ms = lab.now_ms
        for pause_s in (0.25, 0.5, 1, 2):
            buyer.confirm(accept)
            await asyncio.sleep(pause_s)
        said = buyer.of(MessageType.BID_REJECT, MessageType.TERMINATE, MessageType.BESS_STATUS, about=1)
        assert [each for each in said if each.at_ms > since_ms] == []
        lab.host.disk.full = False
        await lab.crash_and_boot()
        await buyer.dial()
        buyer.register()
        assert (await buyer.until(MessageType.TERMINATE, about=1)).termination_code == ReasonCode.NOT_CONFIRMED

    lab.run(story())


@pytest.mark.parametrize("commit_ms", [100, 1_000], ids=["soon on disk", "late on disk"])
def test_a_link_that_dies_before_the_accept_leaves_blocks_nothing(tmp_path: Path, commit_ms: float) -> None:
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        gone, here = await lab.buyer("gone"), await lab.buyer("here")
        lab.host.disk.stall_ms = commit_ms
        gone.bid(1, 12, 500)
        await asyncio.sleep(0.08)
        gone.lose_link()
        await asyncio.sleep(0.5)
        lab.host.disk.stall_ms = 0
        await asyncio.sleep(3)
        await here.buys(1, 20, 500)
        await asyncio.sleep(60)
        assert not lab.books().awards
        assert lab.front().seller.promises().energy_wh == 0

    lab.run(story())


def test_the_refusal_of_a_lapsed_award_quotes_the_price_to_beat(tmp_path: Path) -> None:
    """The shield stands at what the other buyer was refused with, and both hear of it."""
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        alice, bob = await lab.buyer("alice"), await lab.buyer("bob")
        alice.bid(1, 30, 500)
        await asyncio.sleep(0.01)
        bob.bid(1, 20, 500)
        refused = await alice.until(MessageType.BID_REJECT, about=1, within_s=2)
        assert refused.termination_code == ReasonCode.NOT_CONFIRMED
        assert refused.sale_price_e4 == c(20)
        assert (await bob.asks(2)).sale_price_e4 == c(20)

    lab.run(story())


def test_the_refusal_of_an_award_that_came_too_late_quotes_the_price_to_beat(tmp_path: Path) -> None:
    lab = Lab(tmp_path, standing_ms=400)

    async def story() -> None:
        await lab.up()
        alice, bob, carol = [await lab.buyer(name) for name in ("alice", "bob", "carol")]
        alice.bid(1, 12, 300)
        await asyncio.sleep(0.2)
        lab.host.disk.stall_ms = 1_000
        bob.bid(1, 30, 200)
        refused = await alice.until(MessageType.BID_REJECT, about=1)
        assert refused.termination_code == ReasonCode.TOO_LATE
        assert refused.sale_price_e4 == (await carol.asks(1, 300)).sale_price_e4

    lab.run(story())


def test_falling_energy_voids_no_more_awards_than_it_must(tmp_path: Path) -> None:
    """400 Wh are missing for three awards of 300 Wh: the two newest go, the oldest becomes a trade."""
    lab = Lab(tmp_path, lot_kwh=0.9)

    async def story() -> None:
        await lab.up()
        buyers = [await lab.buyer(f"buyer-{number}") for number in range(3)]
        readings: list[int] = []
        lab.front().battery.on_change(lambda _state: readings.append(lab.now_ms))
        await asyncio.sleep(1.2)
        await asyncio.sleep((readings[-1] + 1_200 - lab.now_ms) / 1_000)
        accepts = []
        for buyer in buyers:
            accepts.append(await buyer.wins(1, 12, 300))
            await asyncio.sleep(0.05)
        model = lab.device().model
        model.stored_wh = model.config.capacity_wh * 0.2 + 500 / 0.95 + 15
        await asyncio.sleep(0.7)
        voided = [buyer.of(MessageType.TERMINATE, about=1) for buyer in buyers]
        assert [[each.body.termination_code for each in ends] for ends in voided] == [[], [2], [2]]
        buyers[0].confirm(accepts[0])
        ended = await buyers[0].until(MessageType.TERMINATE, about=1, within_s=120)
        assert (ended.termination_code, ended.energy_wh) == (ReasonCode.NONE, 300)

    lab.run(story())
