"""Datagrams to the service manager."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from agent.notify import Notifier

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def manager(tmp_path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(tmp_path / "notify"))
    listener.settimeout(30)
    return listener


def test_ready_watchdog_status_and_stopping(manager: socket.socket, tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "7"}
    notifier = Notifier(environment, pid=7)
    notifier.ready("2 batteries\non sale")
    notifier.alive(10_000)
    notifier.alive(10_499)
    notifier.alive(10_500)
    notifier.status("3 trades")
    notifier.stopping("bye")
    said = [manager.recv(1_000).decode() for _ in range(5)]
    assert said == [
        "READY=1\nSTATUS=2 batteries on sale",
        "WATCHDOG=1",
        "WATCHDOG=1",
        "STATUS=3 trades",
        "STOPPING=1\nSTATUS=bye",
    ]
    notifier.close()
    notifier.close()
    notifier.ready("late")
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(1)
    manager.close()


def test_an_abstract_address() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0wattbid-test-notify")
        listener.settimeout(30)
        notifier = Notifier({"NOTIFY_SOCKET": "@wattbid-test-notify"})
        notifier.status("x")
        assert listener.recv(100) == b"STATUS=x"
        notifier.close()


@pytest.mark.parametrize(
    ("environment", "watchdog_ms"),
    [
        ({}, 0),
        ({"WATCHDOG_USEC": "x"}, 0),
        ({"WATCHDOG_USEC": "5000000"}, 5_000),
        ({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}, 0),
    ],
)
def test_the_watchdogs_time(environment: dict[str, str], watchdog_ms: int) -> None:
    notifier = Notifier(environment, pid=2)
    assert notifier.watchdog_ms == watchdog_ms
    notifier.alive(0)
    notifier.close()


def test_nobody_there_is_counted_not_raised(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    notifier.ready("x")
    assert notifier.failures == 1
    notifier.close()
