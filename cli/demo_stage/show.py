"""One run of the demo from the first process to the last: start, trade, stop, and the evidence of it."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.errors import CommandRefusedError, ControlError
from cli.demo_stage import scene
from cli.demo_stage.book import Book
from cli.demo_stage.collector import SiteFollower
from cli.demo_stage.errors import ChildError, DemoError, SlowMarketError
from cli.demo_stage.evidence import Evidence
from cli.demo_stage.processes import Troupe
from cli.demo_stage.quota import sites_to_stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.demo_stage.processes import Child

STALL_S: Final = 90.0
"""How long a run with a wanted number of trades may go without one."""
SETTLE_S: Final = 60.0
"""How long the last deliveries may take."""
LOOK_EVERY_S: Final = 0.25


class Show:
    """The market and everything that plays it. `say` gets progress in words."""

    def __init__(self, *, say: Callable[[str], None], etp_port: int = 0, modbus_port: int = 0) -> None:
        self.book = Book(scene.SITES, scene.BUYERS, wall_offset_ms=time.time_ns() // 1_000_000 - _now_ms())
        self.directory = Path(tempfile.mkdtemp(prefix="wattbid-demo-"))
        self._changed = asyncio.Event()
        self.book.on_change = self._changed.set
        self._say = say
        self._etp_port = etp_port
        self._modbus_port = modbus_port
        self._troupe = Troupe(self.directory)
        self._followers: dict[str, SiteFollower] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._selling: list[str] = []
        self._ports: list[int] = []
        self._metrics: dict[str, dict[str, Any]] = {}
        self._released: dict[str, bool] = {}
        self._began_ms = 0
        self._ended_ms = 0
        self._discovery = ""

    async def open(self) -> None:
        """Start everything. Raises DemoError when something cannot be started."""
        batteries = await self._start_batteries()
        endpoints = await self._start_agents(batteries)
        await self._start_buyers(endpoints)
        self._began_ms = _now_ms()

    async def trade(self, wanted: int | None) -> None:
        """Let them trade: until `wanted` trades are delivered, or (None) until cancelled. Raises DemoError."""
        failure = asyncio.create_task(self._troupe.first_failure())
        work = asyncio.create_task(self._until(wanted))
        watched: set[asyncio.Task[Any]] = {failure, work, *self._tasks}
        try:
            done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            if work in done:
                work.result()
                return
            child = await self._failed_child(failure)
            if child is not None:
                raise ChildError(child.name, f"ended with status {child.status}: {child.last_words()}")
            for task in done:
                task.result()
        except (ControlError, CommandRefusedError) as error:
            raise DemoError(f"an agent cannot be followed: {error}") from error
        finally:
            self._ended_ms = _now_ms()
            for task in (failure, work):
                task.cancel()
            await asyncio.wait((failure, work))

    async def close(self) -> Evidence:
        """Stop everything: agents (they give the batteries back), buyers, batteries. Return the evidence."""
        for name, follower in self._followers.items():
            self._metrics |= await self._last_look(name, follower)
        await _cancel(self._tasks)
        await self._troupe.stop("agent-")
        await self._troupe.stop("buyer-")
        for name, follower in self._followers.items():
            self._released[name] = await self._is_released(follower)
            await follower.close()
        await self._troupe.stop("battery-")
        left = [f"process {name}" for name in self._troupe.left_running()]
        left += [f"port {port}" for port in self._ports if _is_open(port)]
        ends = [f"{c.name} ended with status {c.status}" for c in self._troupe.children if c.status]
        shutil.rmtree(self.directory)
        left += [f"directory {self.directory}"] if self.directory.exists() else []
        return self._evidence(left, ends)

    # starting

    async def _start_batteries(self) -> dict[str, tuple[str, int]]:
        self._say("starting 3 simulated batteries, each a Modbus TCP server")
        children = [
            await self._troupe.start(
                f"battery-{site.name}",
                site.battery_command(port=self._modbus_port and self._modbus_port + number, seed=number),
            )
            for number, site in enumerate(scene.SITES)
        ]
        found: dict[str, tuple[str, int]] = {}
        for site, child in zip(scene.SITES, children, strict=True):
            fields = _fields(await child.ready())
            control_port = int(fields["control"].rpartition(":")[2])
            found[site.name] = fields["modbus"], control_port
            self._ports += [int(fields["modbus"].rpartition(":")[2]), control_port]
            self._say(f"  battery {site.name}: Modbus {fields['modbus']}, control {fields['control']}")
        return found

    async def _start_agents(self, batteries: dict[str, tuple[str, int]]) -> dict[str, str]:
        self._say("starting 3 agents, one for each site")
        children = []
        for number, site in enumerate(scene.SITES):
            text = site.site_file(
                modbus=batteries[site.name][0],
                port=self._etp_port and self._etp_port + number,
                socket=self._socket(site.name),
                group=None,
            )
            path = scene.write(self.directory, f"site-{site.name}.toml", text)
            children.append(await self._troupe.start(f"agent-{site.name}", ["agent", "--site", str(path)]))
        endpoints: dict[str, str] = {}
        for site, child in zip(scene.SITES, children, strict=True):
            endpoint = endpoints[site.name] = _fields(await child.ready())[site.name]
            self._ports.append(int(endpoint.rpartition(":")[2]))
            self._say(f"  agent {site.name}: selling at {endpoint}")
            await self._follow(site.name, batteries[site.name][1])
        return endpoints

    async def _start_buyers(self, endpoints: dict[str, str]) -> None:
        self._discovery = "static"
        self._say("starting 4 aggregators, each with a strategy of its own")
        children = []
        for number, buyer in enumerate(scene.BUYERS):
            text = buyer.config_file(seed=number, batteries=list(endpoints.values()), group=None)
            path = scene.write(self.directory, f"buyer-{buyer.name}.toml", text)
            children.append(
                await self._troupe.start(
                    f"buyer-{buyer.name}",
                    ["aggregator", "--config", str(path), "--json"],
                    on_line=_reader_of(buyer.name, self.book),
                )
            )
        for buyer, child in zip(scene.BUYERS, children, strict=True):
            await child.ready()
            self._say(f"  aggregator {buyer.name}: {buyer.strategy}")

    async def _follow(self, name: str, truth_port: int) -> None:
        follower = SiteFollower(
            name, self.book, socket=self._socket(name), truth_port=truth_port, look_every_s=LOOK_EVERY_S
        )
        self._followers[name] = follower
        await follower.open()
        self._selling.append(name)
        for work in (follower.follow_agent(), follower.follow_looks(), follower.follow_battery()):
            self._tasks.append(asyncio.create_task(work, name=f"demo:{name}"))

    def _socket(self, name: str) -> Path:
        return self.directory / f"{name}.sock"

    # trading

    async def _until(self, wanted: int | None) -> None:
        if wanted is None:
            await asyncio.Event().wait()
            return
        while (seen := self.book.confirmed) < wanted:
            await self._keep_quota(wanted)
            if not await self._wait_for(partial(self._more_than, seen), STALL_S):
                raise SlowMarketError(f"no trade for {STALL_S:.0f} s; {seen} of {wanted} were made. {self._why_not()}")
        await self._keep_quota(wanted)
        if not await self._wait_for(lambda: self.book.is_settled, SETTLE_S):
            raise SlowMarketError(f"deliveries have not ended within {SETTLE_S:.0f} s")

    def _more_than(self, seen: int) -> bool:
        return self.book.confirmed > seen

    async def _wait_for(self, reached: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until the book shows something; False when it takes too long."""
        try:
            async with asyncio.timeout(timeout_s):
                while not reached():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _keep_quota(self, wanted: int) -> None:
        busy = {name: bool(site.snapshot.get("deliveries")) for name, site in self.book.sites.items()}
        for name in sites_to_stop(wanted - self.book.confirmed, self._selling, busy):
            self._selling.remove(name)
            await self._followers[name].stop_selling("the demo has the trades it asked for")

    def _why_not(self) -> str:
        return "; ".join(f"{s.name}: {s.snapshot.get('stopped') or 'selling'}" for s in self.book.sites.values())

    async def _failed_child(self, failure: asyncio.Task[Child]) -> Child | None:
        """Return the process whose end broke a connection, if there is one."""
        done, _ = await asyncio.wait((failure,), timeout=1.0)
        return failure.result() if done else None

    # stopping

    async def _last_look(self, name: str, follower: SiteFollower) -> dict[str, dict[str, Any]]:
        try:
            return {name: (await follower.look())["metrics"]}
        except (ControlError, CommandRefusedError, RuntimeError):
            return {}  # this agent has gone; `all_events_seen` says so

    async def _is_released(self, follower: SiteFollower) -> bool:
        try:
            return bool((await follower.weigh())["released"])
        except (ChildError, RuntimeError):
            return False

    def _evidence(self, left: list[str], ends: list[str]) -> Evidence:
        book = self.book
        return Evidence(
            trades=list(book.trades.values()),
            lots=list(book.lots.values()),
            sites=list(book.sites.values()),
            buyers=list(book.buyers.values()),
            metrics=self._metrics,
            bids_answered=book.answers.count,
            bids_late=book.answers.late,
            bids_waiting=book.waiting_bids,
            answer_p50_ms=book.answers.percentile(0.5),
            answer_p99_ms=book.answers.percentile(0.99),
            slowest_answer_ms=book.slowest_answer_ms,
            duration_ms=self._ended_ms - self._began_ms if self._began_ms else 0,
            discovery=self._discovery,
            released=self._released,
            left_running=left,
            bad_ends=ends,
        )


def _reader_of(name: str, book: Book) -> Callable[[str], None]:
    def read(line: str) -> None:
        if line.startswith("{"):
            book.buyer_line(name, json.loads(line))

    return read


def _fields(line: str) -> dict[str, str]:
    """Return the `name=value` parts of a ready line."""
    return dict(part.split("=", 1) for part in line.split() if "=" in part)


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _now_ms() -> int:
    return round(time.monotonic() * 1_000)
