"""Servers, links and raw peers on 127.0.0.1, closed when the test ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, cast

from etp.connection import Role
from etp.discovery import GROUP_V6
from etp.io.client import connect
from etp.io.group import MulticastSettings, MulticastUnavailable, open_asker
from etp.io.server import EtpServer
from tests.etp.io.fakes import Notes, maker

if TYPE_CHECKING:
    import ssl
    from contextlib import AsyncExitStack

    from etp.auth import AuthPolicy
    from etp.io.link import Link
    from etp.limits import Limits

HOST = "127.0.0.1"
PATIENCE_S = 60.0
"""An upper bound on what is awaited: a machine busy with other tests takes its time."""


async def serve(
    tidy: AsyncExitStack,
    handler: Notes,
    *,
    limits: Limits | None = None,
    policy: AuthPolicy | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> tuple[EtpServer, int]:
    server = EtpServer(handler=handler, maker=maker(limits=limits, policy=policy), ssl_context=ssl_context)
    port = await server.start(HOST, 0)
    tidy.push_async_callback(server.close)
    return server, port


async def dial(
    tidy: AsyncExitStack,
    port: int,
    handler: Notes,
    *,
    policy: AuthPolicy | None = None,
    limits: Limits | None = None,
    ssl_context: ssl.SSLContext | None = None,
    timeout_s: float = 40.0,
) -> Link:
    link = await connect(
        HOST,
        port,
        handler=handler,
        maker=maker(Role.AGGREGATOR, limits=limits, policy=policy),
        ssl_context=ssl_context,
        server_hostname="battery.test",
        timeout_s=timeout_s,
    )
    tidy.callback(link.abort, "the test is over")
    return link


class Raw(asyncio.Protocol):
    """A peer that sends whatever bytes it likes."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.got = b""
        self.is_closed = False
        self._news = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.got += data
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self._news.set()

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def close(self) -> None:
        self.transport.close()

    async def read(self, size: int) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.got) < size:
                assert not self.is_closed, f"closed after {len(self.got)} of {size} bytes"
                self._news.clear()
                await self._news.wait()
        data, self.got = self.got[:size], self.got[size:]
        return data

    async def until_closed(self) -> bytes:
        """Return what comes before the end."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.is_closed:
                self._news.clear()
                await self._news.wait()
        return self.got


async def raw(tidy: AsyncExitStack, port: int, source: str = HOST) -> Raw:
    loop = asyncio.get_running_loop()
    transport, peer = await loop.create_connection(Raw, HOST, port, local_addr=(source, 0))
    tidy.callback(transport.abort)
    return peer


def interface_with_v6_multicast() -> str:
    """Return an interface with a route for the IPv6 group, or "" without any."""
    path = Path("/proc/net/if_inet6")
    names = {line.split()[5] for line in path.read_text().splitlines()} if path.exists() else set()
    for name in sorted(names):
        try:
            open_asker(MulticastSettings(group=GROUP_V6, interface=name)).close()
        except MulticastUnavailable:
            continue
        return name
    return ""
