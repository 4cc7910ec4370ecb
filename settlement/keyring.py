"""The four keys of a device: derived from its root, or put in the place of a derived one.

A key may come from elsewhere (a wallet that exists already) or be renewed (a certificate's) without a new root: the
ring then holds that purpose's own seed. Derivation is one-way, so there is no root from which such a seed could come.
"""

from __future__ import annotations

import struct
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

from settlement.errors import TermsError
from settlement.keys import PURPOSES, ROOT_BYTES, IdentityKey, Purpose, SeedKey, derive
from settlement.statements import Binding

if TYPE_CHECKING:
    from collections.abc import Mapping

SEED_BYTES: Final = 32
RING_BYTES: Final = 1 + ROOT_BYTES + SEED_BYTES * len(PURPOSES)

_LAYOUT: Final = struct.Struct("<B32s32s32s32s32s")
_NO_SEED: Final = bytes(SEED_BYTES)


class KeyRing:
    """A root and the seeds that replace derived ones. Immutable; shows public keys only.

    Raises TermsError unless root and seeds have 32 bytes, none all zero, and no two purposes share a key.
    """

    __slots__ = ("_replaced", "_root", "public_keys")

    def __init__(self, root: bytes, replaced: Mapping[Purpose, bytes] = MappingProxyType({})) -> None:
        _check_secret("root", root)
        for purpose, seed in replaced.items():
            if purpose not in PURPOSES:
                raise TermsError("purpose", f"{purpose!r} is none of {', '.join(PURPOSES)}")
            _check_secret(purpose, seed)
        self._root = root
        self._replaced = dict(replaced)
        self.public_keys: Mapping[Purpose, bytes] = MappingProxyType(
            {purpose: self.signer(purpose).public_key for purpose in PURPOSES}
        )
        if len(set(self.public_keys.values())) != len(PURPOSES):
            raise TermsError("keys", "one key for two purposes")

    @property
    def replaced(self) -> frozenset[Purpose]:
        """The purposes whose key does not come from the root."""
        return frozenset(self._replaced)

    @property
    def identity(self) -> IdentityKey:
        """The key that signs frames, contracts and receipts."""
        return IdentityKey(self.seed("identity"))

    def signer(self, purpose: Purpose) -> SeedKey:
        """Return the key of a purpose."""
        return SeedKey(self.seed(purpose))

    def seed(self, purpose: Purpose) -> bytes:
        """Return the secret seed of a purpose, for export."""
        return self._replaced.get(purpose) or derive(self._root, purpose)

    def replace(self, purpose: Purpose, seed: bytes) -> KeyRing:
        """Return a ring with another key for a purpose. Raises TermsError."""
        return KeyRing(self._root, {**self._replaced, purpose: seed})

    def binding(self, made_at_s: int) -> Binding:
        """Return what the identity says of the other keys, to be signed by it; `made_at_s` in seconds since 1970."""
        keys = self.public_keys
        return Binding(
            identity=keys["identity"],
            tls=keys["tls"],
            wallet=keys["wallet"],
            nonce=keys["nonce"],
            made_at_s=made_at_s,
        )

    def encode(self) -> bytes:
        """Return the 161 secret bytes of the ring: a bit for each replaced key, the root, four seeds (0 = derived)."""
        mask = sum(1 << at for at, purpose in enumerate(PURPOSES) if purpose in self._replaced)
        return _LAYOUT.pack(mask, self._root, *(self._replaced.get(purpose, _NO_SEED) for purpose in PURPOSES))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the ring in 161 bytes. Raises TermsError for any others; the error holds nothing secret."""
        if len(data) != RING_BYTES:
            raise TermsError("keys", f"{len(data)} bytes, not {RING_BYTES}")
        mask, root, *seeds = _LAYOUT.unpack(data)
        if mask >> len(PURPOSES):
            raise TermsError("keys", f"mask {mask} names purposes that do not exist")
        replaced = {purpose: seeds[at] for at, purpose in enumerate(PURPOSES) if mask >> at & 1}
        if any(any(seeds[at]) for at, purpose in enumerate(PURPOSES) if purpose not in replaced):
            raise TermsError("keys", "a seed where the mask says that there is none")
        return cls(root, replaced)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyRing) and self.encode() == other.encode()

    def __hash__(self) -> int:
        return hash(tuple(self.public_keys.values()))

    def __repr__(self) -> str:
        keys = ", ".join(f"{purpose}={key.hex()}" for purpose, key in self.public_keys.items())
        return f"KeyRing({keys})"


def _check_secret(name: str, secret: bytes) -> None:
    if len(secret) != SEED_BYTES:
        raise TermsError(name, f"{len(secret)} bytes, not {SEED_BYTES}")
    if not any(secret):
        raise TermsError(name, "all zero")
