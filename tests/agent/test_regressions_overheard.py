"""Somebody has overheard a signed buyer's Register at another battery: the buyer still hears what it is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agent.records import Kind
from etp.frame import encode_tcp
from etp.messages import Body, MessageType, ReasonCode
from tests.agent.market_lab import ANSWERS, Lab, Wire, c, identity

if TYPE_CHECKING:
    from pathlib import Path

DEVICE = 5
ALICE = identity("alice")


async def registered(lab: Lab, number: int) -> Wire:
    """Return a connection on which a Register of Alice came that names no battery: her own, or one overheard."""
    wire = await lab.wire()
    wire.write(lab.signed_bytes(Body.register(number, DEVICE), ALICE, first=True))
    await asyncio.sleep(0.1)
    return wire


def bids(lab: Lab, wire: Wire, bid_id: int, price_c: float = 12) -> None:
    wire.write(lab.signed_bytes(Body.bid(bid_id, DEVICE, price_e4=c(price_c), energy_wh=500), ALICE))


def confirms(lab: Lab, wire: Wire, accept: Body) -> None:
    agreed = Body.bid_confirm(accept.message_id, DEVICE, price_e4=accept.sale_price_e4, energy_wh=accept.energy_wh)
    wire.write(lab.signed_bytes(agreed, ALICE))


async def loses_the_connection_it_bid_on(lab: Lab, *, others: int) -> list[Wire]:
    """Bid, and lose that connection while the award is on its way to a slow disk; return the others, oldest first."""
    lab.host.disk.stall_ms = 250
    one = await registered(lab, 1)
    wires = [await lab.wire() for _ in range(others)]
    bids(lab, one, 7)
    await asyncio.sleep(0.1)
    for number, wire in enumerate(wires, start=2):
        wire.write(lab.signed_bytes(Body.register(number, DEVICE), ALICE, first=True))
    await asyncio.sleep(0.05)
    one.close()
    await asyncio.sleep(0.05)
    assert [record for record in lab.host.records() if record.kind == Kind.AWARD] == []
    return wires


def void_of(lab: Lab) -> tuple[int, bool]:
    """Return the code of the one void on disk, and whether it counts as untold."""
    (void,) = [record.body for record in lab.host.records() if record.kind == Kind.VOID]
    return void["code"], void["untold"]


@pytest.mark.parametrize("eve_is_there", [False, True])
def test_a_buyer_that_comes_back_hears_how_its_trade_goes_and_ends(tmp_path: Path, eve_is_there: bool) -> None:
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        one = await registered(lab, 1)
        bids(lab, one, 7)
        await asyncio.sleep(0.2)
        (accept,) = one.of(*ANSWERS)
        confirms(lab, one, accept)
        await asyncio.sleep(1)
        one.close()
        await asyncio.sleep(0.5)
        two = await registered(lab, 2)
        if eve_is_there:
            await registered(lab, 3)
        await asyncio.sleep(60)
        (ended,) = two.of(MessageType.TERMINATE)
        assert (ended.message_id, ended.termination_code, ended.energy_wh) == (7, ReasonCode.NONE, 500)
        assert len([status for status in two.of(MessageType.BESS_STATUS) if status.message_id == 7]) > 2

    lab.run(story())


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("eve_is_there", [False, True])
def test_a_buyer_that_comes_back_hears_that_its_award_lapsed(tmp_path: Path, eve_is_there: bool, crash: bool) -> None:
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        one = await registered(lab, 1)
        bids(lab, one, 7)
        await asyncio.sleep(0.2)
        if eve_is_there:
            await registered(lab, 3)
        one.close()
        await asyncio.sleep(5)
        assert void_of(lab) == (ReasonCode.NOT_CONFIRMED, True)
        if crash:
            await lab.crash_and_boot()
        two = await registered(lab, 2)
        (ended,) = two.of(MessageType.TERMINATE)
        assert (ended.message_id, ended.termination_code, ended.energy_wh) == (7, ReasonCode.NOT_CONFIRMED, 0)

    lab.run(story())


def test_a_buyer_with_a_second_connection_of_its_own_hears_there_and_is_not_told_again(tmp_path: Path) -> None:
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        one, two = await registered(lab, 1), await registered(lab, 2)
        await registered(lab, 3)
        bids(lab, two, 6, price_c=1)  # refused; it shows whose connection this is
        bids(lab, one, 7)
        await asyncio.sleep(0.2)
        one.close()
        await asyncio.sleep(2)
        assert [(body.message_id, body.termination_code) for body in two.of(*ANSWERS)] == [
            (6, ReasonCode.PRICE_TOO_LOW),
            (7, ReasonCode.NOT_CONFIRMED),
        ]
        assert void_of(lab) == (ReasonCode.NOT_CONFIRMED, False)
        assert (await registered(lab, 4)).of(MessageType.TERMINATE) == []

    lab.run(story())


def test_an_accept_whose_connection_is_gone_reaches_the_buyer_wherever_it_is(tmp_path: Path) -> None:
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        two, eve = await loses_the_connection_it_bid_on(lab, others=2)
        await asyncio.sleep(0.2)
        ((accept,), overheard) = two.of(*ANSWERS), eve.of(*ANSWERS)
        assert (accept.message_type, accept.message_id) == (MessageType.BID_ACCEPT, 7)
        assert overheard == [accept]
        confirms(lab, two, accept)
        await asyncio.sleep(1)
        assert [status.message_id for status in two.of(MessageType.BESS_STATUS)][:1] == [7]
        assert len(lab.told("bid_accepted")) == len(lab.books().trades) == 1

    lab.run(story())


def test_who_does_not_read_its_accept_takes_none_from_the_buyer(tmp_path: Path) -> None:
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        two, _ = await loses_the_connection_it_bid_on(lab, others=2)
        _, eves_end = lab.front().seller.desk.links_of(f"key:{ALICE.public_key.hex()}")
        eves_end.pause_writing()
        await asyncio.sleep(0.6)  # longer than an Accept may wait, and less than the buyer has for its Confirm
        eves_end.resume_writing()
        (accept,) = two.of(*ANSWERS)
        confirms(lab, two, accept)
        await asyncio.sleep(0.5)
        assert len(lab.books().trades) == 1

    lab.run(story())


@pytest.mark.parametrize("comes_again", [False, True])
def test_an_accept_that_waits_where_nobody_is_left_is_offered_again_or_given_up(
    tmp_path: Path, comes_again: bool
) -> None:
    lab = Lab(tmp_path, signed=True)

    async def story() -> None:
        await lab.up()
        (two,) = await loses_the_connection_it_bid_on(lab, others=1)
        (end,) = lab.front().seller.desk.links_of(f"key:{ALICE.public_key.hex()}")
        end.pause_writing()
        await asyncio.sleep(0.15)
        lab.host.disk.stall_ms = 0
        three = await registered(lab, 9) if comes_again else None
        two.close()
        await asyncio.sleep(0.02)
        assert two.of(*ANSWERS) == []
        if three is None:
            assert void_of(lab) == (ReasonCode.NOT_CONFIRMED, True)
        else:
            assert [body.message_type for body in three.of(*ANSWERS)] == [MessageType.BID_ACCEPT]

    lab.run(story())


def test_who_has_overheard_a_register_learns_no_price_of_its_buyer(tmp_path: Path) -> None:
    """Not by a push, nor by asking, nor from the refusal of a frame it cannot sign; its buyer learns it."""
    lab = Lab(tmp_path, signed=True, standing_ms=400)

    async def story() -> None:
        await lab.up()
        one, eve = await registered(lab, 1), await registered(lab, 3)
        bob = await lab.buyer("bob")
        bids(lab, one, 7, price_c=12.34)
        await asyncio.sleep(0.1)
        eve.write(encode_tcp(Body.query(4, DEVICE, energy_wh=100)))
        eve.write(encode_tcp(Body.bid(8, DEVICE, price_e4=c(50), energy_wh=100)))
        one.write(encode_tcp(Body.query(5, DEVICE, energy_wh=100)))
        quoted_e4 = (await bob.asks(6, energy_wh=100)).sale_price_e4
        await asyncio.sleep(0.1)
        assert {push.bid_price for push in eve.of(MessageType.QUERY_RESPONSE)} == {0.0}
        (asked,) = [answer for answer in eve.of(MessageType.QUERY_RESPONSE) if answer.message_id == 4]
        (refused,) = eve.of(MessageType.BID_REJECT)
        assert refused.termination_code == ReasonCode.NOT_TRUSTED
        assert (asked.sale_price_e4, refused.sale_price_e4) == (quoted_e4, quoted_e4)
        assert 12.34 in {push.bid_price for push in one.of(MessageType.QUERY_RESPONSE)}
        (own,) = [answer for answer in one.of(MessageType.QUERY_RESPONSE) if answer.message_id == 5]
        assert own.sale_price_e4 == c(12.44) != quoted_e4

    lab.run(story())
