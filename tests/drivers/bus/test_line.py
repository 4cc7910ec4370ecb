"""The owner of a line: order, cancellation, reopening, delays."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from drivers.bus.line import QUEUE_MAX, RECONNECT_MAX_MS, RECONNECT_MIN_MS, Line, Port, Priority
from drivers.bus.tcp import TcpTransport
from drivers.errors import BadReply, LinkLost
from drivers.testing import FakeModbus, Request
from drivers.testing.modbus import exception, frame

Send = Callable[[bytes], Awaitable[None]]


@pytest.fixture
async def device() -> AsyncIterator[FakeModbus]:
    async with FakeModbus({address: address for address in range(100)}) as fake:
        yield fake


@pytest.fixture
async def line(device: FakeModbus) -> AsyncIterator[Line]:
    owner = Line(TcpTransport("127.0.0.1", device.port, timeout_ms=400), "test")
    async with owner.used():
        yield owner


async def read(port: Port, address: int = 5) -> int:
    return (await port.read(1, address, 1)).registers[0]


def at(address: int) -> Callable[[Port], Awaitable[int]]:
    return lambda port: read(port, address)


async def silent(_request: Request, _answer: bytes, _send: Send) -> None:
    pass


async def test_a_job_has_the_line_for_itself(device: FakeModbus, line: Line) -> None:
    async def pair(port: Port) -> None:
        await read(port, 1)
        await asyncio.sleep(0)
        await read(port, 2)

    await asyncio.gather(*(line.run(pair) for _ in range(5)))
    assert [request.address for request in device.log] == [1, 2] * 5


async def test_commands_go_before_polls(device: FakeModbus, line: Line) -> None:
    gate = asyncio.Event()

    async def hold(_port: Port) -> None:
        await gate.wait()

    first = asyncio.ensure_future(line.run(hold))
    await asyncio.sleep(0)
    polls = [asyncio.ensure_future(line.run(at(n))) for n in (10, 11)]
    command = asyncio.ensure_future(line.run(at(20), priority=Priority.COMMAND))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(first, *polls, command)
    assert [request.address for request in device.log] == [20, 10, 11]


async def test_a_timeout_reopens_the_connection(device: FakeModbus, line: Line) -> None:
    assert await line.run(read) == 5
    device.behave = silent
    with pytest.raises(LinkLost):
        await line.run(read)
    device.behave = device.honest
    assert await line.run(read, priority=Priority.COMMAND) == 5
    assert (device.accepted, line.stats.opened, line.stats.timeouts) == (2, 2, 1)


async def test_a_late_answer_never_meets_the_next_question(device: FakeModbus, line: Line) -> None:
    late: list[asyncio.Task[None]] = []

    async def slow(request: Request, answer: bytes, send: Send) -> None:
        if request.address == 7:
            late.append(asyncio.ensure_future(after(answer, send)))
        else:
            await send(answer)

    async def after(answer: bytes, send: Send) -> None:
        await asyncio.sleep(0.45)
        await send(answer)

    device.behave = slow
    with pytest.raises(LinkLost):
        await line.run(at(7))
    for address in range(20):
        assert await line.run(at(20 + address), priority=Priority.COMMAND) == 20 + address
        await asyncio.sleep(0.01)
    await asyncio.gather(*late, return_exceptions=True)


async def test_a_wrong_answer_reopens_and_a_refusal_does_not(device: FakeModbus, line: Line) -> None:
    async def refuse(request: Request, _answer: bytes, send: Send) -> None:
        await send(exception(request, 2))

    async def other_unit(request: Request, answer: bytes, send: Send) -> None:
        await send(frame(request, answer[7:], unit=9))

    for behave, opened in ((refuse, 1), (device.honest, 1), (other_unit, 1), (device.honest, 2)):
        device.behave = behave
        if behave in (refuse, other_unit):
            with pytest.raises(BadReply):
                await line.run(read, priority=Priority.COMMAND)
        else:
            assert await line.run(read, priority=Priority.COMMAND) == 5
        assert line.stats.opened == opened
    assert line.stats.bad_replies == 1


async def test_a_cancelled_job_on_the_wire_reopens_the_connection(device: FakeModbus, line: Line) -> None:
    await line.run(read)
    asked = asyncio.Event()

    async def stuck(_request: Request, _answer: bytes, _send: Send) -> None:
        asked.set()

    device.behave = stuck
    job = asyncio.ensure_future(line.run(read))
    await asked.wait()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    device.behave = device.honest
    assert await line.run(read) == 5
    assert device.accepted == 2


async def test_a_job_cancelled_while_waiting_is_never_sent(device: FakeModbus, line: Line) -> None:
    gate = asyncio.Event()

    async def hold(_port: Port) -> None:
        await gate.wait()

    first = asyncio.ensure_future(line.run(hold))
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(line.run(at(66)))
    await asyncio.sleep(0)
    waiting.cancel()
    gate.set()
    await first
    await line.run(read)
    assert [request.address for request in device.log] == [5]


async def test_a_job_that_cancels_itself_does_not_stop_the_line(line: Line) -> None:
    async def give_up(_port: Port) -> None:
        raise asyncio.CancelledError

    await line.run(read)
    with pytest.raises(LinkLost, match="cancelled"):
        await line.run(give_up)
    assert await line.run(read) == 5


async def test_a_jobs_own_error_reaches_its_caller_and_reopens(device: FakeModbus, line: Line) -> None:
    async def fail(port: Port) -> None:
        await read(port)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await line.run(fail)
    assert await line.run(read) == 5
    assert device.accepted == 2


async def test_polls_wait_out_the_delay_and_commands_do_not(device: FakeModbus, line: Line) -> None:
    await device.stop()
    with pytest.raises(LinkLost, match="no connection"):
        await line.run(read)
    refused = line.down
    with pytest.raises(LinkLost, match="reconnecting in"):
        await line.run(read)
    with pytest.raises(LinkLost, match="no connection"):
        await line.run(read, priority=Priority.COMMAND)
    await device.start()
    assert await line.run(read, priority=Priority.COMMAND) == 5
    assert (refused, line.down) == (True, False)
    assert line.stats.refused == 2


async def test_only_a_valid_answer_resets_the_delay(device: FakeModbus, line: Line) -> None:
    device.behave = silent
    delays = []
    for _ in range(4):
        with pytest.raises(LinkLost):
            await line.run(read, priority=Priority.COMMAND)
        delays.append(line._delay_ms)
    assert delays == [RECONNECT_MIN_MS * 2**i for i in range(4)]
    assert max(delays) <= RECONNECT_MAX_MS
    device.behave = device.honest
    await line.run(read, priority=Priority.COMMAND)
    assert line._delay_ms == 0


async def test_a_line_that_nobody_uses_is_closed(device: FakeModbus) -> None:
    line = Line(TcpTransport("127.0.0.1", device.port, timeout_ms=400), "test")
    with pytest.raises(LinkLost, match="closed"):
        await line.run(read)
    async with line.used():
        async with line.used():
            await line.run(read)
        await line.run(read)
    with pytest.raises(LinkLost, match="closed"):
        await line.run(read)
    async with line.used():
        assert await line.run(read) == 5
    assert device.accepted == 2


async def test_closing_fails_what_is_under_way_and_what_waits(device: FakeModbus) -> None:
    line = Line(TcpTransport("127.0.0.1", device.port, timeout_ms=5_000), "test")
    asked = asyncio.Event()

    async def stuck(_request: Request, _answer: bytes, _send: Send) -> None:
        asked.set()

    device.behave = stuck
    async with line.used():
        jobs = [asyncio.ensure_future(line.run(read)) for _ in range(3)]
        await asked.wait()
    for job in jobs:
        with pytest.raises(LinkLost, match="the line was closed"):
            await job


async def test_the_queue_is_bounded(line: Line) -> None:
    gate = asyncio.Event()

    async def hold(_port: Port) -> None:
        await gate.wait()

    first = asyncio.ensure_future(line.run(hold))
    await asyncio.sleep(0)
    jobs = [asyncio.ensure_future(line.run(hold)) for _ in range(QUEUE_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(LinkLost, match="already waiting"):
        await line.run(hold)
    gate.set()
    await asyncio.gather(first, *jobs)
