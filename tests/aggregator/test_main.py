"""`wattbid aggregator` as a process: ready line, event lines, clean end."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import aggregator
from aggregator.config import load_config
from aggregator.config_reference import reference
from aggregator.main import run_aggregator
from aggregator.testing import StandInBattery
from etp.io.group import MulticastUnavailable

ROOT = Path(aggregator.__file__).parents[1]
EXAMPLE = ROOT / "deploy" / "examples" / "aggregator.toml"


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


async def start(*arguments: str | Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from cli.main import main; main()",
        "aggregator",
        *map(str, arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def write_config(tmp_path: Path, port: int, extra: str = "") -> Path:
    path = tmp_path / "buyer.toml"
    path.write_text(
        f'name = "test"\n{extra}[network]\npeers = "open"\nmulticast = false\nbatteries = ["127.0.0.1:{port}"]\n'
        "[buy]\nneed_kwh = 5\n[value]\nforecast_c = [20]\n"
    )
    return path


async def stopped(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_it_buys_prints_json_lines_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    seller = StandInBattery(wall_ms=wall_ms)
    port = await seller.start()
    process = await start("--config", write_config(tmp_path, port, 'root_file = "r.root"\n'), "--json")
    events: list[dict[str, Any]] = []
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            while not events or events[-1]["event"] != "ended":
                events.append(json.loads(await process.stdout.readline()))
        code, _, err = await stopped(process)
    finally:
        await seller.close()
    assert (code, "Traceback" in err) == (0, False)
    assert events[0].keys() >= {"event", "at_ms", "aggregator", "device", "batteries"}
    assert [event["event"] for event in events[:3]] == ["ready", "connected", "bid"]
    assert events[-1]["delivered_wh"] == 5_000
    assert (tmp_path / "r.root").stat().st_size == 32


async def test_its_status_file_says_how_late_its_frames_were(tmp_path: Path) -> None:
    seller = StandInBattery(wall_ms=wall_ms)
    port = await seller.start()
    process = await start("--config", write_config(tmp_path, port, 'status_file = "status.json"\n'))
    path = tmp_path / "status.json"
    try:
        async with asyncio.timeout(30):
            while not path.exists() or '"BidConfirm"' not in path.read_text():  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.05)
        code, _, _ = await stopped(process)
    finally:
        await seller.close()
    assert code == 0
    status = json.loads(path.read_text())
    confirms = status["latency_ms"]["BidConfirm"]
    assert (confirms["count"], confirms["late"], confirms["limit"]) == (1, 0, 500)
    assert status["latency_ms"]["Register"]["count"] >= 1
    assert status["connections"]["received"] >= 3
    assert status["connections"]["bad"] == status["connections"]["unanswered"] == 0


async def test_without_json_it_prints_one_ready_line(tmp_path: Path) -> None:
    process = await start("--config", write_config(tmp_path, 1))
    assert process.stdout is not None
    async with asyncio.timeout(30):
        line = await process.stdout.readline()
    assert re.fullmatch(rb"ready name=test device=\d+ batteries=1\n", line)
    code, out, err = await stopped(process)
    assert (code, out) == (0, "")
    assert "unreachable" in err


async def test_a_wrong_file_is_one_line_and_status_two(tmp_path: Path) -> None:
    path = write_config(tmp_path, 1, "sed = 1\n")
    process = await start("--config", path)
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert (process.returncode, out) == (2, b"")
    assert err.decode().startswith(f'{path}:2: sed: unknown key, did you mean "seed"?; allowed: name, seed')
    assert err.count(b"\n") == 1


async def test_a_root_file_that_is_open_to_others_is_one_line_and_status_one(tmp_path: Path) -> None:
    (tmp_path / "r.root").write_bytes(bytes(range(32)))
    (tmp_path / "r.root").chmod(0o644)
    process = await start("--config", write_config(tmp_path, 1, 'root_file = "r.root"\n'))
    async with asyncio.timeout(30):
        _, err = await process.communicate()
    assert process.returncode == 1
    assert err.decode().startswith("wattbid aggregator: ")
    assert "Traceback" not in err.decode()


def test_the_example_is_right_and_names_the_defaults_it_shows(tmp_path: Path) -> None:
    config = load_config(EXAMPLE)
    assert [str(endpoint) for endpoint in config.network.endpoints] == ["127.0.0.1:4084"]
    spelled_out = tmp_path / "aggregator.toml"
    spelled_out.write_text(re.sub(r"(?m)^#(?=[a-z_]+ = )", "", EXAMPLE.read_text()))
    assert "\nseed = 0\n" in spelled_out.read_text()
    assert load_config(spelled_out).model_dump() == config.model_dump()


def test_the_reference_page_is_current() -> None:
    page = (ROOT / "docs" / "aggregator-file.md").read_text()
    assert page == reference(), "python -m aggregator.config_reference > docs/aggregator-file.md"


def test_every_event_is_documented() -> None:
    page = reference()
    told: set[str] = set()
    for path in (ROOT / "aggregator").glob("*.py"):
        text = path.read_text()
        told |= set(re.findall(r'(?:Note\(|_note\(|\.tell\(|"event": )\s*"([a-z_]+)"', text))
    assert {"bid", "ended", "ready", "adrift", "lost", "crashed"} <= told
    assert {event for event in told if f"`{event}`" not in page and f'"{event}"' not in page} == set()


@pytest.mark.parametrize("listed", [True, False])
def test_without_multicast_the_listed_batteries_must_do(tmp_path: Path, *, listed: bool) -> None:
    path = tmp_path / "buyer.toml"
    batteries = '["127.0.0.1:1"]' if listed else "[]"
    path.write_text(
        f'name = "test"\n[network]\npeers = "open"\ninterface = "none0"\nbatteries = {batteries}\n'
        "[value]\nforecast_c = [20]\n"
    )
    lines: list[str] = []

    def end(line: str) -> None:
        lines.append(line)
        signal.raise_signal(signal.SIGINT)

    if not listed:
        with pytest.raises(MulticastUnavailable, match="none0"):
            run_aggregator(load_config(path), ready=end)
        return
    run_aggregator(load_config(path), ready=end)
    assert lines[0].startswith("ready name=test device=")


def test_with_multicast_it_looks_around(tmp_path: Path) -> None:
    path = tmp_path / "buyer.toml"
    path.write_text(
        'name = "test"\nroot_file = "r"\n[network]\ntrusted_peers = "any"\ninterface = "127.0.0.1"\n'
        "group_port = 40842\n[value]\nforecast_c = [20]\n"
    )
    lines: list[dict[str, Any]] = []

    def write(line: str) -> None:
        lines.append(json.loads(line))
        signal.raise_signal(signal.SIGTERM)

    try:
        run_aggregator(load_config(path), ready=lambda _: None, write=write)
    except MulticastUnavailable as error:
        pytest.skip(str(error))
    assert lines[0]["event"] == "ready"
