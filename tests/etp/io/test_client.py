"""Dialling a battery: who is there, who is not, and who does not answer."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from etp.auth import AuthPolicy
from etp.connection import Role
from etp.io.client import ConnectError, connect
from etp.io.pollclock import PollClock
from etp.messages import MessageType
from settlement import IdentityKey
from tests.etp.io.fakes import Notes, Refuser, bid, maker
from tests.etp.io.parties import HOST, dial, serve

if TYPE_CHECKING:
    from contextlib import AsyncExitStack


async def test_link_is_open_and_its_handler_knows(tidy: AsyncExitStack) -> None:
    _, port = await serve(tidy, Refuser())
    buyer = Notes()
    clock = PollClock()
    link = await connect(HOST, port, handler=buyer, maker=maker(Role.AGGREGATOR), clock=clock)
    assert buyer.links == [link]
    assert link.is_open
    link.close("done")
    await buyer.until(lambda: buyer.closed)
    assert buyer.closed == ["done"]
    assert not link.is_open


async def test_nobody_there_is_a_clear_error() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
    buyer = Notes()
    with pytest.raises(ConnectError, match=f"{HOST} port {port}.*refused") as caught:
        await connect(HOST, port, handler=buyer, maker=maker(Role.AGGREGATOR))
    assert (caught.value.host, caught.value.port) == (HOST, port)
    assert buyer.links == []


async def test_name_that_does_not_exist_is_a_clear_error() -> None:
    with pytest.raises(ConnectError, match=r"nowhere\.invalid"):
        await connect("nowhere.invalid", 4084, handler=Notes(), maker=maker(Role.AGGREGATOR))


async def test_peer_that_never_shakes_hands_is_given_up() -> None:
    buyer = Notes()
    context = ssl.create_default_context()
    with socket.create_server((HOST, 0)) as mute:
        port = mute.getsockname()[1]
        with pytest.raises(ConnectError, match=r"not open within 0\.1 s"):
            await connect(HOST, port, handler=buyer, maker=maker(Role.AGGREGATOR), ssl_context=context, timeout_s=0.1)
    await asyncio.sleep(0)
    assert (buyer.links, buyer.closed) == ([], [])


async def test_caller_that_changes_its_mind_leaves_nothing_open() -> None:
    with socket.create_server((HOST, 0)) as mute:
        mute.settimeout(30)
        port = mute.getsockname()[1]
        context = ssl.create_default_context()
        dialling = asyncio.create_task(
            connect(HOST, port, handler=Notes(), maker=maker(Role.AGGREGATOR), ssl_context=context)
        )
        peer, _ = await asyncio.to_thread(mute.accept)
        with peer:
            peer.settimeout(30)
            assert await asyncio.to_thread(peer.recv, 1) == b"\x16"  # its greeting
            dialling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dialling
            rest = await asyncio.to_thread(_read_to_the_end, peer)
            assert len(rest) < 4_096


def _read_to_the_end(sock: socket.socket) -> bytes:
    data = b""
    while chunk := sock.recv(4_096):
        data += chunk
    return data


async def test_signed_peers_introduce_themselves_and_trade(tidy: AsyncExitStack) -> None:
    seller_key, buyer_key = IdentityKey(bytes([1]) * 32), IdentityKey(bytes([2]) * 32)
    seller, buyer = Refuser(), Notes()
    _, port = await serve(tidy, seller, policy=AuthPolicy(peers="signed", signer=seller_key))
    link = await dial(tidy, port, buyer, policy=AuthPolicy(peers="signed", signer=buyer_key))
    link.send(bid(1))
    await buyer.until(lambda: any(frame.body.message_type == MessageType.BID_REJECT for frame in buyer.frames))
    assert link.signer == seller_key.public_key
    assert link.registered
    (own,) = seller.links
    assert own.peer == f"key:{buyer_key.public_key.hex()}"
    assert {frame.signer for frame in buyer.frames} == {seller_key.public_key}
