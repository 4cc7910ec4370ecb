"""Values of studies: drawn per buyer and lot, so that a further buyer shifts nobody's."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import StudyError
from market.values import values_of

DECLARED: dict[str, dict[str, Any]] = {
    "uniform": {"kind": "uniform", "low_e4": 100_000, "high_e4": 900_000},
    "normal": {"kind": "normal", "mean_e4": 500_000, "sd_e4": 30_000},
    "truncnorm": {"kind": "truncnorm", "mean_e4": 0, "sd_e4": 100_000, "low_e4": 0, "high_e4": 400_000},
    "triangular": {"kind": "triangular", "low_e4": 0, "mode_e4": 300_000, "high_e4": 600_000},
    "table": {"kind": "table", "values_e4": [100_000, 200_050, 700_000]},
}
MEANS_AND_SDS = {
    "uniform": (500_000, 800_000 / math.sqrt(12)),
    "normal": (500_000, 30_000),
    "triangular": (300_000, math.sqrt((600_000**2 + 300_000**2 - 600_000 * 300_000) / 18)),
    "truncnorm": (79_765, 60_218),  # half a normal, cut at four standard deviations
}


@pytest.mark.parametrize("kind", list(DECLARED))
@given(seed=st.integers(0, 2**63 - 1), lot=st.integers(0, 10**7), n=st.integers(2, 64))
def test_a_further_buyer_shifts_nobodys_value(kind: str, seed: int, lot: int, n: int) -> None:
    values_e4 = values_of(DECLARED[kind], n).of_lot(seed, lot, n)
    assert len(values_e4) == n
    assert all(value % 100 == 0 for value in values_e4)
    assert values_of(DECLARED[kind], n - 1).of_lot(seed, lot, n - 1) == values_e4[:-1]


@pytest.mark.parametrize("kind", list(MEANS_AND_SDS))
def test_values_follow_their_distribution(kind: str) -> None:
    drawn = [value for lot in range(2_000) for value in values_of(DECLARED[kind], 5).of_lot(1, lot, 5)]
    mean, sd = MEANS_AND_SDS[kind]
    seen = sum(drawn) / len(drawn)
    spread = math.sqrt(sum((value - seen) ** 2 for value in drawn) / len(drawn))
    assert abs(seen + 50 - mean) < 5 * sd / 100  # the grid floors by half a tick
    assert abs(spread / sd - 1) < 0.05


def test_a_table_is_drawn_from_or_read_row_by_row() -> None:
    assert {*values_of(DECLARED["table"], 50).of_lot(1, 0, 50)} == {100_000, 200_000, 700_000}
    rows = values_of({"kind": "table", "rows": [[100_050, 200_000, 5], [-150, 400_000.5, 7]]}, 2)
    assert [rows.of_lot(9, lot, 2) for lot in range(3)] == [[100_000, 200_000], [-200, 400_000], [100_000, 200_000]]


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        ("values", None),
        ("values", ["uniform"]),
        ("values", {"kind": "uniform", "low_e4": 0, "high_e4": 1e13}),
        ("values", {"kind": "normal", "mean_e4": 0, "sd_e4": 1e12}),
        ("values.kind", {"kind": None}),
        ("values.kind", {"kind": "table "}),
        ("values.low_e4", {"kind": "uniform", "low_e4": math.nan, "high_e4": 1}),
        ("values.high_e4", {"kind": "uniform", "low_e4": 0, "high_e4": 10**400}),
        ("values.high_e4", {"kind": "uniform", "low_e4": 0, "high_e4": True}),
        ("values.sd_e4", {"kind": "normal", "mean_e4": 0, "sd_e4": -1}),
        ("values.low_e4", {"kind": "truncnorm", "mean_e4": 0, "sd_e4": 1, "low_e4": 90, "high_e4": 99}),
        ("values.rows", {"kind": "table", "rows": []}),
        ("values.rows", {"kind": "table", "rows": {}}),
        ("values.rows[1]", {"kind": "table", "rows": [[1, 2], [1]]}),
        ("values.rows[0]", {"kind": "table", "rows": [[1, math.nan]]}),
        ("values.rows[0]", {"kind": "table", "rows": [[1, True]]}),
        ("values.rows[0]", {"kind": "table", "rows": [[1, "2"]]}),
        ("values.rows[0]", {"kind": "table", "rows": [5]}),
        ("values.values_e4", {"kind": "table", "rows": [[1, 2]], "values_e4": [1]}),
        ("values.values_e4", {"kind": "table"}),
    ],
)
def test_a_declaration_that_makes_no_sense_names_its_key(key: str, fields: Any) -> None:
    with pytest.raises(StudyError) as caught:
        values_of(fields, 2)
    assert caught.value.key == key
