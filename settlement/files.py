"""Files that hold secrets: read only when nobody else may, written as a whole or not at all.

A new file is written and synced under another name and then linked to its own, so a power cut leaves either none or the
whole one, and of two processes that start at once one wins. A change takes the place of the old file in one step.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

from settlement.errors import KeyFileError

if TYPE_CHECKING:
    from pathlib import Path

RESTORE: Final = "restore it from a backup, or remove it to start with a new identity"
_MODE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_WRITABLE: Final = "make its directory writable for this user, on a file system with hard links"


def read_private(path: Path, size_max: int) -> bytes | None:
    """Return what is in a file that may be trusted, None when there is no file.

    Raises KeyFileError when it is open to group or others, no regular file, longer than `size_max` bytes, or cannot be
    read.
    """
    try:
        # Non-blocking: a pipe in its place must be reported, not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileError(path, f"cannot be read ({error.strerror})", "give this user the right to read it") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileError(path, "is not a regular file", "name the file that holds the keys")
        if status.st_mode & _OTHERS:
            mode = stat.S_IMODE(status.st_mode)
            remedy = f"run `chmod 600 {path}`, and renew the identity if others could have read it"
            raise KeyFileError(path, f"has mode {mode:04o}: group or others may use it", remedy)
        if status.st_size > size_max:
            raise KeyFileError(path, f"has {status.st_size} bytes, at most {size_max} belong there", RESTORE)
        return os.read(descriptor, size_max)
    except OSError as error:
        raise KeyFileError(path, f"cannot be read ({error.strerror})", RESTORE) from error
    finally:
        os.close(descriptor)


def create_private(path: Path, data: bytes) -> bool:
    """Put a file of mode 0600 at `path`, durably; False when something is there already, which is left alone.

    Raises KeyFileError when it cannot be created.
    """
    draft = _draft_of(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _write_synced(draft, data)
            os.link(draft, path)
        except FileExistsError:
            return False
        finally:
            draft.unlink(missing_ok=True)
            _sync_directory(path.parent)
    except OSError as error:
        raise KeyFileError(path, f"cannot be created ({error.strerror})", _WRITABLE) from error
    return True


def replace_private(path: Path, data: bytes) -> None:
    """Let a file of mode 0600 take the place of the one at `path`, durably and in one step.

    Raises KeyFileError when that fails; the old file is then still there.
    """
    draft = _draft_of(path)
    try:
        try:
            _write_synced(draft, data)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
            _sync_directory(path.parent)
    except OSError as error:
        raise KeyFileError(path, f"cannot be replaced ({error.strerror})", _WRITABLE) from error


def _draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.new")


def _write_synced(path: Path, data: bytes) -> None:
    """Write a new file of mode 0600 and wait until it is on disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        os.fchmod(descriptor, _MODE)
        if os.write(descriptor, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
