"""One seed is one course of events, to the last byte, whatever the hash seed of the interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

SIMULATE = [sys.executable, "-c", "from cli.main import main; main()", "simulate", "--json"]


def simulate(*arguments: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SIMULATE, *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )


def summary_of(*arguments: str, hash_seed: str) -> dict[str, Any]:
    done = simulate(*arguments, hash_seed=hash_seed)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["3", "4"])
def test_two_hash_seeds_give_the_same_trace(seed: str) -> None:
    first = summary_of("--seed", seed, "--hours", "0.5", hash_seed="1")
    second = summary_of("--seed", seed, "--hours", "0.5", hash_seed="20251123")
    assert first == second
    assert first["awards"] > 10


@pytest.mark.slow
def test_two_seeds_give_two_courses() -> None:
    done = simulate("--seed", "1", "--seeds", "2", "--hours", "0.1")
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["digest"] != second["digest"]
