"""TLS above the transport: in memory, cut into pieces, over sockets, and with the wrong people."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from etp.frame import encode_tcp
from etp.io.client import ConnectError
from etp.io.link import HANDSHAKE_MS, Link
from etp.io.pollclock import PollClock
from etp.io.tls import TlsEngine, TlsError
from etp.limits import Limits
from etp.messages import MessageType
from etp.testing import CUTTERS
from tests.etp.io.authority import Authority
from tests.etp.io.fakes import FakeLoop, FakeTransport, Notes, Owner, Refuser, bid, maker
from tests.etp.io.parties import dial, raw, serve

if TYPE_CHECKING:
    from contextlib import AsyncExitStack
    from pathlib import Path


@pytest.fixture
def fleet(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def engines(fleet: Authority) -> tuple[TlsEngine, TlsEngine]:
    server = TlsEngine(fleet.context("battery", server_side=True), server_side=True)
    client = TlsEngine(fleet.context("buyer", server_side=False), server_side=False, server_hostname="battery.test")
    client.begin()
    return server, client


def shake_hands(server: TlsEngine, client: TlsEngine) -> None:
    for _ in range(4):
        server.receive(client.pending())
        client.receive(server.pending())
    assert server.is_ready
    assert client.is_ready


@pytest.mark.parametrize("cut", CUTTERS.values(), ids=CUTTERS.keys())
def test_plaintext_survives_every_cut(fleet: Authority, cut: object) -> None:
    assert callable(cut)
    server, client = engines(fleet)
    for _ in range(4):
        for here, there in ((client, server), (server, client)):
            for piece in cut(here.pending()):
                there.receive(piece)
    plain = bytes(range(256)) * 300
    assert b"".join(server.receive(piece) for piece in cut(client.encrypt(plain))) == plain
    assert b"".join(client.receive(piece) for piece in cut(server.encrypt(b"answer"))) == b"answer"


def test_goodbye_is_noticed_after_the_last_plaintext(fleet: Authority) -> None:
    server, client = engines(fleet)
    shake_hands(server, client)
    last = client.encrypt(b"last words") + client.goodbye()
    assert server.receive(last) == b"last words"
    assert server.is_closed
    assert not client.is_closed


def test_goodbye_before_the_handshake_says_nothing_of_its_own(fleet: Authority) -> None:
    server, _ = engines(fleet)
    assert server.goodbye() == b""


def test_garbage_is_a_tls_error_with_an_alert(fleet: Authority) -> None:
    server, client = engines(fleet)
    with pytest.raises(TlsError):
        server.receive(b"GET / HTTP/1.1\r\n\r\n")
    server, client = engines(fleet)
    shake_hands(server, client)
    with pytest.raises(TlsError):
        server.receive(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert server.pending()


def test_a_broken_connection_carries_nothing_more(fleet: Authority) -> None:
    server, client = engines(fleet)
    shake_hands(server, client)
    record = bytearray(client.encrypt(b"bid"))
    record[-1] ^= 1
    for garbage in (bytes(record), b"more"):
        with pytest.raises(TlsError):
            server.receive(garbage)
    assert server.pending()  # the alert
    assert server.encrypt(b"answer") == b""


def test_who_breaks_it_while_answers_wait_for_him_is_closed_quietly(fleet: Authority) -> None:
    loop, seller = FakeLoop(), Notes()
    client = engines(fleet)[1]
    context = fleet.context("battery", server_side=True)
    link = Link(
        handler=seller,
        maker=maker(),
        clock=PollClock(loop.face, ticking=False),
        owner=Owner(),
        tls=lambda: TlsEngine(context, server_side=True),
    )
    transport = FakeTransport(link)
    link.connection_made(transport)
    for _ in range(3):
        link.data_received(client.pending())
        client.receive(b"".join(transport.writes))
        transport.writes.clear()
    assert seller.links == [link]
    transport.stuck = True
    link.send(bid(1))
    link.send(bid(2))
    record = bytearray(client.encrypt(b"bid"))
    record[-1] ^= 1
    link.data_received(bytes(record))
    transport.unstick()
    link.connection_lost(None)
    assert "TLS" in seller.closed[0]


async def test_trade_over_mutual_tls(tidy: AsyncExitStack, fleet: Authority) -> None:
    seller, buyer = Refuser(), Notes()
    _, port = await serve(tidy, seller, ssl_context=fleet.context("battery", server_side=True))
    link = await dial(tidy, port, buyer, ssl_context=fleet.context("buyer", server_side=False))
    for number in range(50):
        link.send(bid(number))
    await buyer.until(lambda: len(buyer.frames) == 50)
    assert {frame.body.message_type for frame in buyer.frames} == {MessageType.BID_REJECT}
    link.close("done")
    await seller.until(lambda: seller.closed)
    assert seller.closed == ["the peer closed"]


async def test_stranger_is_refused_before_the_handler_hears_of_him(
    tidy: AsyncExitStack, fleet: Authority, tmp_path: Path
) -> None:
    (tmp_path / "others").mkdir()
    others = Authority(tmp_path / "others", "others")
    seller = Refuser()
    server, port = await serve(tidy, seller, ssl_context=fleet.context("battery", server_side=True))
    with pytest.raises(ConnectError, match="TLS"):
        await dial(tidy, port, Notes(), ssl_context=others.context("buyer", server_side=False))
    assert seller.links == []
    assert server.links == ()


async def test_plain_bytes_on_a_tls_port_are_closed(tidy: AsyncExitStack, fleet: Authority) -> None:
    seller = Refuser()
    server, port = await serve(tidy, seller, ssl_context=fleet.context("battery", server_side=True))
    peer = await raw(tidy, port)
    peer.send(encode_tcp(bid(1)))
    await peer.until_closed()
    assert seller.links == []
    buyer = Notes()
    link = await dial(tidy, port, buyer, ssl_context=fleet.context("buyer", server_side=False))
    link.send(bid(1))
    await buyer.until(lambda: buyer.frames)
    assert len(server.links) == 1


async def test_handshakes_count_as_connections(tidy: AsyncExitStack, fleet: Authority) -> None:
    context = fleet.context("battery", server_side=True)
    server, port = await serve(tidy, Notes(), ssl_context=context, limits=Limits(connections=2))
    mute = [await raw(tidy, port) for _ in range(2)]
    refused = await raw(tidy, port)
    assert await refused.until_closed() == b""
    assert server.refused == 1
    assert not any(peer.is_closed for peer in mute)


def test_handshake_that_never_ends_is_closed(fleet: Authority) -> None:
    loop, owner, notes = FakeLoop(), Owner(), Notes()
    context = fleet.context("battery", server_side=True)
    link = Link(
        handler=notes,
        maker=maker(limits=Limits(idle_ms=0, half_frame_ms=0, stalled_ms=0)),
        clock=PollClock(loop.face, ticking=False),
        owner=owner,
        tls=lambda: TlsEngine(context, server_side=True),
    )
    transport = FakeTransport(link)
    link.connection_made(transport)
    link.data_received(b"\x16\x03\x01")
    while loop.now_s * 1_000 < HANDSHAKE_MS * 1.25 + 10:
        loop.now_s += 0.1
        loop.run_timers()
    assert "no TLS handshake" in owner.gone_for[0]
    assert notes.closed == []


def test_last_frames_before_a_goodbye_are_heard(fleet: Authority) -> None:
    loop, owner, seller = FakeLoop(), Owner(), Refuser()
    context = fleet.context("battery", server_side=True)
    link = Link(
        handler=seller,
        maker=maker(),
        clock=PollClock(loop.face, ticking=False),
        owner=owner,
        tls=lambda: TlsEngine(context, server_side=True),
    )
    transport = FakeTransport(link)
    link.connection_made(transport)
    client = TlsEngine(fleet.context("buyer", server_side=False), server_side=False, server_hostname="battery.test")
    client.begin()
    for _ in range(3):
        link.data_received(client.pending())
        for data in transport.writes:
            client.receive(data)
        transport.writes.clear()
    assert seller.links == [link]
    link.data_received(client.encrypt(encode_tcp(bid(1))) + client.goodbye())
    assert len(seller.frames) == 1
    assert seller.closed == ["the peer closed"]
    assert b"".join(client.receive(data) for data in transport.writes)[4] == MessageType.BID_REJECT


def test_context_stays_the_callers(fleet: Authority) -> None:
    context = fleet.context("battery", server_side=True)
    TlsEngine(context, server_side=True)
    assert context.verify_mode is ssl.CERT_REQUIRED
