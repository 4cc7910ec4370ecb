"""`[battery.reserve]` of a site file: what a dynamic reserve becomes, what is refused, and what is doubted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent.config import SiteError, parse_site, site_of
from agent.config_doubts import doubts_of
from agent.pricing import Band, DynamicTerms, FlatTariff, OwnSales, PriceFile, TimeOfUse

if TYPE_CHECKING:
    from pathlib import Path

HEAD = '[site]\nname = "lab"\nlab = true\n[[battery]]\nname = "x"\n'
FLAT = '[battery.reserve.sell]\nkind = "flat"\nc_per_kwh = 20'
FULL = """[battery.reserve]
kind = "dynamic"
floor_c_per_kwh = 8.5
zone = "Australia/Melbourne"
replacement_cost = 10000
throughput_kwh = 37800
markup_max_c_per_kwh = 2.5
charge_power_w = 3000
charge_efficiency_percent = 92.5
end_c_per_kwh = 7
keep_h = 6
fallback_c_per_kwh = 15
[battery.reserve.sell]
kind = "file"
path = "prices.csv"
stale_after_h = 24
[battery.reserve.buy]
kind = "time_of_use"
[[battery.reserve.buy.times]]
from_time = "10:30"
c_per_kwh = -1
[[battery.reserve.buy.times]]
from_time = "15:00"
c_per_kwh = 34
"""


def terms(text: str, path: Path) -> DynamicTerms:
    [battery] = site_of(path, parse_site((HEAD + text).encode(), path)).batteries
    assert isinstance(battery.reserve, DynamicTerms)
    return battery.reserve


def refused(text: str, path: Path) -> str:
    with pytest.raises(SiteError) as error:
        parse_site((HEAD + text).encode(), path)
    return str(error.value).removeprefix(str(path))


def dynamic(more: str = "", sell: str = FLAT) -> str:
    return f'[battery.reserve]\nkind = "dynamic"\nfloor_c_per_kwh = 8\n{more}\n{sell}'


def test_every_key_becomes_a_value(tmp_path: Path) -> None:
    assert terms(FULL, tmp_path / "site.toml") == DynamicTerms(
        floor_e4=85_000,
        sell=PriceFile(str(tmp_path / "prices.csv"), "Australia/Melbourne", 24 * 3_600_000),
        buy=TimeOfUse("Australia/Melbourne", (Band(630, -10_000), Band(900, 340_000))),
        charge_w=3_000,
        charge_permille=925,
        wear_e4=264_600,
        wear_basis="replacement",
        markup_max_e4=25_000,
        terminal_e4=70_000,
        fallback_e4=150_000,
        keep_ms=6 * 3_600_000,
    )


def test_the_defaults_are_those_of_the_value(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    assert terms(dynamic(), path) == DynamicTerms(floor_e4=80_000, sell=FlatTariff(200_000))
    found = terms(dynamic("wear_c_per_kwh = 0", '[battery.reserve.sell]\nkind = "own_sales"'), path)
    assert (found.wear_e4, found.wear_basis, found.sell) == (0, "set", OwnSales())


def test_the_least_price_that_may_be_set_is_a_floor_too(tmp_path: Path) -> None:
    assert terms(f"reserve_min_c = 9\n{dynamic()}", tmp_path / "site.toml").floor_e4 == 90_000
    assert terms(f"reserve_min_c = 7\n{dynamic()}", tmp_path / "site.toml").floor_e4 == 80_000


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f'[battery.reserve]\nkind = "dynamic"\n{FLAT}',
            ":6: battery #1 reserve.floor_c_per_kwh: missing; allowed: 0..100000",
        ),
        (dynamic(sell=""), ":6: battery #1 reserve.sell: missing; allowed: a [battery.reserve.sell] table"),
        (dynamic("tiers = [{from_soc_percent = 1, c_per_kwh = 1}]"), ":9: battery #1 reserve.tiers: beside kind"),
        ("[battery.reserve]\nfloor_c_per_kwh = 8", ":6: battery #1 reserve.tiers: missing; allowed: [[battery.reserve"),
        (
            "[battery.reserve]\ntiers = [{from_soc_percent = 1, c_per_kwh = 1}]\nkeep_h = 8",
            ':8: battery #1 reserve.keep_h: without kind = "dynamic"; allowed: only tiers',
        ),
        (f"reserve_c_per_kwh = 8\n{dynamic()}", ":7: battery #1 reserve: a dynamic reserve beside reserve_c_per_kwh"),
        (
            f"price_cap_c = 5\n{dynamic()}",
            ":9: battery #1 reserve.floor_c_per_kwh: 8 is above price_cap_c; allowed: at",
        ),
        (dynamic('zone = "Mars/Base"'), ":9: battery #1 reserve.zone: time zone 'Mars/Base' is not known to this"),
        (dynamic("wear_c_per_kwh = -1"), ":9: battery #1 reserve.wear_c_per_kwh: -1 is too small; allowed: 0..100000"),
        (
            dynamic("wear_c_per_kwh = 1\nthroughput_kwh = 5"),
            ":9: battery #1 reserve.wear_c_per_kwh: beside throughput_kwh; allowed: either",
        ),
        (
            dynamic("throughput_kwh = 5"),
            ":6: battery #1 reserve.replacement_cost: missing; allowed: replacement_cost and",
        ),
        (dynamic("floor_c = 5"), ':9: battery #1 reserve.floor_c: unknown key, did you mean "floor_c_per_kwh"'),
        (
            dynamic(sell='[battery.reserve.sell]\nkind = "spot"'),
            ':11: battery #1 reserve.sell.kind: "spot" is not allowed; allowed: "flat", "time_of_use"',
        ),
        (
            dynamic(sell='[battery.reserve.sell]\nkind = "flat"'),
            ':10: battery #1 reserve.sell.c_per_kwh: missing while kind = "flat"; allowed: a price',
        ),
        (
            dynamic(sell=f'{FLAT}\npath = "x"'),
            ':13: battery #1 reserve.sell.path: beside kind = "flat"; allowed: only with kind = "file"',
        ),
        (
            dynamic(sell='[battery.reserve.sell]\nkind = "time_of_use"\ntimes = []'),
            ":12: battery #1 reserve.sell.times: 0 of them; allowed: 1..48 tables",
        ),
        (
            dynamic(
                sell='[battery.reserve.sell]\nkind = "time_of_use"\ntimes = [{from_time = "24:00", c_per_kwh = 1}]'
            ),
            ':12: battery #1 reserve.sell.times #1 from_time: "24:00" is not allowed; allowed: "HH:00" or "HH:30"',
        ),
        (
            dynamic(
                sell='[battery.reserve.sell]\nkind = "time_of_use"\n'
                + '[[battery.reserve.sell.times]]\nfrom_time = "01:00"\nc_per_kwh = 1\n' * 2
            ),
            ':16: battery #1 reserve.sell.times #2 from_time: "01:00" stands there twice; allowed: one price for each',
        ),
        (
            dynamic(sell=f'{FLAT}\n[battery.reserve.buy]\nkind = "own_sales"'),
            ":14: battery #1 reserve.buy.kind: own sales do not tell what charging costs",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_line_and_key(text: str, told: str, tmp_path: Path) -> None:
    assert refused(text, tmp_path / "site.toml").startswith(told)


def doubts(text: str, path: Path) -> list[str]:
    return [doubt.removeprefix("battery #1 reserve.") for doubt in doubts_of(parse_site((HEAD + text).encode(), path))]


def test_what_is_assumed_or_surely_not_meant_is_doubted(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    assert doubts(dynamic("wear_c_per_kwh = 5"), path) == []
    [assumed] = doubts(dynamic(), path)
    assert assumed.startswith("wear_c_per_kwh: 5.00 c/kWh is assumed")
    assert doubts(dynamic("wear_c_per_kwh = 0"), path) == ["wear_c_per_kwh: 0: the battery is worn for nothing"]
    [high] = doubts(dynamic("replacement_cost = 10000\nthroughput_kwh = 37800"), path)
    assert high.startswith("replacement_cost: 26.46 c/kWh of wear is more than most evenings pay")
    [idle] = doubts(dynamic("wear_c_per_kwh = 5\ncharge_power_w = 9"), path)
    assert idle == "charge_power_w: nothing is charged without [battery.reserve.buy]"
    [sealed] = doubts(f'rule = "sealed_first"\n{dynamic("wear_c_per_kwh = 5")}', path)
    assert sealed.startswith("markup_max_c_per_kwh: no mark-up is learned under sealed_first")


def test_a_forecast_path_that_is_no_file_is_doubted_at_once(tmp_path: Path) -> None:
    text = dynamic("wear_c_per_kwh = 5", '[battery.reserve.sell]\nkind = "file"\npath = "pipe"')
    os.mkfifo(tmp_path / "pipe")
    told, _ = doubts(text, tmp_path / "site.toml")
    assert (
        told == f"sell.path: {tmp_path / 'pipe'} is not a regular file (a pipe, a device or a folder); allowed: a file"
    )
    endless, _ = doubts(text.replace('"pipe"', '"/dev/zero"'), tmp_path / "site.toml")
    assert endless.startswith("sell.path: /dev/zero is not a regular file")


def test_a_floor_at_the_price_cap_is_doubted(tmp_path: Path) -> None:
    text = f"price_cap_c = 8\n{dynamic('wear_c_per_kwh = 5')}"
    assert doubts(text, tmp_path / "site.toml") == [
        "floor_c_per_kwh: 8 is price_cap_c: no bid can be better than the reserve"
    ]


def test_own_sales_get_no_markup_unless_it_is_said(tmp_path: Path) -> None:
    path, sell = tmp_path / "site.toml", '[battery.reserve.sell]\nkind = "own_sales"'
    assert terms(dynamic(sell=sell), path).markup_max_e4 == 0
    said = dynamic("markup_max_c_per_kwh = 2\nwear_c_per_kwh = 5\nfallback_c_per_kwh = 12", sell)
    assert terms(said, path).markup_max_e4 == 20_000
    [raised] = doubts(said, path)
    assert raised == "markup_max_c_per_kwh: own sales hold the mark-up already: cost and reserve raise each other"


def test_a_forecast_file_that_cannot_be_used_is_doubted(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    text = dynamic("wear_c_per_kwh = 5", '[battery.reserve.sell]\nkind = "file"\npath = "prices.csv"')
    missing, unsaid = doubts(text, path)
    assert missing == f"sell.path: {tmp_path / 'prices.csv'} cannot be read (No such file or directory)"
    assert unsaid == "fallback_c_per_kwh: 0.00: while no forecast speaks, the reserve is the floor"
    (tmp_path / "prices.csv").write_text("2026-07-01T00:00,1\n2026-07-01T00:10,1\n")
    [wrong] = doubts(text.replace("wear_c", "fallback_c_per_kwh = 20\nwear_c"), path)
    assert wrong.startswith(f"sell.path: {tmp_path / 'prices.csv'}:2: 2026-07-01T00:10 is not the beginning of a half")
    (tmp_path / "prices.csv").write_text("2026-07-01T00:00,1\n")
    assert doubts(text.replace("wear_c", "fallback_c_per_kwh = 20\nwear_c"), path) == []
