"""A gateway in virtual time: the production agent on a simulated battery, disk and network, and its buyers."""

from __future__ import annotations

import asyncio
import itertools
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from agent.config import parse_site
from agent.config_build import site_of
from agent.events import EventHub
from agent.gateway import Gateway
from agent.journal import Journal
from agent.surroundings import Surroundings
from drivers.sim.physics import BatteryConfig, BatteryModel
from etp.auth import AuthPolicy
from etp.connection import Role
from etp.io.client import connect
from etp.io.maker import ConnectionMaker
from etp.io.pollclock import PollClock
from etp.limits import Limits
from etp.messages import Body, MessageType
from settlement.keys import IdentityKey
from simulation.battery import Device, DeviceLink
from simulation.disk import Disk, VirtualExecutor
from simulation.loop import VirtualLoop
from simulation.network import LinkWeather, Network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from agent.events import Subscription
    from agent.records import Record
    from agent.seller import Seller
    from agent.storefront import Storefront
    from etp.connection import Received
    from etp.io.link import Link

T = TypeVar("T")
WALL_START_MS = 1_790_000_000_000
BUYER_ID = 0xB0B
ANSWERS = (MessageType.BID_ACCEPT, MessageType.BID_REJECT)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a scenario to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


def now_ms() -> int:
    return int(asyncio.get_running_loop().time() * 1_000)


def key(number: int) -> IdentityKey:
    return IdentityKey.from_root(bytes([number]) * 32)


class Buyer:
    """A buyer's end of one link: remembers every frame, and waits for the one that matters."""

    def __init__(self, first_id: int = 1) -> None:
        self.frames: list[Received] = []
        self.closed = ""
        self._heard = asyncio.Event()
        self._ids = itertools.count(first_id)
        self.link = cast("Link", None)

    def link_opened(self, link: Link) -> None:
        self.link = link

    def frames_received(self, link: Link, frames: list[Received]) -> None:
        self.frames += frames
        self._heard.set()

    def link_closed(self, link: Link, reason: str) -> None:
        self.closed = reason
        self._heard.set()

    def accept_sent(self, link: Link, body: Body, at_ms: int) -> None:
        raise AssertionError("a buyer sends no Accept")

    def accept_late(self, link: Link, body: Body) -> None:
        raise AssertionError("a buyer sends no Accept")

    def next_id(self) -> int:
        return next(self._ids)

    def send(self, *bodies: Body) -> None:
        for body in bodies:
            self.link.send(body)

    def said(self, *kinds: int, message_id: int | None = None) -> list[Received]:
        """Return what the battery has said so far, of these types and about this id."""
        return [
            frame
            for frame in self.frames
            if (not kinds or frame.body.message_type in kinds) and message_id in (None, frame.body.message_id)
        ]

    async def until(
        self, *kinds: int, message_id: int | None = None, count: int = 1, timeout_s: float = 60.0
    ) -> Received:
        """Wait until the battery has said this (often enough) and return the last of it."""
        async with asyncio.timeout(timeout_s):
            while len(found := self.said(*kinds, message_id=message_id)) < count:
                self._heard.clear()
                await self._heard.wait()
        return found[count - 1]

    async def until_closed(self, timeout_s: float = 60.0) -> str:
        async with asyncio.timeout(timeout_s):
            while not self.closed:
                self._heard.clear()
                await self._heard.wait()
        return self.closed

    def bids(self, price_c: float, kwh: float, bid_id: int | None = None) -> int:
        """Send a bid and return its id."""
        bid_id = self.next_id() if bid_id is None else bid_id
        self.send(Body(MessageType.BID, bid_id, BUYER_ID, bid_price=price_c, required_energy_amount=kwh))
        return bid_id

    async def bid(self, price_c: float, kwh: float, bid_id: int | None = None) -> Received:
        """Bid, and return the Accept or Reject."""
        return await self.until(*ANSWERS, message_id=self.bids(price_c, kwh, bid_id))

    def confirm(self, accept: Body) -> None:
        self.send(
            Body.bid_confirm(accept.message_id, BUYER_ID, price_e4=accept.sale_price_e4, energy_wh=accept.energy_wh)
        )

    async def ask(self, energy_wh: int = 0) -> Body:
        """Query, and return the answer."""
        query_id = self.next_id()
        self.send(Body.query(query_id, BUYER_ID, energy_wh=energy_wh))
        return (await self.until(MessageType.QUERY_RESPONSE, message_id=query_id)).body

    async def trade(self, price_c: float, kwh: float) -> Body:
        """Bid, confirm, and return the Accept when the battery has acknowledged."""
        accept = await self.bid(price_c, kwh)
        assert accept.body.message_type == MessageType.BID_ACCEPT, accept
        self.confirm(accept.body)
        await self.until(MessageType.BESS_STATUS, message_id=accept.body.message_id)
        return accept.body

    def register(self) -> None:
        self.send(Body.register(self.next_id(), BUYER_ID))

    @property
    def pushes(self) -> list[Body]:
        """The QueryResponses that nobody asked for."""
        return [frame.body for frame in self.said(MessageType.QUERY_RESPONSE) if frame.body.message_id >= 1 << 63]


@dataclass
class World:
    """One gateway with one battery, `battery-1`."""

    directory: Path
    toml: str
    network: Network
    rng: random.Random
    disk: Disk = field(default_factory=Disk)
    pricing_disk: Disk = field(default_factory=Disk)
    clock_trusted: bool = True
    open_settler: Any = None
    identity: int = 99
    wall_offset_ms: int = 0

    def __post_init__(self) -> None:
        config = BatteryConfig(capacity_wh=13_500, rated_power_w=5_000, soc_permille=800, time_lapse=20)
        self.device = Device("battery-1", BatteryModel(config))
        self.clock = PollClock(asyncio.get_running_loop(), ticking=False)
        self.buyers: list[Buyer] = []
        self.boot()

    def boot(self) -> None:
        """Make an agent's worth of objects on the same disk and battery."""
        path = self.directory / "site.toml"
        self.site = site_of(path, parse_site(self.toml.encode(), path))
        self.hub = EventHub(self.wall_ms)
        around = Surroundings(
            open_battery=lambda _battery, _site: DeviceLink(self.device, self.rng),
            journal_executor=lambda: VirtualExecutor(self.disk, self.rng),
            signer=lambda _battery: key(self.identity),
            wall_ms=self.wall_ms,
            random_bytes=self.rng.randbytes,
            clock_trusted=lambda: self.clock_trusted,
            datagrams=False,
            loop_blocks=False,
            telemetry=False,
            wallet=lambda _battery: key(98),
            open_settler=self.open_settler,
            pricing_executor=lambda: VirtualExecutor(self.pricing_disk, self.rng),
        )
        self.gateway = Gateway(self.site, around, hub=self.hub)
        self.events: Subscription = self.hub.subscribe(None)

    async def start(self) -> None:
        await self.gateway.start(control=False)

    async def restart(self) -> None:
        """End the agent as SIGTERM does and start another on the same disk."""
        await self.gateway.stop()
        self.boot()
        await self.start()

    async def crash(self) -> None:
        """End the agent without a word to disk, battery or buyers, and start another."""
        self.gateway.journal.abandon()
        await self.gateway._supervisor.close()
        self.seller.desk.close()
        self.network._listeners.clear()
        for end in self.network.open_ends():
            end.abort()
        await asyncio.sleep(0.01)
        self.boot()
        await self.start()

    @property
    def front(self) -> Storefront:
        return self.gateway.fronts["battery-1"]

    @property
    def seller(self) -> Seller:
        return self.front.seller

    def wall_ms(self) -> int:
        return WALL_START_MS + self.wall_offset_ms + now_ms()

    async def connect(self, signer: IdentityKey | None = None) -> Buyer:
        """Return a connected buyer; one with a key signs."""
        await asyncio.sleep(0.002)  # the same key introduces itself once in a millisecond: a second time is a replay
        buyer = Buyer(1 + 1_000 * len(self.buyers))  # two connections of one key share their ids
        policy = AuthPolicy(peers="signed" if signer else "open", signer=signer)
        maker = ConnectionMaker(
            role=Role.AGGREGATOR, device_id=BUYER_ID, policy=policy, limits=Limits(), wall_ms=self.wall_ms
        )
        host, port = self.gateway.endpoints["battery-1"].rsplit(":", 1)
        await connect(host, int(port), handler=buyer, maker=maker, clock=self.clock)
        self.buyers.append(buyer)
        return buyer

    async def until(self, condition: Callable[[], bool], timeout_s: float = 60.0, *, step_s: float = 0.005) -> None:
        """Let time pass until something is so; a look at the journal is dear, and wants a longer step."""
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - virtual time: nothing waits, and any state may be looked at
                await asyncio.sleep(step_s)

    async def until_selling(self, timeout_s: float = 60.0) -> None:
        await self.until(lambda: self.seller.desk.lots.open_lot()[0] > 0, timeout_s)

    def records(self, kind: str) -> list[Record]:
        """Return what the journal on disk says, the oldest first."""
        journal = Journal.open_read_only(self.site.storage.journal, wall_ms=self.wall_ms)
        return [record for record in journal.replay() if record.kind == kind]

    async def told(self, name: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait for the next event of a name and return its fields."""
        async with asyncio.timeout(timeout_s):
            while (event := await self.events.next()).name != name:
                continue
        return event.fields


def site_toml(*, battery: str = "", site: str = "lab = true\ntime_lapse = 20", network: str = 'peers = "open"') -> str:
    """Return a site file; `battery` and the others are lines for their tables."""
    lines = ["[site]", 'name = "virtual"', 'clock = "system"', site, "[network]", "multicast = false", network]
    defaults = ("reserve_c_per_kwh = 30.00", "standing_ms = 200", "lot_kwh = 2.0", "share_percent = 100")
    keys, table, rest = battery.partition("[battery.")
    lines += ["[[battery]]", 'name = "battery-1"', "port = 4084", keys]
    skipped = ("reserve_c_per_kwh",) if table else ()
    lines += [each for each in defaults if (key := each.split(" ", 1)[0]) not in keys and key not in skipped]
    return "\n".join([*lines, table + rest])


@asynccontextmanager
async def world(
    directory: Path, *, selling: bool = True, open_settler: Any = None, **toml: str
) -> AsyncIterator[World]:
    """A running gateway; `toml` as `site_toml` takes it. At the end it is stopped, and the battery must be free."""
    loop = cast("VirtualLoop", asyncio.get_running_loop())
    rng = random.Random(7)
    network = loop.network = Network(loop, rng, LinkWeather(delay_ms=(0.2, 0.4)))
    made = World(directory, site_toml(**toml), network, rng, open_settler=open_settler)
    await made.start()
    try:
        if selling:
            await made.until_selling()
        yield made
    finally:
        troubles = await made.gateway.stop()
        for buyer in made.buyers:
            buyer.link.close("the test is over")
        await asyncio.sleep(2)
    assert troubles == [] or made.device.troubles.silent
