"""The curve in whole numbers, for signatures that no library would make: slow, plain, and only for tests."""

from __future__ import annotations

from hashlib import sha512
from typing import Final, TypeAlias

Point: TypeAlias = tuple[int, int]

PRIME: Final = (1 << 255) - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
CURVE_D: Final = -121665 * pow(121666, -1, PRIME) % PRIME
IDENTITY: Final[Point] = (0, 1)


def add(first: Point, second: Point) -> Point:
    (x1, y1), (x2, y2) = first, second
    product = CURVE_D * x1 * x2 * y1 * y2 % PRIME
    return (
        (x1 * y2 + x2 * y1) * pow(1 + product, -1, PRIME) % PRIME,
        (y1 * y2 + x1 * x2) * pow(1 - product, -1, PRIME) % PRIME,
    )


def times(count: int, point: Point) -> Point:
    total = IDENTITY
    while count:
        if count & 1:
            total = add(total, point)
        point = add(point, point)
        count >>= 1
    return total


def negative(point: Point) -> Point:
    return (-point[0] % PRIME, point[1])


def x_of(y: int) -> int | None:
    square = (y * y - 1) * pow(CURVE_D * y * y + 1, -1, PRIME) % PRIME
    root = pow(square, (PRIME + 3) // 8, PRIME)
    if (root * root - square) % PRIME:
        root = root * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    return None if (root * root - square) % PRIME else root


def encoded(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def decoded(data: bytes) -> Point:
    y = int.from_bytes(data, "little") & ~(1 << 255)
    x = x_of(y)
    assert x is not None
    return (x if x & 1 == data[31] >> 7 else -x % PRIME, y)


def base_point() -> Point:
    y = 4 * pow(5, -1, PRIME) % PRIME
    x = x_of(y)
    assert x is not None
    return (x if x % 2 == 0 else -x % PRIME, y)


def torsion_points() -> list[Point]:
    """The eight points of small order: the multiples of one of order 8."""
    for y in range(2, 40):
        x = x_of(y)
        if x is not None:
            point = times(ORDER, (x, y))
            if times(4, point) != IDENTITY:
                return [times(count, point) for count in range(8)]
    raise AssertionError("no point of order 8")


def all_encodings(points: list[Point]) -> set[bytes]:
    """Every 32 bytes that a lax reader takes for one of these points, which come in pairs of x and -x."""
    heights = {y for _, y in points} | {y + PRIME for _, y in points if y + PRIME < 1 << 255}
    return {(y | sign << 255).to_bytes(32, "little") for y in heights for sign in (0, 1)}


def scalar_of(seed: bytes) -> int:
    """The secret scalar of an Ed25519 seed (RFC 8032, section 5.1.5)."""
    digest = bytearray(sha512(seed).digest()[:32])
    digest[0] &= 248
    digest[31] &= 127
    digest[31] |= 64
    return int.from_bytes(digest, "little")


def challenge(r: bytes, key: bytes, data: bytes) -> int:
    return int.from_bytes(sha512(r + key + data).digest(), "little") % ORDER


def signature(r: bytes, s: int) -> bytes:
    return r + s.to_bytes(32, "little")


def holds_without_cofactor(key: bytes, sig: bytes, data: bytes) -> bool:
    """The bare equation [S]B = R + [k]A, k reduced by L as verifiers do, without any check of its parts."""
    s = int.from_bytes(sig[32:], "little")
    k = challenge(sig[:32], key, data)
    return times(s, base_point()) == add(decoded(sig[:32]), times(k, decoded(key)))
