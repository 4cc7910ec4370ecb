"""Real processes for system tests: `wattbid` commands with their output in files, a battery and an agent."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from agent.control_client import ControlClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType

ROOT = Path(__file__).parents[2]
START_S = 90.0
"""A start takes about a second; the machine may be busy with other tests."""
COMMAND = [sys.executable, "-c", "from cli.main import main; main()"]


class Process:
    """A `wattbid` command under way. Its output goes to files, so that nobody has to read it for it to go on."""

    def __init__(self, directory: Path, name: str, *arguments: str, program: list[str] | None = None) -> None:
        self.out_path, self.err_path = directory / f"{name}.out", directory / f"{name}.err"
        with self.out_path.open("wb") as out, self.err_path.open("wb") as err:
            self.popen = subprocess.Popen(
                [*(program or COMMAND), *arguments], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def output(self) -> str:
        return self.out_path.read_text()

    def errors(self) -> str:
        return self.err_path.read_text()

    def until_ready(self) -> dict[str, str]:
        """Wait for the ready line and return its `name=value` fields."""
        deadline = time.monotonic() + START_S
        while not (found := re.search(r"^ready (.*)$", self.output(), re.MULTILINE)):
            assert self.popen.poll() is None, f"ended before it was ready: {self.errors()}"
            assert time.monotonic() < deadline, f"not ready within {START_S} s: {self.errors()}"
            time.sleep(0.01)
        return dict(field.split("=", 1) for field in found[1].split())

    def end(self, number: int = signal.SIGTERM, timeout_s: float = 40.0) -> int:
        """Signal the process and return its exit status."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise

    def rss_kib(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None, status
        return int(found[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()


class Battery(Process):
    """`wattbid sim battery` on free ports; `ask` speaks to its control port."""

    def __init__(self, directory: Path, *options: str, port: int = 0) -> None:
        ports = ("--port", str(port), "--control-port", "0")
        super().__init__(directory, "battery", "sim", "battery", *ports, *options)
        fields = self.until_ready()
        self.address = fields["modbus"]
        self._control_port = int(fields["control"].rsplit(":", 1)[1])

    def ask(self, cmd: str, **arguments: Any) -> dict[str, Any]:
        with socket.create_connection(("127.0.0.1", self._control_port), timeout=10) as connection:
            connection.sendall(json.dumps({"cmd": cmd, **arguments}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer: dict[str, Any] = json.loads(lines.readline())
        assert answer.pop("ok"), answer
        return answer

    def truth(self) -> dict[str, Any]:
        return self.ask("truth")

    async def until(self, condition: Callable[[dict[str, Any]], bool], timeout_s: float = 40.0) -> dict[str, Any]:
        """Wait until the battery really is as it should be."""
        async for _ in looks(timeout_s):
            truth = self.truth()
            if condition(truth):
                return truth
        raise AssertionError(f"not so within {timeout_s} s: {truth}")


class Agent(Process):
    """`wattbid agent` on a site file; ready when constructed."""

    def __init__(self, directory: Path, site: Path, name: str = "agent", program: list[str] | None = None) -> None:
        super().__init__(directory, name, "agent", "--site", str(site), "--log-format", "json", program=program)
        self.ready = self.until_ready()
        self.socket = Path(self.ready["control"])
        host, port = self.ready["battery-1"].rsplit(":", 1)
        self.endpoint = host, int(port)

    def log(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return the complete log lines so far, those of one event."""
        lines = self.errors().splitlines(keepends=True)
        entries = [json.loads(line) for line in lines if line.endswith("\n") and line.startswith("{")]
        return [entry for entry in entries if event in (None, entry.get("event"))]

    async def until_logged(self, event: str, timeout_s: float = 40.0, **fields: str) -> dict[str, Any]:
        """Wait for a log line of an event whose fields contain these texts."""
        async for _ in looks(timeout_s):
            for entry in self.log(event):
                if all(text in str(entry.get(name, "")) for name, text in fields.items()):
                    return entry
        raise AssertionError(f"no {event} with {fields} in: {self.errors()[-4_000:]}")

    async def control(self, do: str, **arguments: Any) -> Any:
        """Ask the agent over its control socket."""
        async with await ControlClient.connect(self.socket) as client:
            return await client.request(do, **arguments)

    async def snapshot(self) -> dict[str, Any]:
        """Return what the control socket shows of the first battery, its alarms under `alarms`."""
        look = await self.control("snapshot")
        battery: dict[str, Any] = look["batteries"][0]
        return {**battery, "alarms": {alarm["name"]: alarm["reason"] for alarm in look["alarms"]}}

    async def until(self, condition: Callable[[dict[str, Any]], bool], timeout_s: float = 40.0) -> dict[str, Any]:
        """Wait until the control socket shows the battery as it should be."""
        async for _ in looks(timeout_s):
            look = await self.snapshot()
            if condition(look):
                return look
        raise AssertionError(f"not so within {timeout_s} s: {look}")

    async def until_selling(self) -> dict[str, Any]:
        return await self.until(lambda look: look["lot"] is not None)


async def looks(timeout_s: float) -> AsyncIterator[None]:
    """Give a turn every 20 ms until the time is over: another process is watched, and it rings no bell."""
    deadline = time.monotonic() + timeout_s
    yield
    while time.monotonic() < deadline:
        await asyncio.sleep(0.02)
        yield


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_site(directory: Path, address: str, **changes: str) -> Path:
    """Write a site file with one battery; `changes` are lines of TOML for its tables, by table name."""
    lines = ["[site]", 'name = "system-test"', "lab = true", 'clock = "system"', changes.pop("site", "")]
    lines += ["[network]", "multicast = false", changes.pop("network", 'peers = "open"')]
    for table in ("limits", "storage", "control"):
        lines += [f"[{table}]", changes.pop(table, "")]
    lines += ["[[battery]]", 'name = "battery-1"', f'address = "{address}"', "port = 0", changes.pop("battery", "")]
    battery = lines[-1]
    lines += [each for each in ("reserve_c_per_kwh = 30.00", "standing_ms = 50") if each.split()[0] not in battery]
    assert not changes, f"no such tables: {changes}"
    path = directory / "site.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def run(*arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run a `wattbid` command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
