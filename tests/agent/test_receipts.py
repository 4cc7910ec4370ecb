"""Receipts: asked for while energy flows, one final one in the journal before its signature, answered or not."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64decode
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from agent.books_cheques import KEPT_AFTER_S
from agent.clerk import LOST_KEPT_S
from etp.messages import Body, MessageType, ReasonCode
from settlement import Contract, Receipt, SignatureKind, check_receipt, derive, sign_receipt, signed_bytes
from settlement.evidence import evidence_of
from settlement.settler_types import Stage
from settlement.strict import GROUP_ORDER
from tests.agent import gateway_world as gw
from tests.agent.settling_world import BATTERY, BUYER, STRANGER, buyer_in, settled_world
from tests.settlement.curve import challenge, encoded, scalar_of, signature

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.statement import Statement
    from etp.connection import Received
    from settlement import SignedReceipt
    from tests.agent.settling_world import Ledger, SettledBuyer

BUYER_SEED: Final = derive(bytes([50]) * 32, "identity")


def statement_of(world: gw.World, contract: Contract) -> Statement:
    assert world.seller.settling is not None
    [found] = [each for each in world.seller.settling.clerk.statements if each.contract == contract]
    return found


async def cosign_all(buyer: SettledBuyer, contract: Contract) -> None:
    """Sign every receipt of a trade that comes, until the final one."""
    count = 0
    while True:
        count += 1
        frame = await buyer.receipt(contract, count=count)
        buyer.answer(contract, frame)


def test_a_delivery_that_is_signed_for_all_along_ends_with_one_receipt_of_both(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            buyer = await buyer_in(world)
            contract = await buyer.trade()
            signing = asyncio.create_task(cosign_all(buyer, contract))
            end = await buyer.receipt(contract, kind=MessageType.TERMINATE)
            signing.cancel()
            assert end.body.termination_code == 0
            assert end.body.energy_wh == contract.energy_wh
            wire = end.extensions.receipt
            assert wire is not None
            final = Receipt.from_wire(wire, contract.trade_id)
            assert final.final
            assert final.delivered_wh == contract.energy_wh
            assert contract.starts_at_s <= final.started_at_s < final.ended_at_s <= contract.ends_at_s
            check_receipt(final, contract, "battery", BATTERY.public_key, wire.signature)
            cheque = ledger.settler.cheques[contract.trade_id]
            assert cheque.interim is not None
            assert 0 < cheque.interim.receipt.delivered_wh < final.delivered_wh
            assert cheque.final is not None
            assert not cheque.final.is_cosigned
            buyer.answer(contract, end)
            await world.until(lambda: final_in(ledger, contract).is_cosigned)
            assert final_in(ledger, contract).receipt == final
            assert statement_of(world, contract).is_answered

    gw.run(scenario())


def test_the_samples_on_record_give_the_evidence_in_the_receipt(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, _):
            buyer = await buyer_in(world)
            contract = await buyer.trade()
            signing = asyncio.create_task(cosign_all(buyer, contract))
            end = await buyer.receipt(contract, kind=MessageType.TERMINATE)
            signing.cancel()
            portions = world.records("evidence")
            assert portions
            assert end.extensions.receipt is not None
            name = contract.trade_id.hex()
            samples = [b64decode(record.body["samples"]) for record in portions]
            assert sum(map(len, samples)) > 40 * 10
            assert evidence_of(name, samples, portions[-1].body["shared"]) == end.extensions.receipt.evidence

    gw.run(scenario())


def test_what_nobody_signs_for_ends_the_delivery_at_the_limit(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path, lines="unsigned_limit_wh = 300") as (world, ledger):
            buyer = await buyer_in(world)
            contract = await buyer.trade(kwh=2.0)
            end = await buyer.receipt(contract, kind=MessageType.TERMINATE)
            assert end.body.termination_code == ReasonCode.DISPUTED
            assert 300 < end.body.energy_wh < 500
            [ended] = world.records("delivery_ended")
            assert "without the buyer's signature, at most 300" in ended.body["reason"]
            assert ledger.settler.cheques[contract.trade_id].final is not None

    gw.run(scenario())


def test_the_final_receipt_is_on_disk_before_it_is_signed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, _ledger):
            buyer = await buyer_in(world)
            contract = await buyer.trade()
            signing = asyncio.create_task(cosign_all(buyer, contract))
            end = await buyer.receipt(contract, kind=MessageType.TERMINATE)
            signing.cancel()
            [ended] = world.records("delivery_ended")
            assert end.extensions.receipt is not None
            assert ended.body["trade_id"] == contract.trade_id.hex()
            on_disk = Receipt.decode(bytes.fromhex(ended.body["receipt"]))
            assert on_disk == Receipt.from_wire(end.extensions.receipt, contract.trade_id)

    gw.run(scenario())


def test_a_buyer_that_was_away_gets_the_final_receipt_when_it_registers_until_it_answers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path, lines="unsigned_limit_wh = 100000") as (world, ledger):
            buyer = await buyer_in(world)
            contract = await buyer.trade()
            buyer.buyer.link.close("a tunnel")
            await world.until(lambda: statement_of(world, contract).final is not None, 600)
            for _ in range(2):
                back = await buyer_in(world)
                back.bids.update(buyer.bids)
                end = await back.receipt(contract, kind=MessageType.TERMINATE)
                await asyncio.sleep(1)
                back.buyer.link.close("again")
                await asyncio.sleep(1)
            back = await buyer_in(world)
            back.answer(contract, await back.receipt(contract, kind=MessageType.TERMINATE))
            await world.until(lambda: statement_of(world, contract).is_answered)
            last = await buyer_in(world)
            await asyncio.sleep(2)
            assert not last.buyer.said(MessageType.TERMINATE)
            assert end.extensions.receipt is not None
            cheque = ledger.settler.cheques[contract.trade_id]
            assert cheque.final is not None
            assert cheque.final.is_cosigned

    gw.run(scenario())


async def delivered(world: gw.World, buyer: SettledBuyer) -> tuple[Contract, Received]:
    """Return a trade that was signed for all along, and its Terminate, which nobody has answered."""
    contract = await buyer.trade()
    signing = asyncio.create_task(cosign_all(buyer, contract))
    end = await buyer.receipt(contract, kind=MessageType.TERMINATE)
    signing.cancel()
    return contract, end


def final_of(end: Received, contract: Contract, **changes: Any) -> Receipt:
    assert end.extensions.receipt is not None
    return replace(Receipt.from_wire(end.extensions.receipt, contract.trade_id), **changes)


@pytest.mark.parametrize("signed", [True, False])
def test_a_buyer_that_does_not_agree_says_its_own_figure_and_the_owner_sees_it(tmp_path: Path, signed: bool) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            buyer = await buyer_in(world)
            contract, end = await delivered(world, buyer)
            own = Body.terminate(end.body.message_id, gw.BUYER_ID, code=ReasonCode.DISPUTED, delivered_wh=700)
            theirs = final_of(end, contract, delivered_wh=700)
            wire = theirs.to_wire(sign_receipt(theirs, contract, buyer.key)) if signed else None
            buyer.buyer.link.send(own, receipt=wire)
            await world.until(lambda: statement_of(world, contract).disputed_wh == 700)
            assert [r.body["disputed_wh"] for r in world.records("receipt") if "disputed_wh" in r.body] == [700]
            alarms = {alarm["name"]: alarm["reason"] for alarm in world.seller.watch.alarms()}
            assert "we say 1000 Wh, the buyer 700 Wh" in alarms["receipt disputed"]
            await asyncio.sleep(1)
            assert final_in(ledger, contract).buyer_signature is None
            assert world.seller.settling is not None
            assert world.seller.settling.snapshot()["disputed_by_buyer"] == 1
            buyer.answer(contract, end)  # it thinks again: a signature is worth more than a figure
            await world.until(lambda: final_in(ledger, contract).is_cosigned)
            assert statement_of(world, contract).disputed_wh is None
            assert "receipt disputed" not in {alarm["name"] for alarm in world.seller.watch.alarms()}

    gw.run(scenario())


def final_in(ledger: Ledger, contract: Contract) -> SignedReceipt:
    final = ledger.settler.cheques[contract.trade_id].final
    assert final is not None
    return final


def identity_r(receipt: Receipt) -> bytes:
    """A signature whose R is the identity, by the buyer's own secret: OpenSSL takes it, the ledger does not."""
    signed = signed_bytes(SignatureKind.RECEIPT, receipt.digest)
    r = encoded((0, 1))
    return signature(r, challenge(r, BUYER.public_key, signed) * scalar_of(BUYER_SEED) % GROUP_ORDER)


FORGERIES: Final[dict[str, Callable[[Receipt, Contract], bytes]]] = {
    "none": lambda _receipt, _contract: bytes(64),
    "small R": lambda _receipt, _contract: b"\1" + bytes(63),
    "R = identity": lambda receipt, _contract: identity_r(receipt),
    "a stranger's": lambda receipt, _contract: STRANGER.sign(signed_bytes(SignatureKind.RECEIPT, receipt.digest)),
    "of the bare digest": lambda receipt, _contract: BUYER.sign(receipt.digest),
    "as of a contract": lambda receipt, _contract: BUYER.sign(signed_bytes(SignatureKind.CONTRACT, receipt.digest)),
    "of another receipt": lambda receipt, contract: sign_receipt(replace(receipt, evidence=bytes(32)), contract, BUYER),
}


@pytest.mark.parametrize("kind", [MessageType.BESS_STATUS, MessageType.TERMINATE])
@pytest.mark.parametrize("forgery", FORGERIES, ids=[*FORGERIES])
def test_no_other_signature_counts_under_a_receipt(tmp_path: Path, kind: int, forgery: str) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path, lines="unsigned_limit_wh = 100000") as (world, ledger):
            buyer = await buyer_in(world)
            contract = await buyer.trade()
            frame = await buyer.receipt(contract, kind=kind)
            receipt = final_of(frame, contract)
            buyer.reply(frame, receipt.to_wire(FORGERIES[forgery](receipt, contract)))
            await asyncio.sleep(1)
            assert world.records("receipt") == []
            cheque = ledger.settler.cheques[contract.trade_id]
            assert cheque.interim is None
            assert cheque.final is None or not cheque.final.is_cosigned
            assert not statement_of(world, contract).is_answered
            buyer.answer(contract, frame)  # the door is still open for the right one
            await world.until(lambda: len(world.records("receipt")) == 1)

    gw.run(scenario())


@pytest.mark.parametrize("field", ["delivered_wh", "started_at_s", "ended_at_s", "evidence", "final"])
@pytest.mark.parametrize("kind", [MessageType.BESS_STATUS, MessageType.TERMINATE])
def test_a_receipt_that_is_not_ours_is_no_answer(tmp_path: Path, field: str, kind: int) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path, lines="unsigned_limit_wh = 100000") as (world, _):
            buyer = await buyer_in(world)
            contract = await buyer.trade()
            frame = await buyer.receipt(contract, kind=kind)
            ours = final_of(frame, contract)
            buyer.answer(contract, frame, **{field: changed(getattr(ours, field))})
            await asyncio.sleep(1)
            assert world.records("receipt") == []
            assert not statement_of(world, contract).is_answered

    gw.run(scenario())


def changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else bytes(32)


def test_another_buyer_cannot_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, _):
            buyer, stranger = await buyer_in(world), await buyer_in(world, STRANGER)
            contract, end = await delivered(world, buyer)
            signed = sum("buyer_signature" in record.body for record in world.records("receipt"))
            receipt = final_of(end, contract)
            stranger.reply(end, receipt.to_wire(sign_receipt(receipt, contract, BUYER)))
            disputed = Body.terminate(end.body.message_id, gw.BUYER_ID, code=ReasonCode.DISPUTED, delivered_wh=1)
            stranger.buyer.link.send(disputed)
            await asyncio.sleep(1)
            assert len(world.records("receipt")) == signed
            assert not statement_of(world, contract).is_answered

    gw.run(scenario())


def test_nothing_is_signed_while_the_clock_is_not_trusted_and_the_end_is_signed_when_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path, lines="unsigned_limit_wh = 100000") as (world, ledger):
            buyer = await buyer_in(world)
            contract = await buyer.trade()
            world.clock_trusted = False
            await buyer.buyer.until_closed()
            await world.until(lambda: statement_of(world, contract).final is not None, 600)
            assert ledger.settler.cheques[contract.trade_id].final is None
            world.clock_trusted = True
            await world.until(lambda: ledger.settler.cheques[contract.trade_id].final is not None)
            back = await buyer_in(world)
            end = await back.receipt(contract, kind=MessageType.TERMINATE)
            assert end.extensions.receipt is not None
            own = end.extensions.receipt.signature
            check_receipt(final_of(end, contract), contract, "battery", BATTERY.public_key, own)

    gw.run(scenario())


def test_a_trade_that_was_paid_while_the_gateway_was_down_leaves_the_books_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            buyer = await buyer_in(world)
            contract, end = await delivered(world, buyer)
            buyer.answer(contract, end)
            await world.until(lambda: final_in(ledger, contract).is_cosigned)
            before = ledger.settler
            before.told = lambda _event: None
            before.settled(contract.trade_id)
            views = before.views
            await world.restart()
            assert set(ledger.settler.cheques) == {contract.trade_id}
            ledger.settler.views = views
            await world.until(lambda: bool(world.records("cashed")))

    gw.run(scenario())


def test_a_buyer_that_stops_the_delivery_pays_what_was_delivered(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path, lines="unsigned_limit_wh = 100000") as (world, ledger):
            buyer = await buyer_in(world)
            contract = await buyer.trade(kwh=2.0)
            await asyncio.sleep(5)
            buyer.buyer.send(Body.terminate(contract.message_id, gw.BUYER_ID, code=0, delivered_wh=0))
            end = await buyer.receipt(contract, kind=MessageType.TERMINATE)
            assert 0 < final_of(end, contract).delivered_wh < 2_000
            buyer.buyer.send(Body.terminate(contract.message_id, gw.BUYER_ID, code=0, delivered_wh=0))
            await asyncio.sleep(1)  # a bare word is no answer: the receipt is still waited for
            assert not statement_of(world, contract).is_answered
            back = await buyer_in(world)
            back.answer(contract, await back.receipt(contract, kind=MessageType.TERMINATE))
            await world.until(lambda: final_in(ledger, contract).is_cosigned)

    gw.run(scenario())


def test_a_receipt_that_was_signed_already_is_put_on_record_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, _):
            buyer = await buyer_in(world)
            contract, end = await delivered(world, buyer)
            for _ in range(3):
                buyer.answer(contract, end)
                await asyncio.sleep(0.5)
            finals = [record for record in world.records("receipt") if record.body["final"]]
            assert len(finals) == 1

    gw.run(scenario())


@pytest.mark.parametrize(("stage", "alarm"), [(Stage.LOST, "cheque in doubt"), (Stage.EXPIRED, "cheque expired")])
def test_a_cheque_that_comes_to_nothing_is_told(tmp_path: Path, stage: Stage, alarm: str) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            buyer = await buyer_in(world)
            contract, _ = await delivered(world, buyer)
            ledger.settler.settled(contract.trade_id, stage)
            await asyncio.sleep(11)
            told = {each["name"]: each["reason"] for each in world.seller.watch.alarms()}
            assert contract.trade_id.hex()[:16] in told[alarm]
            assert world.seller.settling is not None
            assert len(world.seller.settling.clerk) == 1, "a late signature or another endpoint may still pay it"
            assert world.records("cashed") == []
            assert world.seller.reputation.standing(f"key:{BUYER.public_key.hex()}").trades == 0

    gw.run(scenario())


def test_a_cheque_over_nothing_leaves_the_books_when_it_expires_and_nobody_is_alarmed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            buyer = await buyer_in(world)
            contract = await buyer.trade()
            buyer.buyer.link.send(Body.terminate(contract.message_id, gw.BUYER_ID, code=0, delivered_wh=0))
            await world.until(lambda: statement_of(world, contract).final is not None)
            assert final_in(ledger, contract).receipt.delivered_wh == 0
            ledger.settler.settled(contract.trade_id, Stage.EXPIRED)
            await world.until(lambda: bool(world.records("cashed")))
            await asyncio.sleep(11)
            assert world.records("cashed")[0].body["stage"] == "expired"
            assert world.seller.settling is not None
            assert len(world.seller.settling.clerk) == 0
            assert not {"cheque expired", "cheque lost"} & {each["name"] for each in world.seller.watch.alarms()}
            assert set(re.findall(r'"cheques_lost": (\d)', json.dumps(world.gateway.owner_desk().snapshot()))) == {"0"}
            fresh = await (await buyer_in(world)).trade(kwh=0.5)
            assert (contract.contract_no, fresh.contract_no) == (0, 1), "its receipt is signed: its number stays"

    gw.run(scenario())


def test_a_cheque_that_is_said_to_be_lost_leaves_the_books_a_day_after_it_could_be_claimed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            contract, _ = await delivered(world, await buyer_in(world))
            ledger.settler.settled(contract.trade_id, Stage.LOST)
            assert world.seller.settling is not None
            settling = world.seller.settling
            world.clock_trusted = False
            await world.until(lambda: not settling.cashier.is_clock_trusted, 600)
            over_ms = (contract.valid_until_s + LOST_KEPT_S) * 1_000
            world.wall_offset_ms += over_ms - world.wall_ms() + 5_000
            await asyncio.sleep(11)
            assert world.records("cashed") == [], "nobody knows how late it is"
            world.wall_offset_ms -= 120_000
            world.clock_trusted = True
            await world.until(lambda: settling.cashier.is_clock_trusted, 600)
            await asyncio.sleep(11)
            assert world.records("cashed") == [], "it is too early"
            assert len(settling.clerk) == 1
            world.wall_offset_ms += 120_000
            await world.until(lambda: bool(world.records("cashed")))
            assert [record.body["stage"] for record in world.records("cashed")] == ["lost"]
            assert len(settling.clerk) == 0
            told = {each["name"]: each["reason"] for each in world.seller.watch.alarms()}
            assert contract.trade_id.hex()[:16] in told["cheque lost"]
            await asyncio.sleep(11)
            assert "cheque in doubt" not in {each["name"] for each in world.seller.watch.alarms()}

    gw.run(scenario())


def test_the_number_of_a_cheque_that_left_the_books_is_given_to_no_other_contract(tmp_path: Path) -> None:
    """Both may have signed the old one's end: while the Line shows its number unused, that would be paid first."""

    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            old, _ = await delivered(world, await buyer_in(world))
            world.wall_offset_ms += (old.valid_until_s - old.ends_at_s + KEPT_AFTER_S + 86_400) * 1_000
            ledger.allot(read_at_s=world.wall_ms() // 1_000)
            for _ in range(3):  # the first start still has the cheque, the last ones begin with a checkpoint
                await world.restart()
                await world.until_selling()
            assert ledger.settler.cheques == {}
            fresh = await (await buyer_in(world)).trade(kwh=0.5)
            assert fresh.generation == old.generation
            assert (old.contract_no, fresh.contract_no) == (0, 1)

    gw.run(scenario())


def test_cheques_of_an_identity_that_is_gone_are_kept_and_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            buyer = await buyer_in(world)
            contract, _ = await delivered(world, buyer)
            world.identity = 97
            await world.restart()
            await world.until_selling()
            await asyncio.sleep(11)
            alarms = {alarm["name"]: alarm["reason"] for alarm in world.seller.watch.alarms()}
            assert "1 open cheques name another identity key" in alarms["other identity"]
            assert ledger.settler.cheques[contract.trade_id].final is None
            world.identity = 99
            await world.restart()
            await world.until(lambda: ledger.settler.cheques[contract.trade_id].final is not None)
            assert final_in(ledger, contract).battery_signature is not None

    gw.run(scenario())


def test_a_paid_trade_leaves_the_books_and_earns_its_buyer_a_name(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            buyer = await buyer_in(world)
            contract, end = await delivered(world, buyer)
            buyer.answer(contract, end)
            await world.until(lambda: final_in(ledger, contract).is_cosigned)
            name = f"key:{BUYER.public_key.hex()}"
            assert world.seller.reputation.standing(name).trades == 0
            ledger.settler.settled(contract.trade_id)
            await world.until(lambda: bool(world.records("cashed")))
            assert world.seller.reputation.standing(name).trades == 1
            assert world.seller.settling is not None
            assert len(world.seller.settling.clerk) == 0
            await world.restart()
            assert ledger.settler.cheques == {}

    gw.run(scenario())
