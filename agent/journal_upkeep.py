"""How a journal stays short: a checkpoint every so many records; of those before it only the audit trail is kept.

`Upkeep` follows the records as they are appended, so that a checkpoint says exactly what the records before it amount
to. It decides and never touches the file: the journal's writer does, one bounded portion at a time. Records from the
newest durable checkpoint on are never taken, and neither are the newest `whole_rows`: replay needs the former, whoever
asks what happened last night the latter. A take-over in force keeps its own record besides the checkpoint.

The audit trail is kept while it has room: once the file is half full, what is older than any claim or dispute about it
may be goes, the oldest first, and awards are no longer kept beside the trades that they became, nor those that became
none: else whoever makes many keys and confirms nothing could fill it. What is younger stays, and then the operator
hears that the file gets full.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from agent.books import BooksFold
from agent.books_codec import checkpoint_text
from agent.journal_file import sealed
from agent.records import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.books_types import Books
    from agent.journal_file import Row
    from agent.records import Record

CHECKPOINT_EVERY: Final = 10_000
"""Records between checkpoints: 40 ms of replay, 3 MB on disk; a checkpoint itself is rarely above 0.5 MB."""
WHOLE_ROWS: Final = 20_000
"""The newest rows are left whole: a day or more of one delivering battery."""
PORTION_ROWS: Final = 256
"""Records taken in one go: the next award waits for one short transaction at most."""

ARCHIVE_KEPT_MS: Final = 90 * 86_400_000
"""A trade may be claimed for 7 days after its end, disputed for one more, ruled upon for 14; the rest is margin."""


class UpkeepRules(NamedTuple):
    """When to write checkpoints and what to leave."""

    checkpoint_every: int = CHECKPOINT_EVERY
    whole_rows: int = WHOLE_ROWS


DEFAULT_RULES: Final = UpkeepRules()


class Portion(NamedTuple):
    """What to take: up to `rows` records below `below_seq`, the oldest first; those in `spared` stay.

    Of a file that is half full, also up to twice as many archived records from before `archived_before_ms` (wall).
    """

    below_seq: int
    spared: tuple[int, ...]
    archived_before_ms: int
    rows: int = PORTION_ROWS


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that waits to be written; its text is made where it is written."""

    seq: int
    at_ms: int
    books: tuple[Books, ...]

    def row(self) -> Row:
        """Return the record's columns."""
        return sealed(self.seq, "", Kind.CHECKPOINT.value, self.at_ms, checkpoint_text(self.books))


class Upkeep:
    """Follows one journal from its replay on; its methods belong to the event loop's thread."""

    def __init__(self, rules: UpkeepRules) -> None:
        self._rules = rules
        self._fold = BooksFold()
        self._last_seq = 0
        self._last_at_ms = 0
        self._since = 0
        self._checkpoint_seq = 0
        self._spared: tuple[int, ...] = ()
        self._pruned_below = 1

    @property
    def unreadable_checkpoint(self) -> int:
        """The number of a checkpoint in the file that says nothing to this release, or 0."""
        return self._fold.unreadable_checkpoint

    def replay(self, records: Iterable[Record]) -> dict[str, Books]:
        """Take on what is on disk and return what it amounts to."""
        for record in records:
            self._follow(record)
            if record.kind == Kind.CHECKPOINT:
                self._checkpoint_seq, self._since = record.seq, 0
                self._spared = _take_overs(self._fold.books().values())
        return self._fold.books()

    def appended(self, record: Record) -> bool:
        """Take a new record into account; True when a checkpoint is due after it."""
        self._follow(record)
        return self._since >= self._rules.checkpoint_every

    def checkpoint(self, seq: int, at_ms: int) -> Checkpoint:
        """Return the checkpoint that is to be the record `seq`."""
        self._last_seq, self._since = seq, 0
        return Checkpoint(seq, at_ms, tuple(self._fold.books().values()))

    def on_disk(self, checkpoint: Checkpoint) -> None:
        """A checkpoint is durable: what came before it may go."""
        self._checkpoint_seq = checkpoint.seq
        self._spared = _take_overs(checkpoint.books)

    def portion(self) -> Portion | None:
        """Return what may be pruned next, None when there is nothing."""
        below_seq = min(self._checkpoint_seq, self._last_seq - self._rules.whole_rows)
        if below_seq <= self._pruned_below:
            return None
        return Portion(below_seq, self._spared, self._last_at_ms - ARCHIVE_KEPT_MS)

    def pruned(self, up_to_seq: int) -> None:
        """Everything below a number has been taken."""
        self._pruned_below = up_to_seq

    def _follow(self, record: Record) -> None:
        self._fold.apply(record)
        self._last_seq = record.seq
        self._last_at_ms = record.at_ms
        self._since += 1


def _take_overs(books: Iterable[Books]) -> tuple[int, ...]:
    return tuple(book.take_over.seq for book in books if book.take_over is not None)
