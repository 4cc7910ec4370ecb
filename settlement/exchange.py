"""Single keys as others write them: Solana's JSON (64 numbers: seed, public key) and PEM (PKCS#8, RFC 8410).

Both hold the seed in the clear: who writes one to a file makes it private (`settlement.files.create_private`). No error
here repeats a byte of what it was given.
"""

from __future__ import annotations

import json
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from settlement.base58 import ALPHABET
from settlement.errors import KeyFormatError
from settlement.keys import SeedKey

TEXT_BYTES_MAX: Final = 4_096
"""Either form has a few hundred bytes."""
_SEED_BYTES: Final = 32
_PAIR_BYTES: Final = 64


def to_base58(data: bytes) -> str:
    """Return bytes as Solana writes addresses and transaction signatures; a leading zero byte is a leading 1."""
    number = int.from_bytes(data, "big")
    digits = ""
    while number:
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return ALPHABET[0] * (len(data) - len(data.lstrip(b"\0"))) + digits


def from_text(text: str) -> bytes:
    """Return the seed in either form, told apart by how it begins. Raises KeyFormatError."""
    return from_pem(text) if text.lstrip().startswith("-----BEGIN") else from_solana_json(text)


def to_solana_json(seed: bytes) -> str:
    """Return a seed as `solana-keygen` writes it."""
    return json.dumps(list(seed + SeedKey(seed).public_key), separators=(",", ":"))


def from_solana_json(text: str) -> bytes:
    """Return the seed in a Solana key file. Raises KeyFormatError unless it is 64 bytes that belong together."""
    _check_length(text)
    try:
        numbers = json.loads(text)
    except (ValueError, RecursionError):
        raise KeyFormatError("not JSON: a Solana key is a list of 64 numbers") from None
    if not isinstance(numbers, list) or any(type(number) is not int for number in numbers):
        raise KeyFormatError("not a list of whole numbers: a Solana key is a list of 64 numbers")
    if len(numbers) != _PAIR_BYTES:
        raise KeyFormatError(f"{len(numbers)} numbers, a Solana key has {_PAIR_BYTES}")
    if any(not 0 <= number <= 255 for number in numbers):
        raise KeyFormatError("a number that is no byte (0 to 255)")
    pair = bytes(numbers)
    seed = pair[:_SEED_BYTES]
    if not any(seed):
        raise KeyFormatError("an all-zero seed")
    if SeedKey(seed).public_key != pair[_SEED_BYTES:]:
        raise KeyFormatError("the public key in its second half is not that of its first half")
    return seed


def to_pem(seed: bytes) -> str:
    """Return a seed as unencrypted PKCS#8 PEM, as `openssl pkey` reads it."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def from_pem(text: str, password: str | None = None) -> bytes:
    """Return the seed in a PEM file, `password` for an encrypted one. Raises KeyFormatError."""
    _check_length(text)
    try:
        key = load_pem_private_key(text.encode(), None if password is None else password.encode())
    except TypeError:
        problem = "it is encrypted, name its password" if password is None else "it is not encrypted, name no password"
        raise KeyFormatError(problem) from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFormatError("no PEM of a private key, or another password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFormatError("a key of another kind: it must be Ed25519")
    seed = key.private_bytes_raw()
    if not any(seed):
        raise KeyFormatError("an all-zero seed")
    return seed


def _check_length(text: str) -> None:
    if len(text) > TEXT_BYTES_MAX:
        raise KeyFormatError(f"{len(text)} characters, no key has more than {TEXT_BYTES_MAX}")
