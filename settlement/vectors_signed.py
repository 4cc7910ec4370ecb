"""The signature vectors: good ones, ones that cover something else, and ones that only a lax verifier takes.

The lax ones satisfy [S]B = R + [k]A. Those under keys of small order are constants, found by adding each of the eight
points to [S]B until the equation held; a test holds all of them against the bare equation and against OpenSSL.
"""

from __future__ import annotations

from hashlib import sha512
from typing import Any, Final, TypeAlias

from settlement.keys import IdentityKey
from settlement.signing import SignatureKind, sign, signed_bytes
from settlement.strict import GROUP_ORDER, SMALL_ORDER_POINTS

Vector: TypeAlias = dict[str, Any]

BATTERY_SEED: Final = bytes([1]) * 32
BATTERY: Final = IdentityKey(BATTERY_SEED)
DIGEST: Final = bytes(range(32))
"""A digest of nothing; only the signature matters here."""

_LAX_UNDER_SMALL_ORDER: Final = (
    ("5866666666666666666666666666666666666666666666666666666666666666", 1),
    ("c9a3f86aae465f0e56513864510f3997561fa2c9e85ea21dc2292309f3cd6022", 2),
    ("245c079551b9a0f1a9aec79baef0c668a9e05d3617a15de23dd6dcf60c329fdd", 2),
    ("5252cc0a7f208133b620acbd4537eba2a4123bf0a8c2e4f980c3b31bb69765ea", 1),
    ("9bad33f580df7ecc49df5342bac8145d5bedc40f573d1b067f3c4ce449689a15", 1),
    ("98519eadf35b995233b51b5cd23e9cc5a28b639b5a4af0ec903cb960d81b7819", 1),
    ("131604d01865fbedf9f662d25311c68a197cf286f2683724873a147fed6ada35", 5),
    ("5866666666666666666666666666666666666666666666666666666666666666", 1),
)
"""R and S of a signature of `DIGEST` under each of `SMALL_ORDER_POINTS`."""
_MIXED_KEY: Final = "63771c228bf60e6a02ad24d2c345a28d3598f640e26bede40c8b77fe4bf090a3"
"""The battery's key plus the point of order 2."""
_MIXED_HOLDS: Final = (
    "586666666666666666666666666666666666666666666666666666666666666699db7b3310d1d6370bee77136435dfd0"
    "4659b691ec9f25e6e20ee35b5c7ecd09"
)
_MIXED_LAX: Final = (
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f3dbe8945e9ebd70c63f9c2adf611ae7c"
    "dd1100457f6ff68195cedad103c9100d"
)
_MIXED_KEY_8: Final = "b2304873b52f9064728173af1c81cc22bffbd587fa0a206ba040cc9df8ba4397"
"""The battery's key plus a point of order 8."""
_MIXED_LAX_8: Final = (
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa6c8097ea384558e7e9039bebefee10e0"
    "c4c5d2193593c6d9324820610d8e000c"
)
_PRIME: Final = (1 << 255) - 19
_OFF_THE_CURVE: Final = (2).to_bytes(32, "little")


def signatures() -> list[Vector]:
    """Return the vectors of the layer "signature"."""
    key = BATTERY.public_key
    kinds = list(SignatureKind)
    good = {kind: sign(kind, DIGEST, BATTERY) for kind in kinds}
    contract = good[SignatureKind.CONTRACT]
    another = bytes([255]) + DIGEST[1:]
    return [
        *(_vector(f"a good one of a {kind.name.lower()}", key, good[kind], kind=kind) for kind in kinds),
        _vector("a key with a torsion part, judged without cofactor", _unhex(_MIXED_KEY), _unhex(_MIXED_HOLDS)),
        _vector("of another digest", key, contract, digest=another, why=_NOT),
        _vector("of another kind", key, contract, kind=SignatureKind.RECEIPT, why=_NOT),
        _vector("of the bare digest", key, BATTERY.sign(DIGEST), why=_NOT),
        _vector("of another key", IdentityKey(bytes([2]) * 32).public_key, contract, why=_NOT),
        _vector("one bit of R", key, bytes([contract[0] ^ 1]) + contract[1:], why=_NOT),
        _vector("one bit of S", key, contract[:32] + bytes([contract[32] ^ 1]) + contract[33:], why=_NOT),
        *_lax_keys(),
        *_lax_parts(key, contract),
        _vector("one byte short", key, contract[:-1], why="it has 63 bytes, not 64"),
        _vector("one byte more", key, contract + bytes(1), why="it has 65 bytes, not 64"),
        _vector("a key of 31 bytes", key[:31], contract, why="the key has 31 bytes, not 32"),
        _vector("a key off the curve", _OFF_THE_CURVE, contract, why="the key is no point of the curve"),
    ]


_NOT: Final = "it does not hold for this key and these bytes"


def _lax_keys() -> list[Vector]:
    small = "the key is of small order"
    found = [
        _vector(f"a key of small order, point {at}", point, _unhex(r) + s.to_bytes(32, "little"), why=small, lax=True)
        for at, (point, (r, s)) in enumerate(zip(SMALL_ORDER_POINTS, _LAX_UNDER_SMALL_ORDER, strict=True))
    ]
    good = _unhex(_LAX_UNDER_SMALL_ORDER[0][0]) + (1).to_bytes(32, "little")
    for y, sign_bit in ((1, 1), (_PRIME - 1, 1), (_PRIME, 0), (_PRIME, 1), (_PRIME + 1, 0), (_PRIME + 1, 1)):
        point = (y | sign_bit << 255).to_bytes(32, "little")
        lax = y % _PRIME == 1
        found.append(_vector(f"a key of small order, written as {point.hex()}", point, good, why=small, lax=lax))
    return found


def _lax_parts(key: bytes, good: bytes) -> list[Vector]:
    small, unreduced = "R is of small order", "is not encoded canonically"
    beyond = (_PRIME + 3).to_bytes(32, "little")
    s = int.from_bytes(good[32:], "little")
    return [
        _vector("R is the identity", key, _with_identity(key), why=small, lax=True),
        _vector(
            "R is of order 2 under a key with a torsion part",
            _unhex(_MIXED_KEY),
            _unhex(_MIXED_LAX),
            why=small,
            lax=True,
        ),
        _vector(
            "R is of order 8 under a key with a torsion part",
            _unhex(_MIXED_KEY_8),
            _unhex(_MIXED_LAX_8),
            why=small,
            lax=True,
        ),
        *(
            _vector(f"R of small order, point {at}", key, r + good[32:], why=small)
            for at, r in enumerate(SMALL_ORDER_POINTS)
        ),
        _vector("R with a y above the prime", key, beyond + good[32:], why=f"R {unreduced}"),
        _vector("a key with a y above the prime", beyond, good, why=f"the key {unreduced}"),
        _vector("S plus the group order", key, _with_s(good, s + GROUP_ORDER), why=_BEYOND),
        _vector("S plus 14 times the group order", key, _with_s(good, s + 14 * GROUP_ORDER), why=_BEYOND),
        _vector("S is the group order", key, _with_s(good, GROUP_ORDER), why=_BEYOND),
        _vector("all zero", key, bytes(64), why=small),
    ]


_BEYOND: Final = "S is not below the group order"


def _vector(
    name: str,
    key: bytes,
    signature: bytes,
    *,
    kind: SignatureKind = SignatureKind.CONTRACT,
    digest: bytes = DIGEST,
    why: str = "",
    lax: bool = False,
) -> Vector:
    """Return one vector; `lax` marks those that a verifier without these checks takes."""
    vector: Vector = {"layer": "signature", "name": name, "accept": not why}
    vector |= {"kind": int(kind), "digest": digest.hex(), "signed": signed_bytes(kind, digest).hex()}
    vector |= {"public_key": key.hex(), "signature": signature.hex()}
    if why:
        vector |= {"why": why, "lax": lax}
    return vector


def _with_identity(key: bytes) -> bytes:
    """Return the battery's signature with R the identity: S = k a, of which no nonce is part."""
    digest = bytearray(sha512(BATTERY_SEED).digest()[:32])
    digest[0] &= 248
    digest[31] = digest[31] & 127 | 64
    r = SMALL_ORDER_POINTS[0]
    challenge = int.from_bytes(sha512(r + key + signed_bytes(SignatureKind.CONTRACT, DIGEST)).digest(), "little")
    return _with_s(r, challenge * int.from_bytes(digest, "little") % GROUP_ORDER)


def _with_s(signature: bytes, s: int) -> bytes:
    return signature[:32] + s.to_bytes(32, "little")


def _unhex(text: str) -> bytes:
    return bytes.fromhex(text)
