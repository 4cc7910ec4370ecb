"""The Modbus TCP transport against a device that answers wrongly in every way."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from drivers.bus.tcp import TcpTransport, check_frame
from drivers.errors import BadReply, LinkLost
from drivers.testing import FakeModbus, Request
from drivers.testing.modbus import exception, frame

Send = Callable[[bytes], Awaitable[None]]
Mangle = Callable[[Request, bytes], bytes]


@pytest.fixture
async def device() -> AsyncIterator[FakeModbus]:
    async with FakeModbus({address: address * 3 for address in range(100, 300)}) as fake:
        yield fake


@pytest.fixture
async def wire(device: FakeModbus) -> AsyncIterator[TcpTransport]:
    transport = TcpTransport("127.0.0.1", device.port, timeout_ms=1_000)
    await transport.open()
    yield transport
    transport.abort()


async def test_reads_and_writes(device: FakeModbus, wire: TcpTransport) -> None:
    before_ms = asyncio.get_running_loop().time() * 1_000
    reply = await wire.read(1, "holding", 100, 125)
    assert reply.registers == tuple(range(300, 675, 3))
    assert before_ms - 1 <= reply.at_ms <= asyncio.get_running_loop().time() * 1_000
    device.inputs = {5: 77}
    assert (await wire.read(1, "input", 5, 1)).registers == (77,)
    await wire.write(1, 110, (1, 2), single=True)
    await wire.write(1, 112, (3,), single=True)
    await wire.write(1, 113, (4,), single=False)
    assert device.writes == [(110, (1, 2)), (112, (3,)), (113, (4,))]
    assert [request.function for request in device.log] == [3, 4, 16, 6, 16]


async def test_age_is_that_of_the_last_byte(device: FakeModbus, wire: TcpTransport) -> None:
    sent_at_ms = 0.0

    async def slowly(_request: Request, answer: bytes, send: Send) -> None:
        nonlocal sent_at_ms
        for byte in answer[:-1]:
            await send(bytes((byte,)))
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        sent_at_ms = asyncio.get_running_loop().time() * 1_000
        await send(answer[-1:])

    device.behave = slowly
    assert (await wire.read(1, "holding", 100, 2)).at_ms >= int(sent_at_ms)


def wrong(change: Mangle) -> Mangle:
    return change


MANGLED = {
    "another function": wrong(lambda request, _: frame(request, struct.pack(">BBHH", 4, 4, 1, 2))),
    "another unit": wrong(lambda request, answer: frame(request, answer[7:], unit=9)),
    "fewer registers": wrong(lambda request, _: frame(request, struct.pack(">BBH", 3, 2, 1))),
    "more registers": wrong(lambda request, _: frame(request, struct.pack(">BBHHH", 3, 6, 1, 2, 3))),
    "a byte count that lies": wrong(lambda request, _: frame(request, struct.pack(">BBHH", 3, 2, 1, 2))),
    "another protocol": wrong(lambda _, answer: answer[:2] + b"\x00\x07" + answer[4:]),
    "a write's answer": wrong(lambda request, _: frame(request, struct.pack(">BHH", 16, 100, 2))),
    "an exception too long": wrong(lambda request, _: frame(request, b"\x83\x02\x00")),
    "length zero": wrong(lambda _, answer: answer[:4] + b"\x00\x00" + answer[6:]),
}


@pytest.mark.parametrize("name", MANGLED)
async def test_a_wrong_answer_is_refused_at_once(device: FakeModbus, wire: TcpTransport, name: str) -> None:
    async def mangled(request: Request, answer: bytes, send: Send) -> None:
        await send(MANGLED[name](request, answer))

    device.behave = mangled
    async with asyncio.timeout(0.9):
        with pytest.raises(BadReply) as caught:
            await wire.read(1, "holding", 100, 2)
    assert caught.value.exception_code == 0


@pytest.mark.parametrize(
    "pdu",
    [
        struct.pack(">BHH", 16, 111, 2),
        struct.pack(">BHH", 16, 110, 1),
        struct.pack(">BHH", 6, 110, 2),
        struct.pack(">BHHB", 16, 110, 2, 0),
    ],
)
async def test_a_wrong_acknowledgement_is_refused(device: FakeModbus, wire: TcpTransport, pdu: bytes) -> None:
    async def mangled(request: Request, _answer: bytes, send: Send) -> None:
        await send(frame(request, pdu))

    device.behave = mangled
    with pytest.raises(BadReply):
        await wire.write(1, 110, (1, 2), single=False)


async def test_a_single_write_must_echo_its_value(device: FakeModbus, wire: TcpTransport) -> None:
    async def mangled(request: Request, _answer: bytes, send: Send) -> None:
        await send(frame(request, struct.pack(">BHH", 6, 110, 8)))

    device.behave = mangled
    with pytest.raises(BadReply, match="acknowledged"):
        await wire.write(1, 110, (7,), single=True)


async def test_the_devices_own_refusal_carries_its_code(device: FakeModbus, wire: TcpTransport) -> None:
    async def refuse(request: Request, _answer: bytes, send: Send) -> None:
        await send(exception(request, 4))

    device.behave = refuse
    with pytest.raises(BadReply) as caught:
        await wire.read(1, "holding", 100, 2)
    assert caught.value.exception_code == 4


async def test_silence_times_out(device: FakeModbus, wire: TcpTransport) -> None:
    async def silent(_request: Request, _answer: bytes, _send: Send) -> None:
        pass

    device.behave = silent
    with pytest.raises(LinkLost, match="no answer in time"):
        await wire.read(1, "holding", 100, 2)


async def test_an_answer_to_another_question_is_not_taken(device: FakeModbus, wire: TcpTransport) -> None:
    async def other(request: Request, answer: bytes, send: Send) -> None:
        await send(frame(request, answer[7:], transaction=request.transaction + 1))

    device.behave = other
    with pytest.raises(LinkLost, match="no answer in time"):
        await wire.read(1, "holding", 100, 2)


async def test_a_closed_connection_ends_the_question_at_once(device: FakeModbus, wire: TcpTransport) -> None:
    async def close(_request: Request, answer: bytes, send: Send) -> None:
        await send(answer[:5])
        device.drop()

    device.behave = close
    async with asyncio.timeout(0.9):
        with pytest.raises(LinkLost, match="connection lost"):
            await wire.read(1, "holding", 100, 2)
    assert not wire.connected


async def test_nothing_listens_and_nothing_is_open() -> None:
    transport = TcpTransport("127.0.0.1", 1, timeout_ms=300)
    assert not transport.connected
    with pytest.raises(LinkLost, match="no connection"):
        await transport.open()
    with pytest.raises(LinkLost, match="no connection"):
        await transport.read(1, "holding", 0, 1)
    transport.abort()


def test_it_works_on_uvloop() -> None:
    async def play() -> None:
        async with FakeModbus({5: 6}) as device:
            transport = TcpTransport("127.0.0.1", device.port, timeout_ms=300)
            await transport.open()
            assert (await transport.read(1, "holding", 5, 1)).registers == (6,)
            device.drop()
            with pytest.raises(LinkLost):
                await transport.read(1, "holding", 5, 1)
            await transport.open()
            assert (await transport.read(1, "holding", 5, 1)).registers == (6,)
            transport.abort()

    uvloop.run(play())


@given(st.binary(max_size=300), st.sampled_from([3, 4, 6, 16]), st.integers(1, 125))
def test_any_bytes_are_fine_or_refused_in_words(data: bytes, function: int, words: int) -> None:
    found = check_frame(data, 1, function, words)
    assert found is None or (isinstance(found, str) and found)


@given(st.sampled_from([3, 4]), st.integers(1, 125), st.data())
def test_a_right_answer_is_never_refused_however_it_is_cut(function: int, words: int, data: st.DataObject) -> None:
    request = Request(7, 1, function, 0, words)
    answer = frame(request, struct.pack(">BB", function, 2 * words) + bytes(2 * words))
    assert check_frame(answer[: data.draw(st.integers(0, len(answer)))], 1, function, words) is None
