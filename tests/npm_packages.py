"""Clients of Solana from npm, pinned in tests/npm, installed once into build/npm."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

_HERE: Final = Path(__file__).parent / "npm"
_PLACE: Final = Path(__file__).parents[1] / "build" / "npm"
_INSTALL_S: Final = 240


def packages() -> Path:
    """Return the directory where the packages are; skips the test where they cannot be had."""
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            pytest.skip(f"there is no `{command}` on this machine; Debian's packages nodejs and npm have it")
    wanted = sha256((_HERE / "package-lock.json").read_bytes()).hexdigest()
    _PLACE.mkdir(parents=True, exist_ok=True)
    with (_PLACE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = _PLACE / "installed"
        if not done.exists() or done.read_text() != wanted:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(_HERE / name, _PLACE / name)
            install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(_PLACE)]
            made = subprocess.run(install, capture_output=True, text=True, check=False, timeout=_INSTALL_S)
            if made.returncode:
                pytest.skip(f"the packages of tests/npm cannot be installed: {made.stderr.strip()[-300:]}")
            done.write_text(wanted)
    return _PLACE


def run(script: str, said: object) -> Any:
    """Run a script of tests/npm with a JSON value on its standard input; return the JSON it prints."""
    place = packages()
    shutil.copy(_HERE / script, place / script)
    command = ["node", str(place / script)]
    ran = subprocess.run(
        command, input=json.dumps(said), capture_output=True, text=True, check=False, cwd=place, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)
