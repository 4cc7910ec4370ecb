"""Bitcoin's base 58, as Solana writes bytes. Encoding is `settlement.exchange.to_base58`."""

from __future__ import annotations

from typing import Final

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS: Final = {letter: digit for digit, letter in enumerate(_ALPHABET)}


def from_base58(text: str) -> bytes:
    """Return the bytes of a text; a leading 1 is a leading zero byte. Raises ValueError for what is no digit."""
    number = 0
    for letter in text:
        digit = _DIGITS.get(letter)
        if digit is None:
            raise ValueError(f"no base58 digit: {letter!r}")
        number = number * len(_ALPHABET) + digit
    zeros = len(text) - len(text.lstrip(_ALPHABET[0]))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
