"""Socket options and addresses; everything here copes with a transport that has no socket."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from etp.limits import Limits

SEND_BUFFER_BYTES: Final = 65_536
"""The kernel's share of what waits for a slow reader: as much as the outbox, and no frame in it can be overtaken."""
KEEPALIVE_IDLE_S: Final = 15
KEEPALIVE_INTERVAL_S: Final = 5
KEEPALIVE_PROBES: Final = 3
PORT_TRIES: Final = 10
"""UDP must get the number that TCP got (ETP section 4)."""
BACKLOG: Final = 256


def explain(error: OSError) -> str:
    """Return the system's own words for an error; asyncio and uvloop put theirs over them."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def host_of(peername: object) -> tuple[str, str]:
    """Return host, and host and port for people, of a transport's peer; "?" for a transport without one."""
    if not isinstance(peername, tuple) or len(peername) < 2:
        return "?", "?"
    host = plain_host(str(peername[0]))
    return host, f"[{host}]:{peername[1]}" if ":" in host else f"{host}:{peername[1]}"


def plain_host(host: str) -> str:
    """Return an address without the disguise of IPv4 inside IPv6."""
    return host.removeprefix("::ffff:") if host.startswith("::ffff:") and "." in host else host


def site_of(host: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 that an IPv6 host can choose from freely."""
    if ":" not in host:
        return host
    try:
        return str(ipaddress.IPv6Network((host.partition("%")[0], 64), strict=False))
    except ValueError:
        return host


def tune(sock: object, limits: Limits) -> None:
    """Bound what the kernel buffers for a TCP peer, and let it notice one whose host is gone."""
    if sock is None or getattr(sock, "family", None) not in (socket.AF_INET, socket.AF_INET6):
        return
    set_option = sock.setsockopt  # type: ignore[attr-defined]  # uvloop's stand-in for a socket has it too
    set_option(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    set_option(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    set_option(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    set_option(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
    set_option(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    if limits.stalled_ms:
        set_option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limits.stalled_ms)


class ServiceSockets(NamedTuple):
    """The two doors of a battery, on one port number."""

    tcp: socket.socket
    udp: socket.socket
    port: int

    def close(self) -> None:
        """Give the port back."""
        self.tcp.close()
        self.udp.close()


def open_service_sockets(host: str, port: int, *, group_port: int = 0) -> ServiceSockets:
    """Bind TCP (listening) and UDP to one port number of a numeric address; with port 0 the system chooses it.

    TCP comes first and never shares its port, so of two agents on one port the second fails here. `group_port` is the
    one UDP port number that group sockets may hold at the same time. Raises OSError.
    """
    tries = PORT_TRIES if port == 0 else 1
    while True:
        tries -= 1
        tcp = _bind(host, port, socket.SOCK_STREAM)
        bound = tcp.getsockname()[1]
        try:
            tcp.listen(BACKLOG)
            udp = _bind(host, bound, socket.SOCK_DGRAM, share=bound == group_port)
        except OSError:
            tcp.close()
            if not tries:
                raise
            continue
        return ServiceSockets(tcp, udp, bound)


def _bind(host: str, port: int, kind: socket.SocketKind, *, share: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        if kind is socket.SOCK_STREAM or share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock
