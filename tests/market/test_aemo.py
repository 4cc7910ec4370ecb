"""Real prices: AEMO's five-minute rows become half hours, or one line that says where the file is wrong."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from market import aemo
from market.aemo import load_prices
from market.aest import AEST, index_of
from market.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "REGION,SETTLEMENTDATE,TOTALDEMAND,RRP,PERIODTYPE"
BEGIN = datetime(2025, 2, 1, tzinfo=AEST)


def row(number: int, rrp: object = "50", *, region: str = "VIC1", kind: str = "TRADE") -> str:
    """Return the row of the five minutes that end `number` times five minutes after the beginning of the month."""
    return f"{region},{BEGIN + timedelta(minutes=5 * number):%Y/%m/%d %H:%M:%S},4664.45,{rrp},{kind}"


def file(tmp_path: Path, *rows: str, name: str = "month.csv", head: str = HEAD) -> Path:
    path = tmp_path / name
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def refused(*paths: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_prices(paths)
    return str(caught.value)


def test_six_rows_are_a_half_hour_that_begins_before_the_first_of_them_ends(tmp_path: Path) -> None:
    rows = ["65.08", "64.47", "65.04", "65.19", "65.09", "64.31", "-19.99", "-21", "-21", "-26.79", "-27.94", "-27.98"]
    prices = load_prices([file(tmp_path, *(row(k, rrp) for k, rrp in enumerate(rows, 1)))])
    assert prices.region == "VIC1"
    assert prices.first == index_of(BEGIN)
    assert prices.prices_e4 == (64_900, -24_100)  # means 64.8633.. and -24.1166.. $/MWh, on ticks of 0.1 $/MWh


@pytest.mark.parametrize(
    ("rrp", "price_e4"),
    [
        ("10", 10_000),
        ("20300", 20_300_000),
        ("-1000", -1_000_000),
        ("0", 0),
        ("-0.05", 0),
        ("0.15", 200),
        ("1E2", 10**5),
    ],
)
def test_ten_dollars_a_megawatt_hour_are_one_cent(tmp_path: Path, rrp: str, price_e4: int) -> None:
    assert load_prices([file(tmp_path, *(row(k, rrp) for k in range(1, 7)))]).prices_e4 == (price_e4,)


def test_months_follow_on_each_other(tmp_path: Path) -> None:
    early = file(tmp_path, *(row(k) for k in range(1, 13)), name="early.csv")
    late = file(tmp_path, *(row(k, 70) for k in range(13, 19)), name="late.csv")
    assert load_prices([early, late]).prices_e4 == (50_000, 50_000, 70_000)
    assert "late.csv:2" not in refused(late, early)
    assert f"{early}:2: 2025/02/01 00:05:00 after 2025/02/01 01:30:00: rows must be in order of time" in refused(
        late, early
    )
    assert f"{early}:2: 2025/02/01 00:05:00 stands there twice, first at {early}:2" in refused(early, early)


def test_a_mark_of_the_byte_order_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "month.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([HEAD, *(row(k) for k in range(1, 7)), ""]).encode())
    assert load_prices([path]).prices_e4 == (50_000,)


def test_a_hole_is_reported_with_the_line_after_it(tmp_path: Path) -> None:
    path = file(tmp_path, *(row(k) for k in range(1, 19) if k not in {8, 9, 15}))
    assert refused(path) == (
        f"{path}:9: a hole before it: 2 missing, from 2025/02/01 00:40:00 on; "
        f"{path}:14: a hole before it: 1 missing, from 2025/02/01 01:15:00 on"
    )


def test_a_row_that_stands_there_twice_is_reported_with_both_lines(tmp_path: Path) -> None:
    numbers = [1, 2, 3, 2, 4, 5, 6, 6]
    path = file(tmp_path, *(row(k) for k in numbers))
    assert refused(path) == (
        f"{path}:5: 2025/02/01 00:10:00 stands there twice, first at {path}:3; "
        f"{path}:9: 2025/02/01 00:30:00 stands there twice, first at {path}:8"
    )


def test_a_late_row_is_out_of_order_and_leaves_its_hole(tmp_path: Path) -> None:
    path = file(tmp_path, *(row(k) for k in (1, 2, 4, 3, 5, 6)))
    assert refused(path) == (
        f"{path}:4: a hole before it: 1 missing, from 2025/02/01 00:15:00 on; "
        f"{path}:5: 2025/02/01 00:15:00 after 2025/02/01 00:20:00: rows must be in order of time"
    )


def test_three_faults_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    path = file(tmp_path, *(row(k) for k in range(1, 61) if k % 10))
    told = refused(path)
    assert told.count("a hole before it") == 3
    assert told.endswith("; and 3 more")  # two more holes, and the end within a half hour


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        (range(2, 7), "month.csv:2: the series begins within a half hour, at 2025/02/01 00:05:00"),
        (range(1, 6), "month.csv:6: the series ends within a half hour, at 2025/02/01 00:25:00"),
        (range(0), "no row of prices in the files"),
    ],
)
def test_a_part_of_a_half_hour_has_no_price(tmp_path: Path, numbers: range, told: str) -> None:
    assert refused(file(tmp_path, *(row(k) for k in numbers))).endswith(told)


def test_another_region_is_not_mixed_in(tmp_path: Path) -> None:
    path = file(tmp_path, *(row(k) for k in range(1, 7)), row(7, region="NSW1"))
    assert refused(path) == f"{path}:8: region NSW1 among rows of VIC1"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (row(2, kind="PREDISPATCH"), "PERIODTYPE 'PREDISPATCH': only TRADE rows are prices that were paid"),
        (row(2, "abc"), "RRP 'abc': must be a price in $/MWh"),
        (row(2, ""), "RRP '': must be a price in $/MWh"),
        (row(2, "NaN"), "RRP 'NaN': must be a price in $/MWh"),
        (row(2, "1_0"), "RRP '1_0': must be a price in $/MWh"),
        (row(2, "-1000.01"), "RRP '-1000.01': must be from -1000 to 50000 $/MWh"),
        (row(2, "1E99"), "RRP '1E99': must be from -1000 to 50000 $/MWh"),
        (row(2, region=" "), "REGION is empty"),
        ("VIC1,2025/02/01 00:10:00,1,2", "4 cells; a row has 5: REGION,SETTLEMENTDATE,TOTALDEMAND,RRP,PERIODTYPE"),
        ("", "0 cells; a row has 5"),
        ("VIC1,2025-02-01T00:10,1,2,TRADE", "SETTLEMENTDATE '2025-02-01T00:10': must be like 2025/01/31 17:35:00"),
        ("VIC1,2025/02/30 00:10:00,1,2,TRADE", "SETTLEMENTDATE '2025/02/30 00:10:00': must be like"),
        ("VIC1,2025/02/01 00:11:00,1,2,TRADE", "must be the end of five minutes"),
        ("VIC1,2025/02/01 00:10:30,1,2,TRADE", "must be the end of five minutes"),
        ("VIC1,0001/01/01 00:00:00,1,2,TRADE", "the year must be from 1998 to 2199"),
        ("VIC1,9999/12/31 23:55:00,1,2,TRADE", "the year must be from 1998 to 2199"),
        ("x" * 1_001, "a line of more than 1000 characters"),
    ],
)
def test_a_row_that_is_none_is_named_by_its_line(tmp_path: Path, line: str, told: str) -> None:
    path = file(tmp_path, row(1), line, *(row(k) for k in range(3, 7)))
    assert refused(path).startswith(f"{path}:3: ")
    assert told in refused(path)


@pytest.mark.parametrize("head", ["", "REGION,SETTLEMENTDATE,RRP", HEAD + ",EXTRA", row(1)])
def test_other_columns_are_refused(tmp_path: Path, head: str) -> None:
    path = file(tmp_path, row(1), head=head)
    assert refused(path).startswith(f"{path}:1: the columns must be {HEAD}")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.csv") == f"{tmp_path / 'none.csv'}: cannot be read: No such file or directory"
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    assert refused(binary).startswith(f"{binary}: is not a CSV file")
    assert refused(file(tmp_path, '"open')).startswith(f"{tmp_path / 'month.csv'}: is not a CSV file")
    assert refused() == "no row of prices in the files"


def test_a_series_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aemo, "ROWS_MAX", 6)
    path = file(tmp_path, *(row(k) for k in range(1, 8)))
    assert refused(path) == f"{path}:8: more than 6 rows; that is no series of prices"
