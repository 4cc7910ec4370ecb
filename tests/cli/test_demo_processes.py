"""The demo's processes, with real ones: ready lines, failures, ends that were asked for and ends that were not."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.demo_stage.collector import TruthPort
from cli.demo_stage.errors import ChildError
from cli.demo_stage.processes import Troupe

BATTERY = ["sim", "battery", "--port", "0", "--control-port", "0"]
ROOT = Path(__file__).parents[2]


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_process_is_started_used_and_stopped(tmp_path: Path) -> None:
    troupe = Troupe(tmp_path)
    child = await troupe.start("battery-a", BATTERY)
    line = await child.ready()
    assert line.startswith("ready modbus=127.0.0.1:")
    assert troupe.left_running() == ["battery-a"]
    assert child.pid is not None
    assert os.getsid(child.pid) == child.pid  # Ctrl-C in our terminal does not reach it
    port = TruthPort("a", int(line.rpartition(":")[2]))
    assert (await port.ask("truth"))["released"] is True
    with pytest.raises(ChildError, match="no command"):
        await port.ask("dance")
    asked = asyncio.create_task(port.ask("truth"))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert "faults" in await port.ask("faults")
    await troupe.stop("agent-")
    statuses = [child.status]
    await troupe.stop()
    statuses.append(child.status)
    assert statuses == [None, 0]
    assert not child.failed
    assert troupe.left_running() == []
    with pytest.raises(ChildError, match=r"battery-a: (does not answer|closed)"):
        await port.ask("truth")
    port.close()


async def test_a_process_that_cannot_start_says_why(tmp_path: Path) -> None:
    troupe = Troupe(tmp_path)
    child = await troupe.start("agent-a", ["agent", "--site", str(tmp_path / "none.toml")])
    with pytest.raises(ChildError, match=r"agent-a: .*none\.toml"):
        await child.ready()
    assert (await troupe.first_failure()) is child
    assert child.status == 2
    await troupe.stop()


async def test_a_process_that_dies_is_found(tmp_path: Path) -> None:
    troupe = Troupe(tmp_path)
    first, second = [await troupe.start(name, BATTERY) for name in ("battery-a", "battery-b")]
    await asyncio.gather(first.ready(), second.ready())
    watch = asyncio.create_task(troupe.first_failure())
    await first.stop()
    assert not watch.done()
    assert second.pid is not None
    os.kill(second.pid, signal.SIGKILL)
    assert (await asyncio.wait_for(watch, 30)) is second
    assert second.status == -signal.SIGKILL
    await troupe.stop()


async def test_a_process_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.demo_stage.processes.STOP_S", 0.2)
    troupe = Troupe(tmp_path)
    child = await troupe.start("battery-a", BATTERY)
    await child.ready()
    assert child.pid is not None
    os.kill(child.pid, signal.SIGSTOP)
    await child.stop()
    assert child.status == -signal.SIGKILL
    assert not exists(child.pid)


async def test_a_process_that_takes_too_long_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.demo_stage.processes.READY_S", 0.0)
    troupe = Troupe(tmp_path)
    child = await troupe.start("battery-a", BATTERY)
    with pytest.raises(ChildError, match="not ready"):
        await child.ready()
    await troupe.stop()
    assert troupe.left_running() == []


def test_processes_end_with_their_parent_even_when_it_is_killed(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from cli.demo_stage.processes import Troupe\n"
        "async def main():\n"
        f"    child = await Troupe(Path(sys.argv[1])).start('battery-a', {BATTERY!r})\n"
        "    await child.ready()\n"
        "    print(child.pid, flush=True)\n"
        "    await asyncio.sleep(100)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert exists(child)
        parent.kill()
    deadline = time.monotonic() + 10
    while exists(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not exists(child)


def test_a_process_whose_parent_has_gone_does_not_begin() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.demo_stage.child", "1", "0", *BATTERY],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert "the demo has gone" in done.stderr
