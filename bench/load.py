"""A closed loop of buyers: every connection sends one frame, waits for its answer, and sends the next.

`load.c` is the same, cheaper, and used where there is a C compiler; this file says what both do. As a program:

    load PORT SERVER_PID CONNECTIONS ENERGY_WH PRICE_E4 STEP_E4 SWING FRAMES

Bids are packed here: a new id each time, `PRICE_E4 + STEP_E4 x (id modulo SWING)`, or ever rising with SWING 0. With a
FRAMES file ("" = none) each connection sends what is prepared there instead: `u32 LE size` and that many bytes of TCP
frames for every connection. Each line on stdin is a number of seconds to trade; the answer is one line of JSON, the
fields of `Window`. Between windows nothing moves, and what was asked before one counts without its wait.

It never sleeps: the server would pay for waking it, and the more the slower the server is.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from bench.machine import cpu_s
from etp.frame import encode_plain_tcp
from etp.messages import Body, MessageType

ANSWERS: Final = frozenset({MessageType.REGISTER, MessageType.BID, MessageType.BID_ACCEPT, MessageType.BID_REJECT})
"""What ends a wait: an echo of the bid, its verdict, or (signed) the other side's introduction. The rest is pushed."""
LIMIT_MS: Final = 500
_CODE_AT: Final = 62


class _Buyer:
    """One connection."""

    def __init__(self, port: int, frames: bytes | None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.frames = frames
        self.at = 0
        self.have = b""
        self.asked_s = 0.0


class Loop:
    """All connections and what they saw in the present window."""

    def __init__(self, port: int, count: int, *, energy_wh: int, prices: tuple[int, int, int], path: str) -> None:
        prepared = read_frames(Path(path).read_bytes()) if path else [None] * count
        self._buyers: dict[int, _Buyer] = {}
        self._poll = select.epoll()
        for frames in prepared[:count]:
            buyer = _Buyer(port, frames)
            self._buyers[buyer.socket.fileno()] = buyer
            self._poll.register(buyer.socket.fileno(), select.EPOLLIN)
        self._price_e4, self._step_e4, self._swing = prices
        self._frame = bytearray(encode_plain_tcp(Body.bid(0, 0, price_e4=0, energy_wh=energy_wh)))
        self._asked = 0
        self._active = -1
        self.closed = False
        self.waits_ms: list[float] = []
        self.codes: Counter[int] = Counter()
        self.began_s = 0.0

    def trade(self, seconds: float) -> None:
        """Exchange frames for so long, or until nobody has one left or a connection is closed."""
        if self._active < 0:
            self._active = sum([self._ask(buyer) for buyer in self._buyers.values()])
        self.waits_ms.clear()
        self.codes.clear()
        self.began_s = time.monotonic()
        while self._active and not self.closed and time.monotonic() < self.began_s + seconds:
            for number, _ in self._poll.poll(0):
                buyer = self._buyers[number]
                if self._hear(buyer) and not self._ask(buyer):
                    self._active -= 1

    def _ask(self, buyer: _Buyer) -> bool:
        if buyer.frames is None:
            self._asked += 1
            ahead = self._asked % self._swing if self._swing else self._asked
            struct.pack_into("<Q", self._frame, 5, self._asked)
            struct.pack_into("<d", self._frame, 22, (self._price_e4 + self._step_e4 * ahead) / 10_000)
            data: bytes | bytearray = self._frame
        elif buyer.at < len(buyer.frames):
            stop = buyer.at + 4 + int.from_bytes(buyer.frames[buyer.at : buyer.at + 4], "little")
            data, buyer.at = buyer.frames[buyer.at : stop], stop
        else:
            return False
        buyer.asked_s = time.monotonic()
        buyer.socket.sendall(data)
        return True

    def _hear(self, buyer: _Buyer) -> bool:
        data = buyer.socket.recv(4_096)
        self.closed = self.closed or not data
        data = buyer.have + data
        heard = False
        while len(data) >= 4 and len(data) >= (stop := 4 + int.from_bytes(data[:4], "little")):
            if data[4] in ANSWERS:
                heard = True
                self.codes[data[_CODE_AT]] += 1
                asked_s = buyer.asked_s
                self.waits_ms.append((time.monotonic() - asked_s) * 1e3 if asked_s >= self.began_s else 0.0)
            data = data[stop:]
        buyer.have = data
        return heard


def write_frames(buyers: list[bytes]) -> bytes:
    """Return the bytes of a FRAMES file."""
    return b"".join([len(frames).to_bytes(4, "little") + frames for frames in buyers])


def read_frames(data: bytes) -> list[bytes | None]:
    """Return what each connection sends."""
    buyers: list[bytes | None] = []
    while data:
        stop = 4 + int.from_bytes(data[:4], "little")
        buyers.append(data[4:stop])
        data = data[stop:]
    return buyers


def figures(loop: Loop, *, server_cpu_s: float, client_cpu_s: float) -> dict[str, Any]:
    """Return a window as the C program prints it."""
    waits = sorted(loop.waits_ms)
    return {
        "answers": len(waits),
        "seconds": time.monotonic() - loop.began_s,
        "server_cpu_s": server_cpu_s,
        "client_cpu_s": client_cpu_s,
        "closed": loop.closed,
        "late": sum(wait > LIMIT_MS for wait in waits),
        "p50_ms": waits[len(waits) // 2] if waits else 0.0,
        "p99_ms": waits[len(waits) * 99 // 100] if waits else 0.0,
        "worst_ms": waits[-1] if waits else 0.0,
        "codes": {str(code): count for code, count in sorted(loop.codes.items())},
    }


def main(arguments: list[str]) -> None:
    """Trade as told, a window for each line."""
    port, pid, count, energy_wh, price_e4, step_e4, swing = map(int, arguments[:7])
    loop = Loop(port, count, energy_wh=energy_wh, prices=(price_e4, step_e4, swing), path=arguments[7])
    for line in sys.stdin:
        server_s, own_s = cpu_s(pid), cpu_s(os.getpid())
        loop.trade(float(line))
        window = figures(loop, server_cpu_s=cpu_s(pid) - server_s, client_cpu_s=cpu_s(os.getpid()) - own_s)
        print(json.dumps(window), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
