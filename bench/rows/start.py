"""What the agent takes to start and to idle with one battery, beside what its bare imports take."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from bench.commands import agent, simulated_battery
from bench.machine import ROOT, rss_mb
from bench.report import Figure
from bench.stats import percentile

if TYPE_CHECKING:
    from bench.settings import Settings

_START_S: Final = 1.5
_RSS_MB: Final = 80.0
_LIBRARIES: Final = (
    "asyncio, ssl, sqlite3, uvloop, pydantic, structlog, typer, pymodbus.client, "
    "cryptography.hazmat.primitives.asymmetric.ed25519"
)
_BARE: Final = f"""
import json, sys, time
began_s = time.monotonic()
import {_LIBRARIES}
for line in open("/proc/self/status"):
    if line.startswith("VmRSS:"):
        print(json.dumps({{"s": time.monotonic() - began_s, "mb": int(line.split()[1]) * 1024 / 1e6}}))
"""


def run(settings: Settings) -> list[Figure]:
    """Start it a few times, then let it idle."""
    room = settings.room("start")
    starts_s: list[float] = []
    with simulated_battery(room, time_lapse=1) as battery:
        for number in range(settings.count(5, 1)):
            directory = room / str(number)
            directory.mkdir()
            with agent(directory, battery.ready["modbus"], time_lapse=1) as seller:
                starts_s.append(seller.start_s)
                time.sleep(settings.pick(2.0, 0.2))
                idle_mb = rss_mb(seller.pid)
    done = subprocess.run([sys.executable, "-c", _BARE], cwd=ROOT, capture_output=True, text=True, check=True)
    bare = json.loads(done.stdout)
    return [
        Figure(
            key="agent.start_s",
            value=percentile(starts_s, 0.5),
            unit="s",
            target=_START_S,
            note=f"bare imports {bare['s']:.2f} s; from the command to the ready line",
        ),
        Figure(
            key="agent.idle_rss_mb",
            value=idle_mb,
            unit="MB",
            target=_RSS_MB,
            note=f"bare imports {bare['mb']:.0f} MB",
        ),
        Figure(key="agent.start_ratio_to_imports", value=percentile(starts_s, 0.5) / bare["s"]),
        Figure(key="agent.rss_ratio_to_imports", value=idle_mb / bare["mb"]),
    ]
