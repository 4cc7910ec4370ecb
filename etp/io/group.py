"""Sockets that speak to and listen to the multicast group (ETP section 4).

The listening socket is bound to the group's own address and shares it (SO_REUSEADDR), so any number of batteries and
aggregators on one machine hear the group. IP_MULTICAST_ALL = 0 keeps groups that others joined away from a socket that
listens on every address. The sending socket loops its datagrams back: neighbours on this machine hear it too.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass
from typing import Final

from etp.discovery import DEFAULT_PORT, DEFAULT_TTL, GROUP_V4
from etp.errors import EtpError
from etp.io.sockets import explain

_IP_MULTICAST_ALL: Final = 49  # linux/in.h; the socket module does not name it
_IPV6_MULTICAST_ALL: Final = 29  # linux/in6.h
_RECEIVE_BYTES: Final = 262_144
"""A few hundred batteries may answer one Query within a millisecond."""


class MulticastUnavailable(EtpError):  # noqa: N818 - a state of the network, not a mistake
    """The group cannot be used here; trading goes on with endpoints that are configured."""

    def __init__(self, settings: MulticastSettings, interface: str, reason: str) -> None:
        where = f" on {interface}" if interface else ""
        super().__init__(
            f"multicast group {settings.group} port {settings.port}{where} is not available: {reason}; "
            "name an interface that is up, or list the batteries' endpoints"
        )
        self.group = settings.group
        self.interface = interface
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class MulticastSettings:
    """Which group, and how to reach it. Raises ValueError on what cannot be a group, a port or a ttl."""

    group: str = GROUP_V4
    port: int = DEFAULT_PORT
    interface: str = ""
    """A name (eth0) or an IPv4 address of this machine; empty: the listen address, else what the system routes to."""
    ttl: int = DEFAULT_TTL
    """Routers a datagram may pass."""

    def __post_init__(self) -> None:
        if not ipaddress.ip_address(self.group).is_multicast:
            raise ValueError(f"group {self.group} is not a multicast address")
        if not 1 <= self.port <= 65_535:
            raise ValueError(f"group port {self.port} is outside 1..65535")
        if not 0 <= self.ttl <= 255:
            raise ValueError(f"ttl {self.ttl} is outside 0..255")

    @property
    def is_v6(self) -> bool:
        """Whether the group is an IPv6 one."""
        return ":" in self.group

    def interface_for(self, listen: str) -> str:
        """Return the interface to use by a socket that listens on `listen`."""
        if self.interface or not listen or ipaddress.ip_address(listen).is_unspecified:
            return self.interface
        if self.is_v6:
            return "lo" if ipaddress.ip_address(listen).is_loopback else ""
        return listen


def open_listener(settings: MulticastSettings, listen: str = "") -> socket.socket:
    """Return a socket that hears the group. Raises MulticastUnavailable."""
    interface = settings.interface_for(listen)
    sock = socket.socket(socket.AF_INET6 if settings.is_v6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        ignore_other_groups(sock)
        if settings.is_v6:
            index = _index(interface)
            sock.bind((settings.group, settings.port, 0, index))
            request = socket.inet_pton(socket.AF_INET6, settings.group) + struct.pack("@I", index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
        else:
            sock.bind((settings.group, settings.port))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _mreqn(settings.group, interface))
    except OSError as error:
        sock.close()
        raise _unavailable(settings, interface, error) from error
    return sock


def open_asker(settings: MulticastSettings, listen: str = "") -> socket.socket:
    """Return a socket on an ephemeral port that asks the group and hears answers. Raises MulticastUnavailable."""
    family = socket.AF_INET6 if settings.is_v6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        ignore_other_groups(sock)
        sock.bind((listen, 0))  # empty: every address
    except OSError as error:
        sock.close()
        raise _unavailable(settings, settings.interface_for(listen), error) from error
    try:
        aim(sock, settings, listen)
    except MulticastUnavailable:
        sock.close()
        raise
    return sock


def aim(sock: socket.socket, settings: MulticastSettings, listen: str = "") -> None:
    """Let a bound socket send to the group. Raises MulticastUnavailable when there is no way there."""
    interface = settings.interface_for(listen)
    if settings.is_v6 != (sock.family == socket.AF_INET6):
        raise MulticastUnavailable(settings, interface, "the group is of another IP version than the listen address")
    try:
        _aim(sock, settings, interface)
        with socket.socket(sock.family, socket.SOCK_DGRAM) as probe:
            _aim(probe, settings, interface)
            probe.connect((settings.group, settings.port))  # sends nothing: asks the system for a route
    except OSError as error:
        raise _unavailable(settings, interface, error) from error


def ignore_other_groups(sock: socket.socket) -> None:
    """Deliver only the groups that this very socket joined."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)


def _aim(sock: socket.socket, settings: MulticastSettings, interface: str) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, _index(interface))
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, settings.ttl)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _mreqn(settings.group, interface))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, settings.ttl)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)


def _mreqn(group: str, interface: str) -> bytes:
    """Return a struct ip_mreqn: the group, and the interface by address or by index."""
    try:
        address, index = socket.inet_pton(socket.AF_INET, interface), 0
    except OSError:
        address, index = bytes(4), _index(interface)
    return struct.pack("@4s4si", socket.inet_aton(group), address, index)


def _index(interface: str) -> int:
    return socket.if_nametoindex(interface) if interface else 0


def _unavailable(settings: MulticastSettings, interface: str, error: OSError) -> MulticastUnavailable:
    return MulticastUnavailable(settings, interface, explain(error))
