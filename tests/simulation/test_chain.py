"""The ledger of a world of cheques: the real program, the world's own ways to it, and a thief who gets nothing."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from settlement.base58 import from_base58
from settlement.program.events import Settled
from settlement.signing import SignatureKind, sign_receipt, signed_bytes
from settlement.transaction import Consent, consent
from simulation.chain import Chain, wall_s
from simulation.deals import Deal, Person, Terms, draw_deal
from simulation.loop import VirtualLoop
from simulation.payments import Payments, check_escrow, events_in
from simulation.thief import Thief, settle_call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from settlement.ledger.records import Record
    from settlement.receipt import Receipt

pytestmark = pytest.mark.slow


class Scene:
    """One battery, one buyer, one Line, and what the ledger told."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.battery, self.buyer = Person("seller", "battery"), Person("customer", "buyer")
        self.chain = Chain(self.loop, random.Random(1), [self.battery], [self.buyer], timeout_s=600)
        self.deals: dict[bytes, Deal] = {}
        self.payments = Payments(self.deals)
        self.records: list[Record] = []
        self.chain.on_landed = self.landed

    def landed(self, record: Record) -> None:
        self.records.append(record)
        for event in events_in(self.chain.own_calls(record)) if record.err is None else ():
            self.payments.take(event)

    def deal(self, contract_no: int) -> Deal:
        terms = Terms(self.chain.venue, self.chain.resolver.public_key, dispute_window_s=600, valid_for_s=86_400)
        deal = draw_deal(
            random.Random(contract_no),
            terms,
            self.battery,
            self.buyer,
            now_s=wall_s(self.loop),
            generation=self.generation(),
            contract_no=contract_no,
            message_id=contract_no,
        )
        deal.ended = True
        self.deals[deal.trade_id] = deal
        return deal

    def generation(self) -> int:
        return next(line.generation for _, line in self.chain.lines())

    def pass_time(self, seconds: float) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(asyncio.sleep(seconds))
        finally:
            asyncio.set_event_loop(None)


@pytest.fixture
def scene() -> Iterator[Scene]:
    found = Scene()
    yield found
    found.chain.close()
    found.loop.close()


def proof(deal: Deal, receipt: Receipt) -> Any:
    message = signed_bytes(SignatureKind.RECEIPT, receipt.digest)
    keys = (deal.battery.identity, deal.buyer.identity)
    return consent([Consent(key.public_key, sign_receipt(receipt, deal.contract, key), message) for key in keys])


def test_a_world_begins_with_money_on_lines(scene: Scene) -> None:
    ((buyer, figures),) = scene.chain.escrows()
    check_escrow(buyer.name, figures)
    assert figures.on_lines > 0
    assert figures.locked == scene.chain.open_trades() == scene.chain.tokens(scene.battery.wallet) == 0


def test_what_both_signed_is_paid_to_the_unit(scene: Scene) -> None:
    deal = scene.deal(0)
    deal.cosigned = True
    assert (
        scene.chain.try_to([proof(deal, deal.final), settle_call(scene.chain, deal, deal.final)], scene.chain.operator)
        is None
    )
    event = scene.payments.settled[deal.trade_id]
    assert isinstance(event, Settled)
    assert scene.chain.tokens(scene.battery.wallet) == event.payout == deal.contract.split(deal.final_wh).payout
    for buyer, figures in scene.chain.escrows():
        check_escrow(buyer.name, figures)


def test_a_thief_gets_nothing_however_often_he_tries(scene: Scene) -> None:
    paid, unpaid = scene.deal(0), scene.deal(1)
    paid.cosigned = True
    scene.chain.submit([proof(paid, paid.final), settle_call(scene.chain, paid, paid.final)])
    unpaid.attest(100, at_s=unpaid.contract.starts_at_s + 1)
    thief = Thief(scene.chain, scene.deals, scene.chain.thief, random.Random(2))
    before = scene.chain.tokens(scene.battery.wallet)
    for _ in range(30):
        thief.saw(scene.records[0])
    thief.begin()
    scene.pass_time(60_000)
    assert thief.tried > 30
    assert set(scene.payments.settled) == {paid.trade_id}
    assert scene.chain.tokens(scene.battery.wallet) == before
    tries = Counter(record.err is None for record in scene.records)
    assert tries[False] > 10, "some of it lands, and fails"


def test_the_worlds_own_transactions_do_not_fail_silently(scene: Scene) -> None:
    deal = scene.deal(0)
    with pytest.raises(RuntimeError, match="the world's own transaction failed"):
        scene.chain.submit([settle_call(scene.chain, deal, deal.final)])


def test_a_node_may_show_an_older_state(scene: Scene) -> None:
    scene.pass_time(100)

    def slot(lag_blocks: int) -> int:
        answer = scene.chain.answer(b'{"jsonrpc": "2.0", "id": 1, "method": "getSlot"}', lag_blocks)
        return int(json.loads(answer)["result"])

    assert slot(0) - slot(50) == 50


def test_it_knows_which_blockhashes_it_gave_out(scene: Scene) -> None:
    answer = scene.chain.answer(b'{"jsonrpc": "2.0", "id": 1, "method": "getLatestBlockhash"}')
    value = json.loads(answer)["result"]["value"]
    blockhash = from_base58(value["blockhash"], field="blockhash", size=32)
    assert scene.chain.last_valid_height(blockhash) == value["lastValidBlockHeight"]
    assert scene.chain.last_valid_height(bytes(32)) is None
