"""`wattbid check-site`, run as people run it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
