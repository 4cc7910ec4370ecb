"""A gateway that dies at any record of a trade's papers: one contract a number, one final receipt, no cheque lost."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import b64decode
from typing import TYPE_CHECKING, Final

import pytest

from etp.messages import MessageType
from settlement import Receipt, check_receipt
from settlement.evidence import evidence_of
from tests.agent import gateway_world as gw
from tests.agent.settling_world import BATTERY, BUYER_WALLET, buyer_in, settled_world

if TYPE_CHECKING:
    from pathlib import Path

    from settlement import Contract
    from tests.agent.settling_world import Ledger, SettledBuyer

TERMS: Final = "unsigned_limit_wh = 400"
DEATHS: Final = [*range(2, 16), *(pytest.param(seq, marks=pytest.mark.slow) for seq in range(16, 40))]
"""Record numbers at which the process dies: from before the award to after the co-signature; later ones never come."""


async def signs_everything(buyer: SettledBuyer, contract: Contract) -> None:
    """Answer whatever receipt comes, at once."""
    answered = 0
    while True:
        frames = [f for f in buyer.buyer.said(message_id=contract.message_id) if f.extensions.receipt is not None]
        for frame in frames[answered:]:
            buyer.answer(contract, frame)
        answered = len(frames)
        await asyncio.sleep(0.05)


async def lives_until(world: gw.World, seq: int, trading: asyncio.Task[Contract]) -> None:
    """Let the gateway work until its journal has taken a record, or nothing is left to do."""
    with contextlib.suppress(TimeoutError):
        await world.until(lambda: world.gateway.journal.stats.last_seq >= seq, 200)
    trading.cancel()


def confirmed_in(world: gw.World) -> set[str]:
    return {record.body["contract"] for record in world.records("confirmed")}


@pytest.mark.parametrize("seq", DEATHS)
def test_a_crash_at_any_record_loses_no_cheque_and_signs_no_second_end(tmp_path: Path, seq: int) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path, lines=TERMS) as (world, ledger):
            first = await buyer_in(world)
            trading = asyncio.create_task(whole_trade(first))
            await lives_until(world, seq, trading)
            await world.crash()
            await world.until_selling()
            owed = confirmed_in(world)
            assert {c.contract.encoded.hex() for c in ledger.settler.cheques.values()} == owed
            second = await buyer_in(world)
            signing = [asyncio.create_task(signs_everything(second, each)) for each in contracts_in(ledger)]
            await world.until(lambda: all(is_over(ledger, each) for each in contracts_in(ledger)), 900)
            fresh = await second.trade(kwh=0.2)
            assert fresh.contract_no == len(owed)
            for task in signing:
                task.cancel()
            one_end_each(world, ledger, [first, second])

    gw.run(scenario())


async def whole_trade(buyer: SettledBuyer) -> Contract:
    contract = await buyer.trade(kwh=0.5)
    await signs_everything(buyer, contract)
    return contract


def contracts_in(ledger: Ledger) -> list[Contract]:
    return [cheque.contract for cheque in ledger.settler.cheques.values()]


def is_over(ledger: Ledger, contract: Contract) -> bool:
    final = ledger.settler.cheques[contract.trade_id].final
    return final is not None and final.is_cosigned


def one_end_each(world: gw.World, ledger: Ledger, buyers: list[SettledBuyer]) -> None:
    """Of each trade all final receipts that ever left, or are on disk, are one; and it says what was metered."""
    assert world.seller.cashier is not None
    line = ledger.lines[BUYER_WALLET]
    held = [promise.contract_no for promise in world.seller.cashier.promises.on(BUYER_WALLET, line)]
    assert len(held) == len(set(held))
    for contract in contracts_in(ledger):
        wires = {
            frame.extensions.receipt
            for buyer in buyers
            for frame in buyer.buyer.said(MessageType.TERMINATE, message_id=contract.message_id)
            if frame.extensions.receipt is not None
        }
        written = {
            record.body["receipt"]
            for record in world.records("delivery_ended")
            if record.body.get("trade_id") == contract.trade_id.hex()
        }
        if not wires:
            assert not written
            continue
        [wire] = wires
        final = Receipt.from_wire(wire, contract.trade_id)
        check_receipt(final, contract, "battery", BATTERY.public_key, wire.signature)
        assert written == {final.encoded.hex()}
        assert final.delivered_wh <= contract.energy_wh
        name = contract.trade_id.hex()
        portions = [record.body for record in world.records("evidence") if record.body["trade_id"] == name]
        samples = [b64decode(portion["samples"]) for portion in portions]
        assert evidence_of(name, samples, portions[-1]["shared"]) == final.evidence


def test_a_journal_that_fails_signs_nothing_that_a_next_start_might_say_otherwise(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path, lines=TERMS) as (world, ledger):
            buyer = await buyer_in(world)
            contract = await buyer.trade(kwh=0.2)
            world.disk.full = True
            end = await buyer.buyer.until(MessageType.TERMINATE, message_id=contract.message_id, timeout_s=900)
            assert end.extensions.receipt is None
            assert ledger.settler.cheques[contract.trade_id].final is None
            world.disk.full = False
            await world.crash()
            back = await buyer_in(world)
            end = await back.receipt(contract, kind=MessageType.TERMINATE)
            back.answer(contract, end)
            await world.until(lambda: is_over(ledger, contract))
            one_end_each(world, ledger, [buyer, back])

    gw.run(scenario())
