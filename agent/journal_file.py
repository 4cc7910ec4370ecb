"""The journal on disk: lock, SQLite file, checksums. Synchronous; one thread at a time may write, any may read.

WAL with synchronous=FULL: a committed group survives a power cut (fleet reference, section E). A record's checksum
covers all its columns, so that a bit that rots later is found at replay and not acted upon.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import zlib
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from agent.journal_errors import KEEP_AND_RESTORE, JournalBusy, JournalCorrupt, JournalError, journal_error
from agent.journal_schema import bring_up_to_date
from agent.records import OFFERED, PASSING, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from agent.journal_upkeep import Portion

Row = tuple[int, str, str, int, str, int]

_INSERT: Final = "INSERT INTO records (seq, battery, kind, at_ms, body, crc) VALUES (?, ?, ?, ?, ?, ?)"
_SELECT: Final = "SELECT seq, battery, kind, at_ms, body, crc FROM records WHERE seq >= ? ORDER BY seq"
_SELECT_BACKWARDS: Final = (
    "SELECT seq, battery, kind, at_ms, body, crc FROM records WHERE seq > ? ORDER BY seq DESC LIMIT ?"
)
_SELECT_ALL: Final = (
    "SELECT seq, battery, kind, at_ms, body, crc FROM archive "
    "UNION ALL SELECT seq, battery, kind, at_ms, body, crc FROM records ORDER BY seq"
)
_PORTION: Final = (
    "SELECT max(seq), count(*) FROM (SELECT seq FROM records WHERE seq < ? AND seq NOT IN ({spared}) "
    "ORDER BY seq LIMIT ?)"
)
_ARCHIVE: Final = "INSERT INTO archive SELECT * FROM records WHERE seq <= ? AND kind NOT IN ({kinds})"
_PRUNE: Final = "DELETE FROM records WHERE seq <= ? AND seq NOT IN ({spared})"
_TRIM: Final = (
    "DELETE FROM archive WHERE at_ms < ? "
    "AND seq <= (SELECT max(seq) FROM (SELECT seq FROM archive ORDER BY seq LIMIT ?))"
)
_TRIM_FROM_PERMILLE: Final = 500  # of the largest size: 300,000 trades in the default 1 GB
_SALVAGED_MAX: Final = 50_000
_CHECK_AT_OPEN_BYTES: Final = 8 << 20  # a tenth of a second; the check reads every page
_BUSY_TIMEOUT_S: Final = 5.0
_CHECKPOINT_PAGES: Final = 100  # short checkpoints: an award waits for at most 400 kB of copying
_WAL_BYTES_MAX: Final = 8 << 20
_CACHE_KIB: Final = 256
_EMPTY: Final = "empty (0 bytes), as a power cut can leave a file: what it held is lost"


def row_of(seq: int, battery: str, kind: str, at_ms: int, body: Mapping[str, Any]) -> Row:
    """Return the columns of a record. Raises TypeError or ValueError when the disk could not give them back."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sealed(seq, battery, kind, at_ms, text)


def sealed(seq: int, battery: str, kind: str, at_ms: int, text: str) -> Row:
    """Return the columns of a record whose body is JSON text already."""
    return seq, battery, kind, at_ms, text, _crc(seq, battery, kind, at_ms, text)


def _crc(seq: int, battery: str, kind: str, at_ms: int, text: str) -> int:
    return zlib.crc32(text.encode(), zlib.crc32(f"{seq}|{battery}|{kind}|{at_ms}|".encode()))


def record_of(row: Row) -> Record:
    """Return the record in a row. Raises ValueError when the checksum or the body is wrong."""
    seq, battery, kind, at_ms, text, crc = row
    if not isinstance(text, str) or _crc(seq, battery, kind, at_ms, text) != crc:
        raise ValueError(f"record {seq} fails its checksum")
    return Record(seq, battery, kind, at_ms, json.loads(text))


class JournalFile:
    """One journal file, opened for writing and locked against a second writer."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock_fd: int) -> None:
        self.path = path
        self._connection = connection
        self._lock_fd = lock_fd
        self.checked = False
        (self._pages_max,) = connection.execute("PRAGMA max_page_count").fetchone()
        (self.last_seq,) = connection.execute("SELECT coalesce(max(seq), 0) FROM records").fetchone()

    @classmethod
    def open(cls, path: Path, *, max_bytes: int) -> JournalFile:
        """Lock and, if need be, create the file; check it unless that would take long (`checked` says).

        Raises JournalBusy when another process holds it, JournalCorrupt when SQLite's own check finds damage,
        JournalFull, JournalReadOnly or JournalError when it cannot be used.
        """
        lock_fd = -1
        connection: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock_fd = _lock(path)
            _begin(path)
            connection = _connect(path, max_bytes)
            small = path.stat().st_size <= _CHECK_AT_OPEN_BYTES
            if small:
                check_file(path, connection)
            bring_up_to_date(connection, path)
            file = cls(path, connection, lock_fd)
            file.checked = small
        except (sqlite3.Error, OSError, JournalError) as error:
            if connection is not None:
                connection.close()
            if lock_fd >= 0:
                os.close(lock_fd)
            if isinstance(error, JournalError):
                raise
            raise journal_error(path, error) from error
        return file

    def write(self, rows: Sequence[Row]) -> None:
        """Commit rows as one group; they are durable when this returns. Raises sqlite3.Error; then none of them is."""
        with self._transaction() as connection:
            connection.executemany(_INSERT, rows)

    def prune(self, portion: Portion) -> int:
        """Take a portion of the oldest records, the audit trail into the archive; return where the rest begins.

        Of a file that is half full the oldest of the archive goes too, if it is old enough, and what was only offered
        is not archived. The room that records took
        is used again; the file does not shrink. Raises sqlite3.Error; then all is as it was.
        """
        below, spared, archived_before_ms, rows = portion
        is_half_full = self.used_permille() >= _TRIM_FROM_PERMILLE
        passing = PASSING | OFFERED if is_half_full else PASSING
        marks = ", ".join("?" * len(spared))
        with self._transaction() as connection:
            last, count = connection.execute(_PORTION.format(spared=marks), (below, *spared, rows)).fetchone()
            if count:
                connection.execute(_ARCHIVE.format(kinds=", ".join("?" * len(passing))), (last, *passing))
                connection.execute(_PRUNE.format(spared=marks), (last, *spared))
            if is_half_full:
                connection.execute(_TRIM, (archived_before_ms, 2 * rows))
        return below if count < rows else int(last) + 1

    def used_permille(self) -> int:
        """Return how much of its largest size the file has in use."""
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        return int((pages - free) * 1_000 // self._pages_max)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file and drop the lock."""
        self._connection.close()
        os.close(self._lock_fd)


def read_records(path: Path) -> Iterator[Record]:
    """Read the records in order from the newest checkpoint on; needs no lock and never writes.

    Raises JournalCorrupt at the first record that is damaged or missing, JournalError when the file cannot be read.
    """
    try:
        with closing(_connect_to_read(path)) as connection:
            connection.execute("BEGIN")  # one view of the file, whatever is written or pruned meanwhile
            expected = _first_seq(connection)
            for row in connection.execute(_SELECT, (expected,)):
                if row[0] != expected:
                    raise JournalCorrupt(path, f"record {expected} is missing; {KEEP_AND_RESTORE}")
                yield record_of(row)
                expected += 1
    except ValueError as error:
        raise JournalCorrupt(path, f"{error}; {KEEP_AND_RESTORE}") from error
    except (sqlite3.Error, OSError) as error:
        raise journal_error(path, error) from error


def salvage_records(path: Path, damage: list[str]) -> Iterator[Record]:
    """Read what can be read of a damaged file, archive and records, in order; `damage` gets a line for what cannot.

    Where SQLite meets a damaged page the newest records behind it (at most 50,000) are read from the end.
    """
    last = 0
    try:
        if _is_empty(path):  # SQLite would take it for a new file, and delete the log beside it
            damage.append(_EMPTY)
            return
        with closing(_connect_to_read(path)) as connection:
            try:
                for row in connection.execute(_SELECT_ALL):
                    last = row[0]
                    yield from _intact(row, damage)
            except sqlite3.Error as error:
                damage.append(f"after record {last}: {error}")
                for row in reversed(_from_the_end(connection, last)):
                    yield from _intact(row, damage)
    except (sqlite3.Error, OSError) as error:
        damage.append(str(error))


def _from_the_end(connection: sqlite3.Connection, down_to: int) -> list[Row]:
    rows: list[Row] = []
    cursor = connection.execute(_SELECT_BACKWARDS, (down_to, _SALVAGED_MAX))
    with suppress(sqlite3.Error):  # it ends at the other side of the damage that is on the list already
        rows.extend(cursor)
    return rows


def _intact(row: Row, damage: list[str]) -> Iterator[Record]:
    try:
        yield record_of(row)
    except ValueError as error:
        damage.append(str(error))


def check_beside(path: Path) -> None:
    """Check a file of any size through a connection of its own, on any thread. Raises JournalError."""
    try:
        with closing(_connect_to_read(path)) as connection:
            check_file(path, connection)
    except (sqlite3.Error, OSError) as error:
        raise journal_error(path, error) from error


def check_file(path: Path, connection: sqlite3.Connection) -> None:
    """Let SQLite look for damage in the file. Raises JournalCorrupt or sqlite3.DatabaseError when it finds some."""
    (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if finding != "ok":
        raise JournalCorrupt(path, f"damaged ({finding}); {KEEP_AND_RESTORE}")


def _first_seq(connection: sqlite3.Connection) -> int:
    """Return where replay starts: the newest checkpoint, else the first record."""
    (seq,) = connection.execute("SELECT max(seq) FROM records WHERE kind = 'checkpoint'").fetchone()
    return int(seq or 1)


def _lock(path: Path) -> int:
    lock_path = path.with_name(path.name + ".lock")
    fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise JournalBusy(path, f"in use by another agent (process {holder}); end that one first") from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _begin(path: Path) -> None:
    """Make sure there is a journal. Raises JournalCorrupt for what is left of one: records would be forgotten."""
    if path.exists():
        if _is_empty(path):
            raise JournalCorrupt(path, f"{_EMPTY}; {KEEP_AND_RESTORE}")
        return
    place = path.resolve()
    wal = place.with_name(place.name + "-wal")
    if wal.exists() and not _is_empty(wal):
        raise JournalCorrupt(path, f"missing, but {wal.name} holds records of it; {KEEP_AND_RESTORE}")
    _create(place)


def _create(path: Path) -> None:
    """Make a journal for its owner only; a power cut leaves either none or a whole one."""
    new = path.with_name(path.name + ".new")
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for suffix in ("", "-journal"):
            new.with_name(new.name + suffix).unlink(missing_ok=True)
        os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            bring_up_to_date(connection, new)
        new.rename(path)
        os.fsync(directory)
    finally:
        os.close(directory)


def _is_empty(path: Path) -> bool:
    return path.stat().st_size == 0


def _connect(path: Path, max_bytes: int) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_MAX}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA max_page_count = {max(1, max_bytes // page_bytes)}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """Open for reading; a file on a read-only disk whose index cannot be made is read as it lies there."""
    location = path.absolute().as_uri()
    connection = sqlite3.connect(f"{location}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
    try:
        connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        return sqlite3.connect(f"{location}?immutable=1", uri=True, isolation_level=None)
    return connection
