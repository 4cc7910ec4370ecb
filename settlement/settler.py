"""The settler of one battery or buyer: one task that turns cheques into money, whatever the network does.

`put` hands a cheque in, at any time; the rest happens by itself. The task looks at the ledger every `poll_s` seconds,
carries out what is due, follows what it has sent, and tells what happens. Nothing that an endpoint says or fails to say
ends it, a full disk neither: it says so, waits, and goes on from its file.

Importing this costs some 11 MB; `settlement.settler_types` has the values alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING, Final

from settlement.desk import Desk
from settlement.dispatch import Dispatch
from settlement.errors import OutboxError
from settlement.executor import ThreadExecutor
from settlement.flights import CHECK_S
from settlement.intake import Intake
from settlement.outbox import Outbox
from settlement.program.codec import LayoutError
from settlement.reading import ClusterError, Reading
from settlement.rpc import HttpTransport, NoEndpointError, RpcClient, RpcError, WrongClusterError
from settlement.rpc.errors import shown
from settlement.settler_types import EndpointView, EventKind, SettlerEvent, SettlerSnapshot, Stage
from settlement.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from etp.auth import Signer
    from settlement.cheque import Cheque
    from settlement.executor import Executor
    from settlement.lines import LineState
    from settlement.rpc import Transport
    from settlement.settler_types import SettlerSettings, TradeView
    from settlement.steps import Outlook

POLL_MIN_S: Final = 1.0
OFFLINE_MAX_S: Final = 60.0
"""A gateway that comes back to its network settles within a minute."""
HALTED_S: Final = 30.0


class Settler:
    """One party's settler. All methods belong to the event loop's thread."""

    def __init__(
        self,
        settings: SettlerSettings,
        *,
        wallet: Signer,
        transport: Transport,
        executor: Executor,
        monotonic_s: Callable[[], float],
        rng: random.Random,
        on_event: Callable[[SettlerEvent], None] = lambda _event: None,
    ) -> None:
        self.settings = settings
        self._transport = transport
        self._monotonic_s = monotonic_s
        self._outbox = Outbox(settings.outbox, executor)
        self._client = RpcClient(
            settings.rpc,
            settings.venue.genesis_hash,
            transport,
            monotonic_s=monotonic_s,
            rng=rng,
            on_health=self._endpoint_changed,
        )
        self._desk = Desk(
            settings,
            wallet,
            client=self._client,
            outbox=self._outbox,
            monotonic_s=monotonic_s,
            rng=rng,
            emit=on_event,
        )
        self._intake = Intake(self._desk)
        self._reading = Reading(self._desk)
        self._dispatch = Dispatch(self._desk)
        self._steps = Steps(self._desk, self._reading, self._dispatch)
        self._wake = asyncio.Event()
        self._taken_in = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._state = "starting"
        self._problem: str | None = None
        self._look_at_s = float("-inf")
        self._looks_wanted = 0
        self._looks_had = 0
        self._rng = rng
        self._outages = 0

    async def start(self) -> None:
        """Open the outbox and begin. Raises OutboxError; needs no network."""
        loaded = await self._outbox.open()
        self._desk.book.load(loaded)
        self._dispatch.resume(loaded)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Save what was handed in, then end; what is under way goes on at the next start."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            with contextlib.suppress(OutboxError, OSError):  # whoever handed it in hands it in again
                await self._intake.take_in()
        await self._outbox.close()
        await self._transport.close()

    def abandon(self) -> None:
        """Leave everything as a crash would: nothing more is saved or sent, the file is let go."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._outbox.abandon()

    def put(self, cheque: Cheque, seen_wh: int | None = None) -> None:
        """Hand in a cheque, or what more is known of one; as often as one likes.

        `seen_wh` is what a buyer itself saw delivered, in Wh: a claim well above it is disputed. A cheque that does not
        hold is told as an event. Raises OutboxFullError, TermsError for one that contradicts what was just handed in.
        """
        self._intake.put(cheque, seen_wh)
        self._taken_in.clear()
        self._wake.set()

    async def flush(self) -> None:
        """Wait until everything that was handed in is on disk, or was refused."""
        while len(self._intake):
            await self._taken_in.wait()

    def trade(self, trade_id: bytes) -> TradeView | None:
        """Return an open trade, or one of the last that ended."""
        record = self._desk.book.get(trade_id)
        return None if record is None else record.view()

    def trades(self) -> tuple[TradeView, ...]:
        """Return the last trades that ended and all open ones, in order."""
        book = self._desk.book
        return tuple(record.view() for record in (*book.recent.values(), *book.open.values()))

    def watch(self, wallet: bytes) -> None:
        """Read the Line shared with this wallet at every look. Raises TermsError: no wallet, or more than 1,024."""
        self._reading.watch(wallet)
        if self.has_line(wallet) is None:
            self._look_soon()

    def unwatch(self, wallet: bytes) -> None:
        """Read it no more, unless a cheque is open on it."""
        self._reading.unwatch(wallet)

    def line(self, wallet: bytes) -> LineState | None:
        """Return the Line shared with a wallet as finalized at the last look; None: unknown, or there is none."""
        return self._reading.lines.get(wallet)

    def has_line(self, wallet: bytes) -> bool | None:
        """Whether there is such a Line; None: nobody has looked."""
        final = self._reading.final
        return wallet in self._reading.lines if final is not None and wallet in final.read else None

    def line_age_s(self, wallet: bytes) -> float | None:
        """Return the seconds since this Line was read, None when it never was."""
        return None if self.has_line(wallet) is None else self._monotonic_s() - self._reading.read_at_s

    def chain_now_s(self) -> int | None:
        """Return the ledger's clock as of the last look and what passed since; to show, not to decide by."""
        final = self._reading.final
        return None if final is None else final.now_s + int(self._monotonic_s() - self._reading.read_at_s)

    def open_reserve(self, wallet: bytes) -> int:
        """Return the reserves of the open cheques on the Line shared with a wallet, in base units."""
        return self._desk.book.reserve(wallet)

    @property
    def can_pay_claim(self) -> bool | None:
        """Whether the wallet holds what one claim takes; None: nobody has looked."""
        return self._reading.can_pay_claim

    def snapshot(self) -> SettlerSnapshot:
        """Return how things stand."""
        reading, book, now_s = self._reading, self._desk.book, self._monotonic_s()
        confirmed, final = reading.confirmed, reading.final
        endpoints = tuple(
            EndpointView(
                url=url,
                is_ready=health.closed_until_s <= now_s,
                failures=health.failures,
                latency_ms=round(health.latency_s * 1_000),
                slot=health.slot,
            )
            for url, health in self._client.healths
        )
        return SettlerSnapshot(
            state=self._state,
            problem=self._problem,
            endpoints=endpoints,
            wallet=self._desk.address,
            lamports=None if confirmed is None else confirmed.lamports,
            tokens=None if confirmed is None else confirmed.tokens,
            low_sol=reading.low_sol,
            can_pay_claim=reading.can_pay_claim,
            slot=0 if final is None else final.slot,
            chain_now_s=self.chain_now_s(),
            read_age_s=None if final is None else now_s - reading.read_at_s,
            open_trades=len(book.open),
            in_flight=len(self._dispatch.flights),
            stages={stage.value: book.stages.get(stage.value, 0) for stage in Stage},
            uncashed=book.uncashed,
        )

    async def _run(self) -> None:
        while True:
            wait_s = await self._round()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            self._wake.clear()

    async def _round(self) -> float:
        """Do all that can be done now; return in how many seconds to come again."""
        try:
            if len(self._intake):
                await self._intake.take_in()
                self._taken_in.set()
                self._look_soon()
            await self._intake.grant_wishes()
            self._recovered()
            return await self._on_the_ledger()
        except OutboxError as error:
            self._halted(str(error))
        except (RpcError, NoEndpointError, ClusterError, LayoutError) as error:
            return self._offline(error)
        except Exception as error:  # noqa: BLE001 - the task's outermost edge: one bad round must not be the last
            self._halted(f"{type(error).__name__}: {error}")
        return HALTED_S

    async def _on_the_ledger(self) -> float:
        if len(self._dispatch.flights) and await self._dispatch.check():
            self._look_soon()
        wanted = self._looks_wanted
        if wanted != self._looks_had or self._monotonic_s() >= self._look_at_s:
            await self._reading.look()
            self._online()
            outlook = await self._steps.take()
            self._looks_had = wanted
            self._look_at_s = self._monotonic_s() + self._poll_s(outlook)
        wait_s = max(0.0, self._look_at_s - self._monotonic_s())
        return min(wait_s, CHECK_S) if len(self._dispatch.flights) else wait_s

    def _look_soon(self) -> None:
        self._looks_wanted += 1
        self._wake.set()

    def _poll_s(self, outlook: Outlook) -> float:
        """How long until the next look: sooner while a dispute window is short, or when something is due before."""
        if outlook.more:
            return 0.0
        wishes = [self.settings.poll_s]
        wishes += [outlook.window_s / 4] if outlook.window_s is not None else []
        wishes += [outlook.due_in_s] if outlook.due_in_s is not None else []
        return max(min(wishes), min(POLL_MIN_S, self.settings.poll_s))

    def _online(self) -> None:
        self._outages = 0
        if self._state != "connected":
            self._state, self._problem = "connected", None
            self._desk.tell(EventKind.CONNECTED, slot=self.snapshot().slot)

    def _offline(self, error: RpcError | NoEndpointError | ClusterError | LayoutError) -> float:
        foreign = isinstance(error, (WrongClusterError, ClusterError))
        if foreign or self._state not in ("offline", "wrong cluster"):
            self._fall("wrong cluster" if foreign else "offline", str(error))
        if not isinstance(error, NoEndpointError):
            self._problem = str(error)
        wait_s = min(OFFLINE_MAX_S, 2.0 ** min(self._outages, 6)) * (0.5 + self._rng.random() / 2)
        self._outages += 1
        return max(wait_s, error.wait_s) if isinstance(error, NoEndpointError) else wait_s

    def _halted(self, problem: str) -> None:
        self._fall("halted", problem)
        self._problem = problem

    def _recovered(self) -> None:
        if self._state == "halted":
            self._state, self._problem = "starting", None
            self._desk.tell(EventKind.OUTBOX_RECOVERED, path=str(self.settings.outbox))

    def _fall(self, state: str, problem: str) -> None:
        if self._state != state:
            self._state, self._problem = state, problem
            self._desk.tell(_FALLS[state], problem=problem)

    def _endpoint_changed(self, url: str, error: RpcError | None) -> None:
        if error is None:
            self._desk.tell(EventKind.ENDPOINT_RECOVERED, endpoint=shown(url))
        else:
            self._desk.tell(EventKind.ENDPOINT_FAILED, endpoint=shown(url), problem=str(error))


_FALLS: Final = {
    "offline": EventKind.OFFLINE,
    "wrong cluster": EventKind.WRONG_CLUSTER,
    "halted": EventKind.OUTBOX_FAILED,
}


def open_settler(
    settings: SettlerSettings, *, wallet: Signer, on_event: Callable[[SettlerEvent], None] = lambda _event: None
) -> Settler:
    """Return a settler on the real clock, network and disk; `start` it in a running loop."""
    return Settler(
        settings,
        wallet=wallet,
        transport=HttpTransport(),
        executor=ThreadExecutor("outbox-writer"),
        monotonic_s=time.monotonic,
        rng=random.SystemRandom(),
        on_event=on_event,
    )
