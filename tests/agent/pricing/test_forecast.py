from __future__ import annotations

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from agent.pricing import (
    HORIZON_SLOTS,
    SLOT_MS,
    Band,
    FlatTariff,
    ForecastError,
    PriceFile,
    PriceList,
    SalesHistory,
    TimeOfUse,
)

MELBOURNE = "Australia/Melbourne"
NIGHT_AND_EVENING = TimeOfUse(MELBOURNE, (Band(960, 300_000), Band(1_320, 80_000), Band(120, 70_000)))


def slot_of(wall: str) -> int:
    """Return the half hour that begins when Melbourne's clocks show a time (the first of two)."""
    return int(datetime.fromisoformat(wall).replace(tzinfo=ZoneInfo(MELBOURNE)).timestamp() * 1_000) // SLOT_MS


def prices(table: TimeOfUse, first: int, slots: int = 1) -> tuple[int | None, ...]:
    return table.prices_e4(first, slots, 0)


def test_a_flat_tariff_never_ends() -> None:
    assert FlatTariff(-1_000).prices_e4(17, HORIZON_SLOTS, 0) == (-1_000,) * HORIZON_SLOTS


def test_the_time_of_day_is_the_zones() -> None:
    at = {hour: prices(NIGHT_AND_EVENING, slot_of(f"2026-07-01T{hour:02}:00"))[0] for hour in (1, 2, 15, 16, 22)}
    assert at == {1: 80_000, 2: 70_000, 15: 70_000, 16: 300_000, 22: 80_000}


def test_the_hour_that_comes_twice_has_its_price_twice() -> None:
    first = slot_of("2026-04-05T01:30")  # at 03:00 the clocks go back to 02:00
    assert prices(NIGHT_AND_EVENING, first, 6) == (80_000, *(70_000,) * 5)
    three = TimeOfUse(MELBOURNE, (Band(0, 1_000), Band(150, 2_000), Band(180, 3_000)))
    assert prices(three, first + 1, 5) == (1_000, 2_000, 1_000, 2_000, 3_000)


def test_the_hour_that_is_skipped_never_holds() -> None:
    first = slot_of("2026-10-04T01:30")  # at 02:00 the clocks go on to 03:00
    three = TimeOfUse(MELBOURNE, (Band(0, 1_000), Band(120, 2_000), Band(180, 3_000)))
    assert prices(three, first, 2) == (1_000, 3_000)


def test_every_day_of_a_table_has_as_many_half_hours_as_it_lasts() -> None:
    for day, after, hours in (("04-05", "04-06", 25), ("10-04", "10-05", 23), ("07-01", "07-02", 24)):
        assert slot_of(f"2026-{after}T00:00") - slot_of(f"2026-{day}T00:00") == 2 * hours


@pytest.mark.parametrize(
    ("bands", "zone", "told"),
    [
        ((), "UTC", "times of day"),
        ((Band(0, 1), Band(0, 2)), "UTC", "another time"),
        ((Band(1_440, 1),), "UTC", "23:59"),
        ((Band(0, 1),), "Mars/Olympus", "Mars/Olympus"),
        ((Band(0, 1),), "../etc/passwd", "not known"),
    ],
)
def test_what_is_no_table_of_a_day_is_refused(bands: tuple[Band, ...], zone: str, told: str) -> None:
    with pytest.raises(ForecastError, match=told):
        TimeOfUse(zone, bands)


def test_a_file_of_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ForecastError, match="Nowhere"):
        PriceFile("prices.csv", "Nowhere")


def listed(found: dict[int, int]) -> PriceList:
    return PriceList(tuple(sorted(found.items())), 0, 3_600_000, "prices.csv")


def test_a_list_speaks_as_far_as_it_goes() -> None:
    found = listed({slot: slot * 100 for slot in range(100, 130)})
    assert found.prices_e4(110, HORIZON_SLOTS, 0) == tuple(slot * 100 for slot in range(110, 130))
    assert len(found.prices_e4(105, 20, 0)) == 20


def test_a_short_hole_has_the_dearer_of_its_edges() -> None:
    known = dict.fromkeys(range(100, 106), 100) | dict.fromkeys(range(110, 120), 900)
    assert listed(known).prices_e4(103, HORIZON_SLOTS, 0) == (100,) * 3 + (900,) * 14
    assert listed(known).prices_e4(107, HORIZON_SLOTS, 0) == (900,) * 13  # from within the hole


def test_a_long_hole_ends_the_forecast() -> None:
    known = dict.fromkeys(range(100, 115), 100) | dict.fromkeys(range(120, 140), 900)
    assert listed(known).prices_e4(100, HORIZON_SLOTS, 0) == (100,) * 15
    with pytest.raises(ForecastError, match="covers 0 h"):
        listed(known).prices_e4(116, HORIZON_SLOTS, 0)


def test_a_list_that_begins_later_does_not_speak_for_now() -> None:
    with pytest.raises(ForecastError, match="covers 0 h"):
        listed(dict.fromkeys(range(101, 140), 100)).prices_e4(100, HORIZON_SLOTS, 0)


def test_a_list_that_ends_within_six_hours_or_was_not_renewed_is_stale() -> None:
    found = listed(dict.fromkeys(range(100, 120), 100))
    assert len(found.prices_e4(108, HORIZON_SLOTS, 0)) == 12
    with pytest.raises(ForecastError, match=r"prices.csv: covers 5.5 h"):
        found.prices_e4(109, HORIZON_SLOTS, 0)
    with pytest.raises(ForecastError, match=r"prices.csv: not renewed for 1 h"):
        found.prices_e4(100, HORIZON_SLOTS, 3_600_001)


def test_what_is_no_list_is_refused() -> None:
    with pytest.raises(ForecastError, match="0 half hours"):
        listed({})
    with pytest.raises(ForecastError, match="must rise"):
        PriceList(((2, 1), (1, 1)), 0, 0)


DAY_MS = 86_400_000


def evening(history: SalesHistory, day: int, price_e4: int) -> SalesHistory:
    for half_hour in range(34, 40):
        history = history.with_sale(day * DAY_MS + half_hour * SLOT_MS + 60_000, price_e4)
    return history


def test_own_sales_speak_for_the_half_hours_in_which_something_was_sold() -> None:
    history = evening(SalesHistory(), 20_000, 240_000)
    found = history.prices_e4(20_001 * 48, HORIZON_SLOTS, 20_001 * DAY_MS)
    assert found == ((None,) * 34 + (240_000,) * 6 + (None,) * 8) * 2


def test_own_sales_are_running_means() -> None:
    history = evening(evening(SalesHistory(), 20_000, 160_000), 20_001, 320_000)
    assert history.prices_e4(34, 1, 20_001 * DAY_MS) == (170_000,)


def test_a_half_hour_without_a_sale_in_two_weeks_is_forgotten() -> None:
    history = evening(SalesHistory(), 20_000, 240_000)
    with pytest.raises(ForecastError, match="in 0 half hours of the day"):
        history.prices_e4(0, HORIZON_SLOTS, 20_015 * DAY_MS)
    later = history.with_sale(20_030 * DAY_MS + 34 * SLOT_MS, 100_000)
    assert later.sold[34] == (100_000, 20_030 * 48 + 34)


def test_too_few_sales_say_nothing() -> None:
    history = SalesHistory().with_sale(20_000 * DAY_MS, 100_000)
    with pytest.raises(ForecastError, match="in 1 half hours of the day, at least 4"):
        history.prices_e4(0, HORIZON_SLOTS, 20_000 * DAY_MS)


def test_a_history_survives_as_plain_json() -> None:
    history = evening(SalesHistory(), 20_000, 240_000)
    assert SalesHistory.from_json(json.loads(json.dumps(history.to_json()))) == history
    with pytest.raises(ValueError, match="47 half hours"):
        SalesHistory.from_json(history.to_json()[1:])
