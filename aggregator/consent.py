"""What a buyer says to a battery's receipt (settlement.md section 5), as values: no socket, no disk.

A receipt whose signature does not hold is not answered. A figure within what was seen and the tolerance is signed; any
other is answered with our own. There is one final receipt of a trade: the first whose signature held. Of a trade that
the battery itself refused nothing was delivered: no receipt of it is signed, our own figure is 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from aggregator.entries import Entry, State
from settlement.cheque import SignedReceipt
from settlement.signing import sign_receipt

if TYPE_CHECKING:
    from aggregator.sight import Sight
    from etp.auth import Signer
    from settlement.progress import Rules
    from settlement.receipt import Receipt


class Say(Enum):
    """What a battery is answered."""

    YES = "the same receipt, signed"
    NO = "Terminate 15 and our own figure"
    NOTHING = "nothing: this buyer does not co-sign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer, and the entry that must be on disk before it leaves."""

    say: Say
    entry: Entry
    answer: SignedReceipt | None
    """What goes back, under our signature; None with nothing to say."""
    is_second: bool = False
    """Whether the battery had signed another final receipt before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """The buyer's side: its key, how far it trusts a figure, and whether it signs any."""

    signer: Signer
    rules: Rules
    cosigns: bool = True

    def interim(self, entry: Entry, signed: SignedReceipt, sight: Sight, now_ms: int) -> Verdict:
        """Judge a receipt of the running delivery, whose battery signature holds."""
        if not self.cosigns:
            return Verdict(say=Say.NOTHING, entry=entry, answer=None)
        if entry.is_void or not sight.takes(signed.receipt.delivered_wh, self.rules, now_ms):
            own = self._sign(entry, replace(signed.receipt, delivered_wh=own_figure_wh(entry, sight, now_ms)))
            return Verdict(say=Say.NO, entry=entry, answer=own)
        last = entry.cheque.interim
        if last is not None and last.receipt == signed.receipt:
            return Verdict(say=Say.YES, entry=entry, answer=last)
        both = self._sign(entry, signed.receipt, signed.battery_signature)
        says_more = last is None or signed.receipt.delivered_wh >= last.receipt.delivered_wh
        return Verdict(say=Say.YES, entry=entry.with_interim(both) if says_more else entry, answer=both)

    def final(self, entry: Entry, signed: SignedReceipt, sight: Sight, now_ms: int) -> Verdict:
        """Judge a final receipt, whose battery signature holds; what was said before is said again."""
        if entry.final is not None:
            return _again(entry, signed.receipt)
        receipt = signed.receipt
        is_taken = not entry.is_void and sight.takes(receipt.delivered_wh, self.rules, now_ms)
        if is_taken and self.cosigns:
            both = self._sign(entry, receipt, signed.battery_signature)
            return Verdict(say=Say.YES, entry=entry.agreed(both), answer=both)
        figure_wh = receipt.delivered_wh if is_taken else own_figure_wh(entry, sight, now_ms)
        own = self._sign(entry, replace(receipt, delivered_wh=figure_wh)) if self.cosigns else None
        after = entry.disagreed(signed, own, min(figure_wh, entry.contract.energy_wh))
        return Verdict(say=Say.NO if self.cosigns else Say.NOTHING, entry=after, answer=own)

    def _sign(self, entry: Entry, receipt: Receipt, battery_signature: bytes | None = None) -> SignedReceipt:
        return SignedReceipt(
            receipt=receipt,
            battery_signature=battery_signature,
            buyer_signature=sign_receipt(receipt, entry.contract, self.signer),
        )


def own_figure_wh(entry: Entry, sight: Sight, now_ms: int) -> int:
    """Return the buyer's own figure: the most that can be, and not less than what it has signed before.

    Of a void trade it is 0.
    """
    if entry.is_void:
        return 0
    last = entry.cheque.interim
    return max(sight.most_wh(now_ms), 0 if last is None else min(last.receipt.delivered_wh, entry.contract.energy_wh))


def _again(entry: Entry, receipt: Receipt) -> Verdict:
    """Return what was said of the first final receipt; another one is answered with the figure of the first."""
    is_second = receipt != entry.final
    if entry.state is State.AGREED:
        return Verdict(
            say=Say.NO if is_second else Say.YES, entry=entry, answer=entry.cheque.final, is_second=is_second
        )
    say = Say.NOTHING if entry.own is None else Say.NO
    return Verdict(say=say, entry=entry, answer=entry.own, is_second=is_second)
