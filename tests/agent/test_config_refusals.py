"""Site files that cannot be used: refused with one line that says where, what, and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent.config import SiteError, parse_site, site_of

if TYPE_CHECKING:
    from agent.config import Site

KEY = "ab" * 32
PATH = Path("/site/site.toml")
LAB = '[site]\nname = "lab-1"\nlab = true\n'
BATTERY = '[[battery]]\nname = "home"\nreserve_c_per_kwh = 30.25\n'


def site(text: str) -> Site:
    return site_of(PATH, parse_site(text.encode(), PATH))


def refused(text: str) -> str:
    with pytest.raises(SiteError) as caught:
        site(text)
    line = str(caught.value)
    assert line.isprintable()
    return line.removeprefix("/site/site.toml")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ": site: missing; allowed: a [site] table (1 more after it)"),
        (LAB, ": battery: missing; allowed: 1..32 [[battery]] tables"),
        (f"{LAB}battery = []", ":4: site.battery: unknown key; allowed: name, lab, time_lapse"),
        (f"battery = []\n{LAB}", ":1: battery: 0 of them; allowed: 1..32 [[battery]] tables"),
        (f"{LAB}[battery]\nname = 'x'", ":4: battery: a table is not a list of tables; allowed: 1..32 [[battery]]"),
        (f"site = 5\n{BATTERY}", ":1: site: 5 is not a table; allowed: a [site] table"),
        (f"{LAB}{BATTERY}[networks]", ":7: networks: unknown key, did you mean"),
        (f"{LAB}{BATTERY}\nfloor_percnt = 120", ':8: battery #1 floor_percnt: unknown key, did you mean "floor_pe'),
        (f"{LAB}{BATTERY}floor_percent = 100.1", ":7: battery #1 floor_percent: 100.1 is too large; allowed: 0..1"),
        (f"{LAB}{BATTERY}floor_percent = 10.01", ":7: battery #1 floor_percent: 10.01 is not a multiple of 0.1"),
        (f"{LAB}{BATTERY}floor_percent = '20'", ':7: battery #1 floor_percent: "20" is not a number; allowed: 0..'),
        (f"{LAB}{BATTERY}floor_percent = nan", ":7: battery #1 floor_percent: nan is not allowed"),
        (f"{LAB}{BATTERY}floor_percent = true", ":7: battery #1 floor_percent: true is not a number"),
        (f"{LAB}{BATTERY}standing_ms = 401", ":7: battery #1 standing_ms: 401 is too large; allowed: 50..400"),
        (f"{LAB}{BATTERY}standing_ms = 49", ":7: battery #1 standing_ms: 49 is too small; allowed: 50..400"),
        (f"{LAB}{BATTERY}standing_ms = 100.0", ":7: battery #1 standing_ms: 100.0 is not a whole number"),
        (f"{LAB}{BATTERY}standing_ms = 1979-05-27", ":7: battery #1 standing_ms: 1979-05-27 is not a whole number"),
        (f"{LAB}{BATTERY}increment_c = 0.105", ":7: battery #1 increment_c: 0.105 is not a multiple of 0.01; allo"),
        (f"{LAB}{BATTERY}increment_c = 0", ":7: battery #1 increment_c: 0 is too small"),
        (f"{LAB}{BATTERY}price_cap_c = 30", ":6: battery #1 reserve_c_per_kwh: 30.25 is above price_cap_c; allowe"),
        (f"{LAB}{BATTERY}lot_kwh = 50.1", ":7: battery #1 lot_kwh: 50.1 is too large; allowed: 0.1..50"),
        (f"{LAB}{BATTERY}lot_kwh = 1.25", ":7: battery #1 lot_kwh: 1.25 is not a multiple of 0.1"),
        (f"{LAB}{BATTERY}rule = 'dutch'", ':7: battery #1 rule: "dutch" is not allowed; allowed: "standing_bid",'),
        (f"{LAB}{BATTERY}driver = 'modbus'", ':7: battery #1 driver: "modbus" is not allowed; allowed: "sunspec"'),
        (f"{LAB}{BATTERY}address = 'x'", ':7: battery #1 address: "x" is not an endpoint; allowed: "host:port"'),
        (f"{LAB}{BATTERY}address = '{'a' * 64}:502'", f':7: battery #1 address: "{"a" * 60}" is not an endpoint'),
        (f"{LAB}{BATTERY}address = 'a..b:502'", ':7: battery #1 address: "a..b:502" is not an endpoint'),
        (f"{LAB}{BATTERY}address = '127.0.0.1:0'", ":7: battery #1 address:"),
        (f"{LAB}{BATTERY}address = '127.0.0.1:99999999999'", ":7: battery #1 address:"),
        (f"{LAB}{BATTERY}address = '[zz]:502'", ":7: battery #1 address:"),
        (f"{LAB}{BATTERY}address = '::1:502'", ":7: battery #1 address:"),
        (f"{LAB}{BATTERY}port = 65536", ":7: battery #1 port: 65536 is too large; allowed: 0..65535"),
        (f"{LAB}{BATTERY}root_file = \"a\\u0000b\"", ":7: battery #1 root_file: \"a?b\" is not allowed; allowed:"),
        (f"{LAB}{BATTERY}temp_max_c = 0", ":7: battery #1 temp_max_c: 0 is not above temp_min_c; allowed: above 0"),
        (f"{LAB}{BATTERY}min_power_w = 9\nmax_power_w = 8", ":7: battery #1 min_power_w: 9 is above max_power_w"),
        (f"{LAB}[[battery]]\nname = 'x'", ":4: battery #1 reserve_c_per_kwh: missing; allowed: 0..100000 in steps"),
        (f"{LAB}[[battery]]\nname = 'Big House'\nreserve_c_per_kwh = 1", ':5: battery #1 name: "Big House" is not'),
        (f"{LAB}{BATTERY}[[battery.reserve.tiers]]\nfrom_soc_percent = 1\nc_per_kwh = 1", ":7: battery #1 reserve"),
        (f"{LAB}{BATTERY}[battery.reserve]\ntiers = []", ":8: battery #1 reserve.tiers: 0 of them; allowed: 1..16"),
        (f"{LAB}{BATTERY}{BATTERY}unit = 2", ':8: battery #2 name: "home" is already battery #1\'s; allowed: a na'),
        (f"{LAB}port = 1", ":4: site.port: unknown key"),
        (LAB.replace("lab-1", "-lab"), ':2: site.name: "-lab" is not allowed; allowed: 3..40 of a-z'),
        (f"{LAB}state_age_max_ms = 499\n{BATTERY}", ":4: site.state_age_max_ms: 499 is too small; allowed: 500..1"),
        (f"[site]\nname = 'abc'\ntime_lapse = 2\n{BATTERY}", ":3: site.time_lapse: 2 without lab = true; allowed:"),
        (f"[site]\nname = 'abc'\n{BATTERY}", ': network.trusted_peers: missing while peers = "signed"; allowed: "'),
        (f"[site]\nname = 'abc'\n[network]\ntrusted_peers = 'any'\n{BATTERY}rule = 'first_acceptable'", ":8: batt"),
        (f"{LAB}{BATTERY}[limits]\nburst = 0", ":8: limits.burst: limits frames_per_s and burst are switched off"),
        (f"{LAB}{BATTERY}[limits]\nreply_ids = 0", ":8: limits.reply_ids: 0 is too small; allowed: 1..65536"),
        (f"{LAB}{BATTERY}[storage]\ntelemetry = 'journal.db'", ":8: storage.telemetry: the same file as the journ"),
        (f"{LAB}{BATTERY}[control]\nsocket = '{'x' * 120}'", ":8: control.socket: the path has 126 bytes"),
        ("a = ", ":1: is not TOML: Invalid value"),
        ("a = 1\nb = [1,\n", ":3: is not TOML: Invalid value"),
        ("a = 1\na = 2", ":2: is not TOML: Cannot overwrite a value"),
        ("a = " + "9" * 5_000, ": is not TOML: Exceeds the limit"),
        ("a = " + "[" * 5_000, ": is not TOML: nested too deeply"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused_in_one_line(text: str, line: str) -> None:
    assert refused(text).startswith(line)


@pytest.mark.parametrize(
    ("network", "line"),
    [
        ("listen = '192.168.1.5'", ":5: network.listen: 192.168.1.5 is not loopback in a lab"),
        (
            "listen = 'example'",
            ':5: network.listen: "example" is not an IP address; allowed: an IP address or "localhost"',
        ),
        ("interface = '10.0.0.1'", ":5: network.interface: 10.0.0.1 is not loopback in a lab"),
        ("group = '10.0.0.1'", ':5: network.group: "10.0.0.1" is not a multicast address'),
        ("group = 'x'", ':5: network.group: "x" is not an IP address; allowed: a multicast address'),
        ("peers = 'closed'", ':5: network.peers: "closed" is not allowed; allowed: "signed" or "open"'),
        ("peers = 'signed'", ":4: network.trusted_peers: missing"),
        (
            "trusted_peers = 'all'",
            ':5: network.trusted_peers: neither a list of keys nor "any"; allowed: "any", or a list',
        ),
        ("trusted_peers = []", ":5: network.trusted_peers: 0 keys"),
        ("trusted_peers = ['any']", ":5: network.trusted_peers: entry 1 is not a key of 64 hex digits"),
        (f"trusted_peers = ['{KEY}', 5]", ":5: network.trusted_peers: entry 2 is not a key"),
        (f"trusted_peers = ['{KEY}', '{KEY.upper()}']", ":5: network.trusted_peers: a key stands there twice"),
    ],
)
def test_networks_that_are_refused_in_a_lab(network: str, line: str) -> None:
    assert refused(f"{LAB}[network]\n{network}\n{BATTERY}").startswith(line)


def test_open_trading_on_a_network_must_be_asked_for_twice() -> None:
    head = "[site]\nname = 'abc'\n[network]\nlisten = '0.0.0.0'\npeers = 'open'\n"
    assert refused(head + BATTERY).startswith(
        ':5: network.peers: "open" while listening on 0.0.0.0: anybody could trade'
    )
    assert site(f"{head}open_on_network = true\n{BATTERY}").network.peers == "open"
    assert site(f"[site]\nname = 'abc'\n[network]\npeers = 'open'\n{BATTERY}").network.peers == "open"


@pytest.mark.parametrize("address", ["192.168.0.9:502", "inverter:502", "[fe80::1]:502"])
def test_a_lab_talks_to_no_real_device(address: str) -> None:
    assert refused(f"{LAB}{BATTERY}address = '{address}'").startswith(
        f":7: battery #1 address: {address} is not loopback"
    )


@pytest.mark.parametrize("address", ["127.0.0.9:502", "localhost:1", "[::1]:65535"])
def test_a_lab_talks_to_loopback(address: str) -> None:
    assert site(f"{LAB}{BATTERY}address = '{address}'").batteries[0].address == address


def other(number: int, **keys: Any) -> str:
    lines = {"name": f'"b{number}"', "unit": number, "reserve_c_per_kwh": 1, **keys}
    return "[[battery]]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items())


def test_batteries_share_nothing() -> None:
    assert "port: 4085 is already battery #2's" in refused(LAB + other(1) + other(2) + other(3, port=4085))
    assert "unit: 1 is already battery #1's" in refused(LAB + other(1) + other(2, unit=1))
    assert "root_file" in refused(LAB + other(1, root_file="'k'") + other(2, root_file="'k'"))
    assert len(site(LAB + "".join(other(n, port=0) for n in range(1, 33))).batteries) == 32
    assert ":4: battery: 33 of them; allowed: 1..32" in refused(LAB + "".join(other(n) for n in range(1, 34)))


def test_tiers_are_checked_like_a_reserve() -> None:
    head = f"{LAB}[[battery]]\nname = 'x'\nprice_cap_c = 50\n"
    tier = "[[battery.reserve.tiers]]\nfrom_soc_percent = {}\nc_per_kwh = {}\n"
    assert refused(head + tier.format(10, 1) + tier.format(10, 2)).startswith(
        ":11: battery #1 reserve.tiers #2 from_soc_percent: 10 stands there twice"
    )
    assert refused(head + tier.format(10, 51)).startswith(":9: battery #1 reserve.tiers #1 c_per_kwh: 51 is above")
    assert refused(head + tier.format(10, 0.001)).startswith(":9: battery #1 reserve.tiers #1 c_per_kwh: 0.001 is not")
    assert refused(head + "[battery.reserve]\ntiers = [{from_soc_percent = 101, c_per_kwh = 1}]").startswith(
        ":8: battery #1 reserve.tiers #1 from_soc_percent: 101 is too large"
    )


def test_the_first_problem_in_the_file_is_named_and_the_others_are_counted() -> None:
    text = f"{LAB}{BATTERY}standing_ms = 0\nfloor_percent = 200\nunit = 0\n"
    assert refused(text).startswith(":7: battery #1 standing_ms: 0 is too small; allowed: 50..400 (2 more after it)")
