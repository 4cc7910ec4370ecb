"""Takes a picture of the live view at a telling moment: bids arriving at one battery while others deliver."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Final

from rich.console import Console

from cli.demo_stage.view import Size, render

if TYPE_CHECKING:
    from cli.demo_stage.book import Book

SIZE: Final = Size(100, 26)
_GAP_MS: Final = 50
_BIDS: Final = 6


class Photographer:
    """Looks at every change of the book and keeps the best picture."""

    def __init__(self, book: Book, *, wanted: int | None) -> None:
        self._book = book
        self._wanted = wanted
        self._began_ms: int | None = None
        self._taken_ms = -_GAP_MS
        self._best = (-1, "")

    def look(self, now_ms: int) -> None:
        """Take a picture if the moment is at least as good as the last one."""
        self._began_ms = now_ms if self._began_ms is None else self._began_ms
        if now_ms - self._taken_ms < _GAP_MS or (worth := self._worth()) < self._best[0]:
            return
        self._taken_ms = now_ms
        self._best = worth, self._svg((now_ms - self._began_ms) / 1_000)

    def picture(self) -> str:
        """Return the best picture (SVG)."""
        return self._best[1] or self._svg(0.0)

    def _worth(self) -> int:
        """Return how much there is to see: deliveries, an open lot with bids, and a full table of trades."""
        lots = [self._book.current_lot(name) for name in self._book.sites]
        bidding = sum(lot is not None and not lot.closed and lot.bids >= _BIDS for lot in lots)
        delivering = sum(bool(self._book.running(name)) for name in self._book.sites)
        return 10 * min(bidding, 1) + 3 * delivering + min(self._book.confirmed, 12)

    def _svg(self, elapsed_s: float) -> str:
        console = Console(record=True, file=io.StringIO(), width=SIZE.width, height=SIZE.height, force_terminal=True)
        console.print(render(self._book, size=SIZE, elapsed_s=elapsed_s, wanted=self._wanted))
        svg = console.export_svg(title="wattbid demo", unique_id="demo")
        return re.sub(
            r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL
        )  # fonts come from the viewer, not from a server
