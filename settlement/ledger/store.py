"""The data directory: one SQLite file that always holds a finalized state, however the process ends.

Everything that finalizes a stretch of blocks is written in one transaction that is on disk when `commit` returns: the
accounts as they are after its last block, the transactions in it, and how high the heights are reserved. Only one
process at a time may use a directory; a store without one lives in memory.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from solders.account import Account
from solders.pubkey import Pubkey

from settlement.ledger.blocks import Run
from settlement.ledger.errors import LedgerFileError
from settlement.ledger.records import Place, Record, from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FILE_NAME: Final = "ledger.db"
_SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (first_height INTEGER PRIMARY KEY, first_slot INTEGER NOT NULL, started_ms INTEGER NOT NULL);
CREATE TABLE accounts (
    key BLOB PRIMARY KEY, lamports INTEGER NOT NULL, owner BLOB NOT NULL, executable INTEGER NOT NULL,
    rent_epoch BLOB NOT NULL, data BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE transactions (
    height INTEGER NOT NULL, number INTEGER NOT NULL, signature BLOB NOT NULL UNIQUE, digest BLOB NOT NULL,
    wire BLOB NOT NULL, rest TEXT NOT NULL, PRIMARY KEY (height, number)
) WITHOUT ROWID;
CREATE TABLE mentions (
    key BLOB NOT NULL, height INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (key, height, number)
) WITHOUT ROWID;
"""
_COLUMNS: Final = "height, number, signature, digest, wire, rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the ledger has come, as a restart needs it."""

    root: int
    """The height of the state on disk."""
    reserved_height: int
    """A restart begins above this height."""
    reserved_slot: int
    """A restart begins above this slot."""
    transactions: int
    """How many have been finalized."""


class Store:
    """Reads and writes one data directory. Whatever fails is a LedgerFileError."""

    def __init__(self, directory: Path | None, *, transactions_max: int) -> None:
        """Open or create; without a directory everything is in memory. Keeps so many transactions."""
        self._path = None if directory is None else directory / FILE_NAME
        self._transactions_max = transactions_max
        with self._reported():
            if directory is not None:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(directory / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            place = self._path or ":memory:"
            self._db = sqlite3.connect(place, isolation_level=None, timeout=0.2, check_same_thread=False)
        self._count = 0
        try:
            with self._reported():
                self._prepare()
        except LedgerFileError:
            self._db.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def fact(self, name: str) -> bytes | None:
        """Return what was once written under a name."""
        with self._reported():
            row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def create(
        self, facts: Mapping[str, bytes], run: Run, progress: Progress, accounts: Mapping[Pubkey, Account | None]
    ) -> None:
        """Write the first state."""
        with self._reported(), self._transaction():
            self._db.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
            self._put_run(run)
            self._put_progress(progress)
            self._put_accounts(accounts)

    def runs(self) -> list[Run]:
        """Return every run so far, in order."""
        with self._reported():
            rows = self._db.execute("SELECT * FROM runs ORDER BY first_height").fetchall()
        return [Run(first_height=height, first_slot=slot, started_ms=started) for height, slot, started in rows]

    def begin_run(self, run: Run, progress: Progress) -> None:
        """Write that the ledger was started again."""
        with self._reported(), self._transaction():
            self._put_run(run)
            self._put_progress(progress)

    def progress(self) -> Progress:
        """Return how far the state on disk has come."""
        found = {one.name: int.from_bytes(self.fact(one.name) or b"", "little") for one in fields(Progress)}
        return Progress(**found)

    def accounts(self) -> Iterator[tuple[Pubkey, Account]]:
        """Return every account of the state on disk."""
        with self._reported():
            for key, lamports, owner, executable, rent_epoch, data in self._db.execute("SELECT * FROM accounts"):
                epoch = int.from_bytes(rent_epoch, "little")
                account = Account(lamports, data, Pubkey.from_bytes(owner), bool(executable), epoch)
                yield Pubkey.from_bytes(key), account

    def commit(
        self,
        progress: Progress,
        accounts: Mapping[Pubkey, Account | None],
        records: Iterable[Record],
        *,
        keep_above: int,
    ) -> None:
        """Write what a stretch of blocks changed; None is an account that is no more.

        The oldest transactions beyond the bound go, but none above the height `keep_above`.
        """
        with self._reported(), self._transaction():
            self._put_progress(progress)
            self._put_accounts(accounts)
            self._put_records(records)
            self._trim(keep_above)

    def by_signature(self, signature: bytes) -> Record | None:
        """Return a transaction, None for one that is not (or no more) on disk."""
        found = list(self._select("signature = ?", (signature,)))
        return found[0] if found else None

    def mentioning(self, key: bytes, before: Place, count: int) -> list[Record]:
        """Return the newest transactions that name an account and come before a place, newest first."""
        where = """(height, number) IN (
            SELECT height, number FROM mentions WHERE key = ? AND (height, number) < (?, ?)
            ORDER BY height DESC, number DESC LIMIT ?
        ) ORDER BY height DESC, number DESC"""
        return list(self._select(where, (key, *before, count)))

    def recent(self, above: int) -> list[Record]:
        """Return every transaction above a height, oldest first."""
        return list(self._select("height > ? ORDER BY height, number", (above,)))

    def _select(self, where: str, values: tuple[object, ...]) -> Iterator[Record]:
        with self._reported():
            rows = self._db.execute(f"SELECT {_COLUMNS} FROM transactions WHERE {where}", values).fetchall()  # noqa: S608
        for height, number, signature, digest, wire, rest in rows:
            yield from_text(rest, place=Place(height, number), signature=signature, digest=digest, wire=wire)

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        with self._transaction():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            elif version != _SCHEMA_VERSION:
                raise self._unusable(f"has version {version} of its tables, not {_SCHEMA_VERSION}")
        self._count = self._db.execute("SELECT count(*) FROM transactions").fetchone()[0]

    def _put_run(self, run: Run) -> None:
        values = (run.first_height, run.first_slot, run.started_ms)
        self._db.execute("INSERT INTO runs VALUES (?, ?, ?)", values)

    def _put_progress(self, progress: Progress) -> None:
        rows = [(name, number.to_bytes(8, "little")) for name, number in asdict(progress).items()]
        self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", rows)

    def _put_accounts(self, accounts: Mapping[Pubkey, Account | None]) -> None:
        gone = [(bytes(key),) for key, account in accounts.items() if account is None]
        self._db.executemany("DELETE FROM accounts WHERE key = ?", gone)
        rows = (
            (
                bytes(key),
                account.lamports,
                bytes(account.owner),
                account.executable,
                account.rent_epoch.to_bytes(8, "little"),
                account.data,
            )
            for key, account in accounts.items()
            if account is not None
        )
        self._db.executemany("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _put_records(self, records: Iterable[Record]) -> None:
        for record in records:
            place = (record.place.height, record.place.number)
            row = (*place, record.signature, record.digest, record.wire, to_text(record))
            self._db.execute("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?)", row)
            mentions = [(key, *place) for key in record.keys]
            self._db.executemany("INSERT OR IGNORE INTO mentions VALUES (?, ?, ?)", mentions)
            self._count += 1

    def _trim(self, keep_above: int) -> None:
        """Drop the oldest transactions beyond the bound, but none above a height."""
        surplus = self._count - self._transactions_max
        if surplus <= 0:
            return
        where = "height <= ? ORDER BY height, number LIMIT ?"
        for record in self._select(where, (keep_above, surplus)):
            place = (record.place.height, record.place.number)
            mentions = [(key, *place) for key in record.keys]
            self._db.executemany("DELETE FROM mentions WHERE key = ? AND height = ? AND number = ?", mentions)
            self._db.execute("DELETE FROM transactions WHERE height = ? AND number = ?", place)
            self._count -= 1

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        count = self._count
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._count = count
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn what SQLite and the file system refuse into a LedgerFileError."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise self._error("is in use", "end the other ledger, or name another directory") from error
            raise self._error(f"cannot be read or written ({error})", "make room, and let this user write") from error
        except sqlite3.DatabaseError as error:
            raise self._unusable(f"is damaged ({error})") from error
        except OSError as error:
            raise self._error(f"cannot be opened ({error.strerror})", "name a directory this user may write") from error

    def _unusable(self, problem: str) -> LedgerFileError:
        return self._error(problem, "restore it, or name another directory and begin a new ledger")

    def _error(self, problem: str, remedy: str) -> LedgerFileError:
        return LedgerFileError(self._path or Path(":memory:"), problem, remedy)
