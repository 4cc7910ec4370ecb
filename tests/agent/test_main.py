"""The agent as a process, in this one: ready, serving, told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from agent.config import load_site
from agent.control_client import ControlClient
from agent.main import run_agent
from etp.io.server import ListenError
from tests.agent.gateway_world import site_toml

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config_values import Site


def site_at(tmp_path: Path, port: int = 0) -> Site:
    """Return a site whose battery does not exist: nobody listens where it should be."""
    path = tmp_path / "site.toml"
    path.write_text(site_toml(battery='address = "127.0.0.1:9"').replace("port = 4084", f"port = {port}"))
    return load_site(path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_that_it_is_ready_and_ends_when_told(tmp_path: Path, number: int) -> None:
    site = site_at(tmp_path)
    lines: list[str] = []

    def ready(line: str) -> None:
        lines.append(line)
        asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), number)

    assert run_agent(site, ready=ready) == 0
    (line,) = lines
    assert line.startswith("ready battery-1=127.0.0.1:")
    assert line.endswith(f" control={site.control_socket}")
    assert not site.control_socket.exists()


def test_it_serves_its_control_socket_while_it_runs(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    looks: list[str] = []

    async def look() -> None:
        async with await ControlClient.connect(site.control_socket) as client:
            looks.append((await client.request("snapshot"))["batteries"][0]["stopped"])
        os.kill(os.getpid(), signal.SIGTERM)

    tasks: list[asyncio.Task[None]] = []
    assert run_agent(site, ready=lambda _line: tasks.append(asyncio.get_running_loop().create_task(look()))) == 0
    assert looks != [""]


def test_a_start_that_fails_raises_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        site = site_at(tmp_path, taken.getsockname()[1])
        with pytest.raises(ListenError):
            run_agent(site, ready=lambda _line: pytest.fail("it was not ready"))
    assert not site.control_socket.exists()
    assert run_agent(site, ready=lambda _line: os.kill(os.getpid(), signal.SIGTERM)) == 0
