"""A gateway that can be crashed, stopped and started anew, and buyers that say exactly what a test wants said.

Everything runs in virtual time on the simulator's loop, network, disk and batteries; the agent and both ends of every
link are production code.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from agent.books import books_of
from drivers.sim.physics import BatteryConfig, BatteryModel
from etp.auth import NOBODY, AuthPolicy, sign_frame
from etp.connection import Role
from etp.frame import FrameReader, decode_frame, prefixed
from etp.io.client import connect
from etp.io.maker import ConnectionMaker
from etp.io.pollclock import PollClock
from etp.limits import Limits
from etp.messages import Body, MessageType
from settlement.keys import IdentityKey, device_id
from simulation.battery import Device
from simulation.loop import VirtualLoop
from simulation.machines import GatewayHost
from simulation.network import LinkWeather, Network

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from pathlib import Path

    from agent.books_types import Books
    from agent.storefront import Storefront
    from etp.connection import Received
    from etp.io.link import Link

T = TypeVar("T")
HOST = "127.0.0.1"
FIRST_PORT = 4084
BOOT_S = 3.0
"""A start, and some readings of the battery."""
ANSWERS = (MessageType.BID_ACCEPT, MessageType.BID_REJECT)


def c(price_c: float) -> int:
    """Return a price in c/kWh as the product counts it."""
    return round(price_c * 10_000)


def identity(name: str) -> IdentityKey:
    return IdentityKey.from_root(name.encode().ljust(32, b"\0"))


class Heard(NamedTuple):
    """A frame from the battery, and when it came."""

    at_ms: int
    kind: MessageType
    body: Body


class Buyer:
    """One process of a buyer. A new process of the same buyer is a new `Buyer` of the same name."""

    def __init__(self, lab: Lab, name: str = "alice") -> None:
        self.name = name
        self.heard: list[Heard] = []
        self.closed: list[str] = []
        self._more = asyncio.Event()
        self._lab = lab
        self._link: Link | None = None
        signer = identity(name)
        self.device = device_id(signer.public_key)
        self._maker = ConnectionMaker(
            role=Role.AGGREGATOR,
            device_id=self.device,
            policy=AuthPolicy(peers="signed" if lab.signed else "open", signer=signer if lab.signed else None),
            limits=Limits(),
            wall_ms=lab.host.wall_ms,
        )

    async def dial(self, battery: int = 1) -> Self:
        """Connect to a battery; a buyer that signs says Register first, as its protocol wants it."""
        port = FIRST_PORT + battery - 1
        self._link = await connect(HOST, port, handler=self, maker=self._maker, clock=self._lab.clock)
        return self

    def link_opened(self, link: Link) -> None:
        """Nothing to say yet."""

    def frames_received(self, link: Link, frames: list[Received]) -> None:
        at_ms = self._lab.now_ms
        self.heard += [Heard(at_ms, MessageType(frame.body.message_type), frame.body) for frame in frames]
        self._more.set()

    def link_closed(self, link: Link, reason: str) -> None:
        self.closed.append(reason)

    def accept_sent(self, link: Link, body: Body, at_ms: int) -> None:
        raise AssertionError("a buyer sends no Accept")

    def accept_late(self, link: Link, body: Body) -> None:
        raise AssertionError("a buyer sends no Accept")

    @property
    def link(self) -> Link:
        assert self._link is not None, f"{self.name} has not dialled"
        return self._link

    def lose_link(self) -> None:
        """Break the connection."""
        self.link.abort("the link broke")

    def register(self, message_id: int = 1_000_000) -> None:
        self.link.send(Body.register(message_id, self.device))

    def bid(self, bid_id: int, price_c: float, energy_wh: int) -> None:
        self.link.send(Body.bid(bid_id, self.device, price_e4=c(price_c), energy_wh=energy_wh))

    def confirm(self, accept: Body) -> None:
        agreed = Body.bid_confirm(
            accept.message_id, self.device, price_e4=accept.sale_price_e4, energy_wh=accept.energy_wh
        )
        self.link.send(agreed)

    def of(self, *kinds: MessageType, about: int | None = None, since_ms: int = 0) -> list[Heard]:
        """Return what was heard of these kinds, about this id if one is named."""
        return [
            heard
            for heard in self.heard
            if heard.kind in kinds and heard.at_ms >= since_ms and about in (None, heard.body.message_id)
        ]

    async def until(
        self, *kinds: MessageType, about: int | None = None, since_ms: int = 0, within_s: float = 1
    ) -> Body:
        """Wait for a frame and return it; it may have come already."""
        try:
            async with asyncio.timeout(within_s):
                while not (found := self.of(*kinds, about=about, since_ms=since_ms)):
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"{self.name} never heard {kinds} about {about}: {self.heard[-10:]}") from None
        return found[0].body

    async def wins(self, bid_id: int, price_c: float, energy_wh: int) -> Body:
        """Bid and return the Accept."""
        since_ms = self._lab.now_ms
        self.bid(bid_id, price_c, energy_wh)
        answer = await self.until(*ANSWERS, about=bid_id, since_ms=since_ms)
        assert answer.message_type == MessageType.BID_ACCEPT, answer
        return answer

    async def buys(self, bid_id: int, price_c: float, energy_wh: int) -> Body:
        """Bid, confirm, wait for the acknowledgement, and return the Accept."""
        accept = await self.wins(bid_id, price_c, energy_wh)
        self.confirm(accept)
        await self.until(MessageType.BESS_STATUS, about=bid_id)
        return accept

    async def asks(self, query_id: int, energy_wh: int = 0) -> Body:
        """Query and return the answer."""
        self.link.send(Body.query(query_id, self.device, energy_wh=energy_wh))
        return await self.until(MessageType.QUERY_RESPONSE, about=query_id)


class Wire(asyncio.Protocol):
    """A connection without any protocol behind it: what it writes is what the test says, to the byte."""

    def __init__(self) -> None:
        self.heard: list[Body] = []
        self._frames = FrameReader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += [decode_frame(frame)[0] for frame in self._frames.feed(data)]

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def of(self, *kinds: MessageType) -> list[Body]:
        return [body for body in self.heard if body.message_type in kinds]


class Lab:
    """One site in one directory; `battery` holds further lines for the tables of its batteries."""

    def __init__(
        self,
        directory: Path,
        *,
        batteries: int = 1,
        signed: bool = False,
        soc_permille: int = 900,
        soc_step_permille: int = 1,
        soc_bias_permille: int = 0,
        own_power_w: int = 0,
        time_lapse: int = 20,
        lot_kwh: float = 0.5,
        standing_ms: int = 50,
        battery: Sequence[str] = (),
        delay_ms: tuple[float, float] = (0.2, 3.0),
    ) -> None:
        self.directory = directory
        self.signed = signed
        self.rng = random.Random(1)
        self.loop = VirtualLoop()
        self.network = self.loop.network = Network(self.loop, self.rng, LinkWeather(delay_ms=delay_ms))
        self.clock = PollClock(self.loop, ticking=False)
        self.events: list[tuple[int, str, dict[str, Any]]] = []
        self._unhandled: list[BaseException] = []
        self.loop.set_exception_handler(self._take_unhandled)
        self._time_lapse = time_lapse
        self._lines = [f"lot_kwh = {lot_kwh}", f"standing_ms = {standing_ms}", *battery]
        config = BatteryConfig(
            capacity_wh=13_500,
            rated_power_w=5_000,
            soc_permille=soc_permille,
            own_power_w=own_power_w,
            time_lapse=time_lapse,
        )
        self.devices = {
            name: Device(
                name,
                BatteryModel(config),
                soc_step_permille=soc_step_permille,
                soc_bias_permille=soc_bias_permille,
            )
            for name in (f"battery-{number}" for number in range(1, batteries + 1))
        }
        self._hosts: list[GatewayHost] = []
        self.host = self._make_host()

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        """Live through a story; what nobody caught fails it."""
        asyncio.set_event_loop(self.loop)
        try:
            told = self.loop.run_until_complete(story)
        finally:
            asyncio.set_event_loop(None)
            for host in self._hosts:
                host.crash()
                host.bury()
            self.loop.close()
        assert not self._unhandled, self._unhandled
        return told

    async def up(self) -> None:
        """Boot, and let the battery be read."""
        self.host.boot()
        await asyncio.sleep(BOOT_S)
        self.host.check()

    async def crash_and_boot(self, *, away_s: float = 0.5) -> None:
        """Cut the power and start another process on what is left."""
        self.host.crash()
        await asyncio.sleep(away_s)
        await self.up()

    def rename(self, old: str, new: str) -> None:
        """Give a battery another name in the site file; the next boot reads it."""
        self.devices[new] = self.devices.pop(old)
        self.host = self._make_host()

    async def buyer(self, name: str = "alice", battery: int = 1) -> Buyer:
        """Return a new process of a buyer, connected."""
        return await Buyer(self, name).dial(battery)

    async def wire(self) -> Wire:
        """Return a bare connection to the first battery."""
        _, wire = await self.loop.create_connection(Wire, HOST, FIRST_PORT)
        assert isinstance(wire, Wire)
        return wire

    def signed_bytes(self, body: Body, signer: IdentityKey, *, first: bool = False) -> bytes:
        """Return a frame as this signer sends it now; the `first` of a connection names nobody."""
        peer = NOBODY if first else identity("battery-1").public_key
        return prefixed(sign_frame(body.encode(), signer=signer, peer=peer, timestamp_ms=self.host.wall_ms()))

    @property
    def now_ms(self) -> int:
        return round(self.loop.time() * 1_000)

    def front(self, name: str = "battery-1") -> Storefront:
        gateway = self.host.gateway
        assert gateway is not None, "the gateway is down"
        return gateway.fronts[name]

    def device(self, name: str = "battery-1") -> Device:
        """Return a battery as it is now."""
        device = self.devices[name]
        device.advance(self.now_ms)
        return device

    def told(self, event: str, *, since_ms: int = 0) -> list[dict[str, Any]]:
        """Return the fields of the gateway's events of one name."""
        return [fields for at_ms, name, fields in self.events if name == event and at_ms >= since_ms]

    def books(self, name: str = "battery-1") -> Books:
        """Return what the journal on disk amounts to for a battery."""
        return books_of(self.host.records())[name]

    def _make_host(self) -> GatewayHost:
        toml = ["[site]", 'name = "lab"', "lab = true", f"time_lapse = {self._time_lapse}", 'clock = "system"']
        toml += ["[network]", "multicast = false"]
        toml += ['peers = "signed"\ntrusted_peers = "any"'] if self.signed else ['peers = "open"']
        for number, name in enumerate(self.devices):
            toml += ["[[battery]]", f'name = "{name}"', f"port = {FIRST_PORT + number}", f"unit = {number + 1}"]
            toml += ["reserve_c_per_kwh = 10.0", "increment_c = 0.1", *self._lines]
        host = GatewayHost(
            "gateway",
            "\n".join(toml),
            directory=self.directory,
            devices=self.devices,
            loop=self.loop,
            network=self.network,
            rng=self.rng,
            tell=lambda _who, name, fields: self.events.append((self.now_ms, name, dict(fields))),
        )
        self._hosts.append(host)
        return host

    def _take_unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._unhandled.append(context.get("exception") or RuntimeError(context["message"]))
