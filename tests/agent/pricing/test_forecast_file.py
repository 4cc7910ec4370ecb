from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.pricing import SLOT_MS, ForecastError, PriceList, parse_prices

MELBOURNE = "Australia/Melbourne"


def parse(text: str, zone: str = "UTC") -> PriceList:
    return parse_prices(text.encode(), name="prices.csv", zone=zone)


def utc_slot(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1_000) // SLOT_MS


def test_lines_are_half_hours_with_or_without_an_offset() -> None:
    text = (
        "start,c_per_kwh\n# tomorrow\n\n2026-07-01T17:30:00+10:00,12.5\n2026-07-01T08:00Z,-1\n2026-07-01T08:30,0.005\n"
    )
    first = utc_slot("2026-07-01T07:30+00:00")
    assert parse(text).prices == ((first, 125_000), (first + 1, -10_000), (first + 2, 50))


def test_a_line_without_a_price_is_a_hole() -> None:
    first = utc_slot("2026-07-01T00:00Z")
    assert parse("2026-07-01T00:00,1\n2026-07-01T00:30,\n2026-07-01T01:00,2").prices == (
        (first, 10_000),
        (first + 2, 20_000),
    )


def test_wall_clock_times_that_come_twice_are_taken_in_their_order() -> None:
    text = "\n".join(
        f"2026-04-05T{time},{price}" for price, time in enumerate(("02:00", "02:30", "02:00", "02:30", "03:00"))
    )
    found = parse(text, MELBOURNE).prices
    first = int(datetime(2026, 4, 5, 2, tzinfo=ZoneInfo(MELBOURNE)).timestamp() * 1_000) // SLOT_MS
    assert found == tuple((first + place, place * 10_000) for place in range(5))


def test_a_wall_clock_time_that_is_skipped_is_refused() -> None:
    with pytest.raises(ForecastError, match=r"prices.csv:2: 2026-10-04T02:00 is a time that the clocks of Aus.* skip"):
        parse("2026-10-04T01:30,1\n2026-10-04T02:00,1", MELBOURNE)
    assert len(parse("2026-10-04T01:30,1\n2026-10-04T03:00,1", MELBOURNE).prices) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-07-01T00:00", "prices.csv:1: .* is not start,c_per_kwh"),
        ("today,5", "prices.csv:1: 'today' is not a time"),
        ("2026-07-01T00:10,5", "prices.csv:1: .* is not the beginning of a half hour"),
        ("2026-07-01T00:00,five", "prices.csv:1: 'five' is not a price"),
        ("2026-07-01T00:00,nan", "prices.csv:1: nan c/kWh; allowed"),
        ("2026-07-01T00:00,1e9", "prices.csv:1: 1e9 c/kWh; allowed"),
        ("2026-07-01T00:30,1\n2026-07-01T00:00,1", "prices.csv:2: .* does not come after"),
        ("2026-07-01T00:30,1\n2026-07-01T00:30,1", "prices.csv:2: .* does not come after"),
        ("", "names no price"),
        ("2026-07-01T00:00,", "names no price"),
        ("9999-12-31T23:30+00:00,1\n0001-01-01T00:00+14:00,1", "prices.csv:2: "),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(text: str, told: str) -> None:
    with pytest.raises(ForecastError, match=told):
        parse(text)


def test_a_year_that_no_clock_of_the_zone_can_show_is_refused() -> None:
    with pytest.raises(ForecastError, match=r"prices.csv:1: "):
        parse("0001-01-01T00:00,1", MELBOURNE)


def test_what_is_too_large_or_no_text_is_refused() -> None:
    with pytest.raises(ForecastError, match="too large"):
        parse_prices(b"#" * ((1 << 20) + 1), name="prices.csv")
    with pytest.raises(ForecastError, match="not UTF-8"):
        parse_prices(b"\xff", name="prices.csv")
    first = utc_slot("2020-01-01T00:00Z")
    with pytest.raises(ForecastError, match="too many half hours"):
        parse("\n".join(_line(first + n) for n in range(10_001)))


def _line(slot: int) -> str:
    return f"{datetime.fromtimestamp(slot * SLOT_MS / 1_000, tz=ZoneInfo('UTC')).isoformat()},1"


@given(st.binary(max_size=200))
def test_anything_is_read_or_refused(data: bytes) -> None:
    for zone in ("UTC", MELBOURNE):
        try:
            assert parse_prices(data, name="prices.csv", zone=zone).prices
        except ForecastError as error:
            assert str(error).startswith("prices.csv")  # noqa: PT017 - either is right


@given(st.text(st.sampled_from("0123456789-T:,+.Z\n"), max_size=80))
def test_anything_that_looks_like_it_is_read_or_refused(text: str) -> None:
    for zone in ("UTC", MELBOURNE):
        try:
            assert parse(text, zone).prices
        except ForecastError as error:
            assert str(error).startswith("prices.csv")  # noqa: PT017 - either is right
