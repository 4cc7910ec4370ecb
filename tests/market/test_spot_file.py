"""The statistics file: the bundled one is read whole, a wrong one is refused by file and key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from market.errors import DataError
from market.spot import SpotModel
from market.spot_figures import REAL
from market.spot_file import BUNDLED, read_tables

if TYPE_CHECKING:
    from pathlib import Path

BODY = json.loads(BUNDLED.read_text())


def changed(tmp_path: Path, body: Any) -> Path:
    path = tmp_path / "statistics.json"
    path.write_text(json.dumps(body))
    return path


def test_the_bundled_file_is_read_whole() -> None:
    tables = read_tables(BUNDLED)
    assert tables.description == BODY["description"]
    assert "AEMO" in tables.description
    assert tables.quantiles["winter"][17][4] == 16.29
    assert tables.hazard["summer"][18] == 0.00929
    assert (tables.stay, tables.fast_weight, tables.fast_hours, tables.slow_hours) == (0.6491, 0.5569, 4.824, 156.97)
    assert SpotModel.load() == SpotModel(tables)


def test_the_real_figures_are_those_of_the_file() -> None:
    real = read_tables(BUNDLED).real
    assert [real[name] for name in ("mean", "median", "p5", "p95", "pct_negative", "pct_above_30c")] == [
        REAL.mean_c,
        REAL.median_c,
        REAL.p5_c,
        REAL.p95_c,
        REAL.negative_pct,
        REAL.above_30c_pct,
    ]


def test_another_file_makes_another_model(tmp_path: Path) -> None:
    path = changed(tmp_path, BODY | {"spike_stay_prob": 0.1})
    assert SpotModel.load(path).tables.stay == 0.1


@pytest.mark.parametrize("key", sorted(BODY))
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    path = changed(tmp_path, {name: value for name, value in BODY.items() if name != key})
    with pytest.raises(DataError, match=f"^{path}: {key}: is missing$"):
        SpotModel.load(path)


def rows(season: str, hour: int, row: Any) -> dict[str, Any]:
    table = [*BODY["quantiles"][season]]
    table[hour] = row
    return {"quantiles": BODY["quantiles"] | {season: table}}


def hazards(season: str, values: Any) -> dict[str, Any]:
    return {"spike_hazard_per_halfhour": BODY["spike_hazard_per_halfhour"] | {season: values}}


ROW = BODY["quantiles"]["winter"][3]
LEVELS = BODY["quantile_levels"]
SIZES = BODY["spike_size_c"]
WRONG = [
    ({"description": ""}, "description: must be a text"),
    ({"quantile_levels": [0.5]}, "quantile_levels: must be two or more probabilities that rise"),
    ({"quantile_levels": [*LEVELS[:-1], 0.5]}, "quantile_levels: must be two or more probabilities that rise"),
    ({"quantile_levels": [*LEVELS[:-1], 1]}, "quantile_levels[8]: 1 is out of range: above 0, at most 0.9999"),
    ({"quantile_levels": 3}, "quantile_levels: must be a list"),
    (rows("winter", 3, ROW[:-1]), "quantiles.winter[3]: must be a list of 9 values"),
    (rows("summer", 23, [*ROW[:-1], 30.5]), "quantiles.summer[23]: 30.5 is out of range: at least -100, at most 30"),
    (rows("summer", 0, [-101, *ROW[1:]]), "quantiles.summer[0]: -101 is out of range"),
    (rows("winter", 7, ROW[::-1]), "quantiles.winter[7]: quantiles must not fall"),
    (rows("winter", 7, [*ROW[:-1], "9"]), "quantiles.winter[7]: must be a number, not '9'"),
    (rows("winter", 7, [*ROW[:-1], float("nan")]), "quantiles.winter[7]: must be a number, not nan"),
    (rows("winter", 7, [*ROW[:-1], True]), "quantiles.winter[7]: must be a number, not True"),
    ({"quantiles": {"winter": BODY["quantiles"]["winter"]}}, "quantiles: must be an object with winter and summer"),
    ({"quantiles": BODY["quantiles"] | {"summer": [ROW] * 23}}, "quantiles.summer: must be a list of 24 values"),
    (hazards("winter", [0.1] * 23 + [-0.1]), "spike_hazard_per_halfhour.winter[23]: -0.1 is out of range"),
    (hazards("summer", [1.01] * 24), "spike_hazard_per_halfhour.summer[0]: 1.01 is out of range"),
    ({"spike_stay_prob": 1}, "spike_stay_prob: 1 is out of range: at least 0, at most 0.99"),
    ({"spike_size_c": SIZES[:-1]}, "spike_size_c: must be a list of 8 values"),
    ({"spike_size_c": [29.0, *SIZES[1:]]}, "spike_size_c: 29.0 is out of range: above 30, at most 1660"),
    ({"spike_size_c": [*SIZES[:-1], 1700]}, "spike_size_c: 1700 is out of range"),
    ({"spike_size_c": [*SIZES[:-1], 31]}, "spike_size_c: sizes must rise"),
    ({"w_fast": 1.2}, "w_fast: 1.2 is out of range"),
    ({"w_fast": None}, "w_fast: must be a number, not None"),
    ({"tau_fast_h": 0}, "tau_fast_h: 0 is out of range: above 0, at most 200"),
    ({"tau_slow_h": 201}, "tau_slow_h: 201 is out of range"),
    ({"cap": float("inf")}, "cap: must be a number, not inf"),
    ({"check": {"columns": ["mean"]}}, "check: must be an object with columns and actual"),
    ({"check": {"columns": ["mean", "mean"], "actual": [1, 2]}}, "check.columns: must be names, each once"),
    ({"check": {"columns": [1], "actual": [1]}}, "check.columns: must be names, each once"),
    ({"check": {"columns": ["mean"], "actual": [1, 2]}}, "check.actual: must be a list of 1 values"),
    ({"check": {"columns": ["mean"], "actual": ["x"]}}, "check.actual[0]: must be a number, not 'x'"),
    ({"notes": "x"}, "notes: is unknown; known are cap, check, description"),
]


@pytest.mark.parametrize(("change", "told"), WRONG, ids=[told for _, told in WRONG])
def test_an_impossible_value_is_named_by_file_and_key(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    path = changed(tmp_path, BODY | change)
    with pytest.raises(DataError) as caught:
        SpotModel.load(path)
    assert str(caught.value).startswith(f"{path}: {told}")


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "is not JSON"),
        (b'{"cap": 1,', "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "must be a JSON object"),
        (b'{"cap": 1, "cap": 2}', "cap: stands there twice"),
        (b" " * 1_000_001, "larger than 1000000 bytes"),
    ],
)
def test_what_is_no_statistics_file_is_refused(tmp_path: Path, raw: bytes, told: str) -> None:
    path = tmp_path / "statistics.json"
    path.write_bytes(raw)
    with pytest.raises(DataError) as caught:
        SpotModel.load(path)
    assert str(caught.value).startswith(f"{path}: {told}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    with pytest.raises(DataError, match=f"^{path}: cannot be read: No such file or directory$"):
        SpotModel.load(path)
