"""What systemd wants to hear: READY, WATCHDOG, STATUS and STOPPING, as datagrams to the socket it names.

Without `NOTIFY_SOCKET` every call does nothing. The control loop feeds the watchdog by `alive`, so a loop that hangs
stops feeding it; datagrams leave at most every quarter of the watchdog's time. A datagram that cannot be sent is
counted and never raises: the control loop has more important work.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Notifier:
    """Talks to the service manager named by the environment of this process."""

    def __init__(self, environment: Mapping[str, str], *, pid: int | None = None) -> None:
        self.failures = 0
        self.watchdog_ms = _watchdog_ms(environment, os.getpid() if pid is None else pid)
        self._fed_at_ms: int | None = None
        self._socket: socket.socket | None = None
        path = environment.get("NOTIFY_SOCKET", "")
        if path.startswith(("/", "@")):
            self._address = "\0" + path[1:] if path.startswith("@") else path
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    def ready(self, status: str) -> None:
        """The agent serves; `status` is shown by `systemctl status`."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, status: str) -> None:
        """Something to show changed."""
        self._send(f"STATUS={_line(status)}")

    def alive(self, now_ms: int) -> None:
        """Feed the watchdog; cheap enough for every turn of the control loop."""
        if self.watchdog_ms and (self._fed_at_ms is None or now_ms - self._fed_at_ms >= self.watchdog_ms // 4):
            self._fed_at_ms = now_ms
            self._send("WATCHDOG=1")

    def stopping(self, status: str) -> None:
        """The agent is about to end."""
        self._send(f"STOPPING=1\nSTATUS={_line(status)}")

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, text: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError:
            self.failures += 1


def _watchdog_ms(environment: Mapping[str, str], pid: int) -> int:
    """Return the watchdog's time in ms, 0 when there is none or it is meant for another process."""
    raw, meant_for = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not raw.isdigit() or (meant_for and meant_for != str(pid)):
        return 0
    return int(raw) // 1_000


def _line(text: str) -> str:
    return " ".join(text.split())
