"""Bids that decode and yet cannot win: each gets its code of ETP section 5, with the price to beat."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from etp.messages import FIRST_BATTERY_ID, Body, MessageType, ReasonCode
from settlement.keys import IdentityKey
from tests.system.buyer import DEVICE_ID, bid_body, buyer, confirm_of, trades_fairly
from tests.system.processes import Agent, Battery, write_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

LOT = "lot_kwh = 7.0\nshare_percent = 100\nstanding_ms = 300\n"
KEY = IdentityKey.from_root(bytes(range(32)))
OTHER_KEY = IdentityKey.from_root(bytes(range(1, 33)))


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    directory = tmp_path_factory.mktemp("open")
    with Battery(directory, "--soc", "100") as battery:
        site = write_site(directory, battery.address, battery=LOT, limits="per_address = 0")
        with Agent(directory, site) as agent:
            yield agent
            assert agent.end() == 0


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    directory = tmp_path_factory.mktemp("signed")
    with Battery(directory) as battery:
        keys = ", ".join(f'"{key.public_key.hex()}"' for key in (KEY, OTHER_KEY))
        policy = f'peers = "signed"\ntrusted_peers = [{keys}]'
        with Agent(directory, write_site(directory, battery.address, network=policy)) as agent:
            yield agent
            assert agent.end() == 0


@pytest.fixture
async def selling(agent: Agent) -> AsyncIterator[Agent]:
    """The agent with nothing to deliver and a lot as large as it gets; afterwards the next one is served."""
    await agent.until(lambda look: not look["deliveries"])
    await agent.control("stop-selling")
    await agent.control("resume")
    await agent.until_selling()
    yield agent
    await agent.control("stop-selling")
    await agent.control("resume")
    await trades_fairly(agent.endpoint)


@pytest.mark.parametrize(
    ("price_c", "kwh", "code"),
    [
        (29.99, 0.1, ReasonCode.PRICE_TOO_LOW),
        (0.0, 0.1, ReasonCode.PRICE_TOO_LOW),
        (2030.01, 0.1, ReasonCode.MALFORMED),
        (1e300, 0.1, ReasonCode.MALFORMED),
        (50.0, 0.0, ReasonCode.MALFORMED),
        (50.0, 0.05, ReasonCode.MALFORMED),
        (50.0, 7.1, ReasonCode.NOT_ENOUGH_ENERGY),
        (29.0, 7.1, ReasonCode.NOT_ENOUGH_ENERGY),
        (50.0, 1e300, ReasonCode.NOT_ENOUGH_ENERGY),
        (50.0, 1e9, ReasonCode.NOT_ENOUGH_ENERGY),
    ],
)
async def test_a_bid_that_cannot_win(selling: Agent, price_c: float, kwh: float, code: ReasonCode) -> None:
    async with buyer(selling.endpoint) as peer:
        said = await peer.bid(price_c, kwh)
    assert (said.kind, said.code) == (MessageType.BID_REJECT, code)
    assert said.body.sale_price == pytest.approx(30.0)


async def test_a_bid_with_a_battery_s_id_is_malformed(selling: Agent) -> None:
    async with buyer(selling.endpoint) as peer:
        assert (await peer.bid(50.0, 0.1, FIRST_BATTERY_ID)).code == ReasonCode.MALFORMED


async def test_an_unsigned_bid_off_the_grid_is_cut(selling: Agent) -> None:
    async with buyer(selling.endpoint) as peer:
        accept = (await peer.bid(50.018, 0.39)).body
        assert accept.message_type == MessageType.BID_ACCEPT
        assert [accept.sale_price, accept.required_energy_amount] == pytest.approx([50.01, 0.3])
        refused = await peer.confirm(confirm_of(accept, price_c=50.018, kwh=0.39))
        assert refused.code == ReasonCode.MALFORMED  # the Confirm repeats the Accept, not the Bid
        assert (await peer.confirm(accept)).kind == MessageType.BESS_STATUS
        await peer.send(Body.terminate(accept.message_id, DEVICE_ID, code=0, delivered_wh=0))
        await peer.until(MessageType.TERMINATE)


async def test_a_bid_below_a_standing_one_is_outbid(selling: Agent) -> None:
    async with buyer(selling.endpoint) as first, buyer(selling.endpoint) as second:
        await first.send(bid_body(1, 50.0, 7.0))
        assert await second.ask() is not None
        refused = await second.bid(50.05, 7.0)
        assert refused.code == ReasonCode.OUTBID
        assert refused.body.sale_price == pytest.approx(50.10)
        await second.send(bid_body(9, 50.10, 7.0))
        beaten = await first.verdict(1)
        assert beaten.code == ReasonCode.OUTBID
        assert beaten.body.sale_price == pytest.approx(50.20)
        accept = await second.verdict(9)
        assert (await second.confirm(accept.body)).kind == MessageType.BESS_STATUS
        await second.send(Body.terminate(9, DEVICE_ID, code=0, delivered_wh=0))
        await second.until(MessageType.TERMINATE)


async def test_no_lot_while_everything_is_promised(selling: Agent) -> None:
    async with buyer(selling.endpoint) as winner, buyer(selling.endpoint) as late:
        accept = await winner.bid(60.0, 7.0)
        assert accept.kind == MessageType.BID_ACCEPT
        assert (await winner.confirm(accept.body)).kind == MessageType.BESS_STATUS
        offer = await late.ask()
        assert (offer.required_energy_amount, offer.termination_code) == (0.0, ReasonCode.NO_LOT)  # no power is free
        refused = await late.bid(99.0, 0.1)
        assert refused.code == ReasonCode.NO_LOT
        assert refused.body.sale_price == pytest.approx(30.0)
        await winner.send(Body.terminate(accept.body.message_id, DEVICE_ID, code=0, delivered_wh=0))
        await winner.until(MessageType.TERMINATE, timeout_s=10)


async def test_the_65th_standing_bid_is_one_too_many(selling: Agent) -> None:
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(buyer(selling.endpoint)) for _ in range(65)]
        for peer in peers:
            await peer.send(bid_body(1, 40.0, 0.1))
        said = await asyncio.gather(*(peer.verdict(1) for peer in peers))
        codes = [each.code for each in said if each.kind == MessageType.BID_REJECT]
        won = [(peer, each) for peer, each in zip(peers, said, strict=True) if each.kind == MessageType.BID_ACCEPT]
        assert codes.count(ReasonCode.BUSY) == 1
        assert set(codes) <= {ReasonCode.BUSY, ReasonCode.TOO_LATE}  # 64 awards at once, on a disk others use too
        assert won
        for peer, accept in won:  # a battery with 64 deliveries at once must not be the next test's world
            await peer.confirm(accept.body)
            await peer.send(Body.terminate(1, DEVICE_ID, code=0, delivered_wh=0))


async def test_stopped_by_the_owner(selling: Agent) -> None:
    async with buyer(selling.endpoint) as standing, buyer(selling.endpoint) as late:
        await standing.send(bid_body(1, 50.0, 0.1))
        await standing.ask()
        await selling.control("stop-selling", battery="battery-1", reason="holiday")
        assert (await standing.verdict(1)).code == ReasonCode.WITHDRAWN
        assert (await late.bid(99.0, 0.1)).code == ReasonCode.WITHDRAWN
        assert (await late.ask()).termination_code == ReasonCode.WITHDRAWN
        assert (await selling.snapshot())["alarms"]["owner"] == "holiday"
        await selling.control("resume", battery="battery-1")
    await selling.until_selling()


async def test_the_reserve_moves(selling: Agent) -> None:
    await selling.control("set-reserve", battery="battery-1", price_e4=1_000_000)
    async with buyer(selling.endpoint) as peer:
        assert (await peer.bid(99.99, 0.1)).code == ReasonCode.PRICE_TOO_LOW
        assert (await peer.ask()).sale_price == pytest.approx(100.0)
    await selling.control("set-reserve", battery="battery-1", price_e4=300_000)


async def test_a_signed_peer_trades(signed: Agent) -> None:
    await signed.until_selling()
    await trades_fairly(signed.endpoint, KEY)


async def test_a_replayed_signature_takes_effect_once(signed: Agent) -> None:
    """The same bytes on another connection of the same signer: the same answer, never a second trade."""
    await signed.until_selling()
    async with buyer(signed.endpoint, KEY) as first, buyer(signed.endpoint, KEY) as second:
        bid = first.frame(bid_body(101, 50.0, 0.1))
        await first.send(bid)
        accept = await first.verdict(101)
        assert accept.kind == MessageType.BID_ACCEPT
        await second.send(bid)
        assert (await second.verdict(101)).body == accept.body
        confirm = first.frame(confirm_of(accept.body))
        await first.send(confirm)
        await first.until(MessageType.BESS_STATUS, 101)
        await second.send(confirm)
        await second.until(MessageType.BESS_STATUS, 101)
        assert len((await signed.snapshot())["deliveries"]) == 1
        await first.send(Body.terminate(101, DEVICE_ID, code=0, delivered_wh=0))
        ended = await second.until(MessageType.TERMINATE, 101, timeout_s=10)  # the newest connection of the key
        await second.send(bid)  # long over: the last word on that id
        again = await second.until(MessageType.TERMINATE, 101)
        assert again.body == ended.body


async def test_a_signature_of_another_session_is_refused(signed: Agent) -> None:
    """A stranger who recorded a Register and a Bid cannot use them: not his key, or an old time."""
    await signed.until_selling()
    old_ms = time.time_ns() // 1_000_000 - 60_000
    async with buyer(signed.endpoint, KEY) as peer, buyer(signed.endpoint, OTHER_KEY) as stranger:
        recorded = peer.frame(bid_body(201, 50.0, 0.1))
        (said,) = await stranger.answers(recorded)
        assert (said.body.message_id, said.code) == (201, ReasonCode.NOT_TRUSTED)
        (said,) = await peer.answers(peer.frame(bid_body(202, 50.0, 0.1), timestamp_ms=old_ms))
        assert (said.body.message_id, said.code) == (202, ReasonCode.NOT_TRUSTED)
        (said,) = await peer.answers(recorded[:-1] + bytes([recorded[-1] ^ 1]))
        assert said.code == ReasonCode.NOT_TRUSTED
    await trades_fairly(signed.endpoint, OTHER_KEY)


async def test_a_signed_bid_off_the_grid_is_malformed(signed: Agent) -> None:
    await signed.until_selling()
    async with buyer(signed.endpoint, KEY) as peer:
        assert (await peer.bid(50.018, 0.1, 301)).code == ReasonCode.MALFORMED
        assert (await peer.bid(50.0, 0.15, 302)).code == ReasonCode.MALFORMED


async def test_nobody_trades_unsigned_where_peers_sign(signed: Agent) -> None:
    await signed.until_selling()
    async with buyer(signed.endpoint) as peer:
        assert (await peer.ask()).required_energy_amount > 0  # asking is free
        await peer.send(bid_body(1, 99.0, 0.1), Body.bid_confirm(2, DEVICE_ID, price_e4=1, energy_wh=100))
        await peer.ask()
        assert not [said for said in peer.unread if said.kind == MessageType.BID_ACCEPT]


async def test_a_key_that_is_not_trusted_is_refused(signed: Agent) -> None:
    stranger = IdentityKey.from_root(random.Random(1).randbytes(32))
    with pytest.raises((TimeoutError, asyncio.IncompleteReadError, ConnectionResetError)):
        async with asyncio.timeout(1.5), buyer(signed.endpoint, stranger):
            pytest.fail("a stranger was introduced")
