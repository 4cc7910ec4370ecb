"""The journal: what this agent has promised and done, on disk before anybody is told (ETP section 7).

`append` gives a record its number at once and a future that is done when the record is durable. Everything queued when
the writer wakes is committed as one group. The first failure is final: what waits fails, `failed` says why,
`on_failure` is called once, and every later `append` raises; whether the failed group reached the disk is for the next
start to find out. An empty file beside the journal (`.outlived`) tells the next start that this process went on after
it. All methods belong to the event loop's thread.

A journal whose `books` were asked for keeps itself short: see `agent.journal_upkeep`. What it prunes is deleted by the
same writer between two groups; a failure of that is a failure of the journal.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agent.books import books_of
from agent.journal_errors import (
    KEEP_AND_RESTORE,
    JournalBusy,
    JournalClosed,
    JournalCorrupt,
    JournalError,
    JournalFull,
    JournalReadOnly,
    journal_error,
)
from agent.journal_file import JournalFile, Row, check_beside, read_records, row_of, salvage_records
from agent.journal_upkeep import DEFAULT_RULES, Checkpoint, Upkeep, UpkeepRules
from agent.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from agent.books_types import Books
    from agent.journal_upkeep import Portion
    from settlement.executor import Executor

__all__ = [
    "Journal",
    "JournalBusy",
    "JournalClosed",
    "JournalCorrupt",
    "JournalError",
    "JournalFull",
    "JournalReadOnly",
    "JournalStats",
    "Record",
    "UpkeepRules",
]

PENDING_MAX: Final = 10_000
GROUP_MAX: Final = 1_000
DEFAULT_MAX_BYTES: Final = 1 << 30
NEARLY_FULL_PERMILLE: Final = 800
ROOM_AGAIN_PERMILLE: Final = 750


class JournalStats(NamedTuple):
    """Counts since the journal was opened, and what waits now."""

    records: int
    groups: int
    largest_group: int
    pending: int
    last_seq: int


class _Waiting(NamedTuple):
    row: Row | Checkpoint
    future: asyncio.Future[None]

    def to_row(self) -> Row:
        return self.row.row() if isinstance(self.row, Checkpoint) else self.row


class Journal:
    """One append-only file; `open` to write, `open_read_only` to look at what cannot be written."""

    def __init__(
        self,
        path: Path,
        *,
        file: JournalFile | None,
        executor: Executor | None,
        wall_ms: Callable[[], int],
        failed: JournalError | None = None,
        rules: UpkeepRules = DEFAULT_RULES,
    ) -> None:
        self.path = path
        self.failed = failed
        self.on_failure: Callable[[JournalError], None] | None = None
        self.on_room: Callable[[bool, str], None] | None = None
        """Called with True and words when the file is 80 % full, with False when it has room again."""
        self.nearly_full = False
        self.damage: list[str] = []
        self._file = file
        self._executor = executor
        self._wall_ms = wall_ms
        self._last_seq = file.last_seq if file else 0
        self._outlived_path = path.with_name(path.name + ".outlived")
        self._outlived = file is not None and self._outlived_path.exists()
        self._rules = rules
        self._upkeep: Upkeep | None = None
        self._pruned_to = 0
        self._used_permille = 0
        self._queue: deque[_Waiting] = deque()
        self._group: list[_Waiting] = []
        self._busy = False
        self._prune_next = False
        self._idle: asyncio.Future[None] | None = None
        self._records = self._groups = self._largest_group = 0

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        executor: Executor,
        wall_ms: Callable[[], int],
        max_bytes: int = DEFAULT_MAX_BYTES,
        rules: UpkeepRules = DEFAULT_RULES,
    ) -> Journal:
        """Open or create the journal for this process alone; it owns the executor from here on.

        Raises JournalBusy when another process has it, JournalCorrupt, JournalFull, JournalReadOnly or JournalError
        with the file and what to do about it. `max_bytes` bounds the file; reaching it is like a full disk. A large
        file is checked for damage by `check`, not here: a start must not wait for it.
        """
        file = JournalFile.open(path, max_bytes=max_bytes)
        return cls(path, file=file, executor=executor, wall_ms=wall_ms, rules=rules)

    @classmethod
    def open_read_only(cls, path: Path, *, wall_ms: Callable[[], int], why: JournalError | None = None) -> Journal:
        """Return a journal that only replays, skipping what cannot be read (`damage` lists it); it needs no lock.

        For an agent that may not sell but goes on reading its battery: `failed` is set from the start.
        """
        failed = why or JournalClosed(path, "opened for reading only")
        return cls(path, file=None, executor=None, wall_ms=wall_ms, failed=failed)

    def replay(self) -> Iterator[Record]:
        """Read the records on disk, from the newest checkpoint on.

        Raises JournalCorrupt at a damaged or missing record, unless the journal was opened for reading only.
        """
        if self._file is None:
            self.damage.clear()
            return salvage_records(self.path, self.damage)
        return read_records(self.path)

    def books(self) -> dict[str, Books]:
        """Replay, return what it amounts to, and keep the journal short from here on; once, before the first `append`.

        Raises JournalCorrupt as `replay` does, and when the checkpoint cannot be read.
        """
        if self._file is None:
            return books_of(self.replay())
        if self._upkeep is not None or self._last_seq != self._file.last_seq:
            raise RuntimeError("the books are read once, before the first record is appended")
        upkeep = Upkeep(self._rules)
        books = upkeep.replay(self.replay())
        if upkeep.unreadable_checkpoint:
            what = f"checkpoint {upkeep.unreadable_checkpoint} cannot be understood; {KEEP_AND_RESTORE}"
            raise JournalCorrupt(self.path, what)
        self._upkeep = upkeep
        if self._outlived:
            return {name: replace(each, outlived=True) for name, each in books.items()}
        return books

    def append(self, battery: str, kind: str, body: Mapping[str, Any]) -> tuple[int, asyncio.Future[None]]:
        """Queue a record; return its number, and a future that is done when it is durable or fails with JournalError.

        Raises JournalError at once, and uses up no number, when the journal has failed, is closed, or too many records
        wait; TypeError or ValueError when the body is not plain JSON.
        """
        self._admit()
        seq, at_ms = self._last_seq + 1, self._wall_ms()
        future = self._put(row_of(seq, battery, str(kind), at_ms, body))
        due = self._upkeep is not None and self._upkeep.appended(Record(seq, battery, str(kind), at_ms, dict(body)))
        if due and self._pending() < PENDING_MAX:
            self.checkpoint()
        self._submit()
        return seq, future

    def checkpoint(self) -> tuple[int, asyncio.Future[None]]:
        """Queue a checkpoint of everything appended so far; for a journal whose `books` were read. Raises as `append`.

        One is written by itself every `UpkeepRules.checkpoint_every` records.
        """
        self._admit()
        if self._upkeep is None:
            raise RuntimeError("a checkpoint needs the books to have been read")
        future = self._put(self._upkeep.checkpoint(self._last_seq + 1, self._wall_ms()))
        self._submit()
        return self._last_seq, future

    @property
    def stats(self) -> JournalStats:
        """Counts for the metrics."""
        return JournalStats(self._records, self._groups, self._largest_group, self._pending(), self._last_seq)

    @property
    def used_permille(self) -> int:
        """How much of its largest size the file had in use after the last write."""
        return self._used_permille

    async def check(self) -> None:
        """Let SQLite check a file that was too large to be checked at open, in a thread; damage fails the journal.

        Whoever opens the journal runs this once, beside the work: records since the checkpoint are covered by their
        checksums at replay, what this finds is older.
        """
        file = self._file
        if file is None or file.checked:
            return
        try:
            await asyncio.to_thread(check_beside, self.path)
        except JournalError as error:
            if self.failed is None:
                self._fail(error, [])
        else:
            file.checked = True

    async def close(self) -> None:
        """Write what waits, then close the file, drop the lock and close the executor; idempotent.

        What cannot be written is reported through its future and `on_failure`, as ever.
        """
        if self.failed is None:
            self.failed = JournalClosed(self.path, "closed")
        if self._busy:
            if self._idle is None:
                self._idle = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._idle)
        if self._executor is not None and self._file is not None:
            executor, file = self._executor, self._file
            self._executor = self._file = None
            closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            executor.submit(file.close, lambda _error: closed.set_result(None))  # closing has nothing left to lose
            await closed
            executor.close()

    def abandon(self) -> None:
        """Let go of executor, file and lock without writing what waits: what a crash leaves behind."""
        if self.failed is None:
            self.failed = JournalClosed(self.path, "abandoned")
        self._queue.clear()
        executor, file = self._executor, self._file
        self._executor = self._file = None
        if executor is not None:
            executor.close()  # first: a job that runs now still needs the file
        if file is not None:
            file.close()

    def _admit(self) -> None:
        if self.failed is not None:
            raise self.failed.with_traceback(None)  # one instance, raised often: its traceback must not grow
        if self._pending() >= PENDING_MAX:
            raise JournalFull(self.path, f"{PENDING_MAX} records wait for the disk; it is too slow or stuck")

    def _pending(self) -> int:
        return len(self._queue) + len(self._group)

    def _put(self, row: Row | Checkpoint) -> asyncio.Future[None]:
        self._last_seq += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(row, future))
        return future

    def _submit(self) -> None:
        """Give the writer its next job: a group, and a portion to prune after it or when nothing else waits."""
        executor = self._executor
        if self._busy or executor is None:
            return
        portion = self._upkeep.portion() if self._upkeep is not None and self.failed is None else None
        if portion is not None and (self._prune_next or not self._queue):
            self._busy, self._prune_next = True, False
            executor.submit(partial(self._prune, portion), self._pruned)
        elif self._queue:
            self._busy, self._prune_next = True, True
            executor.submit(self._write, self._written)
        elif self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _write(self) -> None:
        """Commit what is queued now; runs where the executor runs it, never twice at a time."""
        file = self._file
        if file is None:
            return
        while self._queue and len(self._group) < GROUP_MAX:
            self._group.append(self._queue.popleft())
        file.write([waiting.to_row() for waiting in self._group])
        self._used_permille = file.used_permille()

    def _written(self, error: BaseException | None) -> None:
        group, self._group = self._group, []
        self._busy = False
        if error is not None:
            self._fail(journal_error(self.path, error), group)
        else:
            self._records += len(group)
            self._groups += 1
            self._largest_group = max(self._largest_group, len(group))
            for waiting in group:
                if isinstance(waiting.row, Checkpoint) and self._upkeep is not None:
                    self._upkeep.on_disk(waiting.row)
                if not waiting.future.done():
                    waiting.future.set_result(None)
            self._records_again()
            self._watch_room()
        self._submit()

    def _prune(self, portion: Portion) -> None:
        """Delete what a portion allows; runs where the executor runs it."""
        if self._file is not None:
            self._pruned_to = self._file.prune(portion)
            self._used_permille = self._file.used_permille()

    def _pruned(self, error: BaseException | None) -> None:
        self._busy = False
        if error is not None:
            self._fail(journal_error(self.path, error), [])
        elif self._upkeep is not None:
            self._upkeep.pruned(self._pruned_to)
            self._watch_room()
        self._submit()

    def _records_again(self) -> None:
        """What is on disk is complete again from here on."""
        if self._outlived:
            self._outlived = False
            with suppress(OSError):  # the next start then takes this one's records for incomplete
                self._outlived_path.unlink(missing_ok=True)

    def _watch_room(self) -> None:
        """Tell when the file is nearly full, long before selling must stop for it, and when it no longer is."""
        limit_permille = ROOM_AGAIN_PERMILLE if self.nearly_full else NEARLY_FULL_PERMILLE
        nearly_full = self._used_permille >= limit_permille
        if nearly_full == self.nearly_full:
            return
        self.nearly_full = nearly_full
        if self.on_room is not None:
            used = f"{self._used_permille // 10} % of its largest size are used"
            advice = "; raise journal_max_mb before selling stops" if nearly_full else ""
            self.on_room(nearly_full, f"{self.path}: {used}{advice}")

    def _fail(self, error: JournalError, group: list[_Waiting]) -> None:
        self.failed = error
        if self._file is not None:
            # A name takes no room on a full disk. Where it cannot be made the next start takes this for a crash.
            with suppress(OSError):
                self._outlived_path.touch(mode=0o600)
        lost = [*group, *self._queue]
        self._queue.clear()
        for waiting in lost:
            if not waiting.future.done():
                waiting.future.set_exception(error)
                waiting.future.exception()  # reported through on_failure too: nobody has to await every record
        if self.on_failure is not None:
            self.on_failure(error)
