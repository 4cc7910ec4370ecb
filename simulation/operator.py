"""Whoever has the gateway's plug and its service manager in hand: boots, crashes, stops, and the owner's orders.

What must hold at a stop and at a start is checked here, against the disk and the devices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.books import books_of
from agent.books_types import Books
from agent.records import Kind
from simulation import invariants
from simulation.invariants import Breach

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.gateway import Gateway
    from simulation.billing import Billing
    from simulation.ledger import Ledger
    from simulation.loop import VirtualLoop
    from simulation.machines import GatewayHost


class Operator:
    """Runs one gateway's machine; `fail` takes what must not happen."""

    def __init__(
        self,
        host: GatewayHost,
        ledger: Ledger,
        billing: Billing,
        *,
        loop: VirtualLoop,
        fail: Callable[[BaseException], None],
    ) -> None:
        self.crashes = 0
        self.stops = 0
        self._host = host
        self._ledger = ledger
        self._billing = billing
        self._loop = loop
        self._fail = fail
        self._stopping = False

    def boot(self) -> None:
        """Start a process unless one runs."""
        if self._host.process is not None:
            return
        if self._host.site.storage.journal.exists():
            self._guarded(self._read_books)
        self._host.boot()
        self._loop.call_outside(0.5, self._guarded, self._after_boot)

    def crash(self) -> None:
        """Cut the power."""
        if self._host.process is not None:
            self.crashes += 1
            self._stopping = False
            self._host.crash()
            self._ledger.crashed()

    def stop(self, then: Callable[[], None]) -> None:
        """Stop the process as a service manager does, and see whether it tells the truth about it; `then` follows."""
        gateway = self._host.gateway
        if gateway is None or not gateway.is_open or self._stopping:
            then()
            return
        self.stops += 1
        self._stopping = True
        began_ms = self._now_ms()
        task = self._host.stop()
        task.add_done_callback(lambda done: self._guarded(self._stopped, gateway, done.result(), began_ms))
        task.add_done_callback(lambda _: then())
        self._loop.call_outside(
            2 * invariants.STOP_MS / 1_000, self._guarded, self._must_have_stopped, self._host.process
        )

    def owner(self, battery: str, *, stop: bool) -> None:
        """Let the owner stop selling, or resume and acknowledge."""
        gateway = self._host.gateway
        if gateway is None or battery not in gateway.fronts:
            return
        owner = gateway.owner_desk()
        if stop:
            owner.stop_selling(battery, "the owner wants it")
        else:
            owner.resume(battery)

    def _read_books(self) -> None:
        """Bring what was heard in line with what is on disk: that alone outlives a process."""
        records = self._host.records()
        on_disk = books_of(records)
        for battery in self._host.devices:
            books = on_disk.get(battery, Books(battery=battery))
            ended = (r.body for r in records if r.kind == Kind.DELIVERY_ENDED and r.battery == battery)
            self._ledger.booted(battery, books)
            ends = {(body["peer"], body["bid_id"]): body for body in ended}
            self._billing.booted(battery, books, ends, now_wall_ms=self._host.wall_ms())

    def _after_boot(self) -> None:
        gateway = self._host.gateway
        if gateway is not None and gateway.is_open:
            invariants.check_survival(self._host.records(), self._ledger.confirmed)
            for name in gateway.fronts:
                self.owner(name, stop=False)

    def _stopped(self, gateway: Gateway, troubles: list[str], began_ms: int) -> None:
        self._stopping = False
        journal_works = gateway.journal.failed is None
        books = books_of(self._host.records()) if journal_works else {}
        for name, front in gateway.fronts.items():
            device = self._host.devices[name]
            device.advance(self._now_ms())
            invariants.check_stop(
                front,
                device,
                troubles=troubles,
                books=books.get(name, Books(battery=name)) if journal_works else None,
                was_silent=device.troubles.silent or device.silent_at_ms >= began_ms,
                took_ms=self._now_ms() - began_ms,
            )
            if journal_works and self._ledger.has_awards(name):
                raise Breach("every Accept ends", f"{name}: an award is open after a stop")
        self._ledger.crashed()

    def _must_have_stopped(self, process: object) -> None:
        if self._stopping and self._host.process is process:
            raise Breach("a stop ends", "it has not")

    def _guarded(self, check: Callable[..., None], *args: object) -> None:
        try:
            check(*args)
        except Exception as error:  # noqa: BLE001 - a callback's outermost edge: what it meets ends the run
            self._fail(error)

    def _now_ms(self) -> int:
        return int(self._loop.time() * 1_000)
