"""From Register to a confirmed contract, over the wire: what an honest buyer gets, and what everybody else does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from agent.paper import Paper
from etp.connection import Received
from etp.extensions import Contract as WireContract
from etp.extensions import extensions
from etp.messages import Body, MessageType, ReasonCode
from settlement import SettlementError, SignatureKind, check_contract, derive, device_id, sign_contract, signed_bytes
from settlement.strict import GROUP_ORDER, SMALL_ORDER_POINTS
from tests.agent import gateway_world as gw
from tests.agent.settling_world import (
    BATTERY,
    BATTERY_WALLET,
    BUYER,
    BUYER_WALLET,
    GENERATION,
    MARKET,
    STRANGER,
    Ledger,
    SettledBuyer,
    buyer_in,
    settled_toml,
    settled_world,
)
from tests.settlement import terms as good
from tests.settlement.curve import challenge, encoded, scalar_of, signature
from tests.settlement.terms import contract_with
from tests.settlement.test_strict import forged_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from settlement import Cheque, Contract

BUYER_SEED: Final = derive(bytes([50]) * 32, "identity")


def refusal(answer: Received) -> tuple[int, str]:
    assert answer.body.message_type == MessageType.BID_REJECT, answer
    return answer.body.termination_code, answer.extensions.reason


def numbers(world: gw.World) -> list[int]:
    """The contract numbers that the battery has promised."""
    assert world.seller.cashier is not None
    line = world.seller.cashier.settler.line(BUYER_WALLET)
    assert line is not None
    return sorted(promise.contract_no for promise in world.seller.cashier.promises.on(BUYER_WALLET, line))


def test_a_bid_with_the_batterys_terms_becomes_a_cheque(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            buyer = await buyer_in(world)
            assert buyer.offer.battery_wallet == BATTERY_WALLET
            accept = await buyer.bid(await buyer.terms())
            contract = buyer.contract_of(accept)
            assert contract.contract_no == 0
            assert accept.extensions.contract is not None
            check_contract(contract, "battery", BATTERY.public_key, accept.extensions.contract.signature)
            assert not ledger.settler.cheques
            buyer.confirm(accept)
            await buyer.buyer.until(MessageType.BESS_STATUS, message_id=accept.body.message_id)
            [cheque] = ledger.settler.cheques.values()
            assert cheque.contract == contract
            assert (cheque.battery_key, cheque.buyer_key) == (BATTERY.public_key, BUYER.public_key)
            [award] = world.records("award")
            [confirmed] = world.records("confirmed")
            assert award.body["contract"] == confirmed.body["contract"] == contract.encoded.hex()
            assert award.seq < confirmed.seq

    gw.run(scenario())


def other(value: Any) -> Any:
    return value + 1 if isinstance(value, int) else bytes([value[0] ^ 1]) + value[1:]


@pytest.mark.parametrize("field", WireContract._fields)
def test_every_other_value_in_a_bid_is_refused_by_its_name(tmp_path: Path, field: str) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, _):
            buyer = await buyer_in(world)
            terms = await buyer.terms()
            if field in {"starts_at_s", "ends_at_s", "valid_until_s"}:
                wrong = terms._replace(**{field: getattr(terms, field) + 10 * 86_400})
            else:
                wrong = terms._replace(**{field: other(getattr(terms, field))})
            code, reason = refusal(await buyer.bid(wrong))
            if field in {"buyer_wallet", "generation"}:
                assert code == ReasonCode.COVER_TOO_SMALL
            else:
                assert code == ReasonCode.MALFORMED
                assert reason.startswith(f"{field}: ")
            assert (await buyer.bid(terms)).body.message_type == MessageType.BID_ACCEPT

    gw.run(scenario())


def test_a_signed_bid_without_terms_is_refused_and_an_unsigned_one_is_not_asked_for_any(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, _):
            code, reason = refusal(await (await buyer_in(world)).bid(None))
            assert (code, "extension 2" in reason) == (ReasonCode.MALFORMED, True)

    gw.run(scenario())


def test_open_peers_trade_unsigned_beside_those_that_are_paid_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger()
        ledger.allot()
        network = settled_toml(network='peers = "open"')
        async with gw.world(tmp_path, open_settler=ledger.open_settler, network=network) as world:
            plain = await world.connect()
            await plain.trade(50.0, 0.5)
            assert not ledger.settler.puts
            signed = await buyer_in(world)
            contract = await signed.trade(kwh=0.5)
            assert set(ledger.settler.cheques) == {contract.trade_id}
            assert world.seller.reputation.standing(f"key:{BUYER.public_key.hex()}").trades == 0

    gw.run(scenario())


def test_without_settlement_the_extension_is_ignored(tmp_path: Path) -> None:
    async def scenario() -> None:
        network = 'peers = "signed"\ntrusted_peers = "any"'
        async with gw.world(tmp_path, network=network) as world:
            link = await world.connect(BUYER)
            link.register()
            assert (await link.until(MessageType.REGISTER)).extensions.contract is None
            buyer = SettledBuyer(link, world.wall_ms)
            accept = await buyer.bid(MARKET.offer(BATTERY_WALLET))
            assert accept.body.message_type == MessageType.BID_ACCEPT
            assert accept.extensions.contract is None

    gw.run(scenario())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"units": 602_999}, "602999 free"),
        ({"release_amount": 10**12 - 10}, "10 of 10 free"),
        ({"locked": 10**12}, "0 of"),
        ({"generation": 7}, "your line is 7"),
        ({"buyer_key": STRANGER.public_key}, "another signing key"),
        ({"buyer_key": bytes(32)}, "another signing key"),
        ({"battery_key": STRANGER.public_key}, "this battery's signing key"),
        ({"read_at_s": gw.WALL_START_MS // 1_000 - 6 * 86_400}, "read too long ago"),
        ({"used": (1 << 256) - 1}, "all 256 contract numbers"),
        ({"read_at_s": gw.WALL_START_MS // 1_000 + 3_700}, "clock is -"),
        ({"read_at_s": gw.WALL_START_MS // 1_000 - 86_400}, "clock is +86"),
    ],
)
def test_what_the_line_does_not_cover_is_refused_with_the_reason(
    tmp_path: Path, line: dict[str, Any], told: str
) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            buyer = await buyer_in(world)
            ledger.allot(**line)
            code, reason = refusal(await buyer.bid(await buyer.terms()))  # 1 kWh at 60 c: 600,000 units, fee 3,000
            assert code == ReasonCode.COVER_TOO_SMALL
            assert told in reason
            assert len(reason.encode()) <= 120
            ledger.allot(603_000)
            assert (await buyer.bid(await buyer.terms())).body.message_type == MessageType.BID_ACCEPT

    gw.run(scenario())


def test_a_line_that_was_not_read_yet_covers_nothing_and_is_read_from_then_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path, allot=False) as (world, ledger):
            buyer = await buyer_in(world)
            code, reason = refusal(await buyer.bid(await buyer.terms()))
            assert (code, "no line of yours" in reason) == (ReasonCode.COVER_TOO_SMALL, True)
            assert ledger.settler.watched == {BUYER_WALLET}

    gw.run(scenario())


def test_a_price_too_low_is_said_before_cover(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path, allot=False) as (world, _):
            buyer = await buyer_in(world)
            code, _ = refusal(await buyer.bid(await buyer.terms(), price_c=29.0))
            assert code == ReasonCode.PRICE_TOO_LOW

    gw.run(scenario())


def test_promises_add_up_until_the_line_is_full_and_the_ledger_frees_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            buyer = await buyer_in(world)
            ledger.allot(2 * 603_000)
            first = await buyer.trade(kwh=1.0)
            second = await buyer.trade(kwh=1.0)
            assert (first.contract_no, second.contract_no) == (0, 1)
            await world.until_selling()
            code, reason = refusal(await buyer.bid(await buyer.terms()))
            assert (code, "0 of 1206000 free" in reason) == (ReasonCode.COVER_TOO_SMALL, True)
            ledger.allot(2 * 603_000, used=0b10)  # the second was paid, and the buyer has paid in as much again
            third = await buyer.trade(kwh=1.0)
            assert third.contract_no == 2

    gw.run(scenario())


def test_the_number_of_a_void_award_is_used_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, _):
            buyer = await buyer_in(world)
            accept = await buyer.bid(await buyer.terms())
            assert numbers(world) == [0]
            await buyer.buyer.until(MessageType.BID_REJECT, message_id=accept.body.message_id)
            assert numbers(world) == []
            await asyncio.sleep(11)  # refused for 10 s
            again = await buyer.trade()
            assert again.contract_no == 0
            assert again.trade_id != buyer.contract_of(accept).trade_id

    gw.run(scenario())


def identity_r(contract: Contract) -> bytes:
    """A signature whose R is the identity, by the buyer's own secret: OpenSSL takes it, the ledger does not."""
    signed = signed_bytes(SignatureKind.CONTRACT, contract.trade_id)
    r = encoded((0, 1))
    return signature(r, challenge(r, BUYER.public_key, signed) * scalar_of(BUYER_SEED) % GROUP_ORDER)


FORGERIES: Final[dict[str, Callable[[Contract], bytes]]] = {
    "none": lambda _contract: bytes(64),
    "R = identity": identity_r,
    "a stranger's": lambda contract: STRANGER.sign(signed_bytes(SignatureKind.CONTRACT, contract.trade_id)),
    "of the bare digest": lambda contract: BUYER.sign(contract.trade_id),
    "as of a receipt": lambda contract: BUYER.sign(signed_bytes(SignatureKind.RECEIPT, contract.trade_id)),
    "of another contract": lambda contract: sign_contract(replace(contract, contract_no=9), BUYER),
    "the battery's own": lambda contract: sign_contract(contract, BATTERY),
}


@pytest.mark.parametrize("forgery", FORGERIES, ids=[*FORGERIES])
def test_no_other_signature_makes_a_cheque_and_the_award_stays_open(tmp_path: Path, forgery: str) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            buyer = await buyer_in(world)
            accept = await buyer.bid(await buyer.terms())
            contract = buyer.contract_of(accept)
            await refuses_then_takes(
                world, buyer, accept, contract.to_wire(FORGERIES[forgery](contract)), "signature refused"
            )
            assert len(ledger.settler.cheques) == 1

    gw.run(scenario())


async def refuses_then_takes(
    world: gw.World, buyer: SettledBuyer, accept: Received, wire: WireContract | None, told: str
) -> None:
    """A Confirm with this is refused with 9, nothing of it is kept, and the right one makes the trade."""
    bid_id = accept.body.message_id
    if wire is None:
        body = accept.body
        buyer.buyer.send(Body.bid_confirm(bid_id, gw.BUYER_ID, price_e4=body.sale_price_e4, energy_wh=body.energy_wh))
    else:
        buyer.confirm(accept, wire)
    code, reason = refusal(await buyer.buyer.until(MessageType.BID_REJECT, message_id=bid_id))
    assert code == ReasonCode.MALFORMED
    assert told in reason
    assert world.records("confirmed") == []
    buyer.confirm(accept)
    await buyer.buyer.until(MessageType.BESS_STATUS, message_id=bid_id)


@pytest.mark.parametrize("field", [*WireContract._fields[:-1], "nothing"])
def test_a_confirm_that_changes_anything_is_refused_and_the_award_stays_open(tmp_path: Path, field: str) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, _):
            buyer = await buyer_in(world)
            accept = await buyer.bid(await buyer.terms())
            right = buyer.contract_of(accept)
            wire = right.to_wire(sign_contract(right, BUYER))
            if field == "nothing":
                await refuses_then_takes(world, buyer, accept, None, "the contract is missing")
            else:
                wrong = wire._replace(**{field: other(getattr(wire, field))})
                await refuses_then_takes(world, buyer, accept, wrong, f"{field}: ")

    gw.run(scenario())


class _SmallOrder:
    """A "key" without a secret: signs by solving for R. OpenSSL, and so an ETP frame's Auth, takes it."""

    public_key = SMALL_ORDER_POINTS[4]

    def sign(self, data: bytes) -> bytes:
        return forged_for(self.public_key, data)


def test_a_key_of_small_order_is_nobody_at_the_door(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            key: Any = _SmallOrder()
            ledger.allot(buyer_key=key.public_key)
            link = await world.connect(key)
            link.register()
            link.link.send(
                Body.bid(7, gw.BUYER_ID, price_e4=600_000, energy_wh=1_000), contract=MARKET.offer(b"\1" * 32)
            )
            await asyncio.sleep(2)
            assert link.said(MessageType.REGISTER, MessageType.BID_ACCEPT) == []
            assert world.records("award") == []

    gw.run(scenario())


def test_a_key_of_small_order_signs_no_contract() -> None:
    key: Any = _SmallOrder()
    contract = contract_with(buyer_device_id=device_id(key.public_key))
    paper = Paper(contract, good.BATTERY.public_key, sign_contract(contract, good.BATTERY))
    forged = contract.to_wire(key.sign(signed_bytes(SignatureKind.CONTRACT, contract.trade_id)))
    confirm = Received(
        Body.bid_confirm(contract.message_id, 1, price_e4=contract.price_e4, energy_wh=contract.energy_wh),
        extensions(contract=forged),
        "key:",
        key.public_key,
        0,
        "",
        0,
    )
    assert "small order" in paper.objection(confirm)


def test_while_the_wallet_cannot_pay_a_claim_only_the_owners_limit_is_sold(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path, lines="uncashable_limit_c = 70") as (world, ledger):
            buyer = await buyer_in(world)
            ledger.settler.can_pay_claim = False
            await buyer.trade(kwh=1.0)
            code, reason = refusal(await buyer.bid(await buyer.terms(), kwh=0.5))
            assert (code, "cannot pay for a claim" in reason) == (ReasonCode.COVER_TOO_SMALL, True)
            ledger.settler.can_pay_claim = True
            await buyer.trade(kwh=0.5)

    gw.run(scenario())


def test_trades_and_their_numbers_survive_a_crash_and_awards_do_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            buyer = await buyer_in(world)
            contract = await buyer.trade(kwh=0.5)
            accept = await buyer.bid(await buyer.terms(), kwh=0.5)
            assert buyer.contract_of(accept).contract_no == 1
            await world.crash()
            assert set(ledger.settler.cheques) == {contract.trade_id}
            assert len(ledger.settlers) == 2
            await world.until_selling()
            assert numbers(world) == [0]
            back = await buyer_in(world)
            fresh = await back.trade(kwh=0.5)
            assert fresh.contract_no == 1
            await world.restart()
            await world.until_selling()
            assert set(ledger.settler.cheques) == {contract.trade_id, fresh.trade_id}

    gw.run(scenario())


def test_a_contract_that_two_awards_race_for_is_signed_once(tmp_path: Path) -> None:
    """Two bids of one wallet stand under two keys: at the award cover is judged again."""

    async def scenario() -> None:
        async with settled_world(tmp_path, battery="standing_ms = 400") as (world, ledger):
            buyer = await buyer_in(world)
            ledger.allot(603_000)
            bid_id = buyer.bids_with(await buyer.terms(), kwh=1.0)
            await asyncio.sleep(0.05)
            ledger.allot(602_999)  # what was seen at the Bid has gone by the award
            code, reason = refusal(await buyer.buyer.until(MessageType.BID_REJECT, message_id=bid_id))
            assert (code, "602999 free" in reason) == (ReasonCode.COVER_TOO_SMALL, True)
            assert numbers(world) == []
            assert world.records("award") == []
            ledger.allot()
            await buyer.trade(kwh=1.0)

    gw.run(scenario())


def test_a_window_that_was_quoted_ten_seconds_ago_is_still_good_and_a_shorter_one_in_a_lab(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, _):
            buyer = await buyer_in(world)
            terms = await buyer.terms()
            length_s = terms.ends_at_s - terms.starts_at_s
            for shorter_s, is_good in ((-(-length_s // 20), True), (length_s // 20 - 1, False)):
                ends_at_s = terms.starts_at_s + shorter_s
                bid = terms._replace(ends_at_s=ends_at_s, valid_until_s=ends_at_s + 86_400)
                answer = await buyer.bid(bid, kwh=0.1)
                assert (answer.body.message_type == MessageType.BID_ACCEPT) == is_good
                if is_good:
                    buyer.confirm(answer)

    gw.run(scenario())


def test_a_signer_that_fails_signs_no_award_and_an_outbox_that_is_full_loses_no_cheque(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            buyer = await buyer_in(world)
            cashier = world.seller.cashier
            assert cashier is not None
            honest, cashier.signer = cashier.signer, _Broken()
            code, reason = refusal(await buyer.bid(await buyer.terms(), kwh=0.2))
            assert (code, "signer fails" in reason) == (ReasonCode.WITHDRAWN, True)
            cashier.signer = honest
            settler, put = ledger.settler, ledger.settler.put
            settler.put = full  # type: ignore[assignment,method-assign]
            contract = await buyer.trade(kwh=0.2)
            assert not settler.cheques
            settler.put = put  # type: ignore[method-assign]
            await asyncio.sleep(11)
            assert set(settler.cheques) == {contract.trade_id}

    gw.run(scenario())


class _Broken:
    """A signer with the battery's key that returns no signature."""

    public_key = BATTERY.public_key

    def sign(self, _data: bytes) -> bytes:
        return b""


def full(_cheque: Cheque) -> None:
    raise SettlementError("10,000 wait to be written")


def test_a_price_below_the_bid_is_the_contracts(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path, battery='rule = "sealed_second"') as (world, ledger):
            buyer = await buyer_in(world)
            contract = await buyer.trade(price_c=60.0)
            assert contract.price_e4 == 300_000  # the reserve: nobody else has bid
            assert ledger.settler.cheques[contract.trade_id].contract.price_e4 == 300_000

    gw.run(scenario())


def test_what_is_shown_of_settlement(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            buyer = await buyer_in(world)
            await buyer.trade()
            settler = ledger.settler
            [battery] = world.gateway.owner_desk().snapshot()["batteries"]
            shown = battery["settlement"]
            assert (shown["state"], shown["open_cheques"], shown["open_promises_units"]) == ("connected", 1, 603_000)
            assert shown["open_units"] == 603_000
            [line] = shown["lines"]
            assert (line["promised_units"], line["age_s"]) == (603_000, 4)
            settler.state, settler.low_sol, settler.can_pay_claim, settler.age_s = "wrong cluster", True, False, 7_200
            await asyncio.sleep(11)
            alarms = {alarm["name"]: alarm for alarm in world.seller.watch.alarms()}
            assert alarms["ledger"]["reason"] == "wrong cluster: no route"
            assert "0.01 SOL" in alarms["low SOL"]["reason"]
            assert "2.0 h ago" in alarms["cover age"]["reason"]
            assert not any(alarm["blocks_selling"] for alarm in alarms.values())
            assert "cannot claim" in alarms
            settler.chain_now_s = world.wall_ms() // 1_000 - 86_400
            await asyncio.sleep(10)
            assert "s from the ledger's: set the time of day" in world.seller.watch.alarms()[-1]["reason"]
            settler.chain_now_s = None
            settler.state, settler.low_sol, settler.can_pay_claim, settler.age_s = "connected", False, True, 1
            await asyncio.sleep(11)
            assert world.seller.watch.alarms() == []
            assert ledger.lines[BUYER_WALLET].generation == GENERATION

    gw.run(scenario())
