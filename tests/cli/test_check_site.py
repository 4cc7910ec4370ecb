"""`wattbid check-site`, run as people run it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.config import read_site
from agent.config_doubts import doubts_of
from agent.config_model import BatterySection, SiteFile
from agent.config_reference import unit_of

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "examples" / "site.toml"


def check_site(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from cli.main import main; main()", "check-site", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_it_prints_every_key_with_its_unit() -> None:
    done = check_site(str(EXAMPLE))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{EXAMPLE}: valid\n")
    printed = {line.split()[0]: line for line in done.stdout.splitlines() if line.startswith("  ")}
    for name, field in BatterySection.model_fields.items():
        if name != "reserve":
            assert name in printed
            assert "(" in printed[name] or printed[name].endswith(unit_of(field))
    assert "lot_kwh              (15 min at rated power, at most 5)" in done.stdout
    assert all(f"[{name}]" in done.stdout for name in SiteFile.model_fields)


def test_it_prints_tiers_and_keys(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(
        "[site]\nname = 'abc'\n[network]\ntrusted_peers = ['" + "ab" * 32 + "']\n[[battery]]\nname = 'x'\n"
        "[[battery.reserve.tiers]]\nfrom_soc_percent = 50.5\nc_per_kwh = 24.5\n"
    )
    text = check_site(str(path)).stdout
    assert "  reserve              24.50 c/kWh from 50.5 % upwards\n" in text
    assert "  trusted_peers        1 keys: abababababababab\n" in text
    values = json.loads(check_site(str(path), "--json").stdout)
    assert values["batteries"][0]["reserve"] == {"tiers": [{"from_soc_permille": 505, "price_e4": 245_000}]}
    assert values["network"]["trusted_peers"] == ["ab" * 32]


def test_machines_get_the_agents_integers() -> None:
    done = check_site(str(EXAMPLE), "--json")
    values = json.loads(done.stdout)
    assert done.returncode == 0
    assert values["batteries"][0]["reserve"] == {"price_e4": 300_000}
    assert values["batteries"][0]["increment_e4"] == 1_000
    assert values["storage"]["directory"] == str(EXAMPLE.parent / "wattbid-data")


def test_a_bad_file_is_one_line_and_status_2(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes(EXAMPLE.read_bytes().replace(b"floor_percent = 20", b"floor_percent = 120"))
    done = check_site(str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("battery #1 floor_percent: 120 is too large; allowed: 0..100 in steps of 0.1\n")
    assert done.stderr.count("\n") == 1
    assert check_site(str(tmp_path / "none.toml")).returncode == 2


SITE = """[site]
name = "abc"
lab = true
[[battery]]
name = "x"
reserve_c_per_kwh = 30.0
"""
DOUBTS = {
    "floor_percent = 100": ["battery #1 floor_percent: 100: nothing lies above it, so nothing is ever sold"],
    "share_percent = 0": ["battery #1 share_percent: 0: nothing is for sale, so nothing is ever sold"],
    'address = "127.0.0.1:4084"': [
        "battery #1 address: 127.0.0.1:4084 is where this agent sells battery #1, not a device"
    ],
    'address = "localhost:4085"\n[[battery]]\nname = "y"\nreserve_c_per_kwh = 1': [
        "battery #1 address: localhost:4085 is where this agent sells battery #2, not a device"
    ],
    'address = "127.0.0.1:4084"\nport = 0': [],
    "price_cap_c = 30\nreserve_min_c = 31": [
        "battery #1 reserve_c_per_kwh: 30 is price_cap_c: no bid can be better than the reserve",
        "battery #1 reserve_min_c: 31 is above price_cap_c: no reserve can be set at run time",
    ],
    '[network]\ntrusted_peers = "any"': ['network.trusted_peers: nobody is asked for a key while peers = "open"'],
    "floor_percent = 99.9\nshare_percent = 0.1": [],
}


@pytest.mark.parametrize("addition", DOUBTS)
def test_what_is_surely_a_mistake_is_a_doubt(tmp_path: Path, addition: str) -> None:
    assert doubts(tmp_path, SITE + addition) == DOUBTS[addition]


def test_tiers_at_the_cap_and_a_site_outside_a_lab_are_doubted(tmp_path: Path) -> None:
    tiers = "price_cap_c = 30\n[[battery.reserve.tiers]]\nfrom_soc_percent = 0\nc_per_kwh = 30"
    text = SITE.replace("lab = true", "").replace("reserve_c_per_kwh = 30.0", tiers)
    assert doubts(tmp_path, f'{text}\n[network]\ntrusted_peers = "any"') == [
        "site.lab: false: nothing is sold until the site is commissioned, which this version cannot do",
        "battery #1 reserve.tiers #1 c_per_kwh: 30 is price_cap_c: no bid can be better than the reserve",
    ]


def test_a_reserve_above_the_cap_is_no_doubt_but_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(SITE + "price_cap_c = 29.99")
    done = check_site(str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{path}:6: battery #1 reserve_c_per_kwh: 30 is above price_cap_c; allowed: at most 29.99\n"


def test_doubts_are_warnings_beside_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(SITE + "floor_percent = 100\nshare_percent = 0")
    for arguments in ((str(path),), (str(path), "--json")):
        done = check_site(*arguments)
        assert done.returncode == 0
        assert done.stderr.splitlines() == [
            f"{path}: warning: battery #1 floor_percent: 100: nothing lies above it, so nothing is ever sold",
            f"{path}: warning: battery #1 share_percent: 0: nothing is for sale, so nothing is ever sold",
        ]
    assert json.loads(done.stdout)["batteries"][0]["floor_permille"] == 1_000


def doubts(directory: Path, text: str) -> list[str]:
    path = directory / "site.toml"
    path.write_text(text)
    return doubts_of(read_site(path)[1])
