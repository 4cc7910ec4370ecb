"""Ed25519 by the strict rules, with the reason of every refusal. All signatures about money pass through here.

A ledger refuses what a lax verifier takes. A cheque that only we accept is worth nothing, and a key of small order
"signs" many messages at once, so no party is bound by it. Refused are:

- a public key or an R whose order divides 8: the eight points of `SMALL_ORDER_POINTS`, in any of their 14 encodings;
- a point encoded otherwise than RFC 8032 section 5.1.3 says: y not below p, or x = 0 with the sign bit set (those last
  two points are of small order, too);
- a public key that is no point of the curve;
- S not below the group order L (RFC 8032 section 5.1.7): S + L would be a second signature of the same message.

What OpenSSL, behind `cryptography`, refuses of these by itself: S >= L; an R that is not byte for byte the point that
it computes, so an R with y >= p; a key off the curve, when it verifies. What it takes, and we check ourselves: keys of
small order, R = the identity (or of small order, under a key with a torsion part), keys with y >= p. Tests hold both
lists against the OpenSSL that is installed; the checks here do not rely on any of it.

A key with a torsion part that is not of small order itself is not refused: the equation is checked without cofactor
here, by OpenSSL and by the ledger, so all agree about each of its signatures.

The eight points: "Taming the many EdDSAs" (IACR ePrint 2020/1244) and libsodium's `ge25519_has_small_order`;
a test works them out from the curve equation.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from etp.auth import verify

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
GROUP_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""L, the prime order of the base point."""

SMALL_ORDER_POINTS: Final = tuple(
    bytes.fromhex(point)
    for point in (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    )
)
"""The canonical encodings of the points whose order divides 8: of order 1, 2, 4, 4, 8, 8, 8, 8."""

_PRIME: Final = (1 << 255) - 19
_SIGN_BIT: Final = 1 << 255
_CURVE_D: Final = 37095705934669439343138083508754565189542113879843219016388785533085940283555
_SMALL_ORDER_Y: Final = frozenset(int.from_bytes(point, "little") & ~_SIGN_BIT for point in SMALL_ORDER_POINTS)


def refusal(public_key: bytes, signature: bytes, data: bytes) -> str | None:
    """Return why a signature over `data` does not count, None when it holds. Takes any bytes."""
    problem = key_problem(public_key)
    if problem is not None:
        return f"the key {problem}"
    if len(signature) != SIGNATURE_BYTES:
        return f"it has {len(signature)} bytes, not {SIGNATURE_BYTES}"
    problem = _point_problem(signature[:32])
    if problem is not None:
        return f"R {problem}"
    if int.from_bytes(signature[32:], "little") >= GROUP_ORDER:
        return "S is not below the group order"
    return None if verify(public_key, signature, data) else "it does not hold for this key and these bytes"


@lru_cache(maxsize=1024)
def key_problem(public_key: bytes) -> str | None:
    """Return why nobody may use this public key ("is of small order"), None for one that may be used."""
    if len(public_key) != KEY_BYTES:
        return f"has {len(public_key)} bytes, not {KEY_BYTES}"
    return _point_problem(public_key) or (None if _is_on_the_curve(public_key) else "is no point of the curve")


def _point_problem(point: bytes) -> str | None:
    y = int.from_bytes(point, "little") & ~_SIGN_BIT
    if y % _PRIME in _SMALL_ORDER_Y:
        return "is of small order"
    return "is not encoded canonically" if y >= _PRIME else None


def _is_on_the_curve(point: bytes) -> bool:
    """Whether x^2 = (y^2 - 1) / (d y^2 + 1) has a root, by Euler's criterion."""
    square = (int.from_bytes(point, "little") & ~_SIGN_BIT) ** 2 % _PRIME
    ratio = (square - 1) * (_CURVE_D * square + 1) % _PRIME  # a quotient is a square where the product is one
    return pow(ratio, (_PRIME - 1) // 2, _PRIME) == 1
