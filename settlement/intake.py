"""How cheques and wishes come into a settler: checked, joined with what is known, saved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from settlement.errors import OutboxFullError, SignatureRefusedError, TermsError
from settlement.exchange import to_base58
from settlement.outbox_records import TradeRecord
from settlement.settler_types import EventKind, Stage

if TYPE_CHECKING:
    from settlement.cheque import Cheque
    from settlement.desk import Desk

WAITING_MAX: Final = 10_000
"""Cheques that were handed in and are not on disk yet; as many as an agent can have open when it starts."""
GROUP: Final = 64
"""Taken in with one write."""


class Intake:
    """The way in. `put` may be called at any time; the settler's task does the rest."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: dict[bytes, tuple[Cheque, int | None]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, cheque: Cheque, seen_wh: int | None) -> None:
        """Take a cheque, or what more is known of one. Raises OutboxFullError, TermsError for a contradiction."""
        waiting = self._waiting.get(cheque.trade_id)
        if waiting is not None:
            cheque = waiting[0].merged(cheque)
            seen_wh = waiting[1] if seen_wh is None else seen_wh
        elif len(self._waiting) >= WAITING_MAX:
            path = self._desk.outbox.path
            raise OutboxFullError(path, f"{WAITING_MAX} cheques wait for it", "see why the disk does not take them")
        self._waiting[cheque.trade_id] = (cheque, seen_wh)

    async def take_in(self) -> None:
        """Check and save what was handed in. Raises OutboxError; then it is still there."""
        while self._waiting:
            group = list(self._waiting.items())[:GROUP]
            changes: list[tuple[TradeRecord, TradeRecord | None]] = []
            for trade_id, (cheque, seen_wh) in group:
                change = await self._joined(trade_id, cheque, seen_wh)
                if change is not None:
                    changes.append(change)
            if changes:
                await self._desk.outbox.save(*(after for after, _ in changes))
            for after, before in changes:
                if before is None:
                    self._desk.book.put(after, None)
                else:
                    self._desk.hold(after, before)
                self._desk.book.succeeded([after.trade_id])
            for trade_id, handed_in in group:
                if self._waiting.get(trade_id) == handed_in:  # not more was handed in meanwhile
                    del self._waiting[trade_id]

    async def grant_wishes(self) -> None:
        """Try again at once what somebody asked to be tried again. Raises OutboxError."""
        desk = self._desk
        for trade_id in await desk.outbox.take_wishes():
            before = desk.book.get(trade_id) or await desk.outbox.find(trade_id)
            desk.book.succeeded([trade_id])
            if before is not None and before.stage is not Stage.SETTLED:
                await desk.save(replace(before, stage=Stage.WAITING, problem=None), before)

    async def _joined(
        self, trade_id: bytes, cheque: Cheque, seen_wh: int | None
    ) -> tuple[TradeRecord, TradeRecord | None] | None:
        """Return a trade with what a cheque adds to it and what it was before; None when it adds nothing."""
        before = self._desk.book.get(trade_id) or await self._desk.outbox.find(trade_id)
        try:
            after = TradeRecord(cheque=cheque, seen_wh=seen_wh) if before is None else before.joined(cheque, seen_wh)
            if after == before:
                return None
            self._check_ours(cheque, is_new=before is None)
            await self._desk.outbox.run(after.cheque.check)
        except (TermsError, SignatureRefusedError) as error:
            self._desk.tell(EventKind.CHEQUE_REFUSED, trade_id=trade_id.hex(), problem=str(error))
            return None
        return after, before

    def _check_ours(self, cheque: Cheque, *, is_new: bool) -> None:
        contract, settings = cheque.contract, self._desk.settings
        mine = contract.battery_wallet if settings.role == "battery" else contract.buyer_wallet
        if cheque.role != settings.role:
            raise TermsError("role", f"a {cheque.role}'s cheque in a {settings.role}'s outbox")
        if contract.venue != settings.venue:
            raise TermsError("venue", "another program, cluster or mint than the file names")
        if mine != self._desk.wallet.public_key:
            raise TermsError("wallet", f"the contract names {to_base58(mine)}, the key at hand is another wallet's")
        if is_new and self._desk.book.is_full:
            raise TermsError("cheque", "more trades are open than a settler takes")
