"""Registration and binding: who says what about which keys."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement import Binding, KeyRing, Registration, SignatureRefusedError, TermsError
from settlement.strict import SMALL_ORDER_POINTS
from settlement.values import I64_MAX
from tests.settlement.terms import BATTERY, BUYER, VENUE

RING = KeyRing(bytes(range(32)))
BINDING = RING.binding(1_700_000_000)
REGISTRATION = Registration(
    program_id=VENUE.program_id,
    genesis_hash=VENUE.genesis_hash,
    wallet=RING.public_keys["wallet"],
    key=BATTERY.public_key,
)


def binding_with(**fields: object) -> Binding:
    names = ("identity", "tls", "wallet", "nonce", "made_at_s")
    return Binding(**{**{name: getattr(BINDING, name) for name in names}, **fields})


def registration_with(**fields: object) -> Registration:
    names = ("program_id", "genesis_hash", "wallet", "key")
    return Registration(**{**{name: getattr(REGISTRATION, name) for name in names}, **fields})


def test_a_registration_is_its_four_parts() -> None:
    parts = REGISTRATION.program_id + REGISTRATION.genesis_hash + REGISTRATION.wallet + REGISTRATION.key
    assert REGISTRATION.encoded == b"\xffwattbid-register\x01" + parts
    assert REGISTRATION.digest == sha256(REGISTRATION.encoded).digest()
    assert len(REGISTRATION.encoded) == 146


def test_the_new_key_proves_that_it_is_there() -> None:
    signature = REGISTRATION.sign(BATTERY)
    REGISTRATION.check(signature)
    with pytest.raises(TermsError, match="the signer holds another key"):
        REGISTRATION.sign(BUYER)
    for change in ("program_id", "genesis_hash", "wallet"):
        with pytest.raises(SignatureRefusedError, match="does not hold"):
            registration_with(**{change: bytes([77]) * 32}).check(signature)
    with pytest.raises(SignatureRefusedError, match="does not hold"):
        registration_with(key=BUYER.public_key).check(signature)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("program_id", bytes(32), "nobody"),
        ("genesis_hash", bytes(32), "nobody"),
        ("wallet", bytes(32), "nobody"),
        ("wallet", bytes(31), "31 bytes"),
        ("key", BATTERY.public_key[:31], "31 bytes"),
        ("key", REGISTRATION.wallet, "the wallet itself"),
        *(("key", point, "small order") for point in SMALL_ORDER_POINTS),
    ],
)
def test_what_cannot_be_registered(field: str, value: bytes, why: str) -> None:
    with pytest.raises(TermsError, match=why) as caught:
        registration_with(**{field: value})
    assert caught.value.field == field


@given(st.integers(1, I64_MAX))
def test_a_binding_comes_back(made_at_s: int) -> None:
    binding = binding_with(made_at_s=made_at_s)
    keys = binding.identity + binding.tls + binding.wallet + binding.nonce
    assert binding.encoded == b"\xffwattbid-binding\x01" + keys + made_at_s.to_bytes(8, "little")
    assert binding.digest == sha256(binding.encoded).digest()
    assert len(binding.encoded) == 153
    assert Binding.decode(binding.encoded) == binding


def test_the_identity_alone_binds() -> None:
    signature = BINDING.sign(RING.identity)
    BINDING.check(signature)
    with pytest.raises(TermsError, match="the signer holds another key"):
        BINDING.sign(RING.signer("wallet"))
    with pytest.raises(SignatureRefusedError, match="does not hold"):
        binding_with(made_at_s=BINDING.made_at_s + 1).check(signature)
    with pytest.raises(SignatureRefusedError, match="does not hold"):
        binding_with(tls=BUYER.public_key).check(signature)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"tls": BINDING.wallet}, "one key for two purposes"),
        ({"nonce": BINDING.identity}, "one key for two purposes"),
        ({"wallet": bytes(31)}, "31 bytes"),
        ({"made_at_s": 0}, "not within"),
        ({"made_at_s": 1 << 63}, "not within"),
        *(
            ({name: point}, "small order")
            for name in ("identity", "tls", "wallet", "nonce")
            for point in SMALL_ORDER_POINTS
        ),
    ],
)
def test_what_is_no_binding(fields: dict[str, object], why: str) -> None:
    with pytest.raises(TermsError, match=why):
        binding_with(**fields)


@given(st.binary(max_size=160) | st.binary(min_size=136, max_size=136).map(lambda rest: BINDING.encoded[:17] + rest))
def test_any_bytes_are_a_binding_or_an_error_of_ours(data: bytes) -> None:
    try:
        binding = Binding.decode(data)
    except TermsError:
        return
    assert binding.encoded == data


def test_another_size_or_domain() -> None:
    with pytest.raises(TermsError, match="152 bytes"):
        Binding.decode(BINDING.encoded[:-1])
    with pytest.raises(TermsError, match="another domain or version"):
        Binding.decode(b"\xffwattbid-binding\x02" + BINDING.encoded[17:])
