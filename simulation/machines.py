"""The machines of the world: a gateway that can be crashed and booted, and a buyer's host. Production code inside."""

from __future__ import annotations

import contextlib
import json
import random
import tomllib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from agent.config import parse_site
from agent.config_build import site_of
from agent.events import EventHub
from agent.gateway import Gateway
from agent.journal import Journal, UpkeepRules
from agent.surroundings import Surroundings
from aggregator.config import AggregatorConfig
from aggregator.service import Aggregator, Money
from aggregator.service import Surroundings as BuyerSurroundings
from etp.auth import AuthPolicy
from etp.connection import Role
from etp.io.client import connect
from etp.io.maker import ConnectionMaker
from etp.io.pollclock import PollClock
from etp.limits import Limits
from settlement.keys import IdentityKey, device_id
from simulation.battery import POLL_S, DeviceLink
from simulation.disk import Disk, VirtualExecutor
from simulation.loop import Process
from simulation.scene import LINK_WAITS_MS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from pathlib import Path

    from agent.config_values import BatterySite, Site
    from agent.records import Record
    from etp.auth import Signer
    from simulation.bank import Bank
    from simulation.battery import Device
    from simulation.loop import VirtualLoop
    from simulation.network import Network

WALL_START_MS: Final = 1_790_000_000_000


class TellingHub(EventHub):
    """An event hub that tells the world at once; `publish` is the moment at which invariants are checked."""

    def __init__(self, who: str, tell: Callable[[str, str, dict[str, Any]], None], wall_ms: Callable[[], int]) -> None:
        super().__init__(wall_ms)
        self._who = who
        self._tell = tell

    @property
    def listening(self) -> bool:
        """The world always listens."""
        return True

    def publish(self, name: str, /, **fields: Any) -> None:
        """Tell the world."""
        super().publish(name, **fields)
        self._tell(self._who, name, fields)


class GatewayHost:
    """A gateway: its devices and its disk stay when a process dies."""

    def __init__(
        self,
        name: str,
        toml: str,
        *,
        directory: Path,
        devices: dict[str, Device],
        loop: VirtualLoop,
        network: Network,
        rng: random.Random,
        tell: Callable[[str, str, dict[str, Any]], None],
        idle_poll_s: float = POLL_S,
        bank: Bank | None = None,
    ) -> None:
        """With a `bank` its site file has `[settlement]`, and the batteries' keys are those that the bank knows."""
        self.name = name
        self._idle_poll_s = idle_poll_s
        self._bank = bank
        self.devices = devices
        self.disk = Disk()
        path = directory / f"{name}.toml"
        self.site: Site = site_of(path, parse_site(toml.encode(), path))
        self.gateway: Gateway | None = None
        self.process: Process | None = None
        self.dead: list[Process] = []
        self._loop = loop
        self._network = network
        self._rng = rng
        self._tell = tell
        self._failure: BaseException | None = None

    def boot(self) -> None:
        """Start a process of the production agent."""
        self.process = Process(self.name)
        around = Surroundings(
            open_battery=self._open_battery,
            journal_executor=lambda: VirtualExecutor(self.disk, self._rng),
            signer=self._signer,
            wallet=None if self._bank is None else self._wallet,
            open_settler=None if self._bank is None else partial(self._bank.open_settler, self.disk),
            wall_ms=self.wall_ms,
            random_bytes=self._rng.randbytes,
            clock_trusted=lambda: True,
            datagrams=False,
            loop_blocks=False,
            telemetry=False,
            journal_rules=UpkeepRules(checkpoint_every=200, whole_rows=10**9),
            pricing_executor=lambda: VirtualExecutor(Disk(), random.Random(self.name)),  # its draws are nobody else's
        )
        self.gateway = Gateway(self.site, around, hub=TellingHub(self.name, self._tell, self.wall_ms))
        task = self._loop.start_in(self.process, self.gateway.start(control=False))
        task.add_done_callback(self._started)

    def crash(self) -> None:
        """Cut the power: the process stops between two instructions, its connections are reset."""
        if self.process is None or self.gateway is None:
            return
        self.process.kill()
        self._network.process_died(self.process)
        with contextlib.suppress(RuntimeError):  # it has not even opened its journal
            self.gateway.journal.abandon()
        if self._bank is not None:
            self._bank.crashed(self.devices)
        self.dead.append(self.process)
        self.process = self.gateway = None

    def stop(self, reason: str = "the agent stops") -> asyncio.Task[list[str]]:
        """End the process as its service manager does; the task, which a crash freezes, returns what it could not do.

        Raises RuntimeError without a process.
        """
        process, gateway = self.process, self.gateway
        if process is None or gateway is None:
            raise RuntimeError(f"{self.name} does not run")
        task = self._loop.start_in(process, gateway.stop(reason))
        task.add_done_callback(self._stopped)
        return task

    def records(self) -> list[Record]:
        """Return everything the journal holds on disk."""
        return list(Journal.open_read_only(self.site.storage.journal, wall_ms=self.wall_ms).replay())

    def bury(self) -> None:
        """Give back what dead processes hold."""
        for process in self.dead:
            process.bury()
        self.dead.clear()

    def check(self) -> None:
        """Raise what kept the last start from succeeding."""
        if self._failure is not None:
            raise self._failure

    def wall_ms(self) -> int:
        """Return the time of day."""
        return WALL_START_MS + int(self._loop.time() * 1_000)

    def _stopped(self, task: asyncio.Task[list[str]]) -> None:
        self._failure = self._failure or task.exception()
        self.crash()  # a process that has ended holds no connection

    def _started(self, task: Any) -> None:
        self._failure = None if task.cancelled() else task.exception()

    def _signer(self, battery: BatterySite) -> Signer:
        if self._bank is not None:
            return self._bank.seats[battery.name].person.identity
        return IdentityKey.from_root(battery.name.encode().ljust(32, b"\0"))

    def _wallet(self, battery: BatterySite) -> Signer:
        if self._bank is None:
            raise RuntimeError("a wallet without a bank")
        return self._bank.seats[battery.name].person.signer

    def _open_battery(self, battery: BatterySite, _site: Site) -> DeviceLink:
        return DeviceLink(self.devices[battery.name], self._rng, idle_poll_s=self._idle_poll_s)


class BuyerHost:
    """A buyer's machine: the production aggregator on static endpoints."""

    def __init__(
        self,
        name: str,
        toml: str,
        *,
        directory: Path,
        loop: VirtualLoop,
        network: Network,
        rng: random.Random,
        tell: Callable[[str, str, dict[str, Any]], None],
        forgets_time: bool = False,
        bank: Bank | None = None,
    ) -> None:
        """`forgets_time`: the machine has no clock of its own, so its program numbers from 1 at each start.

        With a `bank` its file has `[settlement]`, and its keys are those that the bank knows.
        """
        self.name = name
        self.disk = Disk()
        self._bank = bank
        self._aggregator: Aggregator | None = None
        self._failure: BaseException | None = None
        self._forgets_time = forgets_time
        self.process: Process | None = None
        self.dead: list[Process] = []
        self._rng = rng
        self._config = AggregatorConfig.model_validate({**tomllib.loads(toml), "directory": directory})
        self._loop = loop
        self._network = network
        self._tell = tell

    def boot(self) -> None:
        """Start a process of the production aggregator."""
        self.process = Process(self.name)
        self._loop.start_in(self.process, self._serve()).add_done_callback(self._served)

    def crash(self) -> None:
        """Cut the power."""
        if self.process is not None:
            self.process.kill()
            self._network.process_died(self.process)
            self.dead.append(self.process)
            self.process = None
        if self._aggregator is not None and self._aggregator.till is not None:
            self._aggregator.till.abandon()
        if self._bank is not None:
            self._bank.crashed([self.name])
        self._aggregator = None

    def bury(self) -> None:
        """Give back what dead processes hold."""
        for process in self.dead:
            process.bury()
        self.dead.clear()

    async def _serve(self) -> None:
        bank = self._bank
        own = IdentityKey.from_root(self.name.encode().ljust(32, b"\0"))
        signer = own if bank is None else bank.seats[self.name].person.identity
        signed = self._config.network.peers == "signed"
        maker = ConnectionMaker(
            role=Role.AGGREGATOR,
            device_id=device_id(signer.public_key),
            policy=AuthPolicy(peers=self._config.network.peers, signer=signer if signed else None),
            limits=Limits(**LINK_WAITS_MS),
            wall_ms=self._wall_ms,
        )
        around = BuyerSurroundings(
            device_id=maker.device_id,
            dial=partial(_dial, maker, PollClock(self._loop, ticking=False)),
            wall_ms=self._time_since_boot() if self._forgets_time else self._wall_ms,
            rng=self._rng,
            write=self._told,
            money=None if bank is None else self._money(bank),
        )
        self._aggregator = Aggregator(self._config, around)
        await self._aggregator.open()
        self._aggregator.start()

    def _money(self, bank: Bank) -> Money:
        keys = bank.seats[self.name].person.keys
        executor = VirtualExecutor(self.disk, random.Random(self._rng.random()))
        return Money(keys=keys, open_settler=partial(bank.open_settler, self.disk), executor=executor)

    def check(self) -> None:
        """Raise what kept the last start from succeeding."""
        if self._failure is not None:
            raise self._failure

    def _served(self, task: asyncio.Task[None]) -> None:
        self._failure = None if task.cancelled() else task.exception()

    def _time_since_boot(self) -> Callable[[], int]:
        booted_s = self._loop.time()
        return lambda: int((self._loop.time() - booted_s) * 1_000)

    def _told(self, line: str) -> None:
        fields = json.loads(line)
        self._tell(self.name, fields.pop("event"), fields)

    def _wall_ms(self) -> int:
        return WALL_START_MS + int(self._loop.time() * 1_000)


async def _dial(maker: ConnectionMaker, clock: PollClock, host: str, port: int, handler: Any) -> Any:
    return await connect(host, port, handler=handler, maker=maker, clock=clock)
