"""The ports that the examples use as they are: one test at a time may have them."""

from __future__ import annotations

import fcntl
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_PORTS: Final = (5_020, 6_020, 4_084)
"""Modbus and control of `wattbid sim battery`, ETP of the example's battery."""


@contextmanager
def default_ports() -> Iterator[None]:
    """Wait for the other tests that need these ports; skip the test if something else of this machine has one."""
    with (Path(tempfile.gettempdir()) / "wattbid-default-ports.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if taken := [port for port in DEFAULT_PORTS if is_taken(port)]:
            pytest.skip(f"ports in use on this machine: {taken}")
        yield


def is_taken(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
