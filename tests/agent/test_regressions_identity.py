"""Who a signed buyer is: nobody else gets what is its own, and nothing that it does is put down to somebody else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from etp.frame import encode_tcp
from etp.messages import Body, MessageType, ReasonCode
from tests.agent.market_lab import ANSWERS, Lab, Wire, c, identity

if TYPE_CHECKING:
    from pathlib import Path

    from settlement.keys import IdentityKey

DEVICE = 5


async def wins(lab: Lab, wire: Wire, key: IdentityKey, bid_id: int) -> Body:
    """Bid over a bare wire and return the answer."""
    wire.write(lab.signed_bytes(Body.bid(bid_id, DEVICE, price_e4=c(12), energy_wh=300), key))
    await asyncio.sleep(0.2)
    (answer,) = wire.of(*ANSWERS)
    return answer


@pytest.mark.parametrize("alice_is_there", [True, False])
def test_a_replayed_register_gets_nothing_and_takes_nothing(tmp_path: Path, alice_is_there: bool) -> None:
    """Eve has overheard the first frame of Alice's connection, which is not bound to any battery."""
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        key = identity("alice")
        overheard = lab.signed_bytes(Body.register(1, DEVICE), key, first=True)
        alice = await lab.wire()
        alice.write(overheard)
        accept = await wins(lab, alice, key, 7)
        agreed = Body.bid_confirm(7, DEVICE, price_e4=accept.sale_price_e4, energy_wh=accept.energy_wh)
        alice.write(lab.signed_bytes(agreed, key))
        await asyncio.sleep(0.2)
        if not alice_is_there:
            alice.close()
        eve = await lab.wire()
        eve.write(overheard)
        await asyncio.sleep(20)
        eve.write(overheard)
        await asyncio.sleep(20)
        assert not eve.of(MessageType.TERMINATE, MessageType.BESS_STATUS, MessageType.QUERY_RESPONSE)
        if not alice_is_there:
            alice = await lab.wire()
            alice.write(lab.signed_bytes(Body.register(2, DEVICE), key, first=True))
            await asyncio.sleep(1)
        (ended,) = alice.of(MessageType.TERMINATE)
        assert (ended.message_id, ended.termination_code, ended.energy_wh) == (7, ReasonCode.NONE, 300)

    lab.run(story())


@pytest.mark.parametrize("first_frame", ["query", "register"])
def test_a_buyer_that_proves_its_key_is_penalised_under_it(tmp_path: Path, first_frame: str) -> None:
    """Whatever it says first: a new connection does not wash an unconfirmed award off."""
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        key = identity("alice")
        answers = []
        for number in range(2):
            wire = await lab.wire()
            if first_frame == "query":
                wire.write(encode_tcp(Body.query(1, DEVICE)))
                await asyncio.sleep(0.05)
            wire.write(lab.signed_bytes(Body.register(2, DEVICE), key, first=True))
            await asyncio.sleep(0.05)
            answers.append(await wins(lab, wire, key, 100 + number))
            await asyncio.sleep(1.4)
            wire.close()
            await asyncio.sleep(0.1)
        assert [MessageType(answer.message_type) for answer in answers] == list(ANSWERS)
        assert answers[1].termination_code == ReasonCode.NOT_TRUSTED

    lab.run(story())


def test_a_penalty_under_a_key_holds_over_a_restart(tmp_path: Path) -> None:
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        await buyer.wins(1, 12, 300)
        await buyer.until(MessageType.BID_REJECT, about=1, within_s=2)
        await asyncio.sleep(0.1)
        await lab.crash_and_boot()
        again = await lab.buyer()
        again.bid(2, 12, 300)
        assert (await again.until(*ANSWERS, about=2)).termination_code == ReasonCode.NOT_TRUSTED

    lab.run(story())


def test_a_register_overheard_at_another_battery_takes_nothing_from_its_buyer(tmp_path: Path) -> None:
    """Here it was never seen, so it names Alice; Eve hears what is told to Alice, and that is all."""
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        key = identity("alice")
        alice, eve = await lab.wire(), await lab.wire()
        alice.write(lab.signed_bytes(Body.register(1, DEVICE), key, first=True))
        accept = await wins(lab, alice, key, 7)
        agreed = Body.bid_confirm(7, DEVICE, price_e4=accept.sale_price_e4, energy_wh=accept.energy_wh)
        alice.write(lab.signed_bytes(agreed, key))
        await asyncio.sleep(1)
        eve.write(lab.signed_bytes(Body.register(2, DEVICE), key, first=True))
        await asyncio.sleep(0.1)
        eve.write(encode_tcp(Body.query(3, DEVICE, energy_wh=100)))
        await asyncio.sleep(40)
        assert eve.of(MessageType.QUERY_RESPONSE)
        (ended,) = alice.of(MessageType.TERMINATE)
        assert (ended.message_id, ended.termination_code, ended.energy_wh) == (7, ReasonCode.NONE, 300)
        assert len([status for status in alice.of(MessageType.BESS_STATUS) if status.message_id == 7]) > 2
        eve.write(encode_tcp(Body.query(4, DEVICE, energy_wh=100)))
        await asyncio.sleep(0.1)
        bob = await lab.buyer("bob")
        await bob.buys(1, 15, (await bob.asks(2)).energy_wh)  # the rest of the lot; the next one opens
        await asyncio.sleep(0.1)
        assert (await bob.asks(3)).energy_wh == 300  # what Alice bid for, not what Eve asked for

    lab.run(story())
