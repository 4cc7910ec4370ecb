"""A Line as it was read from the ledger: what the buyer has laid aside for one battery's cheques."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from settlement.values import ZERO

RELEASE_DELAY_S: Final = 8 * 86_400
"""What is taken off a Line leaves it this much later, so a cheque covered today is covered for a week."""
NUMBERS: Final = 256
"""Contract numbers that a Line has open at once, from its `base_no` on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineState:
    """One Line at a finalized slot. Money in base units of its mint, times in seconds of the ledger's clock."""

    generation: int
    """The slot in which it was opened."""
    base_no: int
    used: int
    """Bit n is set when contract number base_no + n was paid, claimed or voided."""
    amount: int
    locked: int
    """The part of `amount` that claimed and disputed trades hold."""
    release_amount: int
    release_at_s: int
    read_at_s: int
    """When it was so, on the ledger's clock."""
    slot: int
    buyer_key: bytes = ZERO
    battery_key: bytes = ZERO
    """The signing keys that both Participants had registered then; zero is nobody's, and no signature counts."""

    @property
    def cover(self) -> int:
        """What new promises may count on, those still open included."""
        return max(0, self.amount - self.release_amount)

    def is_used(self, contract_no: int) -> bool:
        """Whether a number has been paid, claimed or voided."""
        offset = contract_no - self.base_no
        return offset < 0 or (offset < NUMBERS and bool(self.used >> offset & 1))
