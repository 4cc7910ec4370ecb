"""`wattbid` commands as processes: started, waited for until their ready line, ended."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final, Self

from bench.machine import ROOT

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_END_S: Final = 20.0
WATTBID: Final = (sys.executable, "-c", "from cli.main import main; main()")
_SITE: Final = """
[site]
name = "bench"
lab = true
time_lapse = {time_lapse}
[network]
multicast = false
peers = "open"
[[battery]]
name = "battery"
address = "{address}"
port = 0
lot_kwh = 0.5
standing_ms = 50
reserve_c_per_kwh = 30.00
"""


class Command:
    """One process; `ready` holds the fields of its ready line, `start_s` how long that took."""

    def __init__(self, *arguments: str, log: Path) -> None:
        began_s = time.monotonic()
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [*WATTBID, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        line = ""
        while self._process.stdout is not None and not line.startswith("ready "):
            line = self._process.stdout.readline()
            if not line:
                raise RuntimeError(f"{arguments[0]} ended: {log.read_text(errors='replace')[-500:]}")
        self.start_s = time.monotonic() - began_s
        self.ready = dict(re.findall(r"(\S+)=(\S+)", line))
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        if self._process.stdout is not None:
            self._process.stdout.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def simulated_battery(directory: Path, *, time_lapse: int) -> Command:
    """Start `wattbid sim battery` on a free port."""
    options = ("--port", "0", "--control-port", "0", "--soc", "95", "--time-lapse", str(time_lapse))
    return Command("sim", "battery", *options, log=directory / "battery.log")


def agent(directory: Path, address: str, *, time_lapse: int) -> Command:
    """Start `wattbid agent` for one battery; its journal and keys are new."""
    site = directory / "site.toml"
    site.write_text(_SITE.format(address=address, time_lapse=time_lapse), encoding="utf-8")
    return Command("agent", "--site", str(site), log=directory / "agent.log")
