"""Links for tests: two connections joined without a socket, whose bytes travel whole, in pieces, or late.

A link is as hostile as TCP may be and no more: it cuts and delays, it never loses, doubles or reorders. `Link.run`
moves bytes until nothing is left to move; with a delay time has to pass (`now_ms`) before anything arrives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from etp.auth import AuthPolicy
from etp.connection import Connection, Received, Role
from etp.limits import Limits
from etp.replies import PeerMemories

if TYPE_CHECKING:
    from etp.messages import Body
    from etp.pace import AddressPace

Cutter: TypeAlias = Callable[[bytes], Iterator[bytes]]
"""How a write is cut into reads."""
Handler: TypeAlias = Callable[[Connection, list[Received]], None]
"""What an end does with the events of one read."""


def whole(data: bytes) -> Iterator[bytes]:
    """Deliver a write as one read."""
    if data:
        yield data


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    """Deliver every byte in a read of its own."""
    for index in range(len(data)):
        yield data[index : index + 1]


def in_chunks(sizes: Sequence[int]) -> Cutter:
    """Deliver reads of these sizes, over and over, whatever was written."""

    def cut(data: bytes) -> Iterator[bytes]:
        offset = turn = 0
        while offset < len(data):
            size = max(1, sizes[turn % len(sizes)])
            yield data[offset : offset + size]
            offset += size
            turn += 1

    return cut


CUTTERS: Final[dict[str, Cutter]] = {
    "whole": whole,
    "byte by byte": byte_by_byte,
    "in chunks": in_chunks((3, 85, 1, 200, 44)),
}
"""The ways of cutting that every protocol test runs under."""


class TestKey:
    """A `Signer` from a one-byte seed, for tests and examples; never for anything of value."""

    __test__ = False

    def __init__(self, seed: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public_key: bytes = self._key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """Return the Ed25519 signature over `data`."""
        return self._key.sign(data)


def make_connection(
    role: Role,
    *,
    policy: AuthPolicy | None = None,
    limits: Limits | None = None,
    memories: PeerMemories | None = None,
    conn_id: int = 1,
    now_ms: int = 0,
    wall_ms: Callable[[], int] = lambda: 1_700_000_000_000,
    address: str = "",
    shared: AddressPace | None = None,
) -> Connection:
    """Return one end of a conversation with everything a test does not care about filled in."""
    limits = Limits() if limits is None else limits
    return Connection(
        role=role,
        device_id=7 if role is Role.BATTERY else 9,
        policy=AuthPolicy() if policy is None else policy,
        limits=limits,
        memories=PeerMemories(limits) if memories is None else memories,
        conn_id=conn_id,
        remote="127.0.0.1",
        now_ms=now_ms,
        wall_ms=wall_ms,
        address=address,
        shared=shared,
    )


class Link:
    """A battery's and an aggregator's connection, joined; the handlers speak as soon as they hear."""

    def __init__(
        self,
        battery: Connection,
        aggregator: Connection,
        *,
        cut: Cutter = whole,
        delay_ms: int = 0,
        on_battery: Handler | None = None,
        on_aggregator: Handler | None = None,
    ) -> None:
        self.battery = battery
        self.aggregator = aggregator
        self.heard_by_battery: list[Received] = []
        self.heard_by_aggregator: list[Received] = []
        self._cut = cut
        self._delay_ms = delay_ms
        self._on_battery = on_battery
        self._on_aggregator = on_aggregator
        self._to_battery: deque[tuple[int, bytes]] = deque()
        self._to_aggregator: deque[tuple[int, bytes]] = deque()

    def run(self, now_ms: int = 0) -> None:
        """Let everything happen that can happen by `now_ms`."""
        while self._collect(now_ms) | self._deliver(now_ms):
            pass

    def say(self, speaker: Connection, *bodies: Body, now_ms: int = 0) -> None:
        """Send bodies from one end and let everything happen that follows."""
        for body in bodies:
            speaker.send(body, now_ms=now_ms)
        self.run(now_ms)

    def _collect(self, now_ms: int) -> bool:
        moved = False
        for end, queue in ((self.battery, self._to_aggregator), (self.aggregator, self._to_battery)):
            for piece in self._cut(end.data_to_send(now_ms)):
                queue.append((now_ms + self._delay_ms, piece))
                moved = True
            end.drained(now_ms)
        return moved

    def _deliver(self, now_ms: int) -> bool:
        moved = False
        ends = (
            (self.battery, self._to_battery, self.heard_by_battery, self._on_battery),
            (self.aggregator, self._to_aggregator, self.heard_by_aggregator, self._on_aggregator),
        )
        for end, queue, heard, handler in ends:
            while queue and queue[0][0] <= now_ms:
                events = end.receive(queue.popleft()[1], now_ms, now_ms)
                moved = True
                heard.extend(events)
                if events and handler is not None:
                    handler(end, events)
        return moved
