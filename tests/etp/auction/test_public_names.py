from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import etp.auction


def test_the_door_sign_lists_what_is_there() -> None:
    defined = {
        name for name, value in vars(etp.auction).items() if not isinstance(value, ModuleType) and name[0] != "_"
    }
    assert set(etp.auction.__all__) == defined


def test_it_runs_without_clock_socket_loop_or_chance() -> None:
    code = "import sys, etp.auction; print(sorted({'asyncio', 'socket', 'random'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
