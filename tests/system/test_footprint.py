"""What the agent's process is made of: the modules a gateway pays for, and the memory they take."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from tests.system.buyer import trades_fairly
from tests.system.processes import Agent, Battery, write_site

if TYPE_CHECKING:
    from pathlib import Path

RSS_KIB_MAX = 80 * 1_024
# Not on the list: structlog takes `rich` along where it is installed, pymodbus's client its own `pymodbus.simulator`.
STRANGERS = (
    "textual",
    "psycopg",
    "numpy",
    "pymodbus.server",
    "drivers.sim",
    "drivers.testing",
    "aggregator",
    "simulation",
    "cli.demo",
    "cli.sim",
    "etp.testing",
    "pytest",
    "hypothesis",
)
LISTING = """
import atexit, json, pathlib, sys
atexit.register(lambda: pathlib.Path({path!r}).write_text(json.dumps(sorted(sys.modules))))
from cli.main import main
main()
"""


async def test_an_agent_that_has_traded_is_small_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "modules.json"
    program = [sys.executable, "-c", LISTING.format(path=str(path))]
    with Battery(tmp_path) as battery:
        site = write_site(tmp_path, battery.address, network='peers = "open"')
        with Agent(tmp_path, site, program=program) as agent:
            await agent.until_selling()
            idle_kib = agent.rss_kib()
            await trades_fairly(agent.endpoint)
            await agent.control("snapshot")
            traded_kib = agent.rss_kib()
            assert agent.end() == 0
    modules = json.loads(path.read_text())
    there = [name for name in modules if any(name == each or name.startswith(f"{each}.") for each in STRANGERS)]
    assert there == []
    assert {"agent.main", "uvloop", "pymodbus.client"} <= set(modules)
    assert idle_kib < RSS_KIB_MAX
    assert traded_kib < RSS_KIB_MAX
