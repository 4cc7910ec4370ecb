"""A whole agent over a journal that keeps itself short, contradicts itself, or runs out of room."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from agent import records
from agent.gateway import Gateway
from agent.journal import UpkeepRules
from agent.records import Kind
from agent.site_control import CONTRADICTION
from etp.messages import MessageType
from tests.agent.gateway_world import World, key, run, world

if TYPE_CHECKING:
    from pathlib import Path

ENDED = records.delivery_ended(peer="key:aa", bid_id=1, code=0, delivered_wh=1)


async def restart_with(here: World, rules: UpkeepRules) -> None:
    await here.gateway.stop()
    here.boot()
    here.gateway = Gateway(here.site, replace(here.gateway._around, journal_rules=rules), hub=here.hub)
    await here.start()
    await here.until_selling()


def test_a_trade_goes_on_from_a_checkpoint_that_was_written_while_it_ran(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            await restart_with(here, UpkeepRules(checkpoint_every=2, whole_rows=0))
            buyer = await here.connect(key(1))
            accept = await buyer.trade(45.0, 1.0)
            await here.until(lambda: here.seller.delivery.active[0].delivered_wh > 300)
            assert here.gateway.journal.stats.last_seq > 10
            assert len(here.records(Kind.CHECKPOINT)) == len(here.records(Kind.TAKE_OVER)) == 1
            assert not here.records(Kind.LOT_OPENED)
            assert len(here.records(Kind.CONFIRMED)) == 1
            await here.crash()
            buyer = await here.connect(key(1))
            buyer.register()
            ended = await buyer.until(MessageType.TERMINATE, message_id=accept.message_id, timeout_s=600)
            assert ended.body.energy_wh == accept.energy_wh
            assert not here.seller.stopped

    run(scenario())


def test_the_owners_resume_acknowledges_a_contradiction_for_good(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            here.gateway.journal.append("battery-1", Kind.DELIVERY_ENDED, ENDED)
            await here.restart()
            assert CONTRADICTION in here.seller.stopped
            here.gateway.owner_desk().resume(None)
            await here.until_selling()
            await here.restart()
            assert CONTRADICTION not in here.seller.stopped
            await here.until_selling()

    run(scenario())


def test_the_owner_hears_that_the_journal_is_nearly_full_while_it_still_sells(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path, network='peers = "open"\n[storage]\njournal_max_mb = 1') as here:
            for _ in range(85):
                await here.gateway.journal.append("other", Kind.OWNER, {"text": "x" * 9_900})[1]
            await asyncio.sleep(1)
            (alarm,) = [each for each in here.seller.watch.alarms() if each["name"] == "journal nearly full"]
            assert not alarm["blocks_selling"]
            assert "raise journal_max_mb" in alarm["reason"]
            await here.until_selling()

    run(scenario())
