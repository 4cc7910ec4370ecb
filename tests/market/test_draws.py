"""Draws: each is a hash of what it is for, so that none shifts another."""

from __future__ import annotations

from hashlib import sha256
from statistics import NormalDist

from hypothesis import given
from hypothesis import strategies as st

from market.draws import lot_seed, normal, stream, uniform

NUMBERS = st.integers(0, 2**63 - 1)


@given(seed=NUMBERS, lot=NUMBERS, buyer=st.integers(0, 63), number=st.none() | st.integers(0, 1_000))
def test_a_draw_is_the_hash_of_its_name(seed: int, lot: int, buyer: int, number: int | None) -> None:
    name = f"{seed}:{lot}:{buyer}:value" + ("" if number is None else f":{number}")
    bits = int.from_bytes(sha256(name.encode()).digest()[:8], "big") >> 12
    drawn = uniform(seed, lot, buyer, "value", number)
    assert drawn == (2 * bits + 1) / 2**53
    assert 0 < drawn < 1


def test_draws_are_uniform_and_normal() -> None:
    drawn = [uniform(1, lot, 0, "value") for lot in range(20_000)]
    assert abs(sum(drawn) / len(drawn) - 0.5) < 0.01
    tenths = [sum(k <= 10 * u < k + 1 for u in drawn) for k in range(10)]
    assert all(1_800 < count < 2_200 for count in tenths)
    assert normal(1, 2, 3, "x") == NormalDist().inv_cdf(uniform(1, 2, 3, "x"))


def test_names_do_not_meet() -> None:
    names = {uniform(1, 23, 4, "a"), uniform(12, 3, 4, "a"), uniform(1, 2, 34, "a"), uniform(1, 23, 4, "a", 0)}
    assert len(names) == 4
    assert len({lot_seed(seed, lot) for seed in range(20) for lot in range(20)}) == 400


def test_a_stream_numbers_what_one_buyer_draws() -> None:
    draw = stream(7, 8, 9)
    drawn = [draw("random"), draw("zip-up"), draw("random")]
    assert drawn == [uniform(7, 8, 9, "random", 1), uniform(7, 8, 9, "zip-up", 2), uniform(7, 8, 9, "random", 3)]
