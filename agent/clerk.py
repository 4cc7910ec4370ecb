"""The clerk of one battery: receipts to and from buyers, cheques to the settler, all of it in the journal first.

Interim receipts go out with BESSStatus, every 60 s or well before the energy that the buyer has not signed for reaches
its limit; beyond the limit the delivery ends. The final receipt is in the record of the delivery's end, so there is one
a trade; it is signed when that is on disk, goes out with Terminate, and again whenever its buyer registers, until the
buyer has answered: by signing it, or by its own figure. Nothing is signed while the time of day is not trusted.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from agent import records
from agent.journal_errors import JournalError
from agent.paper import cheque_of
from agent.records import Kind
from agent.statement import Statement, final_receipt
from etp.messages import MessageType, ReasonCode
from settlement.cheque import SignedReceipt
from settlement.errors import SettlementError, SignatureRefusedError
from settlement.receipt import Receipt
from settlement.settler_types import Stage
from settlement.signing import sign_receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.books_cheques import BookedCheque, BookedReceipt
    from agent.cashier import Cashier
    from agent.journal import Journal
    from agent.records import Deal, RecordBody, TradeKey
    from agent.trades import ActiveDelivery, Delivered
    from etp.connection import Received
    from etp.extensions import Receipt as WireReceipt
    from settlement.settler_types import TradeView

INTERIM_EVERY_MS: Final = 60_000
LOST_KEPT_S: Final = 86_400
"""How long after its end of validity a cheque is kept that is said to be lost: that may be one endpoint's word."""
_TICK_S: Final = 1.0
_TICK_LEAST_S: Final = 0.1


class ClerkListener(Protocol):
    """What the clerk asks of the battery's seller."""

    def deliveries(self) -> Iterable[ActiveDelivery]:
        """Return the trades under delivery."""
        ...

    def send_status(self, key: TradeKey, delivered_wh: int, receipt: WireReceipt) -> bool:
        """Send BESSStatus with a receipt to a trade's buyer; False when it is not connected."""
        ...

    def end_delivery(self, key: TradeKey, code: int, reason: str) -> None:
        """End a delivery openly."""

    def answered(self, key: TradeKey) -> None:
        """The buyer knows of a trade's end."""

    def paid(self, buyer: str) -> None:
        """The ledger has paid a trade of this buyer."""

    def cheque_told(self, event: str, fields: RecordBody) -> None:
        """Something happened to a cheque: tell whoever watches."""


class Clerk:
    """The statements of one battery; everything belongs to the event loop's thread."""

    def __init__(
        self,
        battery: str,
        cashier: Cashier,
        journal: Journal,
        *,
        listener: ClerkListener,
        now_ms: Callable[[], int],
        wall_ms: Callable[[], int],
        time_lapse: int = 1,
    ) -> None:
        self._battery = battery
        self._cashier = cashier
        self._journal = journal
        self._listener = listener
        self._now_ms = now_ms
        self._wall_ms = wall_ms
        self._every_ms = max(1, INTERIM_EVERY_MS // time_lapse)
        self._tick_s = max(_TICK_LEAST_S, _TICK_S / time_lapse)
        self._statements: dict[bytes, Statement] = {}
        self._by_key: dict[TradeKey, Statement] = {}

    def __len__(self) -> int:
        return len(self._statements)

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Every trade that is not cashed yet."""
        return tuple(self._statements.values())

    def begin(self, deal: Deal) -> None:
        """A confirmed trade: its cheque goes to the settler."""
        statement = self._take_on(deal)
        if statement is not None:
            statement.offered_at_ms = self._now_ms()
            self._cashier.confirmed(deal.key)
            self.put(statement)

    def restore(self, booked: Iterable[BookedCheque]) -> None:
        """Take on the cheques of an earlier start; the settler gets all of them again."""
        for each in booked:
            statement = self._take_on(each.deal)
            if statement is None:
                continue
            self._cashier.restore(statement.contract)
            if each.interim is not None:
                statement.take(_signed(each.interim))
            if each.final is not None:
                signed = _signed(each.final)
                statement.final = signed.receipt
                if signed.is_cosigned:
                    statement.take(signed)
                self._reduce(statement)
            statement.disputed_wh = each.disputed_wh
            self.put(statement)

    def trust_clock(self, *, trusted: bool) -> None:
        """What waited for the time of day is signed once it is trusted."""
        was, self._cashier.is_clock_trusted = self._cashier.is_clock_trusted, trusted
        if trusted and not was:
            for statement in self._statements.values():
                if statement.final is not None and statement.cheque.final is None:
                    self.put(statement)

    def papers(self, delivered: Delivered) -> RecordBody:
        """Return what the record of a delivery's end says besides: the final receipt of a trade that is to be paid."""
        statement = self._by_key.get(delivered.trade.key)
        if statement is None or delivered.trade.trade_id != statement.contract.trade_id.hex():
            return {}
        statement.pending = final_receipt(statement.contract.trade_id, delivered)
        return {"trade_id": delivered.trade.trade_id, "receipt": statement.pending.encoded.hex()}

    def ended(self, delivered: Delivered) -> WireReceipt | None:
        """A delivery's end is on record, or never will be: return the final receipt for Terminate, signed."""
        statement = self._by_key.get(delivered.trade.key)
        if statement is None or statement.pending is None:
            return None
        if self._journal.failed is not None:
            return None  # nobody knows what a next start finds: it signs what it finds
        statement.final = statement.pending
        self._reduce(statement)
        self.put(statement)
        return self.final_of(delivered.trade.key)

    def final_of(self, key: TradeKey) -> WireReceipt | None:
        """Return the signed final receipt that a trade's Terminate carries, None when there is none."""
        statement = self._by_key.get(key)
        if statement is None or statement.final is None or not self._may_sign(statement):
            return None
        return statement.final.to_wire(sign_receipt(statement.final, statement.contract, self._cashier.signer))

    def received(self, frame: Received) -> bool:
        """Take a buyer's BESSStatus or Terminate with a receipt; False when it says nothing about a trade of ours."""
        statement = self._by_key.get((frame.peer, frame.body.message_id))
        wire = frame.extensions.receipt
        if statement is None or frame.signer != statement.cheque.buyer_key or not self._may_sign(statement):
            return False
        is_end = frame.body.message_type == MessageType.TERMINATE
        if wire is not None and not (is_end and frame.body.termination_code == ReasonCode.DISPUTED):
            return self._take_signature(statement, wire)
        return is_end and self._take_figure(statement, frame)

    async def run(self) -> None:
        """Ask for signatures while deliveries run, and end those that outrun them."""
        while True:
            await asyncio.sleep(self._tick_s)
            for active in list(self._listener.deliveries()):
                statement = self._by_key.get(active.trade.key)
                if statement is not None and statement.pending is None:
                    self._look(statement, active)

    def moved(self, view: TradeView | None) -> None:
        """The settler has come further with a trade.

        What is said to be lost stays until it could not be claimed, what has expired for as long as a signature would
        still pay anything.
        """
        if view is None:
            return
        statement = self._statements.get(view.trade_id)
        if statement is None or not view.is_done:
            return
        if view.stage is Stage.EXPIRED and statement.cheque.most_units:
            return
        if view.stage is Stage.LOST and not self._is_long_over(statement):
            return
        trade_id = view.trade_id.hex()
        record = records.cashed(
            trade_id=trade_id, stage=view.stage.value, payout=view.payout, fee=view.fee, signature=view.signature
        )
        if self._write(Kind.CASHED, record, lambda: None):
            del self._statements[view.trade_id]
            if self._by_key.get(statement.key) is statement:
                del self._by_key[statement.key]
            if view.stage is Stage.SETTLED:
                self._listener.paid(f"key:{statement.cheque.buyer_key.hex()}")
            self._listener.cheque_told("cheque_cashed", record)

    def _is_long_over(self, statement: Statement) -> bool:
        over_s = statement.contract.valid_until_s + LOST_KEPT_S
        return self._cashier.is_clock_trusted and self._wall_ms() // 1_000 >= over_s

    def _may_sign(self, statement: Statement) -> bool:
        """Whether the time of day is trusted, and this is still the identity that signed the contract."""
        return self._cashier.is_clock_trusted and not self.is_of_other_identity(statement)

    def is_of_other_identity(self, statement: Statement) -> bool:
        """Whether a trade was made under an identity that is not ours any more: nothing of it can be signed."""
        return statement.cheque.battery_key != self._cashier.signer.public_key

    def _take_on(self, deal: Deal) -> Statement | None:
        cheque = cheque_of(deal)
        if cheque is None:
            return None
        limit_wh = self._cashier.site.unsigned_limit_of(deal.energy_wh)
        statement = Statement(key=deal.key, cheque=cheque, limit_wh=limit_wh)
        self._statements[cheque.trade_id] = self._by_key[deal.key] = statement
        return statement

    def _look(self, statement: Statement, active: ActiveDelivery) -> None:
        """Offer a receipt when it is time, then see whether the delivery may go on."""
        now_ms = self._now_ms()
        if self._may_sign(statement) and statement.is_due(active.delivered_wh, now_ms, self._every_ms):
            receipt = statement.interim(active, self._wall_ms())
            wire = receipt.to_wire(sign_receipt(receipt, statement.contract, self._cashier.signer))
            if self._listener.send_status(statement.key, active.delivered_wh, wire):
                statement.offer(receipt, now_ms)
        if statement.is_beyond(active.delivered_wh):
            unsigned_wh = active.delivered_wh - statement.cosigned_wh
            reason = f"{unsigned_wh} Wh without the buyer's signature, at most {statement.limit_wh}"
            self._listener.end_delivery(statement.key, ReasonCode.DISPUTED, reason)

    def _take_signature(self, statement: Statement, wire: WireReceipt) -> bool:
        try:
            signed = statement.signed_by_buyer(wire)
        except SignatureRefusedError as error:
            self._listener.cheque_told("receipt_refused", {"peer": statement.key[0], "reason": str(error)})
            return True
        if signed is None:
            return False
        own = sign_receipt(signed.receipt, statement.contract, self._cashier.signer)
        signed = replace(signed, battery_signature=own)
        record = records.receipt(
            trade_id=statement.contract.trade_id.hex(),
            receipt=signed.receipt.encoded,
            final=signed.receipt.final,
            battery_signature=own,
            buyer_signature=wire.signature,
        )
        return self._write(Kind.RECEIPT, record, partial(self._keep, statement, signed))

    def _keep(self, statement: Statement, signed: SignedReceipt) -> None:
        """A receipt with both signatures is on disk."""
        if not statement.take(signed):
            return
        if signed.receipt.final:
            self._reduce(statement)
            self._listener.answered(statement.key)
        self.put(statement)
        what = {"delivered_wh": signed.receipt.delivered_wh, "final": signed.receipt.final}
        self._listener.cheque_told("receipt_signed", {"trade_id": statement.contract.trade_id.hex(), **what})

    def _take_figure(self, statement: Statement, frame: Received) -> bool:
        """The buyer does not sign the final receipt, and says what it got."""
        if statement.final is None or frame.body.termination_code != ReasonCode.DISPUTED or statement.is_answered:
            return statement.final is not None
        wire = frame.extensions.receipt
        signed_wh = None if wire is None else statement.figure_of_buyer(wire)
        figure_wh = frame.body.energy_wh if signed_wh is None else signed_wh
        record = records.disputed(trade_id=statement.contract.trade_id.hex(), delivered_wh=figure_wh)
        return self._write(Kind.RECEIPT, record, partial(self._keep_figure, statement, figure_wh))

    def _keep_figure(self, statement: Statement, figure_wh: int) -> None:
        if statement.final is None or statement.is_answered:
            return
        statement.disputed_wh = figure_wh
        self._listener.answered(statement.key)
        trade_id = statement.contract.trade_id.hex()
        figures = {"delivered_wh": statement.final.delivered_wh, "buyer_wh": figure_wh}
        self._listener.cheque_told("receipt_disputed", {"trade_id": trade_id, **figures})

    def _reduce(self, statement: Statement) -> None:
        if statement.final is not None:
            signed = statement.cheque.final
            cosigned = signed is not None and signed.is_cosigned
            self._cashier.promises.reduce(statement.contract, statement.final.delivered_wh, cosigned=cosigned)

    def put(self, statement: Statement) -> None:
        """Hand a cheque over, with the final receipt under the battery's signature where there is one."""
        cheque = statement.cheque
        if statement.final is not None and cheque.final is None and self._may_sign(statement):
            own = sign_receipt(statement.final, statement.contract, self._cashier.signer)
            cheque = statement.cheque = replace(
                cheque, final=SignedReceipt(receipt=statement.final, battery_signature=own)
            )
        try:
            self._cashier.settler.put(cheque)
        except SettlementError as error:  # its outbox is behind; the journal has the cheque, and it is put again
            self._listener.cheque_told("cheque_waits", {"trade_id": cheque.trade_id.hex(), "reason": str(error)})

    def _write(self, kind: Kind, body: RecordBody, then: Callable[[], None]) -> bool:
        """Journal, and go on when it is on disk; a journal that has failed takes nothing, and nothing comes of it."""
        try:
            _, written = self._journal.append(self._battery, kind, body)
        except JournalError:
            return False
        written.add_done_callback(lambda done: None if done.cancelled() or done.exception() is not None else then())
        return True


def _signed(booked: BookedReceipt) -> SignedReceipt:
    """Return a receipt on record. Raises TermsError or ValueError for a torn one."""
    return SignedReceipt(
        receipt=Receipt.decode(bytes.fromhex(booked.receipt)),
        battery_signature=bytes.fromhex(booked.battery_signature) or None,
        buyer_signature=bytes.fromhex(booked.buyer_signature) or None,
    )
