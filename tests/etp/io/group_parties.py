"""What speaks and listens on the group in tests: batteries, aggregators, and strangers who may send anything."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from etp.auth import AuthPolicy
from etp.discovery import DiscoveryRules, Endpoint
from etp.io.multicast import BatteryAnnouncer, Finder
from etp.io.sockets import open_service_sockets
from etp.messages import Body
from settlement import IdentityKey
from tests.etp.io.fakes import DEVICE, wall_ms
from tests.etp.io.parties import HOST

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AsyncExitStack

    from etp.io.group import MulticastSettings

BATTERY, BUYER = IdentityKey(bytes([1]) * 32), IdentityKey(bytes([2]) * 32)
SIGNED = AuthPolicy(peers="signed", signer=BATTERY)
NEVER = DiscoveryRules(register_every_ms=3_600_000, query_every_ms=3_600_000)


class Ear:
    """Notes what a finder hears."""

    def __init__(self) -> None:
        self.heard_of: list[tuple[Endpoint, int, bytes | None]] = []
        self.failures: list[tuple[Endpoint, int, bytes | None]] = []
        self._news = asyncio.Event()

    def heard(self, host: str, port: int, device_id: int, signer: bytes | None) -> None:
        self.heard_of.append((Endpoint(host, port), device_id, signer))
        self._news.set()

    def failed(self, host: str, port: int, body: Body, signer: bytes | None) -> None:
        self.failures.append((Endpoint(host, port), body.termination_code, signer))
        self._news.set()

    @property
    def endpoints(self) -> set[Endpoint]:
        return {endpoint for endpoint, _, _ in self.heard_of}

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                self._news.clear()
                await self._news.wait()


class Seller:
    """A battery's UDP side on a port of its own."""

    def __init__(
        self, tidy: AsyncExitStack, group: MulticastSettings, *, policy: AuthPolicy | None = None, listen: str = HOST
    ) -> None:
        self.tidy = tidy
        self.doors = open_service_sockets(listen, 0, group_port=group.port)
        tidy.callback(self.doors.close)
        self.asked: list[Endpoint] = []
        self.is_mute = False
        self.announcer = BatteryAnnouncer(
            device_id=DEVICE,
            policy=policy or AuthPolicy(),
            wall_ms=wall_ms,
            answer=self.answer,
            settings=group,
            rules=NEVER,
        )

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(HOST, self.doors.port)

    def answer(self, query: Body, source: Endpoint) -> Body | None:
        self.asked.append(source)
        if self.is_mute:
            return None
        return Body.query_response(query.message_id, DEVICE, beat_e4=100_000)

    async def start(self) -> BatteryAnnouncer:
        await self.announcer.start(self.doors.udp)
        self.tidy.callback(self.announcer.close)
        return self.announcer


async def listen(
    tidy: AsyncExitStack,
    group: MulticastSettings,
    *,
    policy: AuthPolicy | None = None,
    rules: DiscoveryRules = NEVER,
    listen: str = HOST,
) -> tuple[Finder, Ear]:
    ear = Ear()
    finder = Finder(
        device_id=9,
        policy=policy or AuthPolicy(),
        wall_ms=wall_ms,
        listener=ear,
        settings=group,
        rules=rules,
        listen=listen,
    )
    await finder.start()
    tidy.callback(finder.close)
    return finder, ear


class Stranger:
    """Sends any datagram from a port of its own to the group or to anybody."""

    def __init__(self, tidy: AsyncExitStack, group: MulticastSettings) -> None:
        self._group = (group.group, group.port)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tidy.callback(self.sock.close)
        self.sock.bind((HOST, 0))
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(HOST))

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(*self.sock.getsockname())

    def send(self, data: bytes, target: Endpoint | None = None) -> None:
        self.sock.sendto(data, target or self._group)

    async def receive(self) -> bytes:
        async with asyncio.timeout(30):
            return await asyncio.get_running_loop().sock_recv(self.sock, 2_048)


async def settle(post: BatteryAnnouncer | Finder, received: int) -> None:
    """Wait until that many datagrams came in."""
    async with asyncio.timeout(30):
        while post.counts.received < received:  # noqa: ASYNC110 - a counter has no event
            await asyncio.sleep(0.005)
