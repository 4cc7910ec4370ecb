from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement import TermsError, to_base58
from settlement.base58 import decode_base58, from_base58


@given(data=st.binary(min_size=32, max_size=32) | st.integers(0, 31).map(lambda n: bytes(n) + b"\x01" * (32 - n)))
def test_what_is_written_is_read_back(data: bytes) -> None:
    assert from_base58(to_base58(data), field="mint") == data


@given(data=st.binary(max_size=200))
def test_any_length_is_read_back(data: bytes) -> None:
    assert decode_base58(to_base58(data)) == data


def test_there_is_no_letter_0() -> None:
    with pytest.raises(ValueError, match="'0' is no letter of base58"):
        decode_base58("10")


def test_a_signature_has_64_bytes() -> None:
    assert from_base58(to_base58(bytes(range(64))), field="signature", size=64) == bytes(range(64))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "base58 of 0 bytes, not 32"),
        ("1" * 31, "base58 of 31 bytes"),
        ("1" * 33, "base58 of 33 bytes"),
        ("1" * 32 + "1", "base58 of 33 bytes"),
        ("z" * 44, "base58 of 33 bytes"),
        ("O" + "1" * 31, "'O' is no letter of base58"),
        ("é" * 32, "'é' is no letter of base58"),
        (" " + "1" * 32, "' ' is no letter"),
        ("1" * 65, "65 characters"),
    ],
)
def test_anything_else_is_refused_by_name(text: str, problem: str) -> None:
    with pytest.raises(TermsError, match=problem) as caught:
        from_base58(text, field="program_id")
    assert caught.value.field == "program_id"


@given(text=st.text(max_size=70))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        data = from_base58(text, field="mint")
    except TermsError:
        return
    assert to_base58(data) == text
