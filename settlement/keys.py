"""One 32-byte root per device, and the keys derived from it (architecture, section 5).

The root lies in a file of 32 bytes, mode 0600, made at the first start. It is written and synced under another name
and then linked to its own, so a power cut leaves either no root or the whole one, and of two processes that start at
once one wins and both read the same bytes. An existing file is never written to: what is wrong with it is reported.

Four seeds come from the root by HKDF-SHA256 without salt, `wattbid/1/<purpose>` as info, so that no key does two jobs.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING, Final, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from settlement.errors import KeyFileError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Purpose = Literal["identity", "tls", "wallet", "nonce"]

ROOT_BYTES: Final = 32
_MODE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_RESTORE: Final = "restore it from a backup, or remove it to start with a new identity"


def load_or_create_root(path: Path, *, entropy: Callable[[int], bytes] = os.urandom) -> bytes:
    """Return the 32 bytes of the root file at `path`, created from `entropy` when there is none.

    Raises KeyFileError when the file has another size, is all zero, is open to group or others, is no regular file,
    or cannot be read or created.
    """
    root = _read(path)
    if root is None:
        _create(path, entropy(ROOT_BYTES))
        root = _read(path)
    if root is None:
        raise KeyFileError(path, "it is a link to nothing, or something removes it", "see where it points")
    return root


def derive(root: bytes, purpose: Purpose) -> bytes:
    """Return the 32-byte seed of one purpose. Raises ValueError unless `root` has 32 bytes."""
    if len(root) != ROOT_BYTES:
        raise ValueError(f"a root has {ROOT_BYTES} bytes, not {len(root)}")
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"wattbid/1/{purpose}".encode()).derive(root)


def device_id(public_key: bytes) -> int:
    """Return the device_id of an identity: the first 8 bytes of SHA-256 of its public key, as u64 LE."""
    return int.from_bytes(hashlib.sha256(public_key).digest()[:8], "little")


class IdentityKey:
    """The Ed25519 key that signs ETP frames and contracts; the software implementation of `etp.auth.Signer`."""

    __slots__ = ("_key", "device_id", "public_key")

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key: bytes = self._key.public_key().public_bytes_raw()
        self.device_id: int = device_id(self.public_key)

    @classmethod
    def from_root(cls, root: bytes) -> Self:
        """Return the identity key of a root."""
        return cls(derive(root, "identity"))

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Return the identity key of a root file, made at the first start. Raises KeyFileError."""
        return cls.from_root(load_or_create_root(path))

    def sign(self, data: bytes) -> bytes:
        """Return the 64-byte signature over `data`."""
        return self._key.sign(data)

    def __repr__(self) -> str:
        return f"IdentityKey(public_key={self.public_key.hex()})"


def _read(path: Path) -> bytes | None:
    """Return the root in a file that may be trusted, None when there is no file."""
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
            raise KeyFileError(path, "is not a regular file", "name a file in root_file")
        if status.st_mode & _OTHERS:
            mode = stat.S_IMODE(status.st_mode)
            remedy = f"run `chmod 600 {path}`, and renew the identity if others could have read it"
            raise KeyFileError(path, f"has mode {mode:04o}: group or others may use it", remedy)
        if status.st_size != ROOT_BYTES:
            raise KeyFileError(path, f"has {status.st_size} bytes, a root has {ROOT_BYTES}", _RESTORE)
        root = os.read(descriptor, ROOT_BYTES)
    except OSError as error:
        raise KeyFileError(path, f"cannot be read ({error.strerror})", _RESTORE) from error
    finally:
        os.close(descriptor)
    if len(root) != ROOT_BYTES or not any(root):
        raise KeyFileError(path, "does not hold a root (short or all zero)", _RESTORE)
    return root


def _create(path: Path, root: bytes) -> None:
    """Put a root at `path` unless something is there already, durably."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _write_synced(draft, root)
            os.link(draft, path)
        except FileExistsError:
            return  # another process was first; its root is the one to read
        finally:
            draft.unlink(missing_ok=True)
            _sync_directory(path.parent)
    except OSError as error:
        remedy = "make its directory writable for this user, on a file system with hard links"
        raise KeyFileError(path, f"cannot be created ({error.strerror})", remedy) from error


def _write_synced(path: Path, root: bytes) -> None:
    """Write a new file of mode 0600 and wait until it is on disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        os.fchmod(descriptor, _MODE)
        if os.write(descriptor, root) != len(root):
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
