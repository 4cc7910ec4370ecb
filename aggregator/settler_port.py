"""What a buyer needs of the settler (`settlement.settler`): it reads Lines and brings cheques to the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from settlement.cheque import Cheque
    from settlement.lines import LineState


class SnapshotPort(Protocol):
    """How the settler is, and what the wallet holds."""

    def as_json(self) -> dict[str, Any]:
        """Return it for a status file."""
        ...


class SettlerPort(Protocol):
    """Nothing here waits for a network or a disk, but `start` and `close`."""

    async def start(self) -> None:
        """Open the outbox and begin. Raises SettlementError."""
        ...

    async def close(self) -> None:
        """End; what is durable stays."""
        ...

    def abandon(self) -> None:
        """Leave everything as a crash would."""
        ...

    def put(self, cheque: Cheque, seen_wh: int | None = None) -> None:
        """Take over a cheque; `seen_wh` is what the buyer stands for when the battery claims. May be repeated.

        Raises SettlementError when it takes no more, or knows better.
        """
        ...

    def watch(self, wallet: bytes) -> None:
        """Read the Line to a battery's wallet from now on. Raises TermsError when it reads as many as it can."""
        ...

    def unwatch(self, wallet: bytes) -> None:
        """Read the Line to a battery's wallet no more, unless a cheque is open on it."""
        ...

    def line(self, wallet: bytes) -> LineState | None:
        """Return the Line to a battery's wallet as it was last read at finalized; None when there is none."""
        ...

    def snapshot(self) -> SnapshotPort:
        """Return how it is."""
        ...
