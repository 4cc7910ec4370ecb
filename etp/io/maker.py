"""What all connections of one battery or one aggregator have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etp.bids import PRICE_MAX
from etp.connection import Connection
from etp.io.sockets import site_of
from etp.limits import ENDS_LOGGED_PER_MIN
from etp.pace import AddressPaces, LinePace
from etp.replies import PeerMemories
from etp.timing import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from etp.auth import AuthPolicy
    from etp.limits import Limits
    from etp.traffic import Traffic


class ConnectionMaker:
    """Builds the connections of one battery or one aggregator; they share memories, traffic figures and a count of ids.

    The connections of one address (IPv6: one /64) share its rate.
    """

    def __init__(
        self,
        *,
        role: Role,
        device_id: int,
        policy: AuthPolicy,
        limits: Limits,
        wall_ms: Callable[[], int],
        traffic: Traffic | None = None,
        memories: PeerMemories | None = None,
        nonce: str = "",
        price_cap: float = PRICE_MAX,
    ) -> None:
        """`nonce` tells the connections of this process from those of others, in whose names unsigned trades go on.

        `traffic` is where all of them count (None = each for itself).

        `price_cap` is the battery's highest price in c/kWh: a bid above it is malformed.
        """
        self.role = role
        self.device_id = device_id
        self.policy = policy
        self.limits = limits
        self.wall_ms = wall_ms
        self.traffic = traffic
        self.memories = PeerMemories(limits) if memories is None else memories
        self.nonce = nonce
        self.price_cap = price_cap
        self._paces = AddressPaces(limits.address_frames_per_s if role is Role.BATTERY else 0)
        self.ends = LinePace(ENDS_LOGGED_PER_MIN if role is Role.BATTERY else 0)
        """How many ends of links go into the log: who dials makes its own links, a battery's are made by anybody."""
        self._last_id = 0

    def __call__(self, remote: str, now_ms: int, address: str = "") -> Connection:
        """Return a connection with the next id; "" or "?" is an address that nobody knows."""
        self._last_id += 1
        site = "" if address == "?" else site_of(address)
        return Connection(
            role=self.role,
            device_id=self.device_id,
            policy=self.policy,
            limits=self.limits,
            memories=self.memories,
            conn_id=self._last_id,
            remote=remote,
            now_ms=now_ms,
            wall_ms=self.wall_ms,
            traffic=self.traffic,
            nonce=self.nonce,
            price_cap=self.price_cap,
            address=site,
            shared=self._paces.of(site, now_ms),
        )
