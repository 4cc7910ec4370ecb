"""The outbox on disk: a SQLite file that one settler holds and anybody of its user may read. Synchronous.

WAL with synchronous=FULL: what `write` returned from survives a power cut. A row's checksum covers all of it, so that a
bit that rots is found and not acted upon. A settler locks the file for as long as it runs; commands read it beside
that, and leave wishes (trades to be tried again at once) in a table of their own.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import zlib
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from settlement.errors import OutboxError
from settlement.outbox_records import (
    Attempt,
    AttemptState,
    TradeRecord,
    attempt_from_json,
    attempt_to_json,
    trade_from_json,
    trade_to_json,
)
from settlement.settler_types import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Write: TypeAlias = TradeRecord | Attempt

FILE_BYTES_MAX: Final = 256 << 20
DONE_MAX: Final = 50_000
"""Trades that are over and stay on record: some 2 kB each with their attempts, 100 MB."""
RECENT_MAX: Final = 1_000
ATTEMPTS_MAX: Final = 20
"""Of one trade; the oldest go first. Whatever failed so often says the same each time."""
WISHES_MAX: Final = 10_000
GIVEN_UP_MAX: Final = 1_000
"""Trades that ended unpaid, the newest, at which a settler looks again."""
OPEN_MAX: Final = 20_000
"""Open trades a settler takes: more than any site makes in the seven days a contract can last."""
_SCHEMA_VERSION: Final = 1
_BUSY_S: Final = 5.0
_PRUNE_EVERY: Final = 500
_MOVE_AWAY: Final = "move it away and start again: every open trade is handed in anew"
_SCHEMA: Final = (
    """CREATE TABLE trades (
        trade_id BLOB PRIMARY KEY, done INTEGER NOT NULL, changed INTEGER NOT NULL, body TEXT NOT NULL,
        crc INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX trades_by_age ON trades (done, changed)",
    """CREATE TABLE attempts (
        seq INTEGER PRIMARY KEY, subject BLOB NOT NULL, open INTEGER NOT NULL, body TEXT NOT NULL, crc INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX attempts_by_subject ON attempts (subject, seq)",
    "CREATE INDEX attempts_open ON attempts (seq) WHERE open",
    "CREATE TABLE wishes (trade_id BLOB PRIMARY KEY) STRICT",
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
)

_GIVEN_UP: Final = (
    "SELECT * FROM trades WHERE done AND json_extract(body, '$.stage') IN (?, ?) ORDER BY changed DESC LIMIT ?"
)


@dataclass(slots=True)
class Loaded:
    """What a settler goes on from."""

    open_trades: list[TradeRecord] = field(default_factory=list)
    recent: list[TradeRecord] = field(default_factory=list)
    """Ended lately, the oldest first."""
    given_up: list[TradeRecord] = field(default_factory=list)
    """Ended unpaid, the oldest first."""
    open_attempts: list[Attempt] = field(default_factory=list)
    last_seq: int = 0
    attempts: dict[bytes, int] = field(default_factory=dict)
    """How many there were for each open subject."""
    landed: dict[bytes, int] = field(default_factory=dict)
    """Open trades whose last transaction was called final: the last block height at which it can land."""
    stages: dict[str, int] = field(default_factory=dict)


class OutboxFile:
    """One outbox, opened for writing and locked against a second settler."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock_fd: int, *, done_max: int = DONE_MAX) -> None:
        self.path = path
        self._connection = connection
        self._lock_fd = lock_fd
        self._done_max = done_max
        self._writes = 0
        (self._changed,) = connection.execute("SELECT coalesce(max(changed), 0) FROM trades").fetchone()

    @classmethod
    def open(cls, path: Path, *, max_bytes: int = FILE_BYTES_MAX, done_max: int = DONE_MAX) -> OutboxFile:
        """Lock the file, made if need be. Raises OutboxError when another holds it or it cannot be used."""
        lock_fd, connection = -1, None
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock_fd = _lock(path)
            connection = _connect(path, max_bytes)
            _create(path, connection)
            return cls(path, connection, lock_fd, done_max=done_max)
        except (sqlite3.Error, OSError, OutboxError) as error:
            if connection is not None:
                connection.close()
            if lock_fd >= 0:
                os.close(lock_fd)
            raise _outbox_error(path, error) from error

    def load(self) -> Loaded:
        """Return what is open and what ended lately. Raises OutboxError for a damaged file."""
        with _reading(self.path):
            return _load(self._connection)

    def find(self, trade_id: bytes) -> TradeRecord | None:
        """Return one trade. Raises OutboxError."""
        with _reading(self.path):
            row = self._connection.execute("SELECT * FROM trades WHERE trade_id = ?", (trade_id,)).fetchone()
            return None if row is None else _trade(row)

    def write(self, writes: Sequence[Write]) -> None:
        """Save records as one group; all are durable when this returns, or OutboxError is raised and none is."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for write in writes:
                    self._put(write)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise _outbox_error(self.path, error) from error

    def take_wishes(self) -> tuple[bytes, ...]:
        """Return the trades that somebody wants tried again, and forget the wishes. Raises OutboxError."""
        with _reading(self.path):
            if self._connection.execute("SELECT 1 FROM wishes LIMIT 1").fetchone() is None:
                return ()
            rows = self._connection.execute("DELETE FROM wishes RETURNING trade_id").fetchall()
            return tuple(trade_id for (trade_id,) in rows)

    def close(self) -> None:
        """Close the file and drop the lock."""
        self._connection.close()
        os.close(self._lock_fd)

    def _put(self, write: Write) -> None:
        connection = self._connection
        if isinstance(write, TradeRecord):
            self._changed += 1
            body, done = trade_to_json(write), int(write.stage.is_done)
            crc = _crc(write.trade_id, done, body)
            values = (write.trade_id, done, self._changed, body, crc)
            connection.execute("INSERT OR REPLACE INTO trades VALUES (?, ?, ?, ?, ?)", values)
            self._writes += done
            if self._writes >= _PRUNE_EVERY:
                self._writes = 0
                self._prune()
            return
        body, is_open = attempt_to_json(write), int(write.state is AttemptState.OPEN)
        row = (write.seq, write.subject, is_open, body, _crc(write.subject, write.seq, body))
        connection.execute("INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?)", row)
        if write.number > ATTEMPTS_MAX:
            connection.execute(
                "DELETE FROM attempts WHERE subject = ? AND NOT open AND seq <= "
                "(SELECT seq FROM attempts WHERE subject = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)",
                (write.subject, write.subject, ATTEMPTS_MAX),
            )

    def _prune(self) -> None:
        (count,) = self._connection.execute("SELECT count(*) FROM trades WHERE done").fetchone()
        if count <= self._done_max:
            return
        excess = count - self._done_max
        old = self._connection.execute("SELECT trade_id FROM trades WHERE done ORDER BY changed LIMIT ?", (excess,))
        for (trade_id,) in old.fetchall():
            self._connection.execute("DELETE FROM attempts WHERE NOT open AND subject = ?", (trade_id,))
            self._connection.execute("DELETE FROM trades WHERE trade_id = ?", (trade_id,))


def read_outbox(path: Path, *, limit: int = RECENT_MAX) -> Iterator[tuple[TradeRecord, tuple[Attempt, ...]]]:
    """Read trades, the latest change first, with their attempts; needs no lock and never writes. Raises OutboxError."""
    with _reading(path), closing(_connect_to_read(path)) as connection:
        connection.execute("BEGIN")
        rows = connection.execute("SELECT * FROM trades ORDER BY changed DESC LIMIT ?", (limit,))
        for row in rows:
            yield _trade(row), _attempts_for(connection, row[0])


def read_trade(path: Path, prefix: bytes) -> list[tuple[TradeRecord, tuple[Attempt, ...]]]:
    """Return the trades (three at most) whose id begins so, with their attempts. Raises OutboxError."""
    above = prefix + b"\xff" * (33 - len(prefix))
    with _reading(path), closing(_connect_to_read(path)) as connection:
        connection.execute("BEGIN")
        query = "SELECT * FROM trades WHERE trade_id >= ? AND trade_id <= ? LIMIT 3"
        rows = connection.execute(query, (prefix, above)).fetchall()
        return [(_trade(row), _attempts_for(connection, row[0])) for row in rows]


def read_stages(path: Path) -> Loaded:
    """Return what a settler would go on from, without touching the file. Raises OutboxError."""
    with _reading(path), closing(_connect_to_read(path)) as connection:
        connection.execute("BEGIN")
        return _load(connection)


def leave_wishes(path: Path, trade_ids: Sequence[bytes]) -> None:
    """Ask the settler of this file, running or not, to try these trades again at once. Raises OutboxError."""
    with _reading(path):
        if not path.exists():
            raise OutboxError(path, "is not there", "name the file of an agent or aggregator that has settled")
        with closing(sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM wishes").fetchone()
            if count + len(trade_ids) > WISHES_MAX:
                raise OutboxError(path, f"{count} wishes wait already", "let the agent run, it takes them every 10 s")
            connection.executemany("INSERT OR IGNORE INTO wishes VALUES (?)", [(trade_id,) for trade_id in trade_ids])


def _load(connection: sqlite3.Connection) -> Loaded:
    loaded = Loaded()
    loaded.open_trades = [_trade(row) for row in connection.execute("SELECT * FROM trades WHERE NOT done")]
    recent = connection.execute("SELECT * FROM trades WHERE done ORDER BY changed DESC LIMIT ?", (RECENT_MAX,))
    loaded.recent = [_trade(row) for row in recent][::-1]
    unpaid = connection.execute(_GIVEN_UP, (*(stage.value for stage in Stage if stage.is_given_up), GIVEN_UP_MAX))
    loaded.given_up = [_trade(row) for row in unpaid][::-1]
    loaded.open_attempts = [_attempt(row) for row in connection.execute("SELECT * FROM attempts WHERE open")]
    (loaded.last_seq,) = connection.execute("SELECT coalesce(max(seq), 0) FROM attempts").fetchone()
    for record in loaded.open_trades:
        attempts = _attempts_for(connection, record.trade_id)
        if attempts:
            loaded.attempts[record.trade_id] = max(attempt.number for attempt in attempts)
            if attempts[-1].state is AttemptState.LANDED:
                loaded.landed[record.trade_id] = attempts[-1].last_valid_block_height
    stages = connection.execute("SELECT json_extract(body, '$.stage'), count(*) FROM trades GROUP BY 1")
    loaded.stages = dict(stages.fetchall())
    return loaded


def _attempts_for(connection: sqlite3.Connection, subject: bytes) -> tuple[Attempt, ...]:
    rows = connection.execute("SELECT * FROM attempts WHERE subject = ? ORDER BY seq", (subject,))
    return tuple(_attempt(row) for row in rows)


def _trade(row: tuple[bytes, int, int, str, int]) -> TradeRecord:
    trade_id, done, _changed, body, crc = row
    if _crc(trade_id, done, body) != crc:
        raise ValueError(f"trade {trade_id.hex()[:16]} fails its checksum")
    return trade_from_json(body)


def _attempt(row: tuple[int, bytes, int, str, int]) -> Attempt:
    seq, subject, _open, body, crc = row
    if _crc(subject, seq, body) != crc:
        raise ValueError(f"attempt {seq} fails its checksum")
    return attempt_from_json(seq, subject, body)


def _crc(key: bytes, number: int, body: str) -> int:
    return zlib.crc32(body.encode(), zlib.crc32(key + number.to_bytes(8, "little")))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise OutboxError(path, f"damaged: {error}", _MOVE_AWAY) from error
    except (sqlite3.Error, OSError) as error:
        raise _outbox_error(path, error) from error


def _outbox_error(path: Path, error: BaseException) -> OutboxError:
    if isinstance(error, OutboxError):
        return error
    if isinstance(error, sqlite3.DatabaseError) and getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
        return OutboxError(path, "no room for another record", "make room on the disk; nothing was sent")
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return OutboxError(path, f"damaged: {error}", _MOVE_AWAY)
    problem = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return OutboxError(path, problem, "check the path, its owner and its mode")


def _lock(path: Path) -> int:
    lock_path = path.with_name(path.name + ".lock")
    fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise OutboxError(path, f"in use by process {holder}", "end that one first, or name another file") from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _connect(path: Path, max_bytes: int) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 100")
        connection.execute("PRAGMA cache_size = -256")
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA max_page_count = {max(1, max_bytes // page_bytes)}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    if not path.exists():
        raise OutboxError(path, "is not there", "nothing was settled with this file yet, or it is another one")
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)


def _create(path: Path, connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == _SCHEMA_VERSION:
        return
    if version > _SCHEMA_VERSION:
        raise OutboxError(path, f"written by a newer release (schema {version})", "install that release again")
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() != (0,):
        raise OutboxError(path, "holds something else than an outbox", "name another file")
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute("COMMIT")
