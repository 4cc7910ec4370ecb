"""Signatures: strict where OpenSSL is lax, and nothing of a frame can change without breaking its Auth."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from etp.auth import NOBODY, AuthPolicy, check_frame, sign_frame, signing_bytes, verify
from etp.errors import AuthError, ExtensionError
from etp.extensions import decode_extensions, encode_item, extensions
from etp.frame import encode_frame
from etp.messages import BODY_BYTES, Body
from etp.testing import TestKey
from etp.vectors_signed import signatures

BUYER, BATTERY = TestKey(1), TestKey(2)
PRIME = (1 << 255) - 19
CURVE_D = -121665 * pow(121666, -1, PRIME) % PRIME
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
FRAME = encode_frame(Body.bid(5, 9, price_e4=100_000, energy_wh=1_000), extensions(reason="please"))
SIGNED = sign_frame(FRAME, signer=BUYER, peer=BATTERY.public_key, timestamp_ms=1_000_000)


def check(frame: bytes, *, wall_ms: int = 1_000_000, peers: tuple[bytes, ...] = (BATTERY.public_key,)) -> bytes:
    found = decode_extensions(frame[BODY_BYTES:])
    assert found.auth is not None
    return check_frame(frame[:BODY_BYTES], found.auth, found.rest, peers=peers, wall_ms=wall_ms)


def add(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    (x1, y1), (x2, y2) = first, second
    product = CURVE_D * x1 * x2 * y1 * y2 % PRIME
    return (
        (x1 * y2 + x2 * y1) * pow(1 + product, -1, PRIME) % PRIME,
        (y1 * y2 + x1 * x2) * pow(1 - product, -1, PRIME) % PRIME,
    )


def times(count: int, point: tuple[int, int]) -> tuple[int, int]:
    total = (0, 1)
    while count:
        if count & 1:
            total = add(total, point)
        point = add(point, point)
        count >>= 1
    return total


def x_of(y: int) -> int | None:
    square = (y * y - 1) * pow(CURVE_D * y * y + 1, -1, PRIME) % PRIME
    root = pow(square, (PRIME + 3) // 8, PRIME)
    if (root * root - square) % PRIME:
        root = root * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    return None if (root * root - square) % PRIME else root


def small_order_encodings() -> set[bytes]:
    """Every encoding of the eight points of small order, worked out from the curve itself."""
    found: set[tuple[int, int]] = set()
    for y in range(2, 40):
        x = x_of(y)
        if x is not None:
            torsion = times(GROUP_ORDER, (x, y))
            found |= {times(count, torsion) for count in range(8)}
    assert len(found) == 8
    heights = {y for _, y in found} | {y + PRIME for _, y in found if y + PRIME < 1 << 255}
    return {(y | sign << 255).to_bytes(32, "little") for y in heights for sign in (0, 1)}


def test_no_key_of_small_order_signs_anything() -> None:
    signature = bytes.fromhex("58" + "66" * 31) + (1).to_bytes(32, "little")
    for key in small_order_encodings():
        assert not verify(key, signature, b"anything")


def test_no_signature_of_small_order_holds() -> None:
    good = BUYER.sign(b"data")
    assert verify(BUYER.public_key, good, b"data")
    for point in small_order_encodings():
        assert not verify(BUYER.public_key, point + good[32:], b"data")


def test_openssl_alone_would_take_the_lax_ones() -> None:
    """Else the guard above could go."""
    lax = [
        vector
        for vector in signatures(Body.register(1, 2))
        if vector["name"] in {"a key of small order", "R is the identity"}
    ]
    assert len(lax) == 2
    for vector in lax:
        frame = bytes.fromhex(vector["hex"])
        auth = decode_extensions(frame[BODY_BYTES:]).auth
        assert auth is not None
        data = signing_bytes(frame[:BODY_BYTES], b"", auth.signer, auth.peer, auth.timestamp_ms)
        Ed25519PublicKey.from_public_bytes(auth.signer).verify(auth.signature, data)
        assert not verify(auth.signer, auth.signature, data)


def test_keys_that_are_no_keys() -> None:
    signature = BUYER.sign(b"data")
    assert not verify(b"", signature, b"data")
    assert not verify((PRIME + 3).to_bytes(32, "little"), signature, b"data")
    assert not verify((2).to_bytes(32, "little"), signature, b"data")
    assert not verify(BUYER.public_key, signature[:63], b"data")


def test_a_frame_proves_its_signer() -> None:
    assert check(SIGNED) == BUYER.public_key
    assert check(SIGNED, peers=(NOBODY, BATTERY.public_key)) == BUYER.public_key


@given(st.integers(0, len(SIGNED) * 8 - 1))
def test_every_bit_counts(index: int) -> None:
    flipped = bytearray(SIGNED)
    flipped[index // 8] ^= 1 << index % 8
    try:
        found = decode_extensions(bytes(flipped[BODY_BYTES:]))
    except ExtensionError:
        return
    if found.auth is not None:
        with pytest.raises(AuthError):
            check(bytes(flipped))


def test_an_extension_cannot_be_added_or_taken_away() -> None:
    for frame in (SIGNED + encode_item(99, b"more"), SIGNED[: -len("please") - 3]):
        with pytest.raises(AuthError, match="does not hold"):
            check(frame)


@pytest.mark.parametrize("skew_ms", [-30_001, 30_001, -(1 << 40), 1 << 40])
def test_a_frame_from_another_time_is_refused(skew_ms: int) -> None:
    with pytest.raises(AuthError, match="from our clock"):
        check(SIGNED, wall_ms=1_000_000 + skew_ms)


@pytest.mark.parametrize("skew_ms", [-30_000, 0, 30_000])
def test_clocks_may_differ_by_half_a_minute(skew_ms: int) -> None:
    assert check(SIGNED, wall_ms=1_000_000 + skew_ms) == BUYER.public_key


def test_a_frame_for_somebody_else_is_refused() -> None:
    with pytest.raises(AuthError, match="another peer"):
        check(SIGNED, peers=(NOBODY, BUYER.public_key))


def test_a_policy_that_asks_for_signatures_must_be_able_to_sign() -> None:
    with pytest.raises(ValueError, match="needs a key"):
        AuthPolicy(peers="signed")


def test_trust() -> None:
    assert AuthPolicy().trusts(BUYER.public_key)
    assert AuthPolicy(trusted=frozenset({BUYER.public_key})).trusts(BUYER.public_key)
    assert not AuthPolicy(trusted=frozenset()).trusts(BUYER.public_key)
