"""A server on real sockets against peers of every kind."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from etp.frame import encode_tcp
from etp.io.link import Link
from etp.io.pollclock import PollClock
from etp.io.server import EtpServer, ListenError
from etp.io.sockets import open_service_sockets
from etp.limits import Limits
from etp.messages import Body, MessageType
from tests.etp.io.fakes import Notes, Refuser, bid, maker
from tests.etp.io.parties import HOST, dial, raw, serve

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from etp.connection import Received

REJECT_BYTES = 88


async def test_bid_is_refused_over_tcp(tidy: AsyncExitStack) -> None:
    _, port = await serve(tidy, Refuser())
    buyer = Notes()
    link = await dial(tidy, port, buyer)
    link.send(bid(1))
    link.send(bid(2))
    await buyer.until(lambda: len(buyer.frames) == 2)
    assert [frame.body.message_id for frame in buyer.frames] == [1, 2]
    assert {frame.body.message_type for frame in buyer.frames} == {MessageType.BID_REJECT}


async def test_link_names_its_peer(tidy: AsyncExitStack) -> None:
    seller = Refuser()
    server, port = await serve(tidy, seller)
    link = await dial(tidy, port, Notes())
    await seller.until(lambda: seller.links)
    (own,) = server.links
    assert own.address == HOST
    assert own.remote.startswith(f"{HOST}:")
    assert link.remote == f"{HOST}:{port}"
    assert own.peer == "conn:1"


async def test_byte_by_byte_is_read_like_whole_frames(tidy: AsyncExitStack) -> None:
    _, port = await serve(tidy, Refuser())
    peer = await raw(tidy, port)
    for byte in encode_tcp(bid(1)):
        peer.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await peer.read(REJECT_BYTES))[4] == MessageType.BID_REJECT


async def test_ten_thousand_frames_at_once_are_all_answered_and_others_are_served(tidy: AsyncExitStack) -> None:
    seller = Refuser()
    rates = {"frames_per_s": 0, "burst": 0, "address_frames_per_s": 0}
    limits = Limits(**rates, outbox_frames=100_000, outbox_bytes=10_000_000, stalled_ms=0)
    _, port = await serve(tidy, seller, limits=limits)
    flooder, other = await raw(tidy, port), Notes()
    link = await dial(tidy, port, other)
    flooder.send(b"".join(encode_tcp(bid(number)) for number in range(10_000)))
    link.send(bid(1))
    await other.until(lambda: other.frames)
    assert len(await flooder.read(10_000 * REJECT_BYTES)) == 880_000


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00\x00\x00\x00", "length"),
        (b"\xff\xff\xff\xff", "length"),
        (b"\x53\x00\x00\x00", "length"),
        (b"GET / HTTP/1.1\r\n\r\n", "length"),
        (encode_tcp(bid(1)._replace(message_type=200)) * 10, "bad frames"),
        (encode_tcp(Body.device_failure(1 << 63, 1)) * 10, "bad frames"),
    ],
    ids=["zero", "huge", "83", "another protocol", "unknown type", "wrong direction"],
)
async def test_nonsense_is_closed_with_a_reason(tidy: AsyncExitStack, data: bytes, reason: str) -> None:
    seller = Refuser()
    _, port = await serve(tidy, seller)
    peer = await raw(tidy, port)
    with capture_logs() as logs:
        peer.send(data)
        await peer.until_closed()
        await seller.until(lambda: seller.closed)
    assert reason in seller.closed[0]
    assert [line["reason"] for line in logs if line["event"] == "link_closed"] == seller.closed


async def test_half_a_frame_then_silence_is_closed(tidy: AsyncExitStack) -> None:
    seller = Refuser()
    _, port = await serve(tidy, seller, limits=Limits(half_frame_ms=100))
    peer = await raw(tidy, port)
    peer.send(encode_tcp(bid(1))[:40])
    await peer.until_closed()
    assert "half a frame" in seller.closed[0]


async def test_reader_that_does_not_read_costs_bounded_memory(tidy: AsyncExitStack) -> None:
    """Kernel buffers fill, then the outbox, then the link is closed; nothing else grows."""
    seller = Notes()
    server, port = await serve(tidy, seller)
    sleeper = socket.socket()
    tidy.callback(sleeper.close)
    sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sleeper.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sleeper, (HOST, port))
    await seller.until(lambda: seller.links)
    (link,) = server.links
    sent = 0
    while link.is_open:
        link.send(Body.terminate(sent, 1, code=0, delivered_wh=0))
        sent += 1
        assert sent < 20_000  # 1.7 MB
        if not sent % 100:
            await asyncio.sleep(0)
    await seller.until(lambda: seller.closed)
    assert "does not read" in seller.closed[0]
    assert link.connection.waiting <= Limits().outbox_frames + 1


async def test_connections_are_counted(tidy: AsyncExitStack) -> None:
    seller = Notes()
    server, port = await serve(tidy, seller, limits=Limits(connections=3, per_address=0))
    peers = [await raw(tidy, port) for _ in range(3)]
    await seller.until(lambda: len(seller.links) == 3)
    with capture_logs() as logs:
        for _ in range(2):
            assert await (await raw(tidy, port)).until_closed() == b""
    assert server.refused == 2
    refusals = [line for line in logs if line["event"] == "link_refused"]
    assert [line["log_level"] for line in refusals] == ["warning", "debug"]
    assert "3 connections" in refusals[0]["reason"]
    peers[0].close()
    await seller.until(lambda: seller.closed)
    await raw(tidy, port)
    await seller.until(lambda: len(seller.links) == 4)


async def test_connections_of_one_address_are_counted(tidy: AsyncExitStack) -> None:
    seller = Notes()
    server, port = await serve(tidy, seller, limits=Limits(per_address=2))
    for _ in range(2):
        await raw(tidy, port)
    await seller.until(lambda: len(seller.links) == 2)
    assert await (await raw(tidy, port)).until_closed() == b""
    await raw(tidy, port, "127.0.0.2")
    await seller.until(lambda: len(seller.links) == 3)
    assert {link.address for link in server.links} == {HOST, "127.0.0.2"}


async def test_256_connections_of_64_an_address_are_the_default(tidy: AsyncExitStack) -> None:
    seller = Notes()
    server, port = await serve(tidy, seller)
    peers = [await raw(tidy, port, f"127.0.0.{10 + number % 5}") for number in range(325)]
    await seller.until(lambda: len(seller.links) == 256)
    await asyncio.gather(*(peer.until_closed() for peer in peers[320:]))
    assert server.refused == 325 - 256
    assert len(server.links) == 256
    assert max(sum(link.address == f"127.0.0.{number}" for link in server.links) for number in range(10, 15)) <= 64


async def test_closing_says_the_last_words_and_refuses_newcomers(tidy: AsyncExitStack) -> None:
    seller, buyer = Notes(), Notes()
    server, port = await serve(tidy, seller)
    await dial(tidy, port, buyer)
    await seller.until(lambda: seller.links)
    server.links[0].send(Body.terminate(1, 1, code=12, delivered_wh=0), hold=True)
    await server.close("maintenance")
    await buyer.until(lambda: buyer.closed)
    assert [frame.body.termination_code for frame in buyer.frames] == [12]
    assert buyer.closed == ["the peer closed"]
    assert seller.closed == ["maintenance"]
    assert server.links == ()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((HOST, port))
    await server.close()


async def test_server_that_stopped_admits_nobody() -> None:
    server = EtpServer(handler=Notes(), maker=maker())
    await server.start(HOST, 0)
    await server.close()
    straggler = Link(handler=Notes(), maker=maker(), clock=PollClock(), owner=server)
    assert not server.admit(straggler)


async def test_handler_that_fails_loses_its_link_only(tidy: AsyncExitStack) -> None:
    def answer(link: Link, frame: Received) -> None:
        if frame.body.message_id == 13:
            raise LookupError("no row 13")
        link.send(Body.bid_reject(frame.body.message_id, 1, code=1, beat_e4=0))

    errors: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    seller, buyer, other = Notes(answer), Notes(), Notes()
    _, port = await serve(tidy, seller)
    unlucky, lucky = await dial(tidy, port, buyer), await dial(tidy, port, other)
    unlucky.send(bid(13))
    await buyer.until(lambda: buyer.closed)
    lucky.send(bid(14))
    await other.until(lambda: other.frames)
    assert any("LookupError" in reason for reason in seller.closed)
    assert len(errors) == 1


async def test_port_in_use_is_a_clear_error(tidy: AsyncExitStack) -> None:
    _, port = await serve(tidy, Notes())
    with pytest.raises(ListenError, match=f"{port}.*in use"):
        await EtpServer(handler=Notes(), maker=maker()).start(HOST, port)


async def test_server_takes_a_bound_socket(tidy: AsyncExitStack) -> None:
    doors = open_service_sockets(HOST, 0)
    tidy.callback(doors.udp.close)
    seller = Refuser()
    server = EtpServer(handler=seller, maker=maker())
    assert await server.start(sock=doors.tcp) == doors.port
    tidy.push_async_callback(server.close)
    buyer = Notes()
    (await dial(tidy, doors.port, buyer)).send(bid(1))
    await buyer.until(lambda: buyer.frames)
