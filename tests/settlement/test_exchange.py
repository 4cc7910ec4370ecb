"""Keys as Solana and OpenSSL write them."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from settlement import (
    KeyFormatError,
    SeedKey,
    from_pem,
    from_solana_json,
    from_text,
    to_base58,
    to_pem,
    to_solana_json,
)

SEED = bytes(range(32))
PAIR = [*SEED, *SeedKey(SEED).public_key]
SEEDS = st.binary(min_size=32, max_size=32).filter(any)


@given(SEEDS)
def test_solana_json_comes_back(seed: bytes) -> None:
    text = to_solana_json(seed)
    assert json.loads(text) == [*seed, *SeedKey(seed).public_key]
    assert from_solana_json(text) == seed


@given(SEEDS)
def test_pem_comes_back(seed: bytes) -> None:
    assert from_pem(to_pem(seed)) == seed


def test_pem_is_that_of_rfc_8410() -> None:
    seed = bytes.fromhex("d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842")
    body = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC"
    text = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"
    assert to_pem(seed) == text
    assert from_pem(text) == seed


def test_white_space_in_a_solana_file_is_nothing() -> None:
    assert from_solana_json("\n " + json.dumps(PAIR, indent=2) + "\n") == SEED


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ("[1, 2", "not JSON"),
        ("[" * 4_000, "not JSON"),
        ("{}", "not a list of whole numbers"),
        ('"' + "a" * 64 + '"', "not a list of whole numbers"),
        (json.dumps([float(number) for number in PAIR]), "not a list of whole numbers"),
        (json.dumps([True, *PAIR[1:]]), "not a list of whole numbers"),
        (json.dumps(PAIR[:32]), "32 numbers"),
        (json.dumps([*PAIR, 0]), "65 numbers"),
        (json.dumps([256, *PAIR[1:]]), "no byte"),
        (json.dumps([-1, *PAIR[1:]]), "no byte"),
        (json.dumps([*PAIR[:63], PAIR[63] ^ 1]), "is not that of its first half"),
        (json.dumps([*PAIR[32:], *PAIR[:32]]), "is not that of its first half"),
        (json.dumps([0] * 64), "all-zero"),
        (" " * 5_000, "5000 characters"),
    ],
)
def test_what_is_no_solana_key(text: str, why: str) -> None:
    with pytest.raises(KeyFormatError, match=why):
        from_solana_json(text)


def test_encrypted_pem_needs_its_password() -> None:
    key = Ed25519PrivateKey.from_private_bytes(SEED)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")).decode()
    assert from_pem(text, "secret") == SEED
    with pytest.raises(KeyFormatError, match="name its password"):
        from_pem(text)
    with pytest.raises(KeyFormatError, match="another password"):
        from_pem(text, "guess")
    with pytest.raises(KeyFormatError, match="name no password"):
        from_pem(to_pem(SEED), "secret")


def test_what_is_no_pem_of_ours() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    text = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(KeyFormatError, match="must be Ed25519"):
        from_pem(text)
    with pytest.raises(KeyFormatError, match="all-zero"):
        from_pem(to_pem(bytes(32)))
    for text in ("", "-----BEGIN PRIVATE KEY-----\n", to_pem(SEED)[:60], "x" * 5_000):
        with pytest.raises(KeyFormatError):
            from_pem(text)


@given(st.text(max_size=200) | st.text(max_size=200).map(lambda text: "[" + text + "]"))
def test_any_text_is_a_key_or_an_error_of_ours(text: str) -> None:
    for read in (from_solana_json, from_pem):
        with pytest.raises(KeyFormatError):
            read(text)


def test_errors_hold_no_secret() -> None:
    broken = json.dumps([*PAIR[:63], PAIR[63] ^ 1])
    with pytest.raises(KeyFormatError) as caught:
        from_solana_json(broken)
    assert "1, 2, 3" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (bytes(32), "1" * 32),
        (b"Hello World!", "2NEpo7TZRRrLZSi2U"),
        (bytes.fromhex("0000287fb4cd"), "11233QC4"),
        (
            bytes.fromhex("06ddf6e1d765a193d9cbe146ceeb79ac1cb485ed5f5b37913a8cf5857eff00a9"),
            "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
        ),
    ],
)
def test_addresses_are_written_as_solana_writes_them(data: bytes, text: str) -> None:
    assert to_base58(data) == text


@given(SEEDS)
def test_either_form_is_known_by_its_beginning(seed: bytes) -> None:
    assert from_text(to_pem(seed)) == from_text("\n" + to_solana_json(seed)) == seed
