"""Base58 read back: addresses, hashes and signatures as people paste them (`exchange.to_base58` writes them)."""

from __future__ import annotations

from typing import Final

from settlement.errors import TermsError

ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
ADDRESS_BYTES: Final = 32
_VALUES: Final = {letter: value for value, letter in enumerate(ALPHABET)}


def from_base58(text: str, *, field: str, size: int = ADDRESS_BYTES) -> bytes:
    """Return the `size` bytes that a text stands for. Raises TermsError, which names the field, for any other text."""
    if len(text) > 2 * size:
        raise TermsError(field, f"{len(text)} characters, {size} bytes have fewer in base58")
    try:
        found = decode_base58(text)
    except ValueError as error:
        raise TermsError(field, str(error)) from None
    if len(found) != size:
        raise TermsError(field, f"base58 of {len(found)} bytes, not {size}")
    return found


def decode_base58(text: str) -> bytes:
    """Return the bytes of a text, whose length its writer must have bounded. Raises ValueError."""
    number = 0
    for letter in text:
        value = _VALUES.get(letter)
        if value is None:
            raise ValueError(f"{letter!r} is no letter of base58")
        number = number * len(ALPHABET) + value
    zeros = len(text) - len(text.lstrip(ALPHABET[0]))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
