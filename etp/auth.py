"""Signed frames: what an Auth covers, how it is made, and when it holds (ETP section 2).

Verification is strict, as the ledger's is: OpenSSL (behind `cryptography`) takes public keys of small order and a
signature whose R is the identity, for which one signature can fit many messages; here both are refused before it is
asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final, Literal, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from etp.errors import AuthError
from etp.extensions import TAG_AUTH, ZERO_KEY, Auth, encode_item
from etp.limits import AUTH_SKEW_MS
from etp.messages import BODY_BYTES

DOMAIN: Final = b"\xffETP\x01"
NOBODY: Final = ZERO_KEY
"""The peer key of a frame for everybody (multicast), or for a peer whose key is not known yet (the first Register)."""

_FIELD_PRIME: Final = (1 << 255) - 19
_SIGN_BIT: Final = 1 << 255
_SMALL_ORDER_Y: Final = frozenset(
    {
        0,
        1,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        _FIELD_PRIME - 1,
        _FIELD_PRIME,
        _FIELD_PRIME + 1,
    }
)
"""The y of every point whose order divides 8, the two unreduced encodings included; the sign of x is free."""


class Signer(Protocol):
    """A key that signs: in a file, in a keystore or in hardware."""

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the Ed25519 public key."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Return the 64 bytes of the Ed25519 signature over `data`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthPolicy:
    """Whom a site trades with. Raises ValueError when `peers` is signed and nobody can sign."""

    peers: Literal["open", "signed"] = "open"
    trusted: frozenset[bytes] | None = None
    """Public keys that may trade, or None for any."""
    signer: Signer | None = None
    """Our own key; without one nothing we send is signed."""
    max_skew_ms: int = AUTH_SKEW_MS

    def __post_init__(self) -> None:
        if self.peers == "signed" and self.signer is None:
            raise ValueError('peers = "signed" needs a key to sign with')

    def trusts(self, public_key: bytes) -> bool:
        """Whether a key may trade here at all."""
        return self.trusted is None or public_key in self.trusted


def signing_bytes(body: bytes, rest: bytes, signer: bytes, peer: bytes, timestamp_ms: int) -> bytes:
    """Return what an Auth signs; `rest` is every other extension as encoded (empty when there is none)."""
    return DOMAIN + body + sha256(rest).digest() + signer + peer + timestamp_ms.to_bytes(8, "little")


def sign_frame(frame: bytes, *, signer: Signer, peer: bytes, timestamp_ms: int) -> bytes:
    """Return an unsigned frame (no length prefix) with its Auth.

    `peer` is NOBODY on multicast and in the first Register.
    """
    body, rest = frame[:BODY_BYTES], frame[BODY_BYTES:]
    public_key = signer.public_key
    signature = signer.sign(signing_bytes(body, rest, public_key, peer, timestamp_ms))
    return body + encode_item(TAG_AUTH, Auth(public_key, peer, timestamp_ms, signature).encode()) + rest


def check_frame(
    body: bytes, auth: Auth, rest: bytes, *, peers: tuple[bytes, ...], wall_ms: int, max_skew_ms: int = AUTH_SKEW_MS
) -> bytes:
    """Return a frame's signer. Raises AuthError unless it is for one of `peers`, recent, and its signature holds."""
    signer, peer, timestamp_ms, signature = auth
    if peer not in peers:
        raise AuthError("signed for another peer")
    if abs(timestamp_ms - wall_ms) > max_skew_ms:
        raise AuthError(f"signed {timestamp_ms - wall_ms:+d} ms from our clock, at most {max_skew_ms}")
    if not verify(signer, signature, signing_bytes(body, rest, signer, peer, timestamp_ms)):
        raise AuthError("signature does not hold")
    return signer


def verify(public_key: bytes, signature: bytes, data: bytes) -> bool:
    """Whether an Ed25519 signature holds, by the strict rules."""
    key = _load(public_key)
    if key is None or len(signature) != 64 or _is_small_order(signature[:32]):
        return False
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=1024)
def _load(public_key: bytes) -> Ed25519PublicKey | None:
    """Return the loaded key, None for one that nobody may use: wrong size, not reduced, or of small order."""
    if len(public_key) != 32 or _is_small_order(public_key):
        return None
    if int.from_bytes(public_key, "little") & ~_SIGN_BIT >= _FIELD_PRIME:
        return None
    return Ed25519PublicKey.from_public_bytes(public_key)


def _is_small_order(point: bytes) -> bool:
    return int.from_bytes(point, "little") & ~_SIGN_BIT in _SMALL_ORDER_Y
