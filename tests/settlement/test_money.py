"""Money: the same number as the program's u64 arithmetic, to the base unit."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement import TermsError
from settlement.money import amount_of, fee_of, reserve_of
from settlement.values import U32_MAX, U64_MAX

U32 = st.integers(0, U32_MAX)
RATE = st.integers(1, 10_000_000)


def u64(value: int) -> int:
    """What a u64 holds; anything beyond stops a program that checks."""
    assert 0 <= value <= U64_MAX
    return value


@given(U32, U32, RATE)
def test_the_amount_is_that_of_the_split_in_u64(price_e4: int, energy_wh: int, rate: int) -> None:
    product = u64(price_e4 * energy_wh)
    split = u64(u64(product // 10**7 * rate) + u64(product % 10**7 * rate) // 10**7)
    assert amount_of(price_e4, energy_wh, rate) == split
    exact = Fraction(price_e4, 10**4) * Fraction(energy_wh, 10**3) * rate
    assert exact - 1 < split <= exact


@given(st.integers(0, U64_MAX), st.integers(0, 500))
def test_the_fee_is_that_of_the_split_in_u64(amount: int, bps: int) -> None:
    assert fee_of(amount, bps) == u64(u64(amount // 10**4 * bps) + u64(amount % 10**4 * bps) // 10**4)


@given(U32, st.lists(st.integers(0, 10**6), min_size=2, max_size=5), RATE)
def test_parts_never_cost_more_than_the_whole(price_e4: int, parts: list[int], rate: int) -> None:
    assert sum(amount_of(price_e4, part, rate) for part in parts) <= amount_of(price_e4, sum(parts), rate)


def test_by_hand() -> None:
    assert amount_of(251_300, 2_500, 10_000) == 628_250  # 25.13 c/kWh x 2.5 kWh = 62.825 c of 10,000 units
    assert amount_of(100, 100, 1) == 0  # a thousandth of a cent, and a cent is one unit
    assert fee_of(628_250, 50) == 3_141
    assert reserve_of(628_250, 50) == 631_391


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: amount_of(-1, 1, 1), "price_e4"),
        (lambda: amount_of(1, 1 << 32, 1), "energy_wh"),
        (lambda: amount_of(1, 1, 0), "base_units_per_cent"),
        (lambda: amount_of(1, 1, 10_000_001), "base_units_per_cent"),
        (lambda: fee_of(1 << 64, 1), "amount"),
        (lambda: fee_of(1, 501), "fee_bps"),
        (lambda: reserve_of(U64_MAX, 1), "amount"),
    ],
)
def test_out_of_range(call: object, field: str) -> None:
    assert callable(call)
    with pytest.raises(TermsError) as caught:
        call()
    assert caught.value.field == field
