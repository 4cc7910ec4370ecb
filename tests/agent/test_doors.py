"""One battery's doors on real sockets: TCP and UDP on one port, with and without a group."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
import structlog

from agent import doors as module
from agent.config_values import NetworkSite
from agent.doors import Doors
from etp.auth import AuthPolicy
from etp.connection import Role
from etp.frame import decode_frame, encode_frame
from etp.io.maker import ConnectionMaker
from etp.io.pollclock import PollClock
from etp.io.server import ListenError
from etp.limits import Limits
from etp.messages import Body, MessageType
from tests.agent.gateway_world import key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from etp.io.handler import LinkHandler
    from etp.io.link import Link

NETWORK = NetworkSite(
    listen="127.0.0.1",
    peers="open",
    trusted_peers=None,
    multicast=False,
    group="239.192.84.77",
    group_port=0,
    ttl=0,
    interface="127.0.0.1",
)
OPEN = AuthPolicy(peers="open", signer=key(99))
QUERY = Body.query(5, 9)


class Nobody:
    """A handler that keeps its links and answers nothing."""

    def __init__(self) -> None:
        self.closed: list[str] = []

    def link_opened(self, link: Link) -> None:
        return

    def frames_received(self, link: Link, frames: list[Any]) -> None:
        return

    def link_closed(self, link: Link, reason: str) -> None:
        self.closed.append(reason)


@asynccontextmanager
async def doors(policy: AuthPolicy = OPEN) -> AsyncIterator[tuple[Doors, Nobody]]:
    nobody = Nobody()
    maker = ConnectionMaker(role=Role.BATTERY, device_id=7, policy=policy, limits=Limits(), wall_ms=lambda: 0)
    made = Doors(
        "battery-1",
        handler=cast("LinkHandler", nobody),
        maker=maker,
        clock=PollClock(),
        answer=lambda query, _source: Body.query_response(query.message_id, 7, beat_e4=300_000, lot_wh=1_000),
    )
    try:
        yield made, nobody
    finally:
        await made.close("the test is over")


async def ask(port: int) -> Body:
    """Send a Query as a datagram and return the answer, which must come from the same port."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.setblocking(False)
        await loop.sock_connect(asker, ("127.0.0.1", port))
        await loop.sock_sendall(asker, encode_frame(QUERY))
        async with asyncio.timeout(30):
            return decode_frame(await loop.sock_recv(asker, 2_048))[0]


async def test_a_query_is_answered_from_the_port_that_trades() -> None:
    async with doors() as (made, _):
        await made.open(NETWORK, 0, datagrams=True)
        answer = await ask(made.port)
        assert (answer.message_type, answer.message_id, answer.energy_wh) == (MessageType.QUERY_RESPONSE, 5, 1_000)
        _, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.close()
        await writer.wait_closed()
        made.changed()
        made.multicast(Body.device_failure(1 << 63, 7))  # there is no group, and nobody minds


async def test_a_port_that_is_taken_says_whose_and_what_to_do() -> None:
    async with doors() as (first, _), doors() as (second, _):
        await first.open(NETWORK, 0, datagrams=True)
        with pytest.raises(ListenError, match=rf"battery battery-1: cannot listen on 127\.0\.0\.1 port {first.port}"):
            await second.open(NETWORK, first.port, datagrams=True)


async def test_without_datagrams_there_is_only_tcp() -> None:
    async with doors() as (made, _):
        await made.open(NETWORK, 0, datagrams=False)
        assert made.port
        made.changed()
        made.multicast(Body.device_failure(1 << 63, 7))
        await made.announce()


async def test_a_group_that_is_not_there_is_told_once_and_joined_when_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "JOIN_AGAIN_S", 0.01)
    away = replace(NETWORK, multicast=True, interface="192.0.2.1")
    async with doors() as (made, _):
        await made.open(away, 0, datagrams=True)
        with structlog.testing.capture_logs() as lines:
            announcing = asyncio.create_task(made.announce())
            await asyncio.sleep(0.1)
            assert not announcing.done()
            assert (await ask(made.port)).message_id == 5
            announcing.cancel()
            await asyncio.gather(announcing, return_exceptions=True)
        warnings = [line for line in lines if line["log_level"] == "warning"]
        assert len(warnings) == 1
        assert "192.0.2.1" in warnings[0]["reason"]


async def test_who_may_trade_changes_for_everybody_who_signed() -> None:
    async with doors() as (made, nobody):
        await made.open(NETWORK, 0, datagrams=False)
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        await asyncio.sleep(0.05)
        made.admit(OPEN, announce=True)
        assert nobody.closed == []
        made.admit(AuthPolicy(peers="signed", signer=key(99)), announce=True)
        async with asyncio.timeout(30):
            assert await reader.read() == b""
        assert nobody.closed == ["who may trade has changed: connect again"]
        writer.close()
        await writer.wait_closed()
