"""The test vectors about signatures: good ones, forged ones, and ones that only a lax verifier takes."""

from __future__ import annotations

from hashlib import sha512
from typing import Any, Final, TypeAlias

from etp.auth import NOBODY, sign_frame, signing_bytes
from etp.extensions import TAG_AUTH, Auth, encode_item, extensions
from etp.frame import encode_frame
from etp.messages import BODY_BYTES, Body
from etp.testing import TestKey

Vector: TypeAlias = dict[str, Any]

WALL_MS: Final = 1_700_000_000_000
BUYER_SEED: Final = 1
BATTERY: Final = TestKey(2)
BUYER: Final = TestKey(BUYER_SEED)
_GROUP_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_BASE_POINT: Final = bytes.fromhex("58" + "66" * 31)
_IDENTITY: Final = bytes([1]) + bytes(31)


def signatures(bid: Body) -> list[Vector]:
    """Return vectors of signed frames; `bid` is what most of them sign."""
    plain = encode_frame(bid)
    with_reason = encode_frame(bid, extensions(reason="please"))
    register = encode_frame(Body.register(1, 9))
    signed = _signed(with_reason)
    return [
        _vector("bid without other extensions", plain, _signed(plain)),
        _vector("bid with a reason", with_reason, signed),
        _vector("30 s behind", plain, _signed(plain, at_ms=WALL_MS - 30_000)),
        _vector("30 s ahead", plain, _signed(plain, at_ms=WALL_MS + 30_000)),
        _vector("first register, for nobody yet", register, _signed(register, peer=NOBODY), peer=NOBODY),
        _vector("too old", plain, _signed(plain, at_ms=WALL_MS - 30_001), why="-30001 ms from our clock"),
        _vector("from the future", plain, _signed(plain, at_ms=WALL_MS + 30_001), why="+30001 ms from our clock"),
        _vector("for another battery", plain, _signed(plain, peer=bytes([3]) * 32), why="for another peer"),
        _vector("one bit of the body", plain, _flipped(signed, 12), why="signature does not hold"),
        _vector("one bit of the reason", with_reason, _flipped(signed, len(signed) - 1), why="signature does not hold"),
        _vector("one bit of the signature", with_reason, _flipped(signed, 200), why="signature does not hold"),
        _vector("a key of small order", plain, _with_auth(plain, _small_order_auth()), why="signature does not hold"),
        _vector("R is the identity", plain, _with_auth(plain, _identity_auth(plain)), why="signature does not hold"),
    ]


def _vector(name: str, unsigned: bytes, frame: bytes, *, peer: bytes | None = None, why: str = "") -> Vector:
    vector: Vector = {"layer": "auth", "name": name, "hex": frame.hex(), "accept": not why}
    if why:
        vector["why"] = why
    else:
        body, rest = unsigned[:BODY_BYTES], unsigned[BODY_BYTES:]
        at_ms = int.from_bytes(frame[BODY_BYTES + 67 : BODY_BYTES + 75], "little")
        vector["signed_bytes"] = signing_bytes(body, rest, BUYER.public_key, peer or BATTERY.public_key, at_ms).hex()
        vector["signer"] = BUYER.public_key.hex()
    return vector | {"own_key": (peer or BATTERY.public_key).hex(), "wall_ms": str(WALL_MS)}


def _signed(frame: bytes, *, peer: bytes = BATTERY.public_key, at_ms: int = WALL_MS) -> bytes:
    return sign_frame(frame, signer=BUYER, peer=peer, timestamp_ms=at_ms)


def _with_auth(frame: bytes, auth: Auth) -> bytes:
    return frame[:BODY_BYTES] + encode_item(TAG_AUTH, auth.encode()) + frame[BODY_BYTES:]


def _flipped(frame: bytes, index: int) -> bytes:
    return frame[:index] + bytes([frame[index] ^ 1]) + frame[index + 1 :]


def _small_order_auth() -> Auth:
    """A signature that holds for every message under the key "identity": S = 1, R = the base point."""
    return Auth(_IDENTITY, BATTERY.public_key, WALL_MS, _BASE_POINT + (1).to_bytes(32, "little"))


def _identity_auth(frame: bytes) -> Auth:
    """A signature by the holder of a good key with nonce 0: R = the identity, S = hash x secret."""
    secret = int.from_bytes(sha512(bytes([BUYER_SEED]) * 32).digest()[:32], "little")
    secret = secret & ~7 & ((1 << 254) - 1) | (1 << 254)
    data = signing_bytes(frame[:BODY_BYTES], frame[BODY_BYTES:], BUYER.public_key, BATTERY.public_key, WALL_MS)
    challenge = int.from_bytes(sha512(_IDENTITY + BUYER.public_key + data).digest(), "little") % _GROUP_ORDER
    scalar = challenge * secret % _GROUP_ORDER
    return Auth(BUYER.public_key, BATTERY.public_key, WALL_MS, _IDENTITY + scalar.to_bytes(32, "little"))
