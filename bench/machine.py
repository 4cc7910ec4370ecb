"""The machine under the benches: cores to pin to, CPU seconds and memory of a process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
ROOT: Final = Path(__file__).resolve().parent.parent
BUILD: Final = ROOT / "build"


class Cores(NamedTuple):
    """One core for what is measured, one for what measures it; the same one when there is no other."""

    server: int
    client: int


def cores() -> Cores:
    """Return the first and the last core that this process may run on."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[-1])


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process so far, utime + stime of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def describe() -> str:
    """Return the machine in one line."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    load = " ".join(f"{figure:.2f}" for figure in os.getloadavg())
    return f"{len(os.sched_getaffinity(0))} cores of {model}, load {load}"
