"""From Register to a confirmed contract, over the wire: what an honest buyer gets, and what everybody else does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etp.messages import MessageType
from settlement import check_contract
from tests.agent import gateway_world as gw
from tests.agent.settling_world import BATTERY, BATTERY_WALLET, BUYER, buyer_in, settled_world

if TYPE_CHECKING:
    from pathlib import Path


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
