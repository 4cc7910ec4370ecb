"""A multicast group of the demo alone, on loopback: two demos on one machine do not meet. Tried before it is used."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING, Final

from cli.demo_stage.scene import Group
from etp.io.group import MulticastSettings, MulticastUnavailable, open_asker, open_listener

if TYPE_CHECKING:
    from random import Random

_LOOPBACK: Final = "127.0.0.1"
_ECHO_S: Final = 1.0
_PROBE: Final = b"wattbid demo"


def own_group(chance: Random) -> Group:
    """Return a group that works on loopback. Raises MulticastUnavailable with the reason."""
    address = f"239.255.{chance.randrange(256)}.{chance.randrange(1, 255)}"
    settings = MulticastSettings(group=address, port=_free_port(), interface=_LOOPBACK, ttl=0)
    with open_listener(settings, _LOOPBACK) as listener, open_asker(settings, _LOOPBACK) as asker:
        try:
            asker.sendto(_PROBE, (settings.group, settings.port))
        except OSError as error:
            raise MulticastUnavailable(settings, _LOOPBACK, error.strerror or str(error)) from error
        if not select.select([listener], [], [], _ECHO_S)[0]:
            raise MulticastUnavailable(settings, _LOOPBACK, "what is sent to the group does not come back")
    return Group(address=address, port=settings.port)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
