"""Points to read requests."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.codec import Kind, WordOrder
from drivers.declaration import Group, Point
from drivers.places import Block, Layout, Place, PlacedPoint, place
from drivers.planner import covers, plan


def point(name: str, offset: int = 0, *, words: int = 1, sf: int | None = None, **changes: Any) -> Point:
    base: dict[str, Any] = {
        "name": name,
        "section": "s",
        "offset": offset,
        "kind": {1: Kind.U16, 2: Kind.U32, 4: Kind.U64}[words],
        "words": words,
        "order": WordOrder.HIGH_FIRST,
        "group": Group.LIVE,
        "scale": Fraction(1),
        "sign": 1,
        "sf": sf,
        "sentinels": frozenset(),
        "low": None,
        "high": None,
        "live": False,
        "rollover": False,
        "needs": (),
        "unless": (),
        "write": False,
        "optional": False,
        "budget_per_day": None,
    }
    return Point(**{**base, **changes})


def placed(address: int, *, words: int = 1, sf: int | None = None, area: int = 0) -> PlacedPoint:
    return PlacedPoint(point(f"p{address}", words=words), "holding", area, address, sf)


def test_neighbours_share_a_request() -> None:
    points = [placed(100), placed(101, words=2), placed(105)]
    assert plan(points, read_max=125, gap_max=2) == (Block("holding", 100, 6),)


def test_a_wide_gap_starts_a_new_request() -> None:
    points = [placed(100), placed(104)]
    assert plan(points, read_max=125, gap_max=2) == (Block("holding", 100, 1), Block("holding", 104, 1))


def test_no_request_crosses_from_one_model_into_the_next() -> None:
    points = [placed(100, area=90), placed(101, area=101)]
    assert plan(points, read_max=125, gap_max=60) == (Block("holding", 100, 1), Block("holding", 101, 1))


def test_a_scale_factor_comes_with_its_point() -> None:
    points = [placed(10, sf=116), placed(19, words=4, sf=120), placed(3)]
    assert plan(points, read_max=125, gap_max=60) == (Block("holding", 3, 118),)


def test_a_scale_factor_too_far_away_is_read_apart() -> None:
    assert plan([placed(10, sf=200)], read_max=60, gap_max=0) == (Block("holding", 10, 1), Block("holding", 200, 1))


POINTS = st.lists(
    st.builds(
        placed,
        st.integers(0, 600),
        words=st.sampled_from([1, 2, 4]),
        area=st.sampled_from([0, 50]),
        sf=st.none() | st.integers(0, 600),
    ),
    min_size=1,
    max_size=40,
)


@given(POINTS, st.integers(8, 125), st.integers(0, 60))
def test_every_register_is_read_inside_the_limits(points: list[PlacedPoint], read_max: int, gap_max: int) -> None:
    blocks = plan(points, read_max=read_max, gap_max=gap_max)
    for block in blocks:
        assert 1 <= block.words <= read_max
    wanted = {a for p in points for a in (*range(p.address, p.address + p.point.words), p.sf_address) if a is not None}
    read = {a for b in blocks for a in range(b.address, b.address + b.words)}
    assert wanted <= read
    assert all(any(covers(block, p) for block in blocks) for p in points)
    for p in points:
        if p.sf_address is None:
            continue
        span = max(p.address + p.point.words, p.sf_address + 1) - min(p.address, p.sf_address)
        if span <= read_max:
            assert any(covers(b, p) and b.address <= p.sf_address < b.address + b.words for b in blocks)


@pytest.mark.parametrize(
    ("changes", "there"),
    [
        ({}, True),
        ({"section": "other"}, False),
        ({"offset": 20}, False),
        ({"sf": 20}, False),
        ({"sf": 19}, True),
        ({"needs": ("gone",)}, False),
        ({"needs": ("twin",)}, True),
        ({"unless": ("twin",)}, False),
        ({"unless": ("gone",)}, True),
    ],
)
def test_a_point_exists_where_its_section_is_long_enough(changes: dict[str, Any], there: bool) -> None:
    layout = Layout({"s": Place("holding", 100, 20, 100, 20), "twin": Place("holding", 0, 1, 0, 1)})
    found = place(point("s.p", **{"offset": 3, **changes}), layout)
    assert (found is not None) is there
