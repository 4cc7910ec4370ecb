"""What deliveries write into the journal, and what becomes of it when the journal fails.

Only the take-over is waited for: nothing may be written to a battery before it is on disk. Everything else is queued;
a journal that has failed stops selling by itself, and what runs is delivered to its end all the same.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent import records
from agent.journal_errors import JournalError
from agent.records import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.delivery_ports import JournalPort
    from agent.records import RecordBody
    from agent.trades import Delivered, Trade
    from drivers.device import TakeOver
    from settlement.evidence import Portion


class DeliveryLog:
    """The records of one battery's deliveries."""

    def __init__(
        self, journal: JournalPort, battery: str, papers: Callable[[Delivered], RecordBody] = lambda _: {}
    ) -> None:
        """`papers` says what more belongs into the record of an end: a final receipt, where the trade is paid."""
        self._papers = papers
        self._journal = journal
        self._battery = battery
        self.failed: JournalError | None = None
        """The first failure met."""

    async def take_over(self, take_over: TakeOver, *, baseline_w: int) -> None:
        """Put a take-over on disk and wait until it is there. Raises JournalError."""
        body = records.take_over(found=take_over.found, recipe=take_over.recipe)
        body = {**body, **take_over.to_json(), "baseline_w": baseline_w}
        _, written = self._journal.append(self._battery, Kind.TAKE_OVER, body)
        await written

    def released(self, reason: str, *, verified: bool) -> None:
        """The battery is its own again."""
        self._append(Kind.RELEASED, records.released(reason=reason, verified=verified))

    def started(self, trade: Trade, *, first_setpoint_at_ms: int, counter_wh: int | None) -> None:
        """The first setpoint that serves a trade is on the wire."""
        body = records.delivery_started(
            peer=trade.peer, bid_id=trade.bid_id, first_setpoint_at_ms=first_setpoint_at_ms, counter_wh=counter_wh
        )
        self._append(Kind.DELIVERY_STARTED, body)

    def progress(self, trade: Trade, *, delivered_wh: int, counter_wh: int | None) -> None:
        """A trade has received this much so far."""
        body = records.delivery_progress(
            peer=trade.peer, bid_id=trade.bid_id, delivered_wh=delivered_wh, counter_wh=counter_wh
        )
        self._append(Kind.DELIVERY_PROGRESS, body)

    def ended(self, delivered: Delivered, then: Callable[[], None]) -> None:
        """A trade is over; `then` is called when that is on disk, or when it can no longer get there."""
        body = records.delivery_ended(
            peer=delivered.trade.peer,
            bid_id=delivered.trade.bid_id,
            code=int(delivered.code),
            delivered_wh=delivered.delivered_wh,
            reason=delivered.reason,
            metered_by="power" if delivered.derived else "counter",
            ended_at_ms=delivered.ended_at_ms,
        )
        papers = self._papers(delivered)
        self._append(Kind.DELIVERY_ENDED, {**body, "evidence": delivered.evidence.hex(), **papers}, then)

    def evidence(self, trade: Trade, portion: Portion) -> None:
        """Samples that a trade's energy was metered by."""
        body = records.evidence(
            peer=trade.peer,
            bid_id=trade.bid_id,
            trade_id=trade.trade_id,
            samples=portion.samples,
            chain=portion.chain,
            shared=portion.shared,
        )
        self._append(Kind.EVIDENCE, body)

    def alarm(self, name: str, detail: str, *, raised: bool, blocks_selling: bool) -> None:
        """An alarm was raised or cleared."""
        body = records.alarm(name=name, raised=raised, detail=detail, blocks_selling=blocks_selling)
        self._append(Kind.ALARM, body)

    def _append(self, kind: Kind, body: RecordBody, then: Callable[[], None] | None = None) -> None:
        try:
            _, written = self._journal.append(self._battery, kind, body)
        except JournalError as error:
            self.failed = self.failed or error
            if then is not None:
                asyncio.get_running_loop().call_soon(then)  # nobody is told from within its own call
            return
        written.add_done_callback(lambda done: self._written(done, then))

    def _written(self, done: asyncio.Future[None], then: Callable[[], None] | None) -> None:
        if not done.cancelled():
            error = done.exception()
            if isinstance(error, JournalError):
                self.failed = self.failed or error
            elif error is not None:
                raise error
        if then is not None:
            then()
