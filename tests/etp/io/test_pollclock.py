"""Causes of what is read: an idle loop, a busy one, and several reads of one wake-up."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING

import pytest

from etp.io.pollclock import SLACK_MS, TICK_MS, PollClock
from tests.etp.io.fakes import FakeLoop
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

RESOLUTION_MS = TICK_MS + SLACK_MS
LOAD_MS = 100  # what a loaded machine may add to a wait


class Reader(asyncio.DatagramProtocol):
    """Notes cause and time of each datagram."""

    def __init__(self, clock: PollClock, during: Callable[[], None] | None) -> None:
        self.clock = clock
        self.during = during
        self.read: list[tuple[int, int]] = []
        self.news = asyncio.Event()

    def datagram_received(self, data: bytes, addr: object) -> None:
        now_ms = self.clock.now_ms()
        self.read.append((self.clock.cause_ms(now_ms), now_ms))
        self.news.set()
        if self.during is not None:
            self.during()

    async def next(self) -> tuple[int, int]:
        await asyncio.wait_for(self.news.wait(), 30)
        self.news.clear()
        return self.read[-1]


class Bench:
    """Makes readers with a socket to send to them, and clears them away."""

    def __init__(self) -> None:
        self.transports: list[asyncio.DatagramTransport] = []
        self.senders: list[socket.socket] = []

    async def reader(
        self, clock: PollClock, during: Callable[[], None] | None = None
    ) -> tuple[Reader, Callable[[bytes], int]]:
        loop = asyncio.get_running_loop()
        transport, reader = await loop.create_datagram_endpoint(lambda: Reader(clock, during), ("127.0.0.1", 0))
        self.transports.append(transport)
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.connect(transport.get_extra_info("sockname"))
        self.senders.append(sender)
        return reader, sender.send


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    for sender in bench.senders:
        sender.close()
    for transport in bench.transports:
        transport.close()
    await asyncio.sleep(0)


@patient
async def test_idle_loop_reads_at_once(bench: Bench) -> None:
    clock = PollClock()
    clock.link_opened()
    reader, send = await bench.reader(clock)
    for _ in range(5):
        await asyncio.sleep(0.03)
        send(b"frame")
        await reader.next()
    assert any(cause_ms == now_ms for cause_ms, now_ms in reader.read)
    assert all(cause_ms <= now_ms for cause_ms, now_ms in reader.read)
    clock.link_closed()


@patient
async def test_wait_behind_a_busy_task_counts(bench: Bench) -> None:
    clock = PollClock()
    clock.link_opened()
    reader, send = await bench.reader(clock)
    await asyncio.sleep(0.05)
    began_ms = clock.now_ms()
    send(b"frame")
    time.sleep(0.3)  # noqa: ASYNC251 - blocking the loop is what is tested
    cause_ms, now_ms = await reader.next()
    assert now_ms - cause_ms >= 300 - RESOLUTION_MS
    assert began_ms - RESOLUTION_MS - LOAD_MS <= cause_ms <= began_ms + RESOLUTION_MS
    await asyncio.sleep(0.05)
    send(b"frame")
    cause_ms, now_ms = await reader.next()
    assert now_ms - cause_ms <= RESOLUTION_MS + LOAD_MS  # the spell is over
    clock.link_closed()


@patient
async def test_wait_behind_a_timer_counts(bench: Bench) -> None:
    clock = PollClock()
    clock.link_opened()
    reader, send = await bench.reader(clock)
    began_ms = 0

    def send_and_block() -> None:
        nonlocal began_ms
        began_ms = clock.now_ms()
        send(b"frame")
        time.sleep(0.3)

    asyncio.get_running_loop().call_later(0.05, send_and_block)
    cause_ms, now_ms = await reader.next()
    assert now_ms - cause_ms >= 300 - RESOLUTION_MS
    assert began_ms - RESOLUTION_MS - LOAD_MS <= cause_ms <= began_ms + RESOLUTION_MS
    clock.link_closed()


async def test_wait_behind_another_read_counts_without_the_ticker(bench: Bench) -> None:
    clock = PollClock(ticking=False)
    slow, send_slow = await bench.reader(clock)
    reader, send = await bench.reader(clock)

    def block() -> None:
        time.sleep(0.05)
        send(b"frame")
        time.sleep(0.05)

    slow.during = block
    for _ in range(5):  # a machine that stops between two polls hides the wait
        send_slow(b"frame")
        cause_ms, now_ms = await reader.next()
        if cause_ms != now_ms:
            break
    assert now_ms - cause_ms >= 99  # it waited 50 ms, but the previous poll returned 100 ms ago
    assert cause_ms == slow.read[-1][1]


async def test_reads_of_one_wake_up_share_a_cause(bench: Bench) -> None:
    clock = PollClock(ticking=False)
    readers = [await bench.reader(clock, lambda: time.sleep(0.02)) for _ in range(5)]
    await asyncio.sleep(0.02)
    for _, send in readers:
        send(b"frame")
    for reader, _ in readers:
        await reader.next()
    causes = {reader.read[0][0] for reader, _ in readers}
    last_ms = max(reader.read[0][1] for reader, _ in readers)
    assert len(causes) == 1
    assert last_ms - causes.pop() >= 80


def test_batches_that_follow_at_once_are_as_old_as_the_one_before() -> None:
    loop = FakeLoop()
    clock = PollClock(loop.face, ticking=False)
    loop.now_s = 0.100
    assert clock.cause_ms(100) == 100
    loop.now_s = 0.150
    assert clock.cause_ms(150) == 100  # the same wake-up
    loop.run_soon()
    assert clock.cause_ms(151) == 100  # the poll in between did not wait
    loop.now_s = 0.200
    loop.run_soon()
    assert clock.cause_ms(202) == 202  # this one did


def test_ticker_runs_only_while_links_are_open() -> None:
    loop = FakeLoop()
    clock = PollClock(loop.face)
    assert not loop.timers
    clock.link_opened()
    clock.link_opened()
    assert len(loop.timers) == 1
    clock.link_closed()
    assert len(loop.timers) == 1
    clock.link_closed()
    assert not loop.timers
    without = PollClock(loop.face, ticking=False)
    without.link_opened()
    without.link_closed()
    assert not loop.timers


def test_timers_before_the_poll_keep_the_cause_for_its_reads_and_no_longer() -> None:
    """The order of libuv: timers, callbacks, poll."""
    loop = FakeLoop()
    clock = PollClock(loop.face)
    clock.link_opened()
    loop.now_s = 0.020
    loop.run_timers()
    loop.now_s = 0.320  # something blocked for 300 ms
    loop.run_timers()
    loop.run_soon()
    assert clock.cause_ms(clock.now_ms()) == 20
    loop.run_soon()
    loop.now_s = 0.335
    assert clock.cause_ms(clock.now_ms()) == 335


def test_reads_before_timers_find_the_ticker_overdue() -> None:
    """The order of asyncio: poll, then reads, then timers."""
    loop = FakeLoop()
    clock = PollClock(loop.face)
    clock.link_opened()
    loop.now_s = 0.300
    assert clock.cause_ms(clock.now_ms()) == 0
    loop.run_timers()
    loop.run_timers()
    for _ in range(3):
        loop.run_soon()
    loop.now_s = 0.310
    assert clock.cause_ms(clock.now_ms()) == 310


def test_a_spell_within_a_spell_is_one() -> None:
    loop = FakeLoop()
    clock = PollClock(loop.face)
    clock.link_opened()
    for now_s in (0.1, 0.2):
        loop.now_s = now_s
        loop.run_timers()
    assert clock.cause_ms(clock.now_ms()) == 0
