"""Ctrl-C while a command is still being imported: no traceback, status 130."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

CHILD = """
import os, signal, sys

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            os.kill(os.getpid(), signal.SIGINT)

if IGNORED:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.meta_path.insert(0, Interrupts())
from cli.main import main
main()
"""


def run(module: str, *command: str, ignored: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command whose import of a module comes with a Ctrl-C."""
    code = f"MODULE, IGNORED = {module!r}, {ignored}\n{CHILD}"
    return subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("module", ["cli.streams", "typer", "cli.status", "agent.errors"])
def test_an_interrupted_import_is_quiet(tmp_path: Path, module: str) -> None:
    done = run(module, "status", "--socket", str(tmp_path / "none.sock"))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_who_ignores_interrupts_goes_on(tmp_path: Path) -> None:
    done = run("typer", "status", "--socket", str(tmp_path / "none.sock"), ignored=True)
    assert done.returncode == 1
    assert "no agent listens" in done.stderr


def test_nothing_heavy_is_imported_before_an_interrupt_is_quiet() -> None:
    code = "import sys; before = set(sys.modules); import cli.main; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"typer", "pydantic", "asyncio", "agent", "rich", "inspect", "email"}
