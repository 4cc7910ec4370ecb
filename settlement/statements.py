"""What a key says about itself: its registration on the ledger, and which other keys belong to the same device."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Self

from settlement.errors import TermsError
from settlement.signing import SignatureKind, check, sign
from settlement.strict import key_problem
from settlement.values import I64_MAX, check_bytes, check_number

if TYPE_CHECKING:
    from etp.auth import Signer

REGISTRATION_PREFIX: Final = b"\xffwattbid-register\x01"
BINDING_PREFIX: Final = b"\xffwattbid-binding\x01"
REGISTRATION_BYTES: Final = 146
BINDING_BYTES: Final = 153

_REGISTRATION: Final = struct.Struct("<18s32s32s32s32s")
_BINDING: Final = struct.Struct("<17s32s32s32s32sq")


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A signing key's proof of possession for one wallet at one program on one cluster. Raises TermsError."""

    program_id: bytes
    genesis_hash: bytes
    wallet: bytes
    key: bytes

    def __post_init__(self) -> None:
        for name in ("program_id", "genesis_hash", "wallet"):
            check_bytes(name, getattr(self, name))
        _check_key("key", self.key)
        if self.key == self.wallet:
            raise TermsError("key", "the wallet itself: a key that signs frames must not move money")

    @cached_property
    def encoded(self) -> bytes:
        """The 146 bytes that the digest is of."""
        return _REGISTRATION.pack(REGISTRATION_PREFIX, self.program_id, self.genesis_hash, self.wallet, self.key)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the 146 bytes."""
        return sha256(self.encoded).digest()

    def sign(self, signer: Signer) -> bytes:
        """Return the new key's signature. Raises TermsError when the signer is another key."""
        _require("key", self.key, signer)
        return sign(SignatureKind.REGISTRATION, self.digest, signer)

    def check(self, signature: bytes) -> None:
        """Raise SignatureRefusedError unless the key that is registered has signed."""
        check(SignatureKind.REGISTRATION, self.digest, self.key, signature)


@dataclass(frozen=True, kw_only=True)
class Binding:
    """The identity's statement of the other three keys of its device. Raises TermsError.

    It is the identity's word alone: that the others are really there they prove by doing their own work. Of two
    statements of one identity the one made later counts, so a key that was given up does not come back.
    """

    identity: bytes
    tls: bytes
    wallet: bytes
    nonce: bytes
    made_at_s: int
    """Seconds since 1970."""

    def __post_init__(self) -> None:
        keys = {name: getattr(self, name) for name in _BOUND}
        for name, key in keys.items():
            _check_key(name, key)
        if len(set(keys.values())) != len(keys):
            raise TermsError("binding", "one key for two purposes")
        check_number("made_at_s", self.made_at_s, 1, I64_MAX)

    @cached_property
    def encoded(self) -> bytes:
        """The 153 bytes that the digest is of."""
        return _BINDING.pack(BINDING_PREFIX, self.identity, self.tls, self.wallet, self.nonce, self.made_at_s)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the statement in 153 bytes. Raises TermsError for any others."""
        if len(data) != BINDING_BYTES:
            raise TermsError("binding", f"{len(data)} bytes, not {BINDING_BYTES}")
        prefix, identity, tls, wallet, nonce, made_at_s = _BINDING.unpack(data)
        if prefix != BINDING_PREFIX:
            raise TermsError("binding", "begins with another domain or version")
        return cls(identity=identity, tls=tls, wallet=wallet, nonce=nonce, made_at_s=made_at_s)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the 153 bytes."""
        return sha256(self.encoded).digest()

    def sign(self, signer: Signer) -> bytes:
        """Return the identity's signature. Raises TermsError when the signer is another key."""
        _require("identity", self.identity, signer)
        return sign(SignatureKind.BINDING, self.digest, signer)

    def check(self, signature: bytes) -> None:
        """Raise SignatureRefusedError unless the identity has signed."""
        check(SignatureKind.BINDING, self.digest, self.identity, signature)


_BOUND: Final = ("identity", "tls", "wallet", "nonce")


def _check_key(field: str, key: bytes) -> None:
    check_bytes(field, key, may_be_zero=True)  # which is a point of small order, and said to be
    problem = key_problem(key)
    if problem is not None:
        raise TermsError(field, problem)


def _require(field: str, key: bytes, signer: Signer) -> None:
    if signer.public_key != key:
        raise TermsError(field, "the signer holds another key")
