"""How soon 200 connected buyers know that the battery has failed: from the poll that found it to each one's read."""

from __future__ import annotations

import select
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from bench.children import Child
from bench.machine import cores
from bench.report import Figure
from bench.stats import percentile
from etp.frame import encode_tcp
from etp.messages import Body, MessageType

if TYPE_CHECKING:
    from bench.settings import Settings

_PEERS: Final = 200
_TARGET_MS: Final = 50.0


def run(settings: Settings) -> list[Figure]:
    """Let the battery fail a few times."""
    waits_ms: list[float] = []
    probe_ms: list[float] = []
    with ExitStack() as tidy:
        shop = tidy.enter_context(Child("bench.shop", core=cores().server, directory=str(settings.room("fan-out"))))
        peers = [_Peer(tidy, shop.ready["port"]) for _ in range(_PEERS)]
        for _ in range(settings.count(10, 1)):
            probe_ms.append(_probe(peers[0]))
            at_s = float(shop.ask(do="fail")["at_s"])
            waits_ms += [(heard_s - at_s) * 1e3 for heard_s in _hear(peers)]
            shop.ask(do="heal")
    note = "" if len(waits_ms) % _PEERS == 0 else f"{-len(waits_ms) % _PEERS} did not hear"
    return [
        Figure(key="fan_out.p50_ms", value=percentile(waits_ms, 0.5), unit="ms"),
        Figure(
            key="fan_out.p99_ms",
            value=percentile(waits_ms, 0.99),
            unit="ms",
            target=_TARGET_MS,
            valid=not note,
            note=note or f"{_PEERS} peers, {len(waits_ms) // _PEERS} failures",
        ),
        Figure(
            key="fan_out.ratio_to_query",
            value=percentile(waits_ms, 0.99) / percentile(probe_ms, 0.5),
            note=f"one Query and its answer: {percentile(probe_ms, 0.5):.2f} ms",
        ),
    ]


class _Peer:
    """A buyer that only listens; a Query shows that the battery knows it."""

    def __init__(self, tidy: ExitStack, port: int) -> None:
        self.socket = tidy.enter_context(socket.create_connection(("127.0.0.1", port)))
        self.ask()

    def ask(self) -> None:
        """One Query and its answer."""
        self.socket.sendall(encode_tcp(Body.query(1, 7)))
        while MessageType.QUERY_RESPONSE not in self.read():
            pass

    def read(self) -> list[int]:
        """Return the types of the frames of one read; every frame here is a plain one of 88 bytes."""
        data = self.socket.recv(65_536)
        if not data:
            raise RuntimeError("the battery closed a listener's connection")
        return [data[at] for at in range(4, len(data), 88)]


def _probe(peer: _Peer) -> float:
    began_s = time.monotonic()
    peer.ask()
    return (time.monotonic() - began_s) * 1e3


def _hear(peers: list[_Peer], patience_s: float = 5.0) -> list[float]:
    """Return when each peer read a DeviceFailure."""
    poll = select.epoll()
    waiting = {peer.socket.fileno(): peer for peer in peers}
    for number in waiting:
        poll.register(number, select.EPOLLIN)
    heard_s: list[float] = []
    until_s = time.monotonic() + patience_s
    while waiting and time.monotonic() < until_s:
        for number, _ in poll.poll(0.1):
            if number in waiting and MessageType.DEVICE_FAILURE in waiting[number].read():
                heard_s.append(time.monotonic())
                del waiting[number]
                poll.unregister(number)
    poll.close()
    return heard_s
