"""One 32-byte root per device, and the keys derived from it (architecture, section 5).

The root lies in a file of 32 bytes, mode 0600, made at the first start (`settlement.files` says how). An existing file
is never written to: what is wrong with it is reported.

Four seeds come from the root by HKDF-SHA256 without salt, `wattbid/1/<purpose>` as info, so that no key does two jobs.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from settlement.errors import KeyFileError
from settlement.files import RESTORE, create_private, read_private

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Purpose = Literal["identity", "tls", "wallet", "nonce"]

PURPOSES: Final[tuple[Purpose, ...]] = ("identity", "tls", "wallet", "nonce")
ROOT_BYTES: Final = 32


def load_or_create_root(path: Path, *, entropy: Callable[[int], bytes] = os.urandom) -> bytes:
    """Return the 32 bytes of the root file at `path`, created from `entropy` when there is none.

    Raises KeyFileError when the file has another size, is all zero, is open to group or others, is no regular file,
    or cannot be read or created.
    """
    root = _read(path)
    if root is None:
        create_private(path, entropy(ROOT_BYTES))  # where another process was first, its root is the one to read
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


class SeedKey:
    """An Ed25519 key from a 32-byte seed; the software implementation of `etp.auth.Signer`."""

    __slots__ = ("_key", "public_key")

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key: bytes = self._key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """Return the 64-byte signature over `data`."""
        return self._key.sign(data)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(public_key={self.public_key.hex()})"


class IdentityKey(SeedKey):
    """The key that signs ETP frames and contracts."""

    __slots__ = ("device_id",)

    def __init__(self, seed: bytes) -> None:
        super().__init__(seed)
        self.device_id: int = device_id(self.public_key)

    @classmethod
    def from_root(cls, root: bytes) -> Self:
        """Return the identity key of a root."""
        return cls(derive(root, "identity"))

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Return the identity key of a root file, made at the first start. Raises KeyFileError."""
        return cls.from_root(load_or_create_root(path))


def _read(path: Path) -> bytes | None:
    """Return the root in a file that may be trusted, None when there is no file."""
    root = read_private(path, ROOT_BYTES)
    if root is None:
        return None
    if len(root) != ROOT_BYTES:
        raise KeyFileError(path, f"has {len(root)} bytes, a root has {ROOT_BYTES}", RESTORE)
    if not any(root):
        raise KeyFileError(path, "does not hold a root (all zero)", RESTORE)
    return root
