"""The ELF: what is checked in is what its sources make, small and cheap enough."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from settlement.program.elf import program_elf
from tests.settlement.program.units import BUDGETS, ELF_BYTES_MAX, TRANSACTION_BYTES_MAX, measure

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "programs" / "settlement"
RECORD = json.loads((SOURCES / "build.json").read_text())
RUST = ("/usr/bin/cargo", "/usr/bin/rustc")
MISSING, OTHER_COMPILER = 3, 4


def test_the_record_is_of_this_elf() -> None:
    elf = program_elf()
    assert RECORD["elf"] == {"sha256": sha256(elf).hexdigest(), "bytes": len(elf)}
    assert len(elf) <= ELF_BYTES_MAX


def test_it_is_an_sbpf_v3_elf() -> None:
    elf = program_elf()
    assert elf[:4] == b"\x7fELF"
    assert int.from_bytes(elf[18:20], "little") == 247
    assert int.from_bytes(elf[48:52], "little") == 3


def test_no_path_of_the_machine_that_built_it_is_in_it() -> None:
    for trace in (b"/home", b"/root", b"/tmp", b"/usr", b".cargo", b".rs"):
        assert trace not in program_elf()


def test_costs_are_the_recorded_ones_and_within_budget() -> None:
    measured = measure()
    assert measured == RECORD["units"], "`make program` records what changed"
    over = {budget.name: measured[budget.name] for budget in BUDGETS if measured[budget.name] > budget.units}
    assert over == {}
    assert max(size for name, size in measured.items() if name.endswith("_bytes")) <= TRANSACTION_BYTES_MAX


@pytest.mark.system
@pytest.mark.slow
def test_the_sources_make_this_elf() -> None:
    """Needs the packages of .ci/packages-program and the linker that `deploy/program.sh --linker` builds."""
    ran = subprocess.run(
        [ROOT / "deploy" / "program.sh", "--check"], capture_output=True, text=True, check=False, timeout=280
    )
    if ran.returncode in (MISSING, OTHER_COMPILER):
        pytest.skip(ran.stderr.strip())
    assert ran.returncode == 0, ran.stderr


@pytest.mark.system
@pytest.mark.slow
def test_what_is_pure_holds_on_the_host(tmp_path: Path) -> None:
    """Money, numbers, terms and rulings in Rust's own tests."""
    if not all(Path(tool).exists() for tool in RUST):
        pytest.skip("rustc-web and cargo-web, of .ci/packages-program, are not installed")
    for name in ("Cargo.toml", "Cargo.lock"):
        shutil.copy(SOURCES / name, tmp_path)
    shutil.copytree(SOURCES / "src", tmp_path / "src")
    ran = subprocess.run(
        [RUST[0], "test", "--quiet", "--locked"],
        cwd=tmp_path,
        env={**os.environ, "RUSTC": RUST[1], "RUSTFLAGS": "-D warnings"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout


def test_tools_that_are_missing_are_named(tmp_path: Path) -> None:
    """Without the linker the build says what is missing and how to get it, and changes nothing."""
    ran = subprocess.run(
        [ROOT / "deploy" / "program.sh", "--check"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "WATTBID_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == MISSING
    assert "apt-get install" in ran.stderr or "deploy/program.sh --linker" in ran.stderr
