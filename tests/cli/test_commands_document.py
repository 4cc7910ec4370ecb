"""docs/commands.md and docs/control.md say what the commands really do."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import typer.main

from agent.config_build import FIRST_PORT
from agent.config_model import NetworkSection
from agent.errors import CommandRefusedError
from cli.demo_stage.view import LEAST
from cli.main import _COMMANDS
from tests.agent.gateway_world import run, world

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "commands.md").read_text()
ROWS = {found[1]: found[0] for line in PAGE.splitlines() if (found := re.match(r"\| `wattbid ([a-z -]+)` \|.*", line))}


def commands() -> dict[str, Any]:
    """Return every command by the words that call it."""
    found: dict[str, Any] = {}
    for name, (module, _) in _COMMANDS.items():
        command = typer.main.get_command(importlib.import_module(module).app)
        below = getattr(command, "commands", {"": command})
        found |= {f"{name} {word}".strip(): one for word, one in below.items()}
    return found


COMMANDS = commands()


def options_of(name: str) -> dict[str, object]:
    """Return the long options of a command with their defaults."""
    return {option: one.default for one in COMMANDS[name].params for option in one.opts if option.startswith("--")}


def test_every_command_has_its_row() -> None:
    assert sorted(ROWS) == sorted(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_row_names_every_option_and_no_other(name: str) -> None:
    assert set(re.findall(r"`(--[a-z-]+)`", ROWS[name])) - {"--no-multicast"} == set(options_of(name)) - {"--help"}


@pytest.mark.parametrize("command", [["nonsense"], ["status", "--nonsense"], ["agent"], ["sim", "nonsense"]])
def test_a_wrong_command_line_is_told_with_how_the_command_is_used(command: list[str]) -> None:
    assert "A command line that cannot be used is told on standard error together with how the command is used" in PAGE
    done = subprocess.run(
        [sys.executable, "-c", "from cli.main import main; main()", *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: wattbid" in done.stderr
    assert command[-1] in done.stderr


def test_the_default_ports_are_the_real_ones() -> None:
    battery = options_of("sim battery")
    assert (battery["--port"], battery["--control-port"]) == (5020, None)
    assert FIRST_PORT == NetworkSection().group_port == 4084
    for port in ("5020 TCP", "6020 TCP", "4084 TCP and UDP", "4084 UDP"):
        assert f"| {port} |" in PAGE
    assert f"group {NetworkSection().group};" in PAGE
    assert (options_of("demo")["--port"], options_of("demo")["--modbus-port"]) == (0, 0)


def test_the_least_terminal_is_the_real_one() -> None:
    assert f"less than\n{LEAST.width} x {LEAST.height} characters" in PAGE


def test_links_lead_somewhere() -> None:
    for page in DOCS.glob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (DOCS / link).exists(), (page.name, link)


def test_the_answer_about_an_unknown_battery_is_the_real_one() -> None:
    (line,) = (line for line in (DOCS / "control.md").read_text().splitlines() if '"refused"' in line)
    error = json.loads(line)["error"]
    told: list[str] = []

    async def scenario(directory: Path) -> None:
        async with world(directory) as here:
            with pytest.raises(CommandRefusedError) as caught:
                here.gateway.owner_desk().resume("barn")
            told.append(str(caught.value))

    with tempfile.TemporaryDirectory(prefix="wd-") as directory:
        run(scenario(Path(directory)))
    assert told == [error.replace("home", "battery-1")]
