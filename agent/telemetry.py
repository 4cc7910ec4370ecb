"""The telemetry ring: a bounded file of battery samples that may lose its newest seconds, never a wait for the desk.

WAL with synchronous=NORMAL: a power cut costs what came since the last checkpoint, never the file. `add` never blocks
and never fails; what does not fit is dropped oldest first and counted (`dropped`, kept in the file, so that a reader
can tell a known gap). A damaged file is set aside as `<name>.damaged` and a new one begun: telemetry is not a promise.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from agent.journal_errors import JournalCorrupt, JournalError, journal_error
from agent.journal_file import check_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from settlement.executor import Executor

ROWS_MAX: Final = 500_000
BUFFER_MAX: Final = 1_000
FLUSH_ROWS: Final = 10  # one commit for ten rows: 0.75 kB of flash a row instead of 4.4 (fleet reference, section E)
_CHECKPOINT_PAGES: Final = 100
_WAL_BYTES_MAX: Final = 8 << 20
_CACHE_KIB: Final = 256
_BESIDE: Final = ("-wal", "-shm")
_MODE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Sample(NamedTuple):
    """One battery at one instant (wall ms); None = absent. `quality` bits: 1 stale, 2 sentinel, 4 clock untrusted."""

    battery: str
    at_ms: int
    soc_permille: int | None = None
    voltage_mv: int | None = None
    current_ma: int | None = None
    power_w: int | None = None
    temp_min_dc: int | None = None
    temp_max_dc: int | None = None
    soh_permille: int | None = None
    charged_wh: int | None = None
    discharged_wh: int | None = None
    quality: int = 0


_COLUMNS: Final = ", ".join(Sample._fields)
_INSERT: Final = f"INSERT INTO samples ({_COLUMNS}) VALUES ({', '.join('?' * len(Sample._fields))})"  # noqa: S608
_SELECT: Final = f"SELECT id, {_COLUMNS} FROM samples WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - own names
_OVERWRITE: Final = "DELETE FROM samples WHERE id <= (SELECT max(id) FROM samples) - ?"
_SCHEMA: Final = (
    f"CREATE TABLE IF NOT EXISTS samples (id INTEGER PRIMARY KEY, {_COLUMNS})",
    "CREATE TABLE IF NOT EXISTS loss (id INTEGER PRIMARY KEY CHECK (id = 1), dropped INTEGER NOT NULL)",
    "INSERT OR IGNORE INTO loss VALUES (1, 0)",
)


class TelemetryRing:
    """A ring of samples on disk, written in groups by its executor; its methods belong to the event loop's thread."""

    def __init__(self, path: Path, connection: sqlite3.Connection, executor: Executor, rows_max: int) -> None:
        self.path = path
        self.failed: JournalError | None = None
        self.on_failure: Callable[[JournalError], None] | None = None
        self._connection = connection
        self._executor = executor
        self._rows_max = rows_max
        self._buffer: deque[Sample] = deque()
        self._writing = False
        self._idle: asyncio.Future[None] | None = None
        self._lost = 0  # dropped before they reached the file, which does not know of them yet
        self._dropped = _dropped(connection)

    @classmethod
    def open(cls, path: Path, *, executor: Executor, rows_max: int = ROWS_MAX) -> TelemetryRing:
        """Open or create the file, setting a damaged one aside; the ring owns the executor from here on.

        Raises JournalError when there can be no file.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                connection = _connect(path)
            except (sqlite3.Error, JournalCorrupt) as error:
                if not isinstance(_error(path, error), JournalCorrupt):
                    raise
                _set_aside(path)
                connection = _connect(path)
        except (sqlite3.Error, OSError) as error:
            raise _error(path, error) from error
        return cls(path, connection, executor, rows_max)

    @property
    def dropped(self) -> int:
        """Samples that were never kept or that the ring has overwritten, since the file began."""
        return self._dropped + self._lost

    def add(self, sample: Sample) -> None:
        """Take a sample; it is written with nine others, or at `flush`."""
        if self.failed is not None:
            self._lost += 1
            return
        self._buffer.append(sample)
        if len(self._buffer) > BUFFER_MAX:
            self._buffer.popleft()
            self._lost += 1
        if len(self._buffer) >= FLUSH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what is buffered as soon as the executor can."""
        if not self._buffer or self._writing or self.failed is not None:
            return
        group, lost = list(self._buffer), self._lost
        self._buffer.clear()
        self._lost = 0
        self._writing = True
        self._executor.submit(partial(self._write, group, lost), partial(self._written, group, lost))

    async def close(self) -> None:
        """Write what is buffered, then close the file and the executor."""
        while self._writing or (self._buffer and self.failed is None):
            self.flush()
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
        self._executor.close()
        self._connection.close()

    def _write(self, group: list[Sample], lost: int) -> None:
        connection = self._connection
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_INSERT, group)
            overwritten = connection.execute(_OVERWRITE, (self._rows_max,)).rowcount
            connection.execute("UPDATE loss SET dropped = dropped + ?", (lost + overwritten,))
        self._dropped = _dropped(connection)

    def _written(self, group: list[Sample], lost: int, error: BaseException | None) -> None:
        self._writing = False
        if error is not None:
            self.failed = _error(self.path, error)
            self._lost += lost + len(group) + len(self._buffer)
            self._buffer.clear()
            if self.on_failure is not None:
                self.on_failure(self.failed)
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        if len(self._buffer) >= FLUSH_ROWS:
            self.flush()


def read_samples(path: Path, *, after_id: int = 0, limit: int = 1_000) -> list[tuple[int, Sample]]:
    """Return up to `limit` written samples with their ids, oldest first. Raises JournalError."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            rows = connection.execute(_SELECT, (after_id, limit)).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise _error(path, error) from error
    return [(row[0], Sample._make(row[1:])) for row in rows]


def _error(path: Path, error: BaseException) -> JournalError:
    return journal_error(path, error, has_largest_size=False)


def _dropped(connection: sqlite3.Connection) -> int:
    (dropped,) = connection.execute("SELECT dropped FROM loss").fetchone()
    return int(dropped)


def _connect(path: Path) -> sqlite3.Connection:
    _for_its_owner_only(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_MAX}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        check_file(path, connection)
        for statement in _SCHEMA:
            connection.execute(statement)
    except (sqlite3.Error, JournalCorrupt):
        connection.close()
        raise
    return connection


def _for_its_owner_only(path: Path) -> None:
    """Make the file if there is none, mode 0600, or take a mode back that others may use; SQLite's own files follow."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE))
    for each in (path, *(path.with_name(path.name + suffix) for suffix in _BESIDE)):
        if each.exists() and each.stat().st_mode & _OTHERS:
            each.chmod(_MODE)


def _set_aside(path: Path) -> None:
    path.replace(path.with_name(f"{path.name}.damaged"))
    for suffix in _BESIDE:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
