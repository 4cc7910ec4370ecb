"""From what is due to transactions on their way, and from their ends back to the trades."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from settlement.exchange import to_base58
from settlement.failures import Cause
from settlement.flights import Ended, Flights
from settlement.outbox_records import Attempt, AttemptState, TradeRecord
from settlement.rpc import RefusedError
from settlement.settler_types import EventKind
from settlement.transaction import compile_message, sign_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from settlement.actions import Planned
    from settlement.desk import Desk
    from settlement.outbox_file import Loaded
    from settlement.rpc import Blockhash

FLIGHTS_MAX: Final = 16
"""Transactions under way at once: two nodes see eight of them a second, which public ones still bear."""
PRICE_MAX: Final = 2_000_000
"""Millionths of a lamport a compute unit: at most 80,000 lamports for a transaction."""
PRICE_FLOOR: Final = 1_000
"""What a second attempt offers where nobody pays anything."""


@dataclass(frozen=True, slots=True)
class Due:
    """A transaction to be made; `record` is its trade as it will then be, None for what belongs to no trade."""

    subject: bytes
    action: str
    planned: Planned
    record: TradeRecord | None


@dataclass(slots=True)
class Landing:
    """Where a transaction is said to have had its effect, and by whom."""

    slot: int
    """0: an earlier start was told so."""
    place: int
    """Of the endpoint."""
    last_valid_block_height: int
    """Above it these bytes cannot land any more, whatever was said."""
    is_doubted: bool = False


class Dispatch:
    """Makes, saves and sends transactions, as many at once as is decent."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.flights = Flights(desk.client, desk.monotonic_s)
        self.landed: dict[bytes, Landing] = {}
        """By trade; whoever has seen the effect takes it out."""

    def resume(self, loaded: Loaded) -> None:
        """Go on with what an earlier start has sent."""
        self.flights.resume(loaded.open_attempts)
        self.landed = {trade_id: Landing(0, 0, height) for trade_id, height in loaded.landed.items()}

    @property
    def room(self) -> int:
        """How many more transactions may be under way."""
        return max(0, FLIGHTS_MAX - len(self.flights))

    def is_free(self, subject: bytes) -> bool:
        """Whether something may be signed for this subject now."""
        return subject not in self.flights and self._desk.book.may_try(subject, self._desk.monotonic_s())

    async def begin(self, due: Sequence[Due]) -> None:
        """Sign, save, send. Raises RpcError or NoEndpointError before it signs, OutboxError before it sends."""
        blockhash = await self._desk.client.blockhash("confirmed")
        price = await self._price(due)
        made = await asyncio.gather(*(self._sign(one, blockhash, price) for one in due))
        changes = [
            (replace(one.record, signature=attempt.signature), self._desk.book.open[one.subject])
            for one, attempt in zip(due, made, strict=True)
            if one.record is not None
        ]
        await self._desk.outbox.save(*made, *(after for after, _ in changes))
        for after, before in changes:
            self._desk.hold(after, before)
        for attempt in made:
            self._tell(EventKind.TRANSACTION_SENT, attempt)
        await self._conclude(await self.flights.launch(made))

    async def check(self) -> bool:
        """Find out what became of what was sent; return whether anything ended. Raises RpcError, OutboxError."""
        ended = await self.flights.check()
        await self._conclude(ended)
        return bool(ended)

    async def _sign(self, due: Due, blockhash: Blockhash, price: int) -> Attempt:
        seq, number = self._desk.book.next_attempt(due.subject)
        failures = min(self._desk.book.failures(due.subject), 20)
        offered = min(max(price, PRICE_FLOOR) * 2**failures if failures else price, PRICE_MAX)
        wallet = self._desk.wallet
        message = compile_message(
            wallet.public_key, due.planned.instructions, blockhash.value, units=due.planned.units, price=offered
        )
        signed = await self._desk.outbox.run(lambda: sign_message(message, [wallet]))
        return Attempt(
            seq=seq,
            subject=due.subject,
            action=due.action,
            number=number,
            transaction=signed.encoded,
            signature=signed.signature,
            blockhash=blockhash.value,
            last_valid_block_height=blockhash.last_valid_block_height,
            slot=blockhash.slot,
            price=offered,
        )

    async def _price(self, due: Sequence[Due]) -> int:
        """What others pay lately for the same accounts; nothing where a node does not say."""
        metas = due[0].planned.instructions[-1].accounts
        writable = [bytes(meta.pubkey) for meta in metas if meta.is_writable]
        try:
            return await self._desk.client.fee_price(writable)
        except RefusedError:
            return 0

    async def _conclude(self, ended: Sequence[Ended]) -> None:
        if not ended:
            return
        await self._desk.outbox.save(*(one.attempt for one in ended))
        for one in ended:
            attempt, record = one.attempt, self._desk.book.open.get(one.attempt.subject)
            if attempt.state is AttemptState.LANDED:
                self._desk.book.succeeded([attempt.subject])
                if record is not None:
                    self.landed[attempt.subject] = Landing(one.slot, one.place, attempt.last_valid_block_height)
            elif one.explained is None or one.explained.cause is not Cause.DONE_ALREADY:
                await self._failed(attempt, record)

    async def _failed(self, attempt: Attempt, record: TradeRecord | None) -> None:
        wait_s = self._desk.failed(attempt.subject)
        if record is not None:
            await self._desk.save(replace(record, problem=f"{attempt.action}: {attempt.error}"), record)
        failures = self._desk.book.failures(attempt.subject)
        fields = {"problem": attempt.error, "failures": failures, "retry_in_s": round(wait_s)}
        self._tell(EventKind.TRANSACTION_FAILED, attempt, **fields)

    def _tell(self, kind: EventKind, attempt: Attempt, **fields: object) -> None:
        self._desk.tell(
            kind,
            subject=attempt.subject.hex(),
            action=attempt.action,
            attempt=attempt.number,
            signature=to_base58(attempt.signature),
            **fields,
        )
