"""Bids that come whether or not the last was answered: 5,000 a second over 200 connections, with 10 awards a second.

Each bid has a time at which it should be sent, and its latency runs from there, so a client or server that stalls does
not hide what waited. Most bids are below the reserve and refused. One buyer a battery bids high, wins after the
standing time, and confirms, so that awards, trades and deliveries are committed to disk all the while; as each takes a
whole lot with all its power, the agent has 16 batteries. Beside it another process appends and fdatasyncs what one
commitment writes: the disk's own tail, of the same seconds.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from bench.children import Child
from bench.machine import cores
from bench.report import Figure
from bench.rows.journal import commit_bytes
from bench.stats import percentile
from etp.frame import encode_plain_tcp, encode_tcp
from etp.messages import Body, MessageType

if TYPE_CHECKING:
    from bench.settings import Settings

_LIMIT_MS: Final = 500
_STANDING_MS: Final = 400
_OVERHEAD_MS: Final = 5.0
_CONNECTIONS: Final = 200
_BATTERIES: Final = 16
_FIRST_HIGH_ID: Final = 1 << 40
_FRAME_BYTES: Final = 88


def run(settings: Settings) -> list[Figure]:
    """Offer the load and listen."""
    here = cores()
    before = os.sched_getaffinity(0)
    with ExitStack() as tidy:
        size = commit_bytes(settings)
        room = settings.room("open-loop")
        options = {"batteries": _BATTERIES, "lot_wh": 100, "rated_power_w": 2_000_000}
        shop = tidy.enter_context(Child("bench.shop", core=here.server, directory=str(room), **options))
        disk = tidy.enter_context(Child("bench.disk", directory=str(room), size=size, every_s=0.1))
        os.sched_setaffinity(0, {here.client})
        tidy.callback(os.sched_setaffinity, 0, before)
        crowd = Crowd(shop.ready["ports"], rate=settings.count(5_000, 200), awards=10)
        tidy.callback(crowd.close)
        crowd.trade(settings.pick(30.0, 1.0))
        bare = disk.ask(do="figures")
    return _figures(crowd, bare, size)


def _figures(crowd: Crowd, bare: dict[str, float], size: int) -> list[Figure]:
    overheads_ms = [wait_ms - _STANDING_MS for wait_ms in crowd.won_ms]
    answered = len(crowd.refused_ms) + len(crowd.won_ms)
    late = sum(wait_ms > _LIMIT_MS for wait_ms in (*crowd.refused_ms, *crowd.won_ms))
    silent = crowd.asked - answered
    whole = not silent and not crowd.lost and bool(crowd.won_ms)
    allowed_ms = _OVERHEAD_MS + bare["p99_ms"]
    return [
        Figure(
            key="open_loop.unanswered_or_late",
            value=silent + late,
            target=0,
            note=f"of {crowd.asked:,} bids; {crowd.sent_late_ms:.1f} ms at most behind the schedule",
        ),
        Figure(
            key="open_loop.award_overhead_p99_ms",
            value=percentile(overheads_ms, 0.99),
            unit="ms",
            target=allowed_ms,
            valid=whole,
            note=f"{len(overheads_ms)} awards, p50 {percentile(overheads_ms, 0.5):.1f} ms; {crowd.lost} lost",
        ),
        Figure(
            key="open_loop.refusal_p99_ms",
            value=percentile(crowd.refused_ms, 0.99),
            unit="ms",
            target=allowed_ms,
            valid=whole,
            note=f"p50 {percentile(crowd.refused_ms, 0.5):.2f} ms",
        ),
        Figure(key="open_loop.fdatasync_p99_ms", value=bare["p99_ms"], unit="ms", note=f"{size} bytes, beside the run"),
        Figure(
            key="open_loop.trades_per_s", value=crowd.trades / crowd.seconds, unit="/s", note="confirmed and on disk"
        ),
    ]


class Crowd:
    """Every connection: most bid below the reserve, one a battery bids high and confirms what it wins."""

    def __init__(self, ports: list[int], *, rate: int, awards: int) -> None:
        self._rate, self._awards = rate, awards
        doors = [ports[n % len(ports)] for n in range(_CONNECTIONS)] + ports
        self._sockets = [socket.create_connection(("127.0.0.1", port)) for port in doors]
        self._poll = select.epoll()
        self._tails: dict[int, bytes] = {}
        self._by_number = {each.fileno(): each for each in self._sockets}
        for each in self._sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._poll.register(each.fileno(), select.EPOLLIN)
        self._low = bytearray(encode_plain_tcp(Body.bid(0, 7, price_e4=250_000, energy_wh=100)))
        self._due_s: dict[int, float] = {}
        self.refused_ms: list[float] = []
        self.won_ms: list[float] = []
        self.asked = self.lost = self.trades = 0
        self.sent_late_ms = self.seconds = 0.0

    def trade(self, seconds: float) -> None:
        """Send by the clock for so long, then wait for what is still to be answered."""
        self.seconds = seconds
        began_s = time.monotonic() + 0.01
        low = high = 0
        while True:
            now_s = time.monotonic()
            low_s, high_s = began_s + low / self._rate, began_s + high / self._awards
            due_s = min(low_s, high_s)
            if due_s > began_s + seconds:
                break
            if due_s > now_s:
                # Sleeping wakes up to a millisecond late; shorter waits look at the sockets again and again.
                self._hear(due_s - now_s - 0.001 if due_s - now_s > 0.002 else 0)
                continue
            self.sent_late_ms = max(self.sent_late_ms, (now_s - due_s) * 1e3)
            if due_s == low_s:
                self._bid_low(low, due_s)
                low += 1
            else:
                self._bid_high(high, due_s)
                high += 1
        until_s = time.monotonic() + 2.0
        while time.monotonic() < until_s and (self._due_s or self.trades < len(self.won_ms)):
            self._hear(0.05)

    def close(self) -> None:
        """Hang up."""
        self._poll.close()
        for each in self._sockets:
            each.close()

    def _bid_low(self, number: int, due_s: float) -> None:
        struct.pack_into("<Q", self._low, 5, number)
        self._send(self._sockets[number % _CONNECTIONS], self._low, number, due_s)

    def _bid_high(self, number: int, due_s: float) -> None:
        bid = Body.bid(_FIRST_HIGH_ID + number, 7, price_e4=1_000_000, energy_wh=100)
        self._send(self._sockets[_CONNECTIONS + number % _BATTERIES], encode_tcp(bid), bid.message_id, due_s)

    def _send(self, link: socket.socket, data: bytes | bytearray, bid_id: int, due_s: float) -> None:
        self._due_s[bid_id] = due_s
        self.asked += 1
        link.sendall(data)

    def _hear(self, timeout_s: float) -> None:
        for number, _ in self._poll.poll(timeout_s):
            link = self._by_number[number]
            data = self._tails.pop(number, b"") + link.recv(65_536)
            now_s = time.monotonic()
            whole = len(data) - len(data) % _FRAME_BYTES
            for at in range(0, whole, _FRAME_BYTES):
                self._take(link, data[at : at + _FRAME_BYTES], now_s)
            if whole < len(data):
                self._tails[number] = data[whole:]

    def _take(self, link: socket.socket, frame: bytes, now_s: float) -> None:
        kind, bid_id = frame[4], int.from_bytes(frame[5:13], "little")
        if kind == MessageType.BESS_STATUS:
            self.trades += 1
        if kind not in {MessageType.BID_REJECT, MessageType.BID_ACCEPT} or bid_id not in self._due_s:
            return
        wait_ms = (now_s - self._due_s.pop(bid_id)) * 1e3
        if kind == MessageType.BID_REJECT:
            self.refused_ms.append(wait_ms)
            self.lost += bid_id >= _FIRST_HIGH_ID
        else:
            self.won_ms.append(wait_ms)
            won = Body.decode(frame, 4)
            confirm = Body.bid_confirm(bid_id, 7, price_e4=won.sale_price_e4, energy_wh=won.energy_wh)
            link.sendall(encode_tcp(confirm))
