"""What a battery says about one delivery that is to be paid: the trade's papers, and which receipts were given. Pure.

Interim receipts are offered and, once the buyer has signed the same, kept: the one that says most. There is one final
receipt: the delivery's last record holds it before anybody signs it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from settlement.cheque import Cheque, SignedReceipt
from settlement.errors import SignatureRefusedError, TermsError
from settlement.receipt import Receipt
from settlement.signing import check_receipt

if TYPE_CHECKING:
    from agent.records import TradeKey
    from agent.trades import ActiveDelivery, Delivered
    from etp.extensions import Receipt as WireReceipt
    from settlement.contract import Contract

OFFERED_KEPT: Final = 8
"""Interim receipts that a buyer may still be signing: more are not on their way within a round trip."""


@dataclass(slots=True, kw_only=True)
class Statement:
    """One trade's receipts; `final` is the receipt that the delivery's last record holds, `pending` before it does."""

    key: TradeKey
    cheque: Cheque
    limit_wh: int
    """Energy that may be delivered without the buyer's signature."""
    pending: Receipt | None = None
    final: Receipt | None = None
    disputed_wh: int | None = None
    """The buyer's own figure, where it does not sign ours."""
    offered: dict[bytes, Receipt] = field(default_factory=dict)
    """Interim receipts by digest, the newest last."""
    offered_at_ms: int | None = None
    """When a receipt was offered, or the trade begun."""
    offered_wh: int = 0

    @property
    def contract(self) -> Contract:
        """What was agreed."""
        return self.cheque.contract

    @property
    def cosigned_wh(self) -> int:
        """What the buyer has signed for so far."""
        return 0 if self.cheque.interim is None else self.cheque.interim.receipt.delivered_wh

    @property
    def is_answered(self) -> bool:
        """Whether the buyer has signed the final receipt, or has said that it does not."""
        signed = self.cheque.final
        return self.disputed_wh is not None or (signed is not None and signed.is_cosigned)

    def is_beyond(self, delivered_wh: int) -> bool:
        """Whether more was delivered without the buyer's signature than may be."""
        return delivered_wh - self.cosigned_wh > self.limit_wh

    def is_due(self, delivered_wh: int, now_ms: int, every_ms: int) -> bool:
        """Whether the buyer should be asked to sign again: in time, and long before the limit stops the delivery."""
        if delivered_wh <= max(self.cosigned_wh, self.offered_wh if self.offered else 0):
            return False
        late = self.offered_at_ms is None or now_ms - self.offered_at_ms >= every_ms
        return late or 4 * (delivered_wh - self.offered_wh) >= self.limit_wh

    def interim(self, active: ActiveDelivery, wall_ms: int) -> Receipt:
        """Return what was delivered until now."""
        now_s = wall_ms // 1_000
        return Receipt(
            trade_id=self.contract.trade_id,
            final=False,
            delivered_wh=active.delivered_wh,
            started_at_s=min(now_s, _seconds(active.begun_wall_ms, now_s)),
            ended_at_s=now_s,
            evidence=active.evidence,
        )

    def offer(self, receipt: Receipt, now_ms: int) -> None:
        """An interim receipt goes to the buyer."""
        self.offered[receipt.digest] = receipt
        self.offered_at_ms, self.offered_wh = now_ms, receipt.delivered_wh
        while len(self.offered) > OFFERED_KEPT:
            del self.offered[next(iter(self.offered))]

    def signed_by_buyer(self, wire: WireReceipt) -> SignedReceipt | None:
        """Return a receipt of ours with the buyer's signature under it; None when it is not ours, or no news.

        Raises SignatureRefusedError when the receipt is ours and the signature is not the buyer's.
        """
        try:
            receipt = Receipt.from_wire(wire, self.contract.trade_id)
        except TermsError:
            return None
        if receipt != self.final and receipt.digest not in self.offered:
            return None
        if not self._is_news(receipt):
            return None
        check_receipt(receipt, self.contract, "buyer", self.cheque.buyer_key, wire.signature)
        return SignedReceipt(receipt=receipt, buyer_signature=wire.signature)

    def _is_news(self, receipt: Receipt) -> bool:
        if not receipt.final:
            return receipt.delivered_wh > self.cosigned_wh
        return self.cheque.final is None or not self.cheque.final.is_cosigned

    def figure_of_buyer(self, wire: WireReceipt) -> int | None:
        """Return the Wh of a final receipt that is the buyer's own, signed by it; None for anything else."""
        try:
            receipt = Receipt.from_wire(wire, self.contract.trade_id)
            check_receipt(receipt, self.contract, "buyer", self.cheque.buyer_key, wire.signature)
        except (TermsError, SignatureRefusedError):
            return None
        return receipt.delivered_wh if receipt.final else None

    def take(self, signed: SignedReceipt) -> bool:
        """Keep a receipt that both have signed; False when it says no more than what is kept."""
        if not self._is_news(signed.receipt):
            return False
        if signed.receipt.final:
            self.disputed_wh = None
            self.cheque = replace(self.cheque, final=signed)
        else:
            self.cheque = replace(self.cheque, interim=signed)
        return True


def final_receipt(trade_id: bytes, delivered: Delivered) -> Receipt:
    """Return the one final receipt of a delivery that is over."""
    ended_at_s = delivered.ended_wall_ms // 1_000
    return Receipt(
        trade_id=trade_id,
        final=True,
        delivered_wh=delivered.delivered_wh,
        started_at_s=min(ended_at_s, _seconds(delivered.begun_wall_ms, ended_at_s)),
        ended_at_s=ended_at_s,
        evidence=delivered.evidence,
    )


def _seconds(wall_ms: int | None, otherwise_s: int) -> int:
    return otherwise_s if wall_ms is None else max(0, wall_ms // 1_000)
