"""The agent's process: brings journal, batteries, desks, control socket and supervision up, and down again.

Order of start: journal and its replay, then what an earlier start has left, then the devices, then the doors. Order of
stop: no new lots, the batteries released, the doors closed, the telemetry and the journal last.
"""

from __future__ import annotations

import asyncio
import uuid
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from agent import records
from agent.books import restart_voids
from agent.books_types import Books
from agent.control import ControlServer
from agent.errors import OrphanedBatteryError
from agent.events import EventHub
from agent.journal import Journal
from agent.journal_errors import JournalBusy, JournalError
from agent.logs import get_logger
from agent.loop_lag import LoopLag
from agent.metrics import Metrics
from agent.records import Kind
from agent.remains import look
from agent.site_control import OwnerDesk
from agent.storefront import Storefront
from agent.supervisor import NEVER, Supervisor
from agent.telemetry_feed import TelemetryFeed
from etp.io.crowd import Crowd
from etp.io.pollclock import PollClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config_values import Site
    from agent.remains import Remains
    from agent.supervisor import Crash
    from agent.surroundings import Surroundings

METRICS_EVERY_S: Final = 10.0
CLOCK_EVERY_S: Final = 10.0
BEAT_WITHIN_S: Final = 2.0
"""A control loop turns every 250 ms; one that has not for so long hangs."""
_log = get_logger("agent")


class Gateway:
    """One agent: `start`, then `stop`."""

    def __init__(
        self,
        site: Site,
        around: Surroundings,
        *,
        beat: Callable[[], None] | None = None,
        hub: EventHub | None = None,
    ) -> None:
        """`beat` is called by every turn of every control loop; `hub` takes the events (None = one of its own)."""
        self.site = site
        self.hub = EventHub(around.wall_ms) if hub is None else hub
        self.metrics = Metrics()
        self.fronts: dict[str, Storefront] = {}
        self._around = around
        self._beat = beat
        self._journal: Journal | None = None
        self._supervisor = Supervisor(stop_selling=self._stop_selling, report=self._report)
        self._lag = LoopLag(lambda lag_ms: _log.warning("loop blocked", lag_ms=lag_ms))
        self._control: ControlServer | None = None
        self._telemetry: TelemetryFeed | None = None
        self.endpoints: dict[str, str] = {}
        self.is_open = False
        self._beats: dict[str, float] = {}

    @property
    def journal(self) -> Journal:
        """The journal; open between `start` and `stop`."""
        if self._journal is None:
            raise RuntimeError("the gateway has not started")
        return self._journal

    async def start(self, *, control: bool = True) -> None:
        """Open everything and sell. Raises JournalBusy, ListenError or ControlError with what to do about it."""
        remains = look(self.site)
        journal, books = await self._open_books()
        self._journal = journal
        self._refuse_orphans(books)
        clock = PollClock(asyncio.get_running_loop(), ticking=self._around.loop_blocks)
        crowd = Crowd(self.site.limits)
        for battery_site in self.site.batteries:
            front = Storefront(
                battery_site,
                self.site,
                around=self._around,
                journal=journal,
                hub=self.hub,
                metrics=self.metrics,
                poll_clock=clock,
                crowd=crowd,
                beat=None if self._beat is None else partial(self._beaten, battery_site.name),
            )
            self.fronts[front.name] = front
            front.restore(books.get(front.name, Books(battery=front.name)))
        self._tell_of_losses(remains)
        if self._around.telemetry:
            self._telemetry = self._feed_telemetry()
        journal.on_room = self._journal_room
        journal.on_failure = self._journal_failed
        if journal.failed is not None:
            self._journal_failed(journal.failed)
        for front in self.fronts.values():
            if front.settling is not None:
                await front.settling.start()
            await front.doors.open(self.site.network, front.site.port, datagrams=self._around.datagrams)
            self.endpoints[front.name] = f"{self.site.network.listen}:{front.doors.port}"
        if control:
            self._control = ControlServer(self.site.control_socket, self.owner_desk(), self.hub)
            await self._control.start()
        for front in self.fronts.values():
            self._supervisor.start(f"{front.name}.battery", front.battery.run)
            self._supervisor.start(f"{front.name}.delivery", front.delivery.run)
            self._supervisor.start(f"{front.name}.reports", front.seller.report)
            if front.appraiser is not None:
                self._supervisor.start(f"{front.name}.pricing", front.appraiser.run)
            if front.settling is not None:
                self._supervisor.start(f"{front.name}.receipts", front.settling.clerk.run)
                self._supervisor.start(f"{front.name}.settling", front.settling.run)
            self._supervisor.start(f"{front.name}.announcer", front.doors.announce, may_end=True)
        self._supervisor.start("metrics", self._publish_metrics)
        self._supervisor.start("clock", self._watch_clock)
        self._supervisor.start("journal check", journal.check, policy=NEVER, may_end=True)
        if self._around.loop_blocks:
            self._lag.start()
        self.is_open = True

    async def stop(self, reason: str = "the agent stops") -> list[str]:
        """Release the batteries and close; return what could not be done, in words."""
        troubles = await self._release(reason) if self.is_open else []
        self.is_open = False
        for front in self.fronts.values():
            await front.doors.close(reason)
            front.seller.desk.close()
        if self._control is not None:
            await self._control.close()
        self._lag.stop()
        troubles += [f"task {name} did not end" for name in await self._supervisor.close()]
        for front in self.fronts.values():
            if front.appraiser is not None:
                front.appraiser.close()
            if front.settling is not None:
                await front.settling.close()
        if self._telemetry is not None:
            await self._telemetry.close()
        if self._journal is not None:
            await self._journal.close()
        return troubles

    async def _release(self, reason: str) -> list[str]:
        """Sell nothing more, end what is under delivery, and let go of the batteries."""
        reports = await asyncio.gather(*(front.seller.wind_down(reason) for front in self.fronts.values()))
        return [
            f"{name}: {report.reason or 'not released'}"
            for (name, front), report in zip(self.fronts.items(), reports, strict=True)
            if not (report.released and front.delivery.released)
        ]

    def _refuse_orphans(self, books: dict[str, Books]) -> None:
        """Refuse to start when the journal owes something to a battery that the site file does not know."""
        known = {battery.name for battery in self.site.batteries}
        for name, book in books.items():
            if name in known or not (book.trades or book.take_over or book.cheques):
                continue
            owed = "is still taken over" if book.take_over else f"has {len(book.trades)} trades that have not ended"
            if not (book.trades or book.take_over):
                owed = f"has {len(book.cheques)} cheques that are not paid"
            raise OrphanedBatteryError(
                f"{self.site.path}: battery {name!r} is gone, but the journal says that it {owed}; "
                "put it back until that has ended"
            )

    def owner_desk(self) -> OwnerDesk:
        """Return the owner's side of this agent."""
        return OwnerDesk(
            site=self.site.name,
            version=version("wattbid"),
            sellers={name: front.seller for name, front in self.fronts.items()},
            pricing={name: front.pricing for name, front in self.fronts.items()},
            endpoints=self.endpoints,
            metrics=self.metrics,
            lag=self._lag,
            supervisor=self._supervisor,
            wall_ms=self._around.wall_ms,
        )

    async def _open_books(self) -> tuple[Journal, dict[str, Books]]:
        """Open the journal and replay it; one that is damaged or cannot be written is read, and nothing is sold."""
        storage = self.site.storage
        try:
            journal = Journal.open(
                storage.journal,
                executor=self._around.journal_executor(),
                wall_ms=self._around.wall_ms,
                max_bytes=storage.journal_max_bytes,
                rules=self._around.journal_rules,
            )
        except JournalBusy:
            raise
        except JournalError as error:
            return self._read_books(error)
        try:
            return journal, self._replay(journal)
        except JournalError as error:
            await journal.close()
            return self._read_books(error)

    def _read_books(self, why: JournalError) -> tuple[Journal, dict[str, Books]]:
        _log.error("journal cannot be used", reason=str(why))
        journal = Journal.open_read_only(self.site.storage.journal, wall_ms=self._around.wall_ms, why=why)
        return journal, journal.books()

    def _replay(self, journal: Journal) -> dict[str, Books]:
        """Return the books and void what the last run left open (ETP section 7)."""
        books = journal.books()
        epoch = uuid.UUID(bytes=self._around.random_bytes(16), version=4)
        journal.append("", Kind.EPOCH, records.epoch(epoch_id=str(epoch), release=version("wattbid")))
        for name, book in books.items():
            for record in restart_voids(book):
                journal.append(name, Kind.VOID, record)
        if books:
            journal.checkpoint()
        return books

    def _feed_telemetry(self) -> TelemetryFeed:
        storage, around = self.site.storage, self._around
        feed = TelemetryFeed.open(
            storage.telemetry, rows=storage.telemetry_rows, wall_ms=around.wall_ms, clock_trusted=around.clock_trusted
        )
        for front in self.fronts.values():
            feed.watch(front.name, front.battery)
        return feed

    def _tell_of_losses(self, remains: Remains) -> None:
        """Let the owner hear of a journal or an identity that this start had to make although it is not the first."""
        lost = remains.of_journal()
        for name, front in self.fronts.items():
            for alarm, words in (("new journal", lost), ("new identity", remains.of_identity(name))):
                if words:
                    front.seller.watch.alarm(alarm, words, raised=True, blocks_selling=False)

    def _journal_room(self, nearly_full: bool, words: str) -> None:
        """The journal is nearly full, or no longer: the owner hears of it before selling must stop."""
        for front in self.fronts.values():
            front.seller.watch.alarm("journal nearly full", words, raised=nearly_full, blocks_selling=False)

    def _journal_failed(self, error: JournalError) -> None:
        """Sell nothing more; reading, reporting and releasing go on."""
        for front in self.fronts.values():
            front.seller.block("journal", str(error))

    def _beaten(self, name: str) -> None:
        """Pass the beat on while every control loop beats: one that hangs must not hide behind the others."""
        now_s = asyncio.get_running_loop().time()
        self._beats[name] = now_s
        if self._beat is not None and now_s - min(self._beats.values()) < BEAT_WITHIN_S:
            self._beat()

    def _stop_selling(self, reason: str) -> None:
        for front in self.fronts.values():
            front.seller.block("supervisor", reason)

    def _report(self, crash: Crash) -> None:
        _log.error("task crashed", **crash._asdict())
        self.hub.publish("alarm", battery="", alarm=f"task {crash.task}", reason=crash.error, raised=True)

    async def _watch_clock(self) -> None:
        while True:
            trusted = self._around.clock_trusted()
            for front in self.fronts.values():
                front.trust_clock(trusted=trusted)
            await asyncio.sleep(CLOCK_EVERY_S)

    async def _publish_metrics(self) -> None:
        while True:
            await asyncio.sleep(METRICS_EVERY_S)
            self.hub.publish("metrics", **self.metrics.summary())
