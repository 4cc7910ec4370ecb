"""The walls between the rooms are complete: a module that is added stands behind them by itself."""

from __future__ import annotations

import tomllib
from pathlib import Path

import etp

ROOT = Path(etp.__file__).parents[1]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def test_every_module_of_the_protocol_but_its_shells_is_pure() -> None:
    (wall,) = [contract for contract in CONTRACTS if contract["name"].startswith("the protocol's pure modules")]
    found = {f"etp.{path.stem}" for path in (ROOT / "etp").iterdir() if path.suffix == ".py" or path.is_dir()}
    found -= {"etp.__init__", "etp.__pycache__", "etp.io"}
    assert sorted(wall["source_modules"]) == sorted(found)
    assert {"asyncio", "socket", "time", "random", "etp.io"} <= set(wall["forbidden_modules"])


def test_every_room_is_known_to_the_walls() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert linter["root_packages"] == wheel["packages"]
