"""Checks that contract, receipt and statements share: what is wrong is a TermsError that names the field."""

from __future__ import annotations

from typing import Final

from settlement.errors import TermsError

U16_MAX: Final = (1 << 16) - 1
U32_MAX: Final = (1 << 32) - 1
U64_MAX: Final = (1 << 64) - 1
I64_MAX: Final = (1 << 63) - 1
HASH_BYTES: Final = 32
ZERO: Final = bytes(HASH_BYTES)


def check_number(field: str, value: object, lowest: int, highest: int) -> None:
    """Raise TermsError unless `value` is a whole number (no bool, no float) from `lowest` to `highest`."""
    if type(value) is not int:
        raise TermsError(field, f"{value!r} is not a whole number")
    if not lowest <= value <= highest:
        raise TermsError(field, f"{value} is not within {lowest} and {highest}")


def check_bytes(field: str, value: object, *, may_be_zero: bool = False) -> None:
    """Raise TermsError unless `value` is 32 immutable bytes; all zero means nobody, which most fields may not say."""
    if type(value) is not bytes:
        raise TermsError(field, f"{type(value).__name__} where bytes belong")
    if len(value) != HASH_BYTES:
        raise TermsError(field, f"{len(value)} bytes, not {HASH_BYTES}")
    if not may_be_zero and value == ZERO:
        raise TermsError(field, "all zero, which is nobody")
