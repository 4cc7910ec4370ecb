"""What a battery needs of the process that talks to the ledger: the seam between the agent and `settlement.settler`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from settlement.cheque import Cheque
    from settlement.lines import LineState
    from settlement.settler_types import SettlerSnapshot, TradeView


class SettlerPort(Protocol):
    """Watches Lines and cashes cheques. Only `start` may fail; nothing else waits or raises for the ledger's sake."""

    async def start(self) -> None:
        """Open the outbox and begin. Raises SettlementError when the file cannot be used."""

    async def close(self) -> None:
        """End; what is durable stays."""

    def put(self, cheque: Cheque) -> None:
        """Take on what is known of a trade; may be repeated."""

    def watch(self, wallet: bytes) -> None:
        """Read the Line of this buyer from now on."""

    def unwatch(self, wallet: bytes) -> None:
        """Read it no more."""

    def line(self, wallet: bytes) -> LineState | None:
        """Return the Line as read at a finalized slot, None when there is none or it was not read yet."""
        ...

    def line_age_s(self, wallet: bytes) -> float | None:
        """Return how old that read is, in seconds."""
        ...

    def trade(self, trade_id: bytes) -> TradeView | None:
        """Return how far a trade has come."""
        ...

    @property
    def can_pay_claim(self) -> bool | None:
        """Whether the battery's wallet can pay for a claim; None = not known."""
        ...

    def snapshot(self) -> SettlerSnapshot:
        """Return one look at everything."""
        ...
