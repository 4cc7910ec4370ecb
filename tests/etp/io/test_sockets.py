"""Addresses, options and the two doors on one port number."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

import pytest

from etp.io import sockets
from etp.io.sockets import explain, host_of, open_service_sockets, plain_host, site_of, tune
from etp.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "127.0.0.1"


def test_hosts_are_written_plainly() -> None:
    assert host_of(("192.0.2.1", 5)) == ("192.0.2.1", "192.0.2.1:5")
    assert host_of(("::ffff:192.0.2.1", 5, 0, 0)) == ("192.0.2.1", "192.0.2.1:5")
    assert host_of(("fd00::2", 5, 0, 0)) == ("fd00::2", "[fd00::2]:5")
    assert host_of(None) == host_of("/run/socket") == ("?", "?")
    assert plain_host("::ffff:1") == "::ffff:1"


def test_ipv6_hosts_count_by_their_network() -> None:
    assert site_of("192.0.2.1") == "192.0.2.1"
    assert site_of("fd00::2") == site_of("fd00::3:4:5") != site_of("fd00:0:0:1::2")
    assert site_of("fe80::1%eth0") == "fe80::/64"
    assert site_of("not:an:address") == "not:an:address"


def test_errors_are_told_in_the_systems_words() -> None:
    assert explain(OSError(errno.ECONNREFUSED, "Connect call failed")) == "Connection refused"
    assert explain(OSError("no interface with this name")) == "no interface with this name"
    assert explain(socket.gaierror(-2, "Name or service not known")) == "Name or service not known"


def test_options_of_a_tcp_peer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        tune(sock, Limits(stalled_ms=4_000))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 4_000
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * sockets.SEND_BUFFER_BYTES
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
        tune(sock, Limits(stalled_ms=0))
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0


def test_transport_without_a_tcp_socket_is_left_alone() -> None:
    tune(None, Limits())
    one, other = socket.socketpair()
    with one, other:
        tune(one, Limits())
        assert not one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_both_doors_have_one_number() -> None:
    doors = open_service_sockets(HOST, 0)
    assert doors.tcp.getsockname()[1] == doors.udp.getsockname()[1] == doors.port
    with pytest.raises(OSError, match="in use"):
        open_service_sockets(HOST, doors.port)
    doors.close()
    open_service_sockets(HOST, doors.port).close()


@pytest.mark.parametrize(("taken", "works"), [(9, True), (10, False)])
def test_a_number_that_udp_cannot_have_is_given_up(monkeypatch: pytest.MonkeyPatch, *, taken: int, works: bool) -> None:
    bind: Callable[..., socket.socket] = sockets._bind
    tries = 0

    def bind_or_not(host: str, port: int, kind: socket.SocketKind, *, share: bool = False) -> socket.socket:
        nonlocal tries
        if kind is socket.SOCK_DGRAM:
            tries += 1
            if tries <= taken:
                raise OSError(errno.EADDRINUSE, "Address already in use")
        return bind(host, port, kind, share=share)

    monkeypatch.setattr(sockets, "_bind", bind_or_not)
    if works:
        open_service_sockets(HOST, 0).close()
    else:
        with pytest.raises(OSError, match="in use"):
            open_service_sockets(HOST, 0)
    assert tries == 10


def test_udp_taken_by_another_program_is_an_error_on_a_fixed_port() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOST, 0))
        with pytest.raises(OSError, match="in use"):
            open_service_sockets(HOST, other.getsockname()[1])


def test_ipv6_doors() -> None:
    try:
        doors = open_service_sockets("::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    assert doors.tcp.family == doors.udp.family == socket.AF_INET6
    doors.close()
