"""The README tells the truth: its links lead somewhere, its table is complete, and every command in it is run here."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import tomllib
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.default_ports import default_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]
HEADLESS = 'make demo DEMO="--headless --trades 20 --json build/demo.json"'
BY_HAND = [
    "wattbid sim battery",
    "wattbid agent --site deploy/examples/site.toml",
    "wattbid aggregator --config deploy/examples/aggregator.toml",
    "wattbid status --site deploy/examples/site.toml",
]
PAID_BY_HAND = [
    (
        "wattbid ledger --data wattbid-ledger --init --line-usdc 100 --site deploy/examples/site-settled.toml "
        "--config deploy/examples/aggregator-settled.toml"
    ),
    "wattbid sim battery",
    "wattbid agent --site deploy/examples/site-settled.toml",
    "wattbid aggregator --config deploy/examples/aggregator-settled.toml",
    "wattbid line show --config deploy/examples/aggregator-settled.toml",
]
TIMED = {"setpoint_within_200_ms"}
"""What a machine that is busy with other tests may break; tests/cli/test_demo.py insists on it."""


def test_these_are_the_commands() -> None:
    assert ["make demo", "make test", HEADLESS, *BY_HAND, *PAID_BY_HAND] == COMMANDS


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_table_names_every_room() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    rooms = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert [room for room in rooms if f"| [`{room}/`]" not in README] == []


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_two_commands_do_what_is_run_elsewhere(command: str) -> None:
    """`make demo` is tests/cli/test_demo.py with a view, `make test` is what runs this."""
    expected = {"make demo": "exec .venv/bin/wattbid demo", "make test": "deploy/test.sh full"}
    assert made(command)[-1] == expected[command]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_headless_demo_makes_its_twenty_trades() -> None:
    line = made(HEADLESS)[-1].removeprefix("exec ")
    report = ROOT / "build" / "demo.json"
    report.parent.mkdir(exist_ok=True)
    report.unlink(missing_ok=True)
    done = subprocess.run(shlex.split(line), cwd=ROOT, capture_output=True, text=True, check=False, timeout=220)
    body = json.loads(report.read_text())
    assert set(body["broken"]) <= TIMED, done.stderr
    assert done.returncode == int(bool(body["broken"]))
    assert len(body["trades"]) == 20
    assert body["totals"]["trades_with_competition"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(("site", "shown"), [("site.toml", "30.00 c"), ("site-dynamic.toml", "(floor 5.00 c) + ")])
def test_the_examples_trade_by_hand(site: str, shown: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "deploy" / "examples", tmp_path / "deploy" / "examples")
    by_hand = [command.replace("site.toml", site) for command in BY_HAND]
    with default_ports(), ExitStack() as stack:
        for number, command in enumerate(by_hand[:3]):
            stack.enter_context(running(command, tmp_path, tmp_path / f"{number}.log"))
        wait_for(tmp_path / "2.log", " confirmed ")
        status = subprocess.run(
            arguments(by_hand[3]), cwd=tmp_path, capture_output=True, text=True, check=True, timeout=30
        )
        assert "battery-1" in status.stdout
        assert shown in status.stdout


@pytest.mark.slow
def test_the_examples_trade_for_money_by_hand(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "deploy" / "examples", tmp_path / "deploy" / "examples")
    with default_ports(), ExitStack() as stack:
        for number, command in enumerate(PAID_BY_HAND[:4]):
            stack.enter_context(running(command, tmp_path, tmp_path / f"{number}.log"))
        wait_for(tmp_path / "3.log", " confirmed ")
        shown = subprocess.run(
            arguments(PAID_BY_HAND[4]), cwd=tmp_path, capture_output=True, text=True, check=True, timeout=30
        )
        assert "10000.00 c, 0.00 c locked" in shown.stdout


def made(command: str) -> list[str]:
    """Return the commands that a make target would run, also where `make test` runs this."""
    alone = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    dry = subprocess.run(
        [*shlex.split(command), "-n"], cwd=ROOT, env=alone, capture_output=True, text=True, check=True, timeout=30
    )
    return dry.stdout.strip().splitlines()


def arguments(command: str) -> list[str]:
    program, *rest = shlex.split(command)
    assert program == "wattbid"
    return [str(ROOT / ".venv" / "bin" / "wattbid"), *rest]


@contextmanager
def running(command: str, directory: Path, log: Path) -> Iterator[None]:
    """Run a command of the README until the block ends; it must be ready first and end cleanly."""
    with log.open("w") as out, subprocess.Popen(arguments(command), cwd=directory, stdout=out, stderr=out) as process:
        try:
            wait_for(log, "ready ")
            yield
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, log.read_text()


def wait_for(log: Path, text: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while text not in log.read_text():
        assert time.monotonic() < deadline, f"no {text!r} in {log.read_text()}"
        time.sleep(0.05)
