"""One run of the demo from the first process to the last: start, trade, stop, and the evidence of it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from agent.errors import AgentError
from cli.demo_stage import scene
from cli.demo_stage.book import Book
from cli.demo_stage.cast import Cast, Ports
from cli.demo_stage.errors import ChildError, DemoError, SlowMarketError
from cli.demo_stage.evidence import Evidence
from cli.demo_stage.group import own_group
from cli.demo_stage.quota import Doing, Quota
from etp.io.group import MulticastUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.demo_stage.cashbook import Cashbook
    from cli.demo_stage.collector import SiteFollower
    from cli.demo_stage.processes import Child
    from cli.demo_stage.scene import Group

STALL_S: Final = 90.0
"""How long a run with a wanted number of trades may go without one."""
QUOTA_S: Final = 0.5
"""How often it is looked at who should sell."""
SETTLE_S: Final = 60.0
"""How long the last deliveries may take."""
PAY_S: Final = 90.0
"""How long the ledger may take for the last payments."""
_BLAME_S: Final = 1.0
"""How long the end of a process may come after the connection to it broke."""


class Show:
    """The market and everything that plays it. `say` gets progress in words."""

    def __init__(self, *, say: Callable[[str], None], ports: Ports, multicast: bool = True) -> None:
        """Without `multicast` the buyers are given the batteries' endpoints."""
        self.book = Book(scene.SITES, scene.BUYERS, wall_offset_ms=time.time_ns() // 1_000_000 - _now_ms())
        self.directory = Path(tempfile.mkdtemp(prefix="wattbid-demo-"))
        self._cast = Cast(self.book, self.directory, say=say, ports=ports)
        self._say = say
        self._multicast = multicast
        self._changed = asyncio.Event()
        self.book.on_change = self._changed.set
        self._following: list[asyncio.Task[None]] = []
        self._metrics: dict[str, dict[str, Any]] = {}
        self._released: dict[str, bool] = {}
        self._began_ms = 0
        self._ended_ms = 0
        self._traded_ms = 0
        self._discovery = "static"

    def watched_by(self, look: Callable[[int], None]) -> None:
        """Let `look` see every change of the book, with the time."""

        def changed() -> None:
            self._changed.set()
            look(_now_ms())

        self.book.on_change = changed

    async def open(self) -> None:
        """Start everything. Raises DemoError when something cannot be started."""
        try:
            await self._cast.enter(self.find_group())
        except (AgentError, OSError) as error:
            raise DemoError(f"the market cannot be followed: {error}") from error
        for name, follower in self._cast.followers.items():
            for work in (follower.follow_agent(), follower.follow_looks(), follower.follow_battery()):
                self._following.append(asyncio.create_task(work, name=f"demo:{name}"))
        if self._cast.cashbook is not None:
            self._following.append(asyncio.create_task(self._cast.cashbook.follow(), name="demo:ledger"))
        self._began_ms = _now_ms()

    async def trade(self, wanted: int | None) -> None:
        """Let them trade: until `wanted` trades are delivered, or (None) until cancelled. Raises DemoError."""
        failure = asyncio.create_task(self._cast.troupe.first_failure())
        work = asyncio.create_task(self._until(wanted))
        try:
            done, _ = await asyncio.wait({failure, work, *self._following}, return_when=asyncio.FIRST_COMPLETED)
            if work not in done and (child := await _ended_child(failure)) is not None:
                raise ChildError(child.name, f"ended with status {child.status}: {child.last_words()}")
            for task in done:
                task.result()
        except AgentError as error:
            raise DemoError(f"an agent cannot be followed: {error}") from error
        finally:
            self._ended_ms = _now_ms()
            await _cancel([failure, work])

    async def close(self) -> Evidence:
        """Stop everything: agents (they give the batteries back), buyers, batteries. Return the evidence."""
        followers, troupe = self._cast.followers, self._cast.troupe
        await _cancel(self._following)
        for name, follower in followers.items():
            self._metrics |= await _last_figures(name, follower)
        await troupe.stop("agent-")
        await troupe.stop("buyer-")
        if (cashbook := self._cast.cashbook) is not None:
            await _last_look(cashbook)
            await cashbook.close()
        for name, follower in followers.items():
            self._released[name] = await _is_released(follower)
            await follower.close()
        await troupe.stop("battery-")
        await troupe.stop("ledger")
        shutil.rmtree(self.directory)
        left = [f"process {name}" for name in troupe.left_running()]
        left += [f"port {port}" for port in self._cast.bound if _is_open(port)]
        left += [f"directory {self.directory}"] if self.directory.exists() else []
        return self._evidence(left, [f"{c.name} ended with status {c.status}" for c in troupe.children if c.status])

    def find_group(self) -> Group | None:
        """Return a multicast group that works here, None if the buyers have to do without."""
        if not self._multicast:
            return None
        try:
            group = own_group(Random())  # noqa: S311 - a name that nobody else uses, no secret
        except MulticastUnavailable as error:
            self._say(f"multicast is not available here ({error.reason}): the aggregators are given the endpoints")
            return None
        self._discovery = "multicast"
        return group

    async def _until(self, wanted: int | None) -> None:
        if wanted is None:
            await asyncio.Event().wait()
            return
        quota = Quota(self.book.sites, _now_ms())
        last_ms = _now_ms()
        while (seen := self.book.confirmed) < wanted:
            await self._keep(quota, wanted - seen)
            if await self._wait_for(partial(self._more_than, seen), QUOTA_S):
                last_ms = _now_ms()
            elif _now_ms() - last_ms > STALL_S * 1_000:
                raise SlowMarketError(f"no trade for {STALL_S:.0f} s; {seen} of {wanted} were made. {self._why_not()}")
        await self._keep(quota, 0)
        if not await self._wait_for(lambda: self.book.is_settled, SETTLE_S):
            raise SlowMarketError(f"deliveries have not ended within {SETTLE_S:.0f} s")
        self._traded_ms = _now_ms()
        if not await self._wait_for(lambda: self.book.is_paid, PAY_S):
            raise SlowMarketError(f"the ledger has not paid every trade within {PAY_S:.0f} s: {self._unpaid()}")

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

    async def _keep(self, quota: Quota, missing: int) -> None:
        orders = quota.orders(missing, {name: self._doing(name) for name in self.book.sites}, _now_ms())
        for name in orders.stop:
            await self._cast.followers[name].stop_selling("the demo has the trades it asked for")
        for name in orders.resume:
            await self._cast.followers[name].resume()

    def _doing(self, name: str) -> Doing:
        if self.book.is_offering(name):
            return Doing.OFFERING
        return Doing.DELIVERING if self.book.running(name) else Doing.RESTING

    def _why_not(self) -> str:
        return "; ".join(f"{s.name}: {s.snapshot.get('stopped') or 'selling'}" for s in self.book.sites.values())

    def _unpaid(self) -> str:
        """Return in words what is not paid yet."""
        payments = self.book.payments
        stages = Counter(payments.promised(trade.trade_id).stage for trade in self.book.trades.values())
        return ", ".join(f"{number} {stage}" for stage, number in sorted(stages.items()))

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
            answer_p50_ms=book.answer_ms(0.5),
            answer_p99_ms=book.answer_ms(0.99),
            slowest_answer_ms=book.slowest_answer_ms,
            duration_ms=(self._traded_ms or self._ended_ms) - self._began_ms if self._began_ms else 0,
            discovery=self._discovery,
            released=self._released,
            left_running=left,
            payments=book.payments,
            bad_ends=ends,
        )


async def _ended_child(failure: asyncio.Task[Child]) -> Child | None:
    """Return the process whose end broke a connection, if there is one."""
    done, _ = await asyncio.wait((failure,), timeout=_BLAME_S)
    return failure.result() if done else None


async def _last_figures(name: str, follower: SiteFollower) -> dict[str, dict[str, Any]]:
    try:
        return {name: (await follower.look())["metrics"]}
    except (AgentError, ChildError, RuntimeError):
        return {}  # this agent has gone; `all_events_seen` says so


async def _last_look(cashbook: Cashbook) -> None:
    """Take in what the ledger holds at the end; one that has gone is told by the process that ended."""
    with contextlib.suppress(ChildError):
        await cashbook.look()


async def _is_released(follower: SiteFollower) -> bool:
    try:
        return bool((await follower.weigh())["released"])
    except (ChildError, RuntimeError):
        return False


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _now_ms() -> int:
    return round(time.monotonic() * 1_000)
