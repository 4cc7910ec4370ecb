"""What can be wrong with the journal or the telemetry ring.

JournalError            anything that keeps records from being written or read; `path` names the file
  +- JournalBusy        another process holds the lock: a second start on the same journal
  +- JournalCorrupt     the file or a record in it is damaged
  +- JournalFull        no room: disk full, largest size reached, or too many records waiting
  +- JournalReadOnly    the file or its directory cannot be written
  +- JournalClosed      the journal was closed, or opened for reading only
"""

from __future__ import annotations

import errno
import os
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
_DISK_FULL: Final = (JournalFull, "no room left on its disk ({}); free some there, then restart the agent")
_LARGEST: Final = (JournalFull, "has its largest size ({}); raise journal_max_mb, then restart the agent")
_TOO_LARGE: Final = (
    JournalFull,
    "no room left: the system allows no larger file ({}); raise that limit, then restart the agent",
)
_UNWRITABLE: Final = (JournalReadOnly, "cannot be written ({}); check owner, mode and mount of its directory")
_LOCKED: Final = (JournalBusy, "another program keeps the file locked ({}); end it, then restart the agent")
_OTHER: Final = (JournalError, "cannot be used ({}); check the disk, then restart the agent")
_BY_SQLITE_CODE: Final[dict[int, tuple[type[JournalError], str]]] = {
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_FULL: _LARGEST,
    sqlite3.SQLITE_READONLY: _UNWRITABLE,
    sqlite3.SQLITE_PERM: _UNWRITABLE,
    sqlite3.SQLITE_CANTOPEN: _UNWRITABLE,
    sqlite3.SQLITE_AUTH: _UNWRITABLE,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
}
_BY_ERRNO: Final[dict[int, tuple[type[JournalError], str]]] = {
    errno.ENOSPC: _DISK_FULL,
    errno.EDQUOT: _DISK_FULL,
    errno.EFBIG: _TOO_LARGE,
    errno.EACCES: _UNWRITABLE,
    errno.EPERM: _UNWRITABLE,
    errno.EROFS: _UNWRITABLE,
    errno.ENOTDIR: _UNWRITABLE,
    errno.EISDIR: _UNWRITABLE,
    errno.EEXIST: _UNWRITABLE,
}


_MAYBE_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
"""What SQLite says on a full disk: also that it cannot make or map the files beside the journal."""
_ROOM_BYTES_MIN: Final = 1 << 20
"""With less than this free a disk counts as full; what failed to be written may have been as large."""


def journal_error(path: Path, error: BaseException, *, has_largest_size: bool = True) -> JournalError:
    """Return the error of this family for a foreign one (SQLite's, the operating system's).

    `has_largest_size`: whether the owner bounds the file, so that it can be full on a disk that is not.
    """
    if isinstance(error, JournalError):
        return error
    found = _OTHER
    if isinstance(error, sqlite3.Error):
        # Extended codes keep the primary one in the low byte.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        found = _BY_SQLITE_CODE.get(code, _OTHER)
        is_full = code == sqlite3.SQLITE_FULL and not has_largest_size
        if is_full or (code in _MAYBE_FULL and _is_disk_full(path)):
            found = _DISK_FULL
    elif isinstance(error, OSError):
        found = _BY_ERRNO.get(error.errno or 0, _OTHER)
    kind, text = found
    return kind(path, text.format(error))


def _is_disk_full(path: Path) -> bool:
    """Whether the disk of a file has no room for this user, or no room for the name of another file."""
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _ROOM_BYTES_MIN or (disk.f_files > 0 and disk.f_favail == 0)
