"""The fuzz targets hold on their seeds and a short round of mutations, and an engine reports what it finds."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from etp.replies import IdTable
from fuzz import by_hypothesis
from fuzz.seeds import seeds_of
from fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("target", TARGETS)
def test_what_must_hold_holds_for_the_seeds(target: str) -> None:
    seeds = seeds_of(target)
    assert len(seeds) >= 5
    for seed in seeds:
        TARGETS[target](seed)


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_round(target: str) -> None:
    tried, broke = by_hypothesis.fuzz(TARGETS[target], seeds_of(target), 0)
    assert broke is None, f"{target}: {broke!r}"
    assert tried >= 100


def test_a_connection_that_forgets_its_ids_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IdTable, "look", lambda *_: None)
    _, broke = by_hypothesis.fuzz(TARGETS["connection"], seeds_of("connection"), 20)
    assert broke is not None
    with pytest.raises(AssertionError, match="takes effect once"):
        TARGETS["connection"](broke)


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fuzz", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)


def test_the_command_without_atheris() -> None:
    done = fuzz("--engine", "hypothesis", "--seconds", "0.1", "--target", "control", "--target", "frame")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("nothing found in control, frame\n")


def test_one_input_again(tmp_path: Path) -> None:
    path = tmp_path / "find"
    path.write_bytes(seeds_of("site")[0])
    assert fuzz("--target", "site", "--replay", str(path)).returncode == 0
    assert fuzz("--replay", str(path)).returncode == 2


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris comes with the group `fuzz`")
def test_the_coverage_guided_engine() -> None:
    done = fuzz("--seconds", "1", "--target", "stream")
    assert done.returncode == 0, done.stdout
    assert "number_of_executed_units" in done.stdout
