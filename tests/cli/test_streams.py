"""Standard output that is full, closed or unread ends a command with one line at most, and never with a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "deploy" / "examples"
UNREAD = 128 + signal.SIGPIPE
COMMANDS = {
    "help": ["--help"],
    "version": ["--version"],
    "agent": ["agent", "--log", "error", "--site", "site.toml"],
    "aggregator": ["aggregator", "--log", "error", "--config", "buyer.toml"],
    "aggregator --json": ["aggregator", "--log", "error", "--json", "--config", "buyer.toml"],
    "check-site": ["check-site", str(EXAMPLES / "site.toml")],
    "check-site --json": ["check-site", "--json", str(EXAMPLES / "site.toml")],
    "check-site --help": ["check-site", "--help"],
    "sim battery": ["sim", "battery", "--port", "0"],
    "simulate": ["simulate", "--hours", "0.02", "--seeds", "1000"],
    "simulate --json": ["simulate", "--hours", "0.02", "--seeds", "1000", "--json"],
}
COMMON = {"check-site", "aggregator --json"}  # each is a process of its own: these are always run
CASES = [
    pytest.param(command, id=name, marks=[] if name in COMMON else pytest.mark.slow)
    for name, command in COMMANDS.items()
]
BUYER = (EXAMPLES / "aggregator.toml").read_text()
SITE = (EXAMPLES / "site.toml").read_text().replace("port = 4084", "port = 0")


def run(directory: Path, *command: str, redirect: str, unbuffered: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command from a shell; its status is the last line of standard output."""
    (directory / "buyer.toml").write_text(BUYER)
    (directory / "site.toml").write_text(SITE)
    wattbid = '"$0" -c "from cli.main import main; main()" "$@"'
    return subprocess.run(
        ["/bin/bash", "-c", f"{wattbid} {redirect}", sys.executable, *command],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1" if unbuffered else ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("command", CASES)
def test_a_full_disk_is_one_line(tmp_path: Path, command: list[str]) -> None:
    done = run(tmp_path, *command, redirect="> /dev/full")
    assert (done.returncode, done.stderr.splitlines()) == full_disk(command)


@pytest.mark.parametrize("name", ["agent", "check-site"])
def test_a_full_disk_is_one_line_where_nothing_is_held_back(tmp_path: Path, name: str) -> None:
    done = run(tmp_path, *COMMANDS[name], redirect="> /dev/full", unbuffered=True)
    assert (done.returncode, done.stderr.splitlines()) == full_disk(COMMANDS[name])


def full_disk(command: list[str]) -> tuple[int, list[str]]:
    return 1, [f"wattbid {command[0]}: standard output: No space left on device"]


@pytest.mark.parametrize("command", CASES)
def test_an_output_that_is_closed_is_one_line(tmp_path: Path, command: list[str]) -> None:
    done = run(tmp_path, *command, redirect=">&-")
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        [f"wattbid {command[0]}: standard output: Bad file descriptor"],
    )


@pytest.mark.parametrize("command", CASES)
def test_a_pipe_that_nobody_reads_is_silence(tmp_path: Path, command: list[str]) -> None:
    done = run(tmp_path, *command, redirect='| (exec <&-); echo "${PIPESTATUS[0]}"')
    assert (done.stdout, done.stderr) == (f"{UNREAD}\n", "")


def test_everything_closed_is_a_status_alone(tmp_path: Path) -> None:
    assert run(tmp_path, "--version", redirect="<&- >&- 2>&-").returncode == 1
    assert run(tmp_path, "check-site", "none.toml", redirect="2>&-").returncode == 2
    for command in (["check-site", "none.toml"], ["no-command"]):
        done = run(tmp_path, *command, redirect="2> /dev/full")
        assert done.returncode != 0
        assert (done.stdout, done.stderr) == ("", "")


def test_an_output_that_cannot_show_a_character_gets_the_rest(tmp_path: Path) -> None:
    command = 'PYTHONIOENCODING=ascii "$0" -c "from cli.main import main; main()" check-site "$1"'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, str(EXAMPLES / "site.toml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "50 ?C" in done.stdout


def test_words_are_cut_off_nowhere(tmp_path: Path) -> None:
    """What goes to a file is what goes to a pipe, whether it is held back or not."""
    kept = tmp_path / "kept"
    for unbuffered in (False, True):
        run(tmp_path, *COMMANDS["check-site"], redirect=f"> {kept}", unbuffered=unbuffered)
        piped = run(tmp_path, *COMMANDS["check-site"], redirect="", unbuffered=unbuffered)
        assert (kept.read_text(), piped.returncode) == (piped.stdout, 0)
