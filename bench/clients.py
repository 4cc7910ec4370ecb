"""Starts the closed loop of `load.c` (or `load.py`) on a core of its own and asks it for windows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from bench.machine import BUILD, ROOT, cores

if TYPE_CHECKING:
    from types import TracebackType

_SOURCE: Final = Path(__file__).with_name("load.c")
_PROGRAM: Final = BUILD / "bench-load"
_COMPILERS: Final = ("cc", "gcc", "clang")
CONNECTIONS: Final = 100
BUSY: Final = 0.95
"""Below this share of its core a server was waiting, and what it used is not what it needs."""


class Window(NamedTuple):
    """What one stretch of closed-loop trading showed; `codes` counts answers by reason code."""

    answers: int
    seconds: float
    server_cpu_s: float
    client_cpu_s: float
    closed: bool
    late: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    codes: dict[str, int]

    @property
    def busy(self) -> float:
        """The share of the window that the server was on its core."""
        return self.server_cpu_s / self.seconds if self.seconds else 0.0


def cost_us(windows: list[Window]) -> float:
    """Return the server's CPU time an answer over several windows, in microseconds."""
    answers = sum(window.answers for window in windows)
    return sum(window.server_cpu_s for window in windows) * 1e6 / answers if answers else 0.0


class Load:
    """One closed loop against one server; a context manager."""

    def __init__(
        self,
        port: int,
        server_pid: int,
        *,
        connections: int = CONNECTIONS,
        energy_wh: int = 500,
        price_e4: int = 400_000,
        step_e4: int = 100,
        swing: int = 16,
        frames: Path | None = None,
    ) -> None:
        numbers = (port, server_pid, connections, energy_wh, price_e4, step_e4, swing)
        self._process = subprocess.Popen(
            [*program(), *map(str, numbers), str(frames or "")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        os.sched_setaffinity(self._process.pid, {cores().client})

    def window(self, seconds: float) -> Window:
        """Trade for so long."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the load has no pipes")
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load ended with status {self._process.wait()}")
        fields: dict[str, Any] = json.loads(line)
        return Window(**fields)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()


def program() -> list[str]:
    """Return the command of the load: compiled when there is a compiler, else in Python."""
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        return [sys.executable, "-m", "bench.load"]
    if not _PROGRAM.exists() or _PROGRAM.stat().st_mtime < _SOURCE.stat().st_mtime:
        BUILD.mkdir(exist_ok=True)
        subprocess.run([compiler, "-O2", "-o", str(_PROGRAM), str(_SOURCE)], check=True)
    return [str(_PROGRAM)]


class Duel(NamedTuple):
    """Windows of two servers in turn: the yardstick's and ours, those in which the server was busy."""

    echo: list[Window]
    ours: list[Window]
    valid: bool

    @property
    def ratio(self) -> float:
        """CPU per request of the yardstick over ours."""
        ours_us = cost_us(self.ours)
        return cost_us(self.echo) / ours_us if ours_us else 0.0


class Rounds(NamedTuple):
    """How long a window is, how many busy ones are wanted of each, and after how many turns to give up."""

    seconds: float = 0.5
    wanted: int = 8
    most: int = 40


def duel(echo: Load, ours: Load, rounds: Rounds) -> Duel:
    """Measure both in turn until each has the busy windows wanted; without them take what there is, not valid."""
    seconds, wanted, most = rounds
    windows: tuple[list[Window], list[Window]] = ([], [])
    for _ in range(most):
        for load, seen in zip((echo, ours), windows, strict=True):
            seen.append(load.window(seconds))
        busy = [[window for window in seen if window.busy >= BUSY] for seen in windows]
        if min(map(len, busy)) >= wanted:
            return Duel(busy[0], busy[1], valid=True)
    return Duel(windows[0], windows[1], valid=False)
