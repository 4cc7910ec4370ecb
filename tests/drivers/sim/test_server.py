"""The battery on real sockets: an independent Modbus client, the faults of the wire, the control port."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import TYPE_CHECKING, Any

import pytest
from pymodbus.client import AsyncModbusTcpClient

from drivers.sim.control_port import ControlPort
from drivers.sim.device import SimulatedBattery
from drivers.sim.physics import BatteryConfig
from drivers.sim.server import CONNECTIONS_MAX, ModbusServer, PortTakenError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

READ = struct.pack(">HHHBBHH", 7, 0, 6, 1, 3, 40_000, 2)
ANSWER = struct.pack(">HHHBBB", 7, 0, 7, 1, 3, 4) + b"SunS"


class Bench:
    """One served battery with its control port."""

    def __init__(self) -> None:
        self.device = SimulatedBattery(BatteryConfig(time_lapse=60))
        self.server = ModbusServer(self.device)
        self.control = ControlPort(self.server)
        self.port = self.control_port = 0

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def command(self, **request: Any) -> dict[str, Any]:
        return await self.line(json.dumps(request).encode() + b"\n")

    async def line(self, line: bytes) -> dict[str, Any]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.control_port)
        writer.write(line)
        found: dict[str, Any] = json.loads(await asyncio.wait_for(reader.readline(), 30))
        writer.close()
        await writer.wait_closed()
        return found


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    bench.port = await bench.server.start("127.0.0.1", 0)
    bench.control_port = await bench.control.start(0)
    yield bench
    await bench.control.close()
    await bench.server.close()


async def exchange(
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], timeout_s: float = 5, size: int = len(ANSWER)
) -> bytes:
    streams[1].write(READ)
    return await asyncio.wait_for(streams[0].readexactly(size), timeout_s)


async def test_an_independent_client_sells_and_the_truth_agrees(bench: Bench) -> None:
    client = AsyncModbusTcpClient("127.0.0.1", port=bench.port, retries=0, timeout=5)
    await client.connect()
    before = await bench.command(cmd="truth")
    for name, registers in (("WSetRvrtTms", [0, 60]), ("WSet", [0, 3_000]), ("WSetEna", [1])):
        address, _ = bench.device.address_of(704, name)
        assert not (await client.write_registers(address, registers, device_id=1)).isError()
    counter, _ = bench.device.address_of(701, "TotWhInj")
    counted_wh = 0
    async with asyncio.timeout(30):
        while counted_wh < before["discharged_wh"] + 10:
            await asyncio.sleep(0.02)
            found = (await client.read_holding_registers(counter, count=4, device_id=1)).registers
            counted_wh = int.from_bytes(struct.pack(">4H", *found), "big")
    truth = await bench.command(cmd="truth")
    assert 0 <= truth["discharged_wh"] - counted_wh < 20
    assert truth["target_w"] == -3_000
    assert truth["soc_permille"] < 800
    client.close()


async def test_requests_in_one_segment_are_all_answered(bench: Bench) -> None:
    reader, writer = await bench.connect()
    writer.write(READ * 3)
    assert await asyncio.wait_for(reader.readexactly(3 * len(ANSWER)), 30) == ANSWER * 3
    writer.close()
    await writer.wait_closed()


async def test_garbage_closes_the_connection(bench: Bench) -> None:
    reader, writer = await bench.connect()
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 30)
    writer.close()


async def test_silence_and_its_end(bench: Bench) -> None:
    streams = await bench.connect()
    await bench.command(cmd="fault", name="silent")
    with pytest.raises(TimeoutError):
        await exchange(streams, timeout_s=0.1)
    await bench.command(cmd="clear")
    assert await exchange(streams) == ANSWER
    streams[1].close()


async def test_a_share_of_requests_is_not_answered(bench: Bench) -> None:
    bench.device.set_fault("unanswered", 25)
    reader, writer = await bench.connect()
    writer.write(READ * 8)
    assert await asyncio.wait_for(reader.readexactly(6 * len(ANSWER)), 30) == ANSWER * 6
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readexactly(1), 0.05)
    writer.close()


async def test_slow_answers_come_late_and_in_order(bench: Bench) -> None:
    bench.device.set_fault("slow", 100)
    streams = await bench.connect()
    loop = asyncio.get_running_loop()
    started = loop.time()
    streams[1].write(READ)
    async with asyncio.timeout(30):
        while (await bench.command(cmd="truth"))["reads"] == 0:
            pass
    bench.device.clear_fault()
    assert await exchange(streams, size=2 * len(ANSWER)) == ANSWER * 2
    assert loop.time() - started >= 0.09
    streams[1].close()


async def test_too_many_slow_answers_close_the_connection(bench: Bench) -> None:
    bench.device.set_fault("slow", 60_000)
    reader, writer = await bench.connect()
    writer.write(READ * 70)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 30)
    writer.close()


async def test_half_an_answer(bench: Bench) -> None:
    streams = await bench.connect()
    bench.device.set_fault("half")
    assert await exchange(streams, size=6) == ANSWER[:6]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(streams[0].readexactly(1), 0.05)
    streams[1].close()


async def test_disconnecting_drops_old_and_new_connections(bench: Bench) -> None:
    for _ in range(2):
        streams = await bench.connect()
        await bench.command(cmd="fault", name="disconnect")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await exchange(streams)
        streams[1].close()
    await bench.command(cmd="clear", name="disconnect")
    streams = await bench.connect()
    assert await exchange(streams) == ANSWER
    await bench.command(cmd="drop")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await exchange(streams)
    streams[1].close()


async def test_connections_are_bounded(bench: Bench) -> None:
    open_streams = [await bench.connect() for _ in range(CONNECTIONS_MAX)]
    for streams in open_streams:
        assert await exchange(streams) == ANSWER
    one_more = await bench.connect()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await exchange(one_more)
    assert await exchange(open_streams[0]) == ANSWER
    for _, writer in (*open_streams, one_more):
        writer.close()


async def test_a_taken_port_is_named(bench: Bench) -> None:
    with pytest.raises(PortTakenError, match=f"127.0.0.1:{bench.port}: address already in use"):
        await ModbusServer(bench.device).start("127.0.0.1", bench.port)
    with pytest.raises(PortTakenError, match=f"{bench.control_port}: address already in use"):
        await ControlPort(bench.server).start(bench.control_port)
    unstarted = ModbusServer(bench.device)
    await unstarted.close()
    await ControlPort(unstarted).close()


async def test_the_control_port_sets_writes_and_refuses(bench: Bench) -> None:
    await bench.command(cmd="set", soc_permille=420, own_power_w=-250)
    truth = await bench.command(cmd="truth")
    assert truth["soc_permille"] == pytest.approx(420, abs=1)
    assert truth["ok"]
    assert "silent" in (await bench.command(cmd="faults"))["faults"]
    assert (await bench.command(cmd="fault", name="slow"))["faults"] == {"slow": 1_500}
    assert (await bench.command(cmd="clear"))["faults"] == {}
    await bench.command(cmd="write", model=704, name="WSet", value=-700)
    await bench.command(cmd="write", model=704, name="WSetEna", value=1)
    assert bench.device.model.target_w == 700
    for refused in (
        {"cmd": "write", "model": 704, "name": "WSet", "value": 9_999},
        {"cmd": "write", "model": 802, "name": "SoC", "value": 1},
        {"cmd": "write", "model": 1, "name": "Nothing", "value": 1},
        {"cmd": "fault", "name": "nonsense"},
        {"cmd": "fault"},
        {"cmd": "set", "soc_permille": 2_000},
        {"cmd": "dance"},
    ):
        answer = await bench.command(**refused)
        assert answer["ok"] is False
        assert answer["error"]
    assert (await bench.line(b"[]\n"))["error"] == "TypeError: a line is a JSON object"
    assert not (await bench.line(b"not json\n"))["ok"]


async def test_an_endless_control_line_closes_that_client_only(bench: Bench) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.control_port)
    writer.write(b"x" * 10_000)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 30)
    writer.close()
    assert (await bench.command(cmd="truth"))["ok"]


async def test_control_clients_are_bounded(bench: Bench) -> None:
    clients = [await asyncio.open_connection("127.0.0.1", bench.control_port) for _ in range(9)]
    assert await asyncio.wait_for(clients[-1][0].read(), 30) == b""
    clients[0][1].write(b'{"cmd": "clear"}\n')
    assert json.loads(await asyncio.wait_for(clients[0][0].readline(), 30))["ok"]
    for _, writer in clients:
        writer.close()
