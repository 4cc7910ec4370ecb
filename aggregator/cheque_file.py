"""The buyer's journal: one SQLite file with every contract it signed and what was said about the deliveries.

WAL with synchronous=FULL: what `write` returned from survives a power cut. One process at a time may have it open.
Synchronous; the shell calls it from one thread at a time. Rows of trades that nobody can claim any more are dropped a
month later, so the file is bounded by what a buyer trades in a month.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Final

from aggregator.entries import Entry, Key
from aggregator.errors import ChequeFileError
from settlement.cheque import Cheque, SignedReceipt
from settlement.contract import Contract
from settlement.errors import TermsError
from settlement.receipt import RECEIPT_BYTES, Receipt
from settlement.strict import SIGNATURE_BYTES

if TYPE_CHECKING:
    from pathlib import Path

KEPT_S: Final = 30 * 86_400
"""How long a trade is kept after the last moment at which it could be claimed: a month's accounts can be checked."""
_SCHEMA: Final = 1
_CREATE: Final = """CREATE TABLE cheques (
    battery BLOB NOT NULL CHECK (length(battery) = 32),
    bid_id INTEGER NOT NULL,
    trade_id BLOB NOT NULL CHECK (length(trade_id) = 32),
    valid_until_s INTEGER NOT NULL,
    contract BLOB NOT NULL,
    buyer BLOB NOT NULL CHECK (length(buyer) = 32),
    battery_signature BLOB NOT NULL CHECK (length(battery_signature) = 64),
    buyer_signature BLOB NOT NULL CHECK (length(buyer_signature) = 64),
    interim BLOB,
    final BLOB,
    refused BLOB,
    own BLOB,
    power_w INTEGER NOT NULL,
    agreed_at_ms INTEGER NOT NULL,
    seen_wh INTEGER NOT NULL,
    seen_at_ms INTEGER NOT NULL,
    figure_wh INTEGER,
    is_void INTEGER NOT NULL,
    PRIMARY KEY (battery, bid_id)
) STRICT"""
_COLUMNS: Final = (
    "battery, bid_id, trade_id, valid_until_s, contract, buyer, battery_signature, buyer_signature, "
    "interim, final, refused, own, power_w, agreed_at_ms, seen_wh, seen_at_ms, figure_wh, is_void"
)
"""The statements below are put together from these names and from nothing else."""
_CHANGES: Final = ("interim", "final", "refused", "own", "seen_wh", "seen_at_ms", "figure_wh", "is_void")
_WRITE: Final = (
    f"INSERT INTO cheques ({_COLUMNS}) VALUES ({', '.join('?' * 18)}) "  # noqa: S608
    f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _CHANGES)} "
    "WHERE trade_id = excluded.trade_id"
)
_LAST_ID: Final = "SELECT coalesce(max(bid_id), 0) FROM cheques"
_READ: Final = f"SELECT {_COLUMNS} FROM cheques WHERE battery = ? AND bid_id = ?"  # noqa: S608
_READ_OPEN: Final = f"SELECT {_COLUMNS} FROM cheques WHERE valid_until_s >= ? ORDER BY valid_until_s DESC LIMIT ?"  # noqa: S608
_PRUNE: Final = "DELETE FROM cheques WHERE valid_until_s < ?"
_PROBE: Final = "PRAGMA user_version = 1"
_BUSY_S: Final = 5.0
_NONE: Final = bytes(SIGNATURE_BYTES)
_RESTORE: Final = "restore a copy, or move it away with its -wal file: its trades are then judged as never seen"


class ChequeFile:
    """The open file. `write` and `read` raise sqlite3.Error and OSError as they come; the caller reports them."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: int) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> ChequeFile:
        """Open, and if need be make, the file. Raises ChequeFileError."""
        lock = -1
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _locked(path)
            connection = _connected(path)
        except ChequeFileError:
            if lock >= 0:
                os.close(lock)
            raise
        except OSError as error:
            problem = f"cannot be opened ({error.strerror})"
            raise ChequeFileError(path, problem, "name a file that this user may write") from error
        return cls(path, connection, lock)

    def write(self, entry: Entry) -> None:
        """Put an entry in the place of what is known of its trade; it is durable when this returns.

        Raises sqlite3.IntegrityError when another trade has its name: a contract is never replaced by another.
        """
        if self._connection.execute(_WRITE, _row_of(entry)).rowcount != 1:
            raise sqlite3.IntegrityError(f"another trade has the id {entry.key.bid_id}")

    def last_id(self) -> int:
        """Return the highest bid id that is taken: those of a new process begin above it."""
        (last,) = self._connection.execute(_LAST_ID).fetchone()
        return int(last)

    def read(self, key: Key) -> Entry | None:
        """Return what is known of a trade. Raises ChequeFileError for a row that does not make sense."""
        row = self._connection.execute(_READ, key).fetchone()
        return None if row is None else self._entry_of(row)

    def read_open(self, now_s: int, limit: int) -> list[Entry]:
        """Return the trades that could still be claimed at `now_s` (s since 1970), the oldest first.

        A claim can be disputed for a window longer, so a buyer asks for a time that is as much earlier. Of more than
        `limit` the latest are returned. Raises ChequeFileError.
        """
        try:
            rows = self._connection.execute(_READ_OPEN, (now_s, limit)).fetchall()
        except sqlite3.Error as error:
            raise ChequeFileError(self.path, f"is damaged ({error})", _RESTORE) from error
        return [self._entry_of(row) for row in reversed(rows)]

    def prune(self, now_s: int) -> int:
        """Drop the trades that are a month beyond any claim; return how many."""
        return self._connection.execute(_PRUNE, (now_s - KEPT_S,)).rowcount

    def probe(self) -> None:
        """Write something that changes nothing: raises while the disk takes no writes."""
        self._connection.execute(_PROBE)

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _entry_of(self, row: tuple[Any, ...]) -> Entry:
        try:
            return _entry_of(row)
        except (TermsError, ValueError) as error:
            what = f"holds a trade that does not make sense (bid {row[1]}: {error})"
            raise ChequeFileError(self.path, what, _RESTORE) from error


def _locked(path: Path) -> int:
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        remedy = "end it, or give each aggregator files of its own"
        raise ChequeFileError(path, "is in use by another process", remedy) from error
    return lock


def _connected(path: Path) -> sqlite3.Connection:
    try:
        path.touch(mode=0o600)
        connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            _prepare(path, connection)
        except BaseException:
            with suppress(sqlite3.Error):
                connection.close()
            raise
    except sqlite3.DatabaseError as error:
        raise ChequeFileError(path, f"cannot be used ({error})", _RESTORE) from error
    return connection


def _prepare(path: Path, connection: sqlite3.Connection) -> None:
    """Look before anything is changed: a file of something else stays as it is, its journal mode included."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    with closing(connection.execute("SELECT name FROM sqlite_master")) as tables:
        is_empty = tables.fetchone() is None
    if version == 0 and not is_empty:
        raise ChequeFileError(path, "holds something else", "name another file")
    if version not in (0, _SCHEMA):
        raise ChequeFileError(path, f"has schema {version}, this release knows {_SCHEMA}", "use the release it is of")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    if is_empty:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_CREATE)
        connection.execute(_PROBE)
        connection.execute("COMMIT")
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise ChequeFileError(path, f"is damaged ({found})", _RESTORE)


def _row_of(entry: Entry) -> tuple[Any, ...]:
    cheque, contract = entry.cheque, entry.contract
    return (
        cheque.battery_key,
        contract.message_id,
        contract.trade_id,
        contract.valid_until_s,
        contract.encoded,
        cheque.buyer_key,
        cheque.battery_signature,
        cheque.buyer_signature,
        *(_packed(signed) for signed in (cheque.interim, cheque.final, entry.refused, entry.own)),
        entry.power_w,
        entry.agreed_at_ms,
        entry.seen_wh,
        entry.seen_at_ms,
        entry.figure_wh,
        int(entry.is_void),
    )


def _entry_of(row: tuple[Any, ...]) -> Entry:
    battery, bid_id, trade_id, _, contract_bytes, buyer, battery_signature, buyer_signature, *rest = row
    contract = Contract.decode(contract_bytes)
    if contract.trade_id != trade_id or contract.message_id != bid_id:
        raise ValueError("its contract is of another trade")
    interim, final, refused, own = (None if data is None else _unpacked(data) for data in rest[:4])
    power_w, agreed_at_ms, seen_wh, seen_at_ms, figure_wh, is_void = rest[4:]
    cheque = Cheque(
        role="buyer",
        contract=contract,
        battery_key=battery,
        buyer_key=buyer,
        battery_signature=battery_signature,
        buyer_signature=buyer_signature,
        interim=interim,
        final=final,
    )
    return Entry(
        cheque=cheque,
        power_w=power_w,
        agreed_at_ms=agreed_at_ms,
        seen_wh=seen_wh,
        seen_at_ms=seen_at_ms,
        refused=refused,
        own=own,
        figure_wh=figure_wh,
        is_void=bool(is_void),
    )


def _packed(signed: SignedReceipt | None) -> bytes | None:
    if signed is None:
        return None
    return signed.receipt.encoded + (signed.battery_signature or _NONE) + (signed.buyer_signature or _NONE)


def _unpacked(data: bytes) -> SignedReceipt:
    if len(data) != RECEIPT_BYTES + 2 * SIGNATURE_BYTES:
        raise ValueError(f"a receipt of {len(data)} bytes")
    signatures = data[RECEIPT_BYTES : RECEIPT_BYTES + SIGNATURE_BYTES], data[RECEIPT_BYTES + SIGNATURE_BYTES :]
    battery, buyer = (None if signature == _NONE else signature for signature in signatures)
    return SignedReceipt(receipt=Receipt.decode(data[:RECEIPT_BYTES]), battery_signature=battery, buyer_signature=buyer)
