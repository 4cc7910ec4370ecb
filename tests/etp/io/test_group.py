"""Group sockets: settings, IPv6, neighbours, and the listen address that says everything."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from etp.discovery import GROUP_V6
from etp.io.group import MulticastSettings, MulticastUnavailable, aim, ignore_other_groups, open_asker, open_listener
from etp.io.sockets import open_service_sockets
from tests.etp.io.parties import HOST, interface_with_v6_multicast


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    "fields", [{"group": "192.0.2.1"}, {"group": "x"}, {"port": 0}, {"port": 65_536}, {"ttl": -1}, {"ttl": 256}]
)
def test_settings_refuse_what_cannot_work(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"group|port|ttl|address"):
        MulticastSettings(**fields)  # type: ignore[arg-type]


def test_interface_follows_the_listen_address_unless_named() -> None:
    assert MulticastSettings().interface_for(HOST) == HOST
    assert MulticastSettings().interface_for("0.0.0.0") == ""
    assert MulticastSettings().interface_for("") == ""
    assert MulticastSettings(interface="eth0").interface_for(HOST) == "eth0"
    assert MulticastSettings(group=GROUP_V6).interface_for("::1") == "lo"
    assert MulticastSettings(group=GROUP_V6).interface_for("fd00::1") == ""


@pytest.mark.parametrize("interface", [HOST, "lo"])
def test_any_number_of_sockets_hear_the_group(interface: str) -> None:
    settings = MulticastSettings(port=free_port(), interface=interface)
    with ExitStack() as stack:
        ears = [stack.enter_context(open_listener(settings)) for _ in range(4)]
        mouth = stack.enter_context(open_asker(settings, HOST))
        mouth.sendto(b"hello", (settings.group, settings.port))
        for ear in ears:
            ear.settimeout(30)
            assert ear.recvfrom(16) == (b"hello", mouth.getsockname())


def test_datagrams_of_the_group_stay_away_from_a_service_socket_on_its_port() -> None:
    """A battery on every address and on the group's own port number hears each datagram once."""
    settings = MulticastSettings(port=free_port(), interface=HOST)
    doors = open_service_sockets("0.0.0.0", settings.port, group_port=settings.port)
    with doors.tcp, doors.udp, open_listener(settings) as ear, open_asker(settings, HOST) as mouth:
        ignore_other_groups(doors.udp)
        mouth.sendto(b"hello", (settings.group, settings.port))
        ear.settimeout(30)
        assert ear.recv(16) == b"hello"
        with pytest.raises(BlockingIOError):
            doors.udp.recv(16)


def test_hops_and_loopback_are_set() -> None:
    settings = MulticastSettings(port=free_port(), interface=HOST, ttl=7)
    with open_asker(settings) as mouth:
        assert mouth.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 7
        assert mouth.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP) == 1


@pytest.mark.parametrize(
    "settings",
    [
        MulticastSettings(interface="no-such-if"),
        MulticastSettings(interface="192.0.2.77"),
        MulticastSettings(group=GROUP_V6, interface="no-such-if"),
    ],
    ids=["name", "address", "IPv6"],
)
def test_interface_that_is_not_here_is_named(settings: MulticastSettings) -> None:
    for open_socket in (open_listener, open_asker):
        with pytest.raises(MulticastUnavailable, match=settings.interface) as caught:
            open_socket(settings)
        assert caught.value.reason


def test_listen_address_that_is_not_here_is_an_error() -> None:
    with pytest.raises(MulticastUnavailable, match="assign"):
        open_asker(MulticastSettings(), "192.0.2.77")


def test_group_of_the_other_ip_version_is_an_error() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        pytest.raises(MulticastUnavailable, match="IP version"),
    ):
        aim(sock, MulticastSettings(group=GROUP_V6))


def test_ipv6_group() -> None:
    name = interface_with_v6_multicast()
    if not name:
        pytest.skip("no interface with IPv6 multicast")
    settings = MulticastSettings(group=GROUP_V6, port=free_port(), interface=name)
    with open_listener(settings) as ear, open_asker(settings) as mouth:
        mouth.sendto(b"hello", (settings.group, settings.port))
        ear.settimeout(30)
        data, source = ear.recvfrom(16)
        assert data == b"hello"
        assert source[1] == mouth.getsockname()[1]
        ignore_other_groups(ear)
