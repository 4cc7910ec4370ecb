"""`wattbid simulate` as people run it: what it takes, what it prints, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from cli.main import main; main()", "simulate"]


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.slow
def test_each_seed_is_a_line() -> None:
    done = simulate("--hours", "0.02", "--seed", "7", "--seeds", "2", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["seed"], second["seed"], first["hours"]) == (7, 8, 0.02)
    again = simulate("--hours", "0.02", "--seed", "8")
    assert f"digest={second['digest']}" in again.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("world", "figure"), [("--settled", "paid_units"), ("--cheques", "paid")])
def test_worlds_with_money_say_what_was_paid(world: str, figure: str) -> None:
    hours = "1" if world == "--cheques" else "0.3"
    done = simulate(world, "--hours", hours, "--seed", "5", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)[figure] > 0
    assert simulate(world, "--hours", hours, "--seed", "5", "--json").stdout == done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--hours", "0"),
        ("--hours", "-1"),
        ("--hours", "nan"),
        ("--hours", "inf"),
        ("--hours", "1e9"),
        ("--hours", "much"),
        ("--seed", "-1"),
        ("--seed", "1.5"),
        ("--seed", str(2**63)),
        ("--seeds", "0"),
        ("--seeds", "-3"),
        ("seven",),
        ("--settled", "--cheques"),
    ],
)
@pytest.mark.slow
def test_what_makes_no_sense_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    done = simulate(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: wattbid simulate" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_behind(number: signal.Signals) -> None:
    with subprocess.Popen(
        [*COMMAND, "--hours", "1000"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        place = working_place(process.pid)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (128 + number, "")
    assert "Traceback" not in err
    assert not place.exists()


def working_place(pid: int) -> Path:
    """Wait until a process has a file open in the directory that it made, and return that."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                for place in link.readlink().parents:
                    if place.name.startswith("wattbid-simulate-"):
                        return place
        time.sleep(0.02)
    raise AssertionError("it has no file open")
