"""Site files that can be used, and files that cannot be read at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.config import FILE_BYTES_MAX, SiteError, load_site, parse_site, site_of
from agent.pricing import FixedReserve, SocTiers, Tier
from etp.limits import Limits

if TYPE_CHECKING:
    from agent.config import Site

KEY = "ab" * 32
PATH = Path("/site/site.toml")
LAB = '[site]\nname = "lab-1"\nlab = true\n'
BATTERY = '[[battery]]\nname = "home"\nreserve_c_per_kwh = 30.25\n'
EVERYTHING = f"""
[site]
name = "field-7"
state_age_max_ms = 3000
clock = "system"
[network]
listen = "0.0.0.0"
peers = "signed"
trusted_peers = ["{KEY.upper()}"]
multicast = false
group = "ff18::8414"
group_port = 0
ttl = 1
interface = "10.0.0.2"
[limits]
frames_per_s = 0
burst = 0
address_frames_per_s = 500
[storage]
directory = "/var/lib/wattbid"
journal = "j.db"
journal_max_mb = 2
telemetry = "/run/t.db"
telemetry_rows = 1000
[control]
socket = "run/c.sock"
[[battery]]
name = "a"
address = "inverter.local:502"
unit = 247
port = 0
root_file = "keys/a"
capacity_wh = 13500
max_power_w = 5000
min_power_w = 50
efficiency_percent = 94.5
floor_percent = 10
share_percent = 33.3
temp_min_c = -5.5
temp_max_c = 45
lot_kwh = 1.3
rule = "sealed_second"
standing_ms = 50
reserve_min_c = 1
increment_c = 0.29
price_cap_c = 500
reputation_floor = 100
[[battery.reserve.tiers]]
from_soc_percent = 80
c_per_kwh = 24.57
[[battery.reserve.tiers]]
from_soc_percent = 20.5
c_per_kwh = 40
[[battery]]
name = "b"
address = "[::1]:502"
reserve_c_per_kwh = 0
"""


def site(text: str) -> Site:
    return site_of(PATH, parse_site(text.encode(), PATH))


def test_the_least_a_file_can_say() -> None:
    found = site(LAB + BATTERY)
    assert (found.name, found.lab, found.time_lapse, found.state_age_max_ms, found.clock) == (
        "lab-1",
        True,
        1,
        2_500,
        "kernel",
    )
    assert found.network.peers == "open"
    assert found.network.trusted_peers is None
    assert found.network.interface == found.network.listen == "127.0.0.1"
    assert found.limits == Limits()
    assert found.storage.journal == Path("/site/wattbid-data/journal.db")
    assert found.control_socket == Path("/site/wattbid-data/control.sock")
    [battery] = found.batteries
    assert battery.port == 4084
    assert battery.root_file == Path("/site/wattbid-data/home.root")
    assert battery.reserve == FixedReserve(302_500)
    assert (battery.increment_e4, battery.price_cap_e4, battery.standing_ms) == (1_000, 20_300_000, 400)
    assert (battery.floor_permille, battery.share_permille) == (200, 800)
    assert (battery.lot_wh, battery.capacity_wh, battery.max_power_w, battery.min_power_w) == (None,) * 4


def test_everything_a_file_can_say() -> None:
    found = site(EVERYTHING)
    assert found.network.trusted_peers == frozenset({bytes.fromhex(KEY)})
    assert (found.network.listen, found.network.interface, found.network.group) == (
        "0.0.0.0",
        "10.0.0.2",
        "ff18::8414",
    )
    assert (found.limits.frames_per_s, found.limits.burst, found.limits.address_frames_per_s) == (0, 0, 500)
    assert found.storage.journal == Path("/var/lib/wattbid/j.db")
    assert (found.storage.journal_max_bytes, found.storage.telemetry) == (2 << 20, Path("/run/t.db"))
    assert found.control_socket == Path("/site/run/c.sock")
    a, b = found.batteries
    assert a.root_file == Path("/site/keys/a")
    assert (a.port, b.port) == (0, 4085)
    assert (a.lot_wh, a.increment_e4, a.efficiency_permille, a.share_permille) == (1_300, 2_900, 945, 333)
    assert (a.temp_min_dc, a.temp_max_dc) == (-55, 450)
    assert a.reserve == SocTiers((Tier(800, 245_700), Tier(205, 400_000)))
    assert b.reserve == FixedReserve(0)
    assert b.root_file == Path("/var/lib/wattbid/b.root")


def test_text_as_other_systems_write_it(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (LAB + BATTERY).replace("\n", "\r\n").encode())
    assert load_site(path).name == "lab-1"
    path.write_bytes((LAB + BATTERY).replace("\n", "\r\n").encode() + b"unit = 0\r\n")
    with pytest.raises(SiteError, match=r"site\.toml:7: battery #1 unit"):
        load_site(str(path))


def test_files_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    with pytest.raises(SiteError, match=r"there is no such file; deploy/examples/site\.toml"):
        load_site(path)
    with pytest.raises(SiteError, match=r"cannot be read \(Is a directory"):
        load_site(tmp_path)
    with pytest.raises(SiteError, match="cannot be read"):
        load_site("a\0b")
    path.write_bytes(b"[site]\nname = '\xff'\n")
    with pytest.raises(SiteError, match=r"site\.toml:2: is not UTF-8 text"):
        load_site(path)
    path.write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    with pytest.raises(SiteError, match="is too large"):
        load_site(path)


def test_the_error_carries_its_parts() -> None:
    with pytest.raises(SiteError) as caught:
        parse_site(f"{LAB}{BATTERY}unit = 0".encode(), PATH)
    error = caught.value
    assert (error.path, error.line, error.key, error.what, error.allowed) == (
        PATH,
        7,
        "battery #1 unit",
        "0 is too small",
        "1..247",
    )
