"""The ring of a device's keys: derived or replaced, never two of one kind, never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement import KeyRing, Purpose, TermsError, derive, device_id
from settlement.keyring import RING_BYTES
from settlement.keys import PURPOSES, SeedKey

ROOT = bytes(range(32))
SECRETS = st.binary(min_size=32, max_size=32).filter(any)


@st.composite
def rings(draw: st.DrawFn) -> KeyRing:
    root, *seeds = draw(st.lists(SECRETS, min_size=5, max_size=5, unique=True))
    chosen = draw(st.sets(st.sampled_from(PURPOSES)))
    return KeyRing(root, {purpose: seeds[at] for at, purpose in enumerate(PURPOSES) if purpose in chosen})


def test_keys_are_derived_as_the_architecture_says() -> None:
    ring = KeyRing(ROOT)
    for purpose in PURPOSES:
        assert ring.seed(purpose) == derive(ROOT, purpose)
        assert ring.public_keys[purpose] == SeedKey(derive(ROOT, purpose)).public_key == ring.signer(purpose).public_key
    assert ring.identity.public_key == ring.public_keys["identity"]
    assert ring.identity.device_id == device_id(ring.public_keys["identity"])
    assert ring.replaced == frozenset()
    assert list(ring.public_keys) == ["identity", "tls", "wallet", "nonce"]


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_key_from_elsewhere_takes_one_place(purpose: Purpose) -> None:
    before, seed = KeyRing(ROOT), bytes([9]) * 32
    after = before.replace(purpose, seed)
    assert after.seed(purpose) == seed
    assert after.replaced == {purpose}
    assert {name for name in PURPOSES if after.public_keys[name] != before.public_keys[name]} == {purpose}
    assert before == KeyRing(ROOT) != after


@given(rings())
def test_a_ring_comes_back_from_its_bytes(ring: KeyRing) -> None:
    data = ring.encode()
    again = KeyRing.decode(data)
    assert len(data) == RING_BYTES == 161
    assert again == ring
    assert hash(again) == hash(ring)
    assert again.public_keys == ring.public_keys
    assert again.replaced == ring.replaced


@given(rings(), st.integers(1, 1 << 40))
def test_its_identity_binds_its_other_keys(ring: KeyRing, made_at_s: int) -> None:
    binding = ring.binding(made_at_s)
    binding.check(binding.sign(ring.identity))
    assert (binding.identity, binding.tls, binding.wallet, binding.nonce) == tuple(ring.public_keys.values())


@given(rings())
def test_no_secret_is_shown(ring: KeyRing) -> None:
    shown = repr(ring) + repr(ring.identity) + repr(ring.signer("wallet"))
    assert not any(ring.seed(purpose).hex() in shown for purpose in PURPOSES)
    assert ring.encode()[1:33].hex() not in shown


@given(st.binary(max_size=170) | st.binary(min_size=161, max_size=161))
def test_any_bytes_are_a_ring_or_an_error_of_ours(data: bytes) -> None:
    try:
        ring = KeyRing.decode(data)
    except TermsError:
        return
    assert ring.encode() == data


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (bytes(160), "160 bytes"),
        (bytes(161), "root: all zero"),
        (b"\x10" + ROOT + bytes(128), "mask 16"),
        (b"\x00" + ROOT + bytes(127) + b"\x01", "a seed where the mask says that there is none"),
        (b"\x01" + ROOT + bytes(128), "identity: all zero"),
        (b"\x03" + ROOT + bytes([5]) * 64 + bytes(64), "one key for two purposes"),
    ],
)
def test_what_is_no_ring(data: bytes, why: str) -> None:
    with pytest.raises(TermsError, match=why):
        KeyRing.decode(data)


def test_what_no_ring_takes() -> None:
    ring = KeyRing(ROOT)
    with pytest.raises(TermsError, match="one key for two purposes"):
        ring.replace("wallet", derive(ROOT, "tls"))
    with pytest.raises(TermsError, match="wallet: 31 bytes"):
        ring.replace("wallet", bytes(31))
    with pytest.raises(TermsError, match="'money' is none of"):
        ring.replace("money", bytes([1]) * 32)  # type: ignore[arg-type]
    with pytest.raises(TermsError, match="root: 31 bytes"):
        KeyRing(ROOT[:31])
