"""What all connections of one battery or one aggregator have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etp.connection import Connection
from etp.replies import PeerMemories

if TYPE_CHECKING:
    from collections.abc import Callable

    from etp.auth import AuthPolicy
    from etp.latency import LatencyBook
    from etp.limits import Limits
    from etp.timing import Role


class ConnectionMaker:
    """Builds the connections of one battery or one aggregator; they share memories, latencies and a count of ids."""

    def __init__(
        self,
        *,
        role: Role,
        device_id: int,
        policy: AuthPolicy,
        limits: Limits,
        wall_ms: Callable[[], int],
        latency: LatencyBook | None = None,
        memories: PeerMemories | None = None,
        first_id: int = 1,
    ) -> None:
        """`first_id` numbers the first connection: unsigned trades outlive a process, and so do their peers' names."""
        self.role = role
        self.device_id = device_id
        self.policy = policy
        self.limits = limits
        self.wall_ms = wall_ms
        self.latency = latency
        self.memories = PeerMemories(limits) if memories is None else memories
        self._last_id = first_id - 1

    def __call__(self, remote: str, now_ms: int) -> Connection:
        """Return a connection with the next id."""
        self._last_id += 1
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
            latency=self.latency,
        )
