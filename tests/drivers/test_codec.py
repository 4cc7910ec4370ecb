"""Registers to numbers and back."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.codec import WORDS, Kind, WordOrder, decode, decode_text, encode, power_of_ten, toward_zero, unsigned
from drivers.errors import RangeError

KINDS = st.sampled_from(list(WORDS))
ORDERS = st.sampled_from(list(WordOrder))


@given(KINDS, ORDERS, st.data())
def test_every_register_pattern_comes_back(kind: Kind, order: WordOrder, data: st.DataObject) -> None:
    registers = tuple(data.draw(st.lists(st.integers(0, 65_535), min_size=WORDS[kind], max_size=WORDS[kind])))
    assert encode(kind, order, decode(kind, order, registers)) == registers


@given(KINDS, ORDERS, st.integers(-(2**70), 2**70))
def test_a_number_fits_or_is_refused(kind: Kind, order: WordOrder, raw: int) -> None:
    try:
        registers = encode(kind, order, raw)
    except RangeError:
        bits = 16 * WORDS[kind]
        assert raw < 0 or raw >= 1 << (bits - 1)
    else:
        assert decode(kind, order, registers) == raw


@pytest.mark.parametrize(
    ("kind", "order", "registers", "raw"),
    [
        (Kind.S16, WordOrder.HIGH_FIRST, (0xFFFF,), -1),
        (Kind.S16, WordOrder.HIGH_FIRST, (0x8000,), -32_768),
        (Kind.U16, WordOrder.HIGH_FIRST, (0xFFFF,), 65_535),
        (Kind.S32, WordOrder.HIGH_FIRST, (0xFFFF, 0xF448), -3_000),
        (Kind.S32, WordOrder.LOW_FIRST, (0xF448, 0xFFFF), -3_000),
        (Kind.U32, WordOrder.HIGH_FIRST, (1, 2), 65_538),
        (Kind.U64, WordOrder.HIGH_FIRST, (0, 0, 1, 2), 65_538),
        (Kind.SCALE, WordOrder.HIGH_FIRST, (0xFFFE,), -2),
    ],
)
def test_known_numbers(kind: Kind, order: WordOrder, registers: tuple[int, ...], raw: int) -> None:
    assert decode(kind, order, registers) == raw


def test_text_ends_at_nul_and_shows_no_control_characters() -> None:
    assert decode_text((0x4162, 0x6300, 0x7A7A)) == "Abc"
    assert decode_text((0x2041, 0x0742)) == "A?B"
    assert decode_text((0, 0)) == ""


def test_sentinels_are_written_as_bit_patterns() -> None:
    assert unsigned(Kind.S16, -32_768) == 0x8000
    assert unsigned(Kind.U32, 7) == 7


def test_scale_factors_beyond_ten_are_unusable() -> None:
    assert power_of_ten(-2) == Fraction(1, 100)
    assert power_of_ten(10) == 10**10
    assert power_of_ten(11) is None
    assert power_of_ten(-11) is None


def test_a_setpoint_is_cut_toward_zero() -> None:
    assert toward_zero(Fraction(-19, 10)) == -1
    assert toward_zero(Fraction(19, 10)) == 1
