"""What can be wrong with the journal or the telemetry ring.

JournalError            anything that keeps records from being written or read; `path` names the file
  +- JournalBusy        another process holds the lock: a second start on the same journal
  +- JournalCorrupt     the file or a record in it is damaged
  +- JournalFull        no room: disk full, file size limit, or too many records waiting
  +- JournalReadOnly    the file or its directory cannot be written
  +- JournalClosed      the journal was closed, or opened for reading only
"""

from __future__ import annotations

import errno
import sqlite3
from typing import TYPE_CHECKING, Final

from agent.errors import AgentError

if TYPE_CHECKING:
    from pathlib import Path


class JournalError(AgentError):
    """The journal cannot do what was asked; selling must stop until an operator has acted."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path
        self.what = what


class JournalBusy(JournalError):  # noqa: N818 - reads as the state it reports
    """Another process holds the journal."""


class JournalCorrupt(JournalError):  # noqa: N818
    """The file is damaged, or holds a record whose checksum or sequence is wrong."""


class JournalFull(JournalError):  # noqa: N818
    """There is no room for another record."""


class JournalReadOnly(JournalError):  # noqa: N818
    """The journal cannot be written."""


class JournalClosed(JournalError):  # noqa: N818
    """The journal takes no records any more."""


KEEP_AND_RESTORE: Final = (
    "keep the file for examination, then move it and its -wal and -shm files away or restore a copy"
)
_DAMAGED: Final = (JournalCorrupt, f"damaged ({{}}); {KEEP_AND_RESTORE}")
_FULL: Final = (
    JournalFull,
    "no room left ({}); free space on the disk or raise journal_max_mb, then restart the agent",
)
_UNWRITABLE: Final = (JournalReadOnly, "cannot be written ({}); check owner, mode and mount of its directory")
_LOCKED: Final = (JournalBusy, "another program keeps the file locked ({}); end it, then restart the agent")
_OTHER: Final = (JournalError, "cannot be used ({}); check the disk, then restart the agent")
_BY_SQLITE_CODE: Final[dict[int, tuple[type[JournalError], str]]] = {
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _UNWRITABLE,
    sqlite3.SQLITE_PERM: _UNWRITABLE,
    sqlite3.SQLITE_CANTOPEN: _UNWRITABLE,
    sqlite3.SQLITE_AUTH: _UNWRITABLE,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
}
_BY_ERRNO: Final[dict[int, tuple[type[JournalError], str]]] = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EACCES: _UNWRITABLE,
    errno.EPERM: _UNWRITABLE,
    errno.EROFS: _UNWRITABLE,
    errno.ENOTDIR: _UNWRITABLE,
    errno.EISDIR: _UNWRITABLE,
    errno.EEXIST: _UNWRITABLE,
}


def journal_error(path: Path, error: BaseException) -> JournalError:
    """Return the error of this family for a foreign one (SQLite's, the operating system's)."""
    if isinstance(error, JournalError):
        return error
    found = _OTHER
    if isinstance(error, sqlite3.Error):
        # Extended codes keep the primary one in the low byte.
        found = _BY_SQLITE_CODE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, _OTHER)
    elif isinstance(error, OSError):
        found = _BY_ERRNO.get(error.errno or 0, _OTHER)
    kind, text = found
    return kind(path, text.format(error))
