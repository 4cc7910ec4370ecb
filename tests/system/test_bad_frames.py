"""What a peer may send to a running agent, and what it gets: a reason code, or a closed connection with the reason."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from etp.frame import encode_frame, encode_tcp, prefixed
from etp.messages import Body, MessageType, ReasonCode
from tests.patience import patient
from tests.system.buyer import DEVICE_ID, bid_body, buyer, confirm_of, trades_fairly
from tests.system.processes import Agent, Battery, write_site

if TYPE_CHECKING:
    from collections.abc import Iterator

HALF_FRAME_MS = 1_000
LIMITS = f"half_frame_ms = {HALF_FRAME_MS}"
GROWTH_KIB_MAX = 12 * 1_024


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    directory = tmp_path_factory.mktemp("frames")
    with Battery(directory) as battery:
        site = write_site(directory, battery.address, limits=LIMITS)
        with Agent(directory, site) as agent:
            yield agent
            assert agent.end() == 0
            assert not [entry for entry in agent.log() if entry["level"] == "error"]


@pytest.fixture(autouse=True)
async def others_do_not_notice(agent: Agent) -> object:
    """Whatever a peer did, selling goes on, memory has not grown, and the next one is served."""
    await agent.until_selling()
    before_kib = agent.rss_kib()
    yield
    await trades_fairly(agent.endpoint)
    assert agent.rss_kib() - before_kib < GROWTH_KIB_MAX


def raw(size: int, content: bytes) -> bytes:
    return struct.pack("<I", size) + content


GOOD = encode_frame(Body.query(1, DEVICE_ID))


@pytest.mark.parametrize(
    "size", [0, 1, 83, 1025, 65_536, 0x54000000, 0xFFFFFFFF], ids=["zero", "one", "short", "long", "u16", "be", "huge"]
)
async def test_a_length_outside_the_frame_closes(agent: Agent, size: int) -> None:
    async with buyer(agent.endpoint) as peer:
        await peer.send(raw(size, GOOD))
        assert await peer.closed() == []
    await agent.until_logged("link_closed", reason=f"frame length {size} is outside 84..1024")


async def test_what_came_before_a_bad_length_is_answered(agent: Agent) -> None:
    async with buyer(agent.endpoint) as peer:
        await peer.send(Body.query(7, DEVICE_ID), raw(0, b""))
        assert [said.body.message_id for said in await peer.closed()] == [7]


NOT_NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "negative": -0.01, "-max": -1e308}


@pytest.mark.parametrize("number", NOT_NUMBERS.values(), ids=NOT_NUMBERS.keys())
@pytest.mark.parametrize("field", ["bid_price", "sale_price", "required_energy_amount", "battery_voltage"])
async def test_a_number_that_is_none_gets_malformed(agent: Agent, field: str, number: float) -> None:
    bid = Body(**{**bid_body(11, 50.0, 0.1)._asdict(), field: number})
    confirm = bid._replace(message_type=MessageType.BID_CONFIRM, message_id=12)
    query = bid._replace(message_type=MessageType.QUERY, message_id=13)
    async with buyer(agent.endpoint) as peer:
        said = sorted(await peer.answers(bid, confirm, query))
    assert [(each.kind, each.body.message_id, each.code) for each in said] == [
        (MessageType.BID_REJECT, 11, ReasonCode.MALFORMED),
        (MessageType.BID_REJECT, 12, ReasonCode.MALFORMED),
    ]
    assert said[0].body.sale_price == pytest.approx(30.0)  # every Reject carries the price to beat


async def test_a_percentage_above_100_is_malformed(agent: Agent) -> None:
    async with buyer(agent.endpoint) as peer:
        (said,) = await peer.answers(bid_body(1, 50.0, 0.1)._replace(percentage_for_sale=100.1))
    assert said.code == ReasonCode.MALFORMED


@pytest.mark.parametrize("kind", [10, 77, 255])
async def test_an_unknown_type_is_dropped(agent: Agent, kind: int) -> None:
    async with buyer(agent.endpoint) as peer:
        assert await peer.answers(bid_body(5, 50.0, 0.1)._replace(message_type=kind)) == []


async def test_an_expired_frame_is_dropped(agent: Agent) -> None:
    async with buyer(agent.endpoint) as peer:
        expired = [Body(kind, 40 + kind, DEVICE_ID, ttl=0, bid_price=50.0) for kind in MessageType]
        assert await peer.answers(*expired) == []


async def test_the_wrong_direction_is_dropped(agent: Agent) -> None:
    theirs = (
        MessageType.QUERY_RESPONSE,
        MessageType.BID_ACCEPT,
        MessageType.BID_REJECT,
        MessageType.DEVICE_FAILURE,
        MessageType.BESS_STATUS,
    )
    async with buyer(agent.endpoint) as peer:
        assert await peer.answers(*[Body(kind, 50 + kind, DEVICE_ID, bid_price=50.0) for kind in theirs]) == []


async def test_bad_extensions_are_malformed(agent: Agent) -> None:
    bid = encode_frame(bid_body(1, 50.0, 0.1))
    bad = (b"\x03", b"\x03\xff\xff", b"\x03\x01\x00\xff", b"\x04\x00\x00\x03\x00\x00", b"\x01\x05\x00hello")
    async with buyer(agent.endpoint) as peer:
        said = await peer.answers(*[prefixed(bid + each) for each in bad])
    assert [each.code for each in said] == [ReasonCode.MALFORMED] * len(bad)


async def test_ten_bad_frames_in_a_minute_close(agent: Agent) -> None:
    random_bytes = random.Random(84).randbytes
    async with buyer(agent.endpoint) as peer:
        await peer.send(*[prefixed(bytes([200]) + random_bytes(83)) for _ in range(10)])
        assert await peer.closed() == []
    await agent.until_logged("link_closed", reason="10 bad frames in a minute")


@pytest.mark.parametrize("seed", range(6))
async def test_garbage_closes(agent: Agent, seed: int) -> None:
    async with buyer(agent.endpoint) as peer:
        await peer.send(random.Random(seed).randbytes(4_096))
        assert await peer.closed() == []
    await agent.until_logged("link_closed", reason="frame length")


@pytest.mark.parametrize(
    "text",
    [b"GET / HTTP/1.1\r\nHost: battery\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03"],
    ids=["http", "tls"],
)
async def test_another_protocol_is_closed(agent: Agent, text: bytes) -> None:
    async with buyer(agent.endpoint) as peer:
        await peer.send(text)
        assert await peer.closed() == []


async def test_half_a_frame_and_silence_is_closed(agent: Agent) -> None:
    async with buyer(agent.endpoint) as peer:
        await peer.send(encode_tcp(bid_body(1, 50.0, 0.1))[:40])
        assert await peer.closed() == []
    await agent.until_logged("link_closed", reason="half a frame for")


async def test_one_byte_at_a_time_is_a_frame(agent: Agent) -> None:
    async with buyer(agent.endpoint) as peer:
        for byte in encode_tcp(bid_body(9, 1.0, 0.1)):
            await peer.send(bytes([byte]))
            await asyncio.sleep(0)
        said = await peer.verdict(9)
    assert said.code == ReasonCode.PRICE_TOO_LOW
    assert said.body.sale_price == pytest.approx(30.0)


@pytest.mark.parametrize("kind", [MessageType.BID, MessageType.QUERY, MessageType.BID_CONFIRM, MessageType.REGISTER])
async def test_ten_thousand_frames_at_once_close(agent: Agent, kind: int) -> None:
    """A flood costs its sender the connection, and nobody else anything: a trade goes on beside it."""
    frames = b"".join(encode_tcp(Body(kind, number, DEVICE_ID, bid_price=1.0)) for number in range(1, 10_001))
    async with buyer(agent.endpoint) as peer:
        flood = asyncio.create_task(peer.send(frames))
        await trades_fairly(agent.endpoint)
        assert len(await peer.closed()) <= 800
        await asyncio.gather(flood, return_exceptions=True)
    await agent.until_logged("link_closed", reason="more than twice 200 frames/s")


async def test_a_burst_is_answered_in_full(agent: Agent) -> None:
    bids = [bid_body(number, 1.0, 0.1) for number in range(1, 601)]
    async with buyer(agent.endpoint) as peer:
        await peer.send(*bids)
        codes = [(await peer.verdict(bid.message_id)).code for bid in bids]
    assert codes.count(ReasonCode.PRICE_TOO_LOW) in range(400, 450)
    assert codes.count(ReasonCode.BUSY) == 600 - codes.count(ReasonCode.PRICE_TOO_LOW)


@pytest.mark.slow
async def test_a_peer_that_asks_and_does_not_read_is_closed(agent: Agent) -> None:
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_304)
        deaf.setblocking(False)
        await asyncio.get_running_loop().sock_connect(deaf, agent.endpoint)
        async with asyncio.timeout(60):
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                await _ask_without_end(deaf)
    await agent.until_logged("link_closed", reason="the peer does not read")


async def _ask_without_end(deaf: socket.socket) -> None:
    """Ask as often as the rate allows."""
    for number in itertools.count(1):
        await asyncio.get_running_loop().sock_sendall(deaf, encode_tcp(Body.query(number, DEVICE_ID)) * 20)
        await asyncio.sleep(0.1)


async def test_a_confirm_without_an_award_is_refused(agent: Agent) -> None:
    async with buyer(agent.endpoint) as peer:
        (said,) = await peer.answers(Body.bid_confirm(99, DEVICE_ID, price_e4=500_000, energy_wh=100))
    assert (said.kind, said.body.message_id, said.code) == (MessageType.BID_REJECT, 99, ReasonCode.NOT_CONFIRMED)


async def test_a_foreign_award_cannot_be_confirmed(agent: Agent) -> None:
    async with buyer(agent.endpoint) as winner, buyer(agent.endpoint) as thief:
        accept = await winner.bid(90.0, 0.1, message_id=77)
        assert accept.kind == MessageType.BID_ACCEPT
        (said,) = await thief.answers(confirm_of(accept.body))
        assert (said.kind, said.code) == (MessageType.BID_REJECT, ReasonCode.NOT_CONFIRMED)
        assert (await winner.confirm(accept.body)).kind == MessageType.BESS_STATUS


async def test_an_expired_award_cannot_be_confirmed(agent: Agent) -> None:
    async with buyer(agent.endpoint) as late:
        accept = await late.bid(90.0, 0.1)
        assert accept.kind == MessageType.BID_ACCEPT
        expired = await late.until(MessageType.BID_REJECT, accept.body.message_id)
        assert expired.code == ReasonCode.NOT_CONFIRMED
        (said,) = await late.answers(confirm_of(accept.body))
        assert (said.kind, said.code) == (MessageType.BID_REJECT, ReasonCode.NOT_CONFIRMED)
        again = await late.bid(95.0, 0.1)
        assert again.code == ReasonCode.NOT_TRUSTED  # for 10 s


@patient  # the battery waits 1,000 ms for the Confirm
async def test_a_confirm_that_differs_leaves_the_award_open(agent: Agent) -> None:
    async with buyer(agent.endpoint) as winner:
        said = await winner.bid(90.0, 0.1)  # what earlier tests have left of the lot may be no more
        assert said.kind == MessageType.BID_ACCEPT
        accept = said.body
        for wrong in (confirm_of(accept, price_c=89.99), confirm_of(accept, kwh=0.2), confirm_of(accept, kwh=math.nan)):
            await winner.send(wrong)
            refused = await winner.until(MessageType.BID_REJECT, accept.message_id)
            assert refused.code == ReasonCode.MALFORMED
        assert (await winner.confirm(accept)).kind == MessageType.BESS_STATUS
        # confirmed once, acknowledged again: the buyer may have missed it
        assert (await winner.confirm(accept)).kind == MessageType.BESS_STATUS


async def test_the_same_bid_twice_has_one_answer_and_then_the_same_again(agent: Agent) -> None:
    bid = bid_body(31, 1.0, 0.1)
    async with buyer(agent.endpoint) as peer:
        first = await peer.answers(bid, bid)
        assert [said.code for said in first] == [ReasonCode.PRICE_TOO_LOW]
        assert await peer.answers(bid) == first


async def test_a_standing_bid_sent_again_stands_once(agent: Agent) -> None:
    bid = bid_body(31, 91.0, 0.1)
    async with buyer(agent.endpoint) as peer:
        await peer.send(bid, bid, bid)
        accept = await peer.verdict(31)
        assert accept.kind == MessageType.BID_ACCEPT
        assert (await peer.confirm(accept.body)).kind == MessageType.BESS_STATUS
        assert [said.kind for said in peer.unread if said.body.message_id == 31] == []


async def test_the_same_id_with_other_bytes_is_a_duplicate(agent: Agent) -> None:
    async with buyer(agent.endpoint) as peer:
        await peer.send(bid_body(31, 92.0, 0.1), bid_body(31, 93.0, 0.1))
        refused = await peer.until(MessageType.BID_REJECT, 31)
        assert refused.code == ReasonCode.DUPLICATE_ID
        accept = await peer.verdict(31)  # the first bid's state is as it was
        assert accept.kind == MessageType.BID_ACCEPT
        assert accept.body.sale_price == pytest.approx(92.0)
        (said,) = await peer.answers(bid_body(31, 94.0, 0.1))
        assert said.code == ReasonCode.DUPLICATE_ID
        assert (await peer.confirm(accept.body)).kind == MessageType.BESS_STATUS
