"""What owner and buyer are told of the money: which cheques are open, and why a bid is refused without a ledger."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cli.status_settlement import settlement_lines
from etp.messages import MessageType, ReasonCode
from settlement.settler_types import Stage
from tests.agent import gateway_world as gw
from tests.agent.settling_world import buyer_in, settled_world

if TYPE_CHECKING:
    from pathlib import Path


def shown_cheques(world: gw.World) -> tuple[int, int]:
    [battery] = world.gateway.owner_desk().snapshot()["batteries"]
    return battery["settlement"]["open_cheques"], battery["settlement"]["open_units"]


def test_after_a_start_without_a_ledger_bids_are_refused_for_that_and_the_owner_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            buyer = await buyer_in(world)
            await buyer.trade(kwh=0.5)
            await world.restart()
            await world.until_selling()
            ledger.settler.has_read, ledger.settler.state = False, "offline"
            buyer = await buyer_in(world)
            answer = await buyer.bid(await buyer.terms(), kwh=0.5)
            code, reason = answer.body.termination_code, answer.extensions.reason
            assert (code, "has not read your line yet" in reason) == (ReasonCode.COVER_TOO_SMALL, True)
            assert len(reason.encode()) <= 120
            [battery] = world.gateway.owner_desk().snapshot()["batteries"]
            assert "its line was not read yet: its bids are refused until then" in settlement_lines(battery)[-1]
            await asyncio.sleep(11)
            [alarm] = [each for each in world.seller.watch.alarms() if each["name"] == "ledger"]
            assert alarm["reason"] == (
                "offline: no route; no line was read since the start: until then signed bids get 8"
            )
            ledger.settler.has_read, ledger.settler.state = True, "connected"
            assert (await buyer.bid(await buyer.terms(), kwh=0.5)).body.message_type == MessageType.BID_ACCEPT

    gw.run(scenario())


def test_open_cheques_come_to_what_their_final_receipts_say_and_count_until_they_are_over(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path, lines="unsigned_limit_wh = 300") as (world, ledger):
            buyer = await buyer_in(world)
            contract = await buyer.trade(kwh=2.0)
            end = await buyer.receipt(contract, kind=MessageType.TERMINATE)
            split = contract.split(end.body.energy_wh)
            assert (shown_cheques(world), split.payout < contract.reserve // 2) == ((1, split.payout + split.fee), True)
            ledger.settler.settled(contract.trade_id, Stage.EXPIRED)
            assert shown_cheques(world) == (0, 0)
            assert len(world.seller.settling.clerk) == 1  # type: ignore[union-attr]

    gw.run(scenario())
