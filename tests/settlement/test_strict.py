"""Strict Ed25519: what a lax verifier would take is refused, with the reason, and honest signatures hold."""

from __future__ import annotations

from itertools import count

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from etp.auth import verify
from settlement import SeedKey
from settlement.strict import GROUP_ORDER, SMALL_ORDER_POINTS, key_problem, refusal
from tests.settlement.curve import (
    IDENTITY,
    ORDER,
    PRIME,
    Point,
    add,
    all_encodings,
    base_point,
    challenge,
    decoded,
    encoded,
    holds_without_cofactor,
    negative,
    scalar_of,
    signature,
    times,
    torsion_points,
    x_of,
)

SEED = bytes([3]) * 32
KEY = SeedKey(SEED)
DATA = b"a cheque"
BASE = base_point()
TORSION = torsion_points()


def openssl_takes(key: bytes, sig: bytes, data: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(sig, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def forged_for(key: bytes, data: bytes) -> bytes:
    """A signature under a key of small order, whose secret nobody needs: R takes up what k times the key leaves."""
    point = decoded(key)
    for s in count(1):
        for rest in TORSION:
            r = encoded(add(times(s, BASE), rest))
            if rest == negative(times(challenge(r, key, data), point)):
                return signature(r, s)
    raise AssertionError


def test_the_arithmetic_of_these_tests_is_the_curve() -> None:
    assert encoded(times(scalar_of(SEED), BASE)) == KEY.public_key
    assert times(ORDER, BASE) == IDENTITY
    assert ORDER == GROUP_ORDER
    assert holds_without_cofactor(KEY.public_key, KEY.sign(DATA), DATA)


def test_the_list_is_the_eight_points_of_small_order() -> None:
    assert set(SMALL_ORDER_POINTS) == {encoded(point) for point in TORSION}
    assert len(SMALL_ORDER_POINTS) == 8
    orders = [next(n for n in (1, 2, 4, 8) if times(n, decoded(point)) == IDENTITY) for point in SMALL_ORDER_POINTS]
    assert orders == [1, 2, 4, 4, 8, 8, 8, 8]
    assert len(all_encodings(TORSION)) == 14


@pytest.mark.parametrize("key", SMALL_ORDER_POINTS, ids=bytes.hex)
def test_a_signature_that_holds_under_a_key_of_small_order_is_refused(key: bytes) -> None:
    forged = forged_for(key, DATA)
    assert holds_without_cofactor(key, forged, DATA)
    assert openssl_takes(key, forged, DATA), "else our own check could go"
    assert refusal(key, forged, DATA) == "the key is of small order"


def test_every_encoding_of_a_point_of_small_order_is_refused_as_key_and_as_r() -> None:
    good = KEY.sign(DATA)
    for point in all_encodings(TORSION):
        assert refusal(point, good, DATA) == "the key is of small order"
        assert refusal(KEY.public_key, point + good[32:], DATA) == "R is of small order"


def test_r_the_identity_is_refused_although_the_equation_holds() -> None:
    r = encoded(IDENTITY)
    s = challenge(r, KEY.public_key, DATA) * scalar_of(SEED) % ORDER
    lax = signature(r, s)
    assert holds_without_cofactor(KEY.public_key, lax, DATA)
    assert openssl_takes(KEY.public_key, lax, DATA), "else our own check could go"
    assert refusal(KEY.public_key, lax, DATA) == "R is of small order"


def test_r_of_small_order_under_a_key_with_a_torsion_part_is_refused() -> None:
    secret = scalar_of(SEED)
    mixed = encoded(add(times(secret, BASE), TORSION[1]))
    assert key_problem(mixed) is None
    for number in range(1_000):
        data = b"draw %d" % number
        for at, torsion in enumerate(TORSION[1:], 1):
            r = encoded(torsion)
            k = challenge(r, mixed, data)
            if (at + k) % 8 == 0:
                lax = signature(r, k * secret % ORDER)
                assert openssl_takes(mixed, lax, data), "else our own check could go"
                assert refusal(mixed, lax, data) == "R is of small order"
                return
    raise AssertionError("no draw suits")


def test_a_key_with_a_torsion_part_is_judged_as_openssl_judges_it() -> None:
    secret = scalar_of(SEED)
    mixed = encoded(add(times(secret, BASE), TORSION[4]))
    seen: set[bool] = set()
    for nonce in range(1, 12):
        r = encoded(times(nonce, BASE))
        k = challenge(r, mixed, DATA)
        sig = signature(r, (nonce + k * secret) % ORDER)
        taken = openssl_takes(mixed, sig, DATA)
        assert (refusal(mixed, sig, DATA) is None) == taken == (k % 2 == 0)
        seen.add(taken)
    assert seen == {True, False}


def test_a_second_form_of_s_is_refused() -> None:
    good = KEY.sign(DATA)
    s = int.from_bytes(good[32:], "little")
    for multiple in range(1, 16):
        if s + multiple * ORDER < 1 << 256:
            again = signature(good[:32], s + multiple * ORDER)
            assert refusal(KEY.public_key, again, DATA) == "S is not below the group order"
            assert not openssl_takes(KEY.public_key, again, DATA), "the docstring says that OpenSSL refuses it, too"
    assert refusal(KEY.public_key, signature(good[:32], ORDER), DATA) == "S is not below the group order"
    assert (
        refusal(KEY.public_key, signature(good[:32], ORDER - 1), DATA)
        == "it does not hold for this key and these bytes"
    )


def test_points_that_are_not_encoded_canonically_are_refused() -> None:
    good = KEY.sign(DATA)
    for y in range(PRIME, 1 << 255):
        for sign in (0, 1):
            point = (y | sign << 255).to_bytes(32, "little")
            for reason, (key, sig) in {
                "the key": (point, good),
                "R": (KEY.public_key, point + good[32:]),
            }.items():
                expected = "is of small order" if y - PRIME in (0, 1) else "is not encoded canonically"
                assert refusal(key, sig, DATA) == f"{reason} {expected}"


def test_openssl_takes_a_key_that_is_not_canonical_and_no_such_r() -> None:
    identity = encoded(IDENTITY)
    unreduced = (PRIME + 1).to_bytes(32, "little")
    assert openssl_takes(unreduced, signature(encoded(times(5, BASE)), 5), DATA), "else our own check could go"
    s = challenge(unreduced, KEY.public_key, DATA) * scalar_of(SEED) % ORDER
    assert decoded(identity) == IDENTITY
    assert not openssl_takes(KEY.public_key, signature(unreduced, s), DATA), "the docstring says so"


def test_bytes_that_are_no_point_are_no_key() -> None:
    off = next(y for y in range(2, 40) if x_of(y) is None).to_bytes(32, "little")
    assert refusal(off, KEY.sign(DATA), DATA) == "the key is no point of the curve"
    assert not openssl_takes(off, KEY.sign(DATA), DATA), "the docstring says that OpenSSL refuses it, too"
    on = next(y for y in range(2, 40) if x_of(y) is not None).to_bytes(32, "little")
    assert key_problem(on) is None


@given(st.integers(2, PRIME - 2), st.booleans())
def test_the_curve_is_told_from_what_lies_beside_it(y: int, sign: bool) -> None:
    key = (y | sign << 255).to_bytes(32, "little")
    expected = None if x_of(y) is not None else "is no point of the curve"
    assert key_problem(key) == expected


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_keys_of_another_size(size: int) -> None:
    assert refusal(bytes(size), KEY.sign(DATA), DATA) == f"the key has {size} bytes, not 32"


@pytest.mark.parametrize("size", [0, 63, 65])
def test_signatures_of_another_size(size: int) -> None:
    assert refusal(KEY.public_key, bytes(size), DATA) == f"it has {size} bytes, not 64"


@given(seed=st.binary(min_size=32, max_size=32), data=st.binary(max_size=400))
def test_honest_signatures_hold(seed: bytes, data: bytes) -> None:
    key = SeedKey(seed)
    assert refusal(key.public_key, key.sign(data), data) is None


@given(at=st.integers(0, 64 * 8 - 1))
def test_every_bit_of_a_signature_counts(at: int) -> None:
    flipped = bytearray(KEY.sign(DATA))
    flipped[at // 8] ^= 1 << at % 8
    assert refusal(KEY.public_key, bytes(flipped), DATA) is not None


@given(key=st.binary(max_size=40), sig=st.binary(max_size=70), data=st.binary(max_size=20))
def test_any_bytes_get_an_answer_and_none_that_frames_would_refuse_holds(key: bytes, sig: bytes, data: bytes) -> None:
    assert refusal(key, sig, data) is not None or verify(key, sig, data)


def test_points_decode_to_themselves() -> None:
    point: Point = times(77, BASE)
    assert decoded(encoded(point)) == point
