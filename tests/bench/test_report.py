from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench.report import Figure, table, to_json, write_json

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("value", "target", "sense", "valid", "ok"),
    [
        (0.5, 0.5, ">=", True, True),
        (0.49, 0.5, ">=", True, False),
        (2.0, 2.0, "<=", True, True),
        (2.01, 2.0, "<=", True, False),
        (9.0, 0.5, ">=", False, False),
        (1.0, None, "<=", True, None),
        (1.0, None, "<=", False, None),
    ],
)
def test_a_figure_knows_whether_its_target_is_met(
    value: float, target: float | None, sense: str, valid: bool, ok: bool | None
) -> None:
    figure = Figure(key="a.b", value=value, target=target, sense=">=" if sense == ">=" else "<=", valid=valid)
    assert figure.ok is ok


FIGURES = (
    Figure(key="server.ratio", value=0.51239, target=0.5, sense=">=", note="busy"),
    Figure(key="server.cpu_us", value=10_500.0, unit="us"),
    Figure(key="disk.p99_ms", value=0.00412, unit="ms", target=0.001),
    Figure(key="server.idle", value=3.0, target=1.0, valid=False),
)


def test_the_json_is_flat_and_each_figure_stands_beside_its_target(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "bench.json"
    write_json(path, FIGURES)
    flat = json.loads(path.read_text())
    assert flat == to_json(FIGURES)
    assert flat["server.ratio"] == 0.5124
    assert (flat["server.ratio.target"], flat["server.ratio.ok"], flat["server.ratio.note"]) == (0.5, True, "busy")
    assert flat["disk.p99_ms.ok"] is False
    assert "server.cpu_us.ok" not in flat
    assert "server.cpu_us.note" not in flat


def test_the_table_has_a_line_for_each_figure_in_equal_columns() -> None:
    lines = table(FIGURES).splitlines()
    assert [line.split()[0] for line in lines] == [figure.key for figure in FIGURES]
    assert lines[0].split() == ["server.ratio", "0.51", ">=", "0.50", "ok", "busy"]
    assert "10,500 us" in lines[1]
    assert lines[2].endswith("MISSED")
    assert lines[3].endswith("NOT VALID")
    assert lines[0].rindex("0.50") + 4 == lines[3].rindex("1.00") + 4
    assert table(()) == ""
