"""A settler without a ledger: Lines are what a test says they are, and what is put is on record."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from settlement.errors import OutboxFullError, TermsError
from settlement.lines import LineState
from settlement.settler_types import EventKind, SettlerEvent, wallet_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from settlement.cheque import Cheque

GENERATION = 431


def a_line(amount: int = 10_000_000, **changes: Any) -> LineState:
    """Return a Line with this many base units on it."""
    fields: dict[str, Any] = {
        "generation": GENERATION,
        "base_no": 0,
        "used": 0,
        "amount": amount,
        "locked": 0,
        "release_amount": 0,
        "release_at_s": 0,
        "read_at_s": 1_700_000_000,
        "slot": 900,
    }
    return LineState(**{**fields, **changes})


class Snapshot:
    """What a stand-in says of itself."""

    def as_json(self) -> dict[str, Any]:
        """Return it for a status file."""
        return {"state": "connected", "wallet": "", "stages": {}}


class StandInSettler:
    """Implements `aggregator.settler_port.SettlerPort`."""

    def __init__(self, on_event: Callable[[SettlerEvent], None] | None = None) -> None:
        self.puts: list[tuple[Cheque, int | None]] = []
        """Every cheque in the order in which it came, with the buyer's own figure."""
        self.watched: list[bytes] = []
        self.lines: dict[bytes, LineState] = {}
        self.watches_max = 1_024
        self.is_full = False
        self.is_running = False
        self.on_event = on_event or (lambda _: None)
        self._news = asyncio.Event()

    async def start(self) -> None:
        """Run."""
        self.is_running = True

    async def close(self) -> None:
        """Run no more."""
        self.is_running = False

    def abandon(self) -> None:
        """Run no more."""
        self.is_running = False

    def put(self, cheque: Cheque, seen_wh: int | None = None) -> None:
        """Put on record. Raises OutboxFullError while it is full, SignatureRefusedError for what is no cheque."""
        if self.is_full:
            raise OutboxFullError(Path("outbox.db"), "has too many waiting", "wait")
        cheque.check()
        self.puts.append((cheque, seen_wh))
        self._news.set()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so of what has been put."""
        while not is_so():
            self._news.clear()
            await self._news.wait()

    def watch(self, wallet: bytes) -> None:
        """Note whose Line is wanted. Raises TermsError beyond `watches_max`."""
        if wallet in self.watched:
            return
        if len(self.watched) >= self.watches_max:
            raise TermsError("wallet", f"{self.watches_max} are watched already")
        self.watched.append(wallet)

    def unwatch(self, wallet: bytes) -> None:
        """Note whose Line is wanted no more."""
        if wallet in self.watched:
            self.watched.remove(wallet)

    def line(self, wallet: bytes) -> LineState | None:
        """Return what a test has said."""
        return self.lines.get(wallet)

    def snapshot(self) -> Snapshot:
        """Return how it is."""
        return Snapshot()

    def read(self, wallet: bytes, line: LineState | None) -> None:
        """Let a Line be read anew."""
        self.lines.pop(wallet, None)
        if line is not None:
            self.lines[wallet] = line
        self.on_event(SettlerEvent(EventKind.LINE_CHANGED, {"wallet": wallet_text(wallet)}))

    def last(self) -> dict[bytes, tuple[Cheque, int | None]]:
        """Return by trade what was put last."""
        return {cheque.trade_id: (cheque, figure_wh) for cheque, figure_wh in self.puts}
