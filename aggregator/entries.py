"""One settled trade as the buyer keeps it: the cheque, what was seen of the delivery, and what was said about its end.

    open        the battery may still deliver, or has not said what it delivered
    void        the battery refused the Confirm: it promises to present nothing
    agreed      its final receipt is signed by both
    disputed    its final receipt was answered with our own figure
    unsigned    its final receipt was taken note of and not answered (a buyer that does not co-sign)

Void is the battery's word, and no ledger knows it: we stand for 0 Wh, and a receipt that comes later is answered so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from aggregator.sight import Sight
    from settlement.cheque import Cheque, SignedReceipt
    from settlement.contract import Contract
    from settlement.receipt import Receipt


class State(Enum):
    """How far a settled trade is between the parties; what the ledger says of it the settler knows."""

    OPEN = "open"
    VOID = "void"
    AGREED = "agreed"
    DISPUTED = "disputed"
    UNSIGNED = "unsigned"


class Key(NamedTuple):
    """The name of a trade between this buyer and a battery: the battery's identity key and the id of the bid."""

    battery: bytes
    bid_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One trade. Times in ms since 1970, powers in W, energies in Wh."""

    cheque: Cheque
    power_w: int
    """The power granted, positive."""
    agreed_at_ms: int
    seen_wh: int = 0
    seen_at_ms: int
    refused: SignedReceipt | None = None
    """The battery's final receipt, where we did not sign it."""
    own: SignedReceipt | None = None
    """The same with our own figure and our signature, where it was answered."""
    figure_wh: int | None = None
    """What we stand for when the battery claims; None while the delivery may go on."""
    is_void: bool = False

    @property
    def key(self) -> Key:
        """The name of the trade."""
        return Key(self.cheque.battery_key, self.contract.message_id)

    @property
    def contract(self) -> Contract:
        """What was agreed."""
        return self.cheque.contract

    @property
    def state(self) -> State:
        """How far it is."""
        if self.cheque.final is not None:
            return State.AGREED
        if self.own is not None:
            return State.DISPUTED
        if self.refused is not None:
            return State.UNSIGNED
        return State.VOID if self.is_void else State.OPEN

    @property
    def final(self) -> Receipt | None:
        """The battery's one final receipt, signed by us or not."""
        signed = self.cheque.final or self.refused
        return None if signed is None else signed.receipt

    def seen(self, sight: Sight, wall_less_mono_ms: int) -> Entry:
        """Return the entry with what was seen; `wall_less_mono_ms` turns the sight's clock into the time of day."""
        return replace(self, seen_wh=sight.seen_wh, seen_at_ms=sight.seen_at_ms + wall_less_mono_ms)

    def with_interim(self, signed: SignedReceipt) -> Entry:
        """Return the entry with a co-signed receipt of the running delivery."""
        return replace(self, cheque=replace(self.cheque, interim=signed))

    def agreed(self, signed: SignedReceipt) -> Entry:
        """Return the entry with the final receipt that both have signed."""
        figure_wh = min(signed.receipt.delivered_wh, self.contract.energy_wh)
        return replace(self, cheque=replace(self.cheque, final=signed), figure_wh=figure_wh, is_void=False)

    def disagreed(self, refused: SignedReceipt, own: SignedReceipt | None, figure_wh: int) -> Entry:
        """Return the entry with the battery's final receipt that we did not sign, and our own where we said it."""
        return replace(self, refused=refused, own=own, figure_wh=figure_wh, is_void=False)
