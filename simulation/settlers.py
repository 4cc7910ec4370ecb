"""The machine of one party that settles: what it has journaled and its outbox outlive every process. Production inside.

A crash may come between any two steps: before and after every job on the disk, before and after every request. Each of
these places counts as a step, so a test can name the one at which the power goes.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from settlement.settler import Settler
from settlement.settler_types import SettlerSettings
from simulation.disk import Disk, VirtualExecutor
from simulation.loop import Process
from simulation.rpc_nodes import Wire, is_send, transaction_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from settlement.cheque import Cheque
    from settlement.contract import Venue
    from settlement.settler_types import SettlerEvent
    from simulation.deals import Person
    from simulation.loop import VirtualLoop
    from simulation.rpc_nodes import Nodes

_TRY_AGAIN_S: Final = 60.0


class Fact(NamedTuple):
    """What a party's journal holds of one trade."""

    cheque: Cheque
    seen_wh: int | None


class Seat:
    """What stays of one party through all its processes: who it is, its disk, its line, and its settler of the day."""

    settings: SettlerSettings

    def __init__(self, person: Person) -> None:
        self.person = person
        self.disk = Disk()
        self.settler: Settler | None = None
        self.is_cut = False
        """Whether its line to the nodes carries nothing."""

    @property
    def name(self) -> str:
        """The party's name."""
        return self.person.name


class Watcher:
    """What the world looks at whenever a settler signs or sends; here it looks away."""

    def signs(self, host: Seat, message: bytes) -> None:
        """A wallet is about to sign this."""

    def sends(self, host: Seat, transaction: bytes) -> None:
        """A transaction is about to leave."""

    def told(self, host: Seat, event: SettlerEvent) -> None:
        """A settler tells something."""


class WatchedSigner:
    """A wallet's key that shows what it is asked to sign."""

    def __init__(self, host: Seat, watcher: Watcher) -> None:
        self.public_key = host.person.wallet
        self._host = host
        self._watcher = watcher

    def sign(self, data: bytes) -> bytes:
        """Return the signature."""
        self._watcher.signs(self._host, data)
        return self._host.person.signer.sign(data)


class WatchedExecutor(VirtualExecutor):
    """A disk that tells of each job, before it and after it."""

    def __init__(self, disk: Disk, rng: random.Random, step: Callable[[str], None]) -> None:
        super().__init__(disk, rng)
        self._step = step

    def submit(self, job: Callable[[], None], done: Callable[[BaseException | None], None]) -> None:
        """Run the job after those before it."""

        def told() -> None:
            self._step("writes")
            job()
            self._step("wrote")

        super().submit(told, done)


class SettlerHost(Seat):
    """One party's machine."""

    def __init__(
        self,
        person: Person,
        venue: Venue,
        *,
        directory: Path,
        loop: VirtualLoop,
        nodes: Nodes,
        rng: random.Random,
        tell: Callable[[str, str, dict[str, Any]], None],
        watcher: Watcher,
        poll_s: float,
        watched: tuple[bytes, ...] = (),
    ) -> None:
        """`watched` are the wallets of the other side whose Lines this party reads."""
        super().__init__(person)
        self.facts: dict[bytes, Fact] = {}
        self.is_gone = False
        """Whether nobody will ever start it again."""
        self.steps = 0
        self.crashes = 0
        self.on_step: Callable[[SettlerHost, str], None] = lambda _host, _step: None
        self._process: Process | None = None
        self._dead: list[Process] = []
        self._loop = loop
        self._nodes = nodes
        self._rng = rng
        self._tell = tell
        self._watcher = watcher
        self._watched = watched
        self._failure: BaseException | None = None
        self.settings = SettlerSettings(
            role=person.role,
            rpc=tuple(nodes.of),
            venue=venue,
            outbox=directory / f"{person.name}.db",
            poll_s=poll_s,
        )

    def boot(self) -> None:
        """Start a process unless one runs: a settler that is told again all that the journal holds."""
        if self._process is not None or self.is_gone:
            return
        self._process = Process(self.name)
        self.settler = Settler(
            self.settings,
            wallet=WatchedSigner(self, self._watcher),
            transport=Wire(self._nodes, lambda: self.is_cut, self._request),
            executor=WatchedExecutor(self.disk, self._rng, self._step),
            monotonic_s=self._loop.time,
            rng=random.Random(self._rng.random()),
            on_event=self._heard,
        )
        task = self._loop.start_in(self._process, self._start(self.settler))
        task.add_done_callback(self._started)

    def crash(self) -> None:
        """Cut the power."""
        if self._process is None or self.settler is None:
            return
        self.crashes += 1
        self._process.kill()
        self.settler.abandon()
        self._dead.append(self._process)
        self._process = self.settler = None

    def vanish(self) -> None:
        """Cut the power for ever."""
        self.is_gone = True
        self.crash()

    def learn(self, cheque: Cheque, seen_wh: int | None = None) -> None:
        """Journal what became known of a trade, then hand it to the settler."""
        known = self.facts.get(cheque.trade_id)
        merged = cheque if known is None else known.cheque.merged(cheque)
        seen_wh = known.seen_wh if known is not None and seen_wh is None else seen_wh
        self.facts[cheque.trade_id] = Fact(merged, seen_wh)
        if self.settler is not None:
            self.settler.put(merged, seen_wh)

    def has_caught_up(self) -> bool:
        """Whether a settler runs, knows of every trade in its journal, and has no more to do for those with energy."""
        if self.settler is None:
            return False
        views = [self.settler.trade(trade_id) for trade_id in self.facts]
        return all(view is not None and (view.is_done or not view.delivered_wh) for view in views)

    def check(self) -> None:
        """Raise what kept the last start from succeeding."""
        if self._failure is not None:
            raise self._failure

    def bury(self) -> None:
        """Give back what dead processes hold."""
        for process in self._dead:
            process.bury()
        self._dead.clear()

    async def _start(self, settler: Settler) -> None:
        await settler.start()
        for wallet in self._watched:
            settler.watch(wallet)
        for fact in self.facts.values():
            settler.put(fact.cheque, fact.seen_wh)

    def _started(self, task: Any) -> None:
        """A full disk lets no outbox open; whoever has the machine in hand tries again."""
        error = None if task.cancelled() else task.exception()
        if error is not None and self.disk.full:
            self._loop.call_outside(0.0, self.crash)
            self._loop.call_outside(_TRY_AGAIN_S, self.boot)
        else:
            self._failure = error

    def _heard(self, event: SettlerEvent) -> None:
        self._tell(self.name, event.kind.value, dict(event.fields))
        self._watcher.told(self, event)

    def _request(self, step: str, body: bytes) -> None:
        if step == "asks" and is_send(body):
            self._watcher.sends(self, transaction_in(body))
        self._step(step)

    def _step(self, step: str) -> None:
        self.steps += 1
        self.on_step(self, step)
