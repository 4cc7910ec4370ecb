"""Registers to numbers and back: widths, word order, sentinels, scale. Pure; exact integer arithmetic.

Bytes inside a register are high byte first on every device; only the order of the words differs. A *raw* number is what
the registers say (signed where the kind is); a *value* is raw x 10^scale factor x scale x sign in the product's unit.
"""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from drivers.errors import RangeError

if TYPE_CHECKING:
    from collections.abc import Sequence

SCALE_FACTOR_LIMIT: Final = 10
"""SunSpec scale factors are powers of ten from -10 to 10; anything else makes the value unusable."""


class Kind(StrEnum):
    """How registers spell a number; `bits` kinds are unsigned and never scaled."""

    U16 = "u16"
    S16 = "s16"
    U32 = "u32"
    S32 = "s32"
    U64 = "u64"
    S64 = "s64"
    ACC32 = "acc32"
    ACC64 = "acc64"
    ENUM16 = "enum16"
    BITS16 = "bits16"
    BITS32 = "bits32"
    SCALE = "sf"
    STRING = "string"


class WordOrder(StrEnum):
    """Which word of a wider number comes first."""

    HIGH_FIRST = "hi-lo"
    LOW_FIRST = "lo-hi"


WORDS: Final = {
    Kind.U16: 1,
    Kind.S16: 1,
    Kind.U32: 2,
    Kind.S32: 2,
    Kind.U64: 4,
    Kind.S64: 4,
    Kind.ACC32: 2,
    Kind.ACC64: 4,
    Kind.ENUM16: 1,
    Kind.BITS16: 1,
    Kind.BITS32: 2,
    Kind.SCALE: 1,
}
_SIGNED: Final = frozenset({Kind.S16, Kind.S32, Kind.S64, Kind.SCALE})


def decode(kind: Kind, order: WordOrder, registers: Sequence[int]) -> int:
    """Return the raw number in `registers`, which are exactly as many as the kind has."""
    words = registers if order is WordOrder.HIGH_FIRST else tuple(reversed(registers))
    number = 0
    for word in words:
        number = number << 16 | word
    bits = 16 * len(words)
    return number - (1 << bits) if kind in _SIGNED and number >> (bits - 1) else number


def decode_text(registers: Sequence[int]) -> str:
    """Return the text in `registers`: up to the first NUL, trimmed, unprintable characters as `?`."""
    data = b"".join(register.to_bytes(2, "big") for register in registers).split(b"\0")[0]
    return "".join(c if c.isprintable() else "?" for c in data.decode("ascii", "replace")).strip()


def encode(kind: Kind, order: WordOrder, raw: int) -> tuple[int, ...]:
    """Return the registers of a raw number; RangeError instead of a wrapped one."""
    bits = 16 * WORDS[kind]
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if kind in _SIGNED else (0, (1 << bits) - 1)
    if not low <= raw <= high:
        raise RangeError(f"{raw} does not fit {kind.value} ({low}..{high})")
    number = raw & ((1 << bits) - 1)
    words = tuple((number >> shift) & 0xFFFF for shift in range(bits - 16, -1, -16))
    return words if order is WordOrder.HIGH_FIRST else words[::-1]


def unsigned(kind: Kind, raw: int) -> int:
    """Return a raw number as its bit pattern, which is how sentinels are written down."""
    return raw & ((1 << (16 * WORDS[kind])) - 1)


def power_of_ten(exponent: int) -> Fraction | None:
    """Return 10^exponent, None for an exponent no scale factor may have."""
    if abs(exponent) > SCALE_FACTOR_LIMIT:
        return None
    return Fraction(10**exponent) if exponent >= 0 else Fraction(1, 10**-exponent)


def toward_zero(value: Fraction) -> int:
    """Return the whole part of `value`: a setpoint never asks for more than was meant."""
    return int(value)
