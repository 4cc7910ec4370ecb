"""The in-memory network behaves as TCP does: whole, in order, or not at all."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from simulation.loop import Process, VirtualLoop
from simulation.network import LinkWeather, Network

if TYPE_CHECKING:
    from collections.abc import Coroutine


class Ear(asyncio.Protocol):
    def __init__(self) -> None:
        self.heard = b""
        self.lost: list[Exception | None] = []
        self.paused = 0
        self.resumed = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def pause_writing(self) -> None:
        self.paused += 1

    def resume_writing(self) -> None:
        self.resumed += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


async def pair(weather: LinkWeather, seed: int = 1) -> tuple[Ear, Ear, Network]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    network = loop.network = Network(loop, random.Random(seed), weather)
    server_ear = Ear()
    await loop.create_server(lambda: server_ear, "h", 1)
    _, ear = await loop.create_connection(Ear, "h", 1)
    return ear, server_ear, network


def run(test: Coroutine[None, None, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(test)


@pytest.mark.parametrize("seed", range(5))
def test_bytes_arrive_in_order_through_stalls(seed: int) -> None:
    async def talk() -> None:
        ear, far, network = await pair(LinkWeather(delay_ms=(0, 50), stall_chance=0.3), seed)
        assert ear.transport is not None
        sent = b"".join(bytes([i]) for i in range(256))
        for i in range(256):
            ear.transport.write(sent[i : i + 1])
        await asyncio.sleep(1_000)
        assert far.heard == sent
        assert network.stalls > 0

    run(talk())


def test_closing_sends_what_waits_and_both_ends_hear_of_it() -> None:
    async def talk() -> None:
        ear, far, _ = await pair(LinkWeather())
        assert ear.transport is not None
        ear.transport.write(b"x" * 200_000)
        ear.transport.close()
        ear.transport.write(b"too late")
        await asyncio.sleep(10)
        assert far.heard == b"x" * 200_000
        assert ear.lost == far.lost == [None]

    run(talk())


def test_a_full_window_pauses_the_writer_and_lets_it_go_on() -> None:
    async def talk() -> None:
        ear, far, _ = await pair(LinkWeather())
        assert ear.transport is not None
        ear.transport.set_write_buffer_limits(high=0)
        for _ in range(5):
            ear.transport.write(b"x" * 65_536)
        assert ear.paused == 1
        await asyncio.sleep(10)
        assert ear.resumed == 1
        assert len(far.heard) == 5 * 65_536

    run(talk())


def test_an_abort_loses_what_is_under_way() -> None:
    async def talk() -> None:
        ear, far, _ = await pair(LinkWeather(delay_ms=(5, 5)))
        assert ear.transport is not None
        ear.transport.write(b"never heard")
        ear.transport.abort()
        await asyncio.sleep(1)
        assert far.heard == b""
        assert isinstance(far.lost[0], ConnectionResetError)

    run(talk())


def test_a_dead_process_frees_its_port_and_resets_its_peers() -> None:
    async def talk() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        network = loop.network = Network(loop, random.Random(1), LinkWeather())
        process = Process("server")
        far = Ear()

        async def serve() -> None:
            await asyncio.get_running_loop().create_server(lambda: far, "h", 1)

        await loop.start_in(process, serve())
        _, ear = await loop.create_connection(Ear, "h", 1)
        process.kill()
        network.process_died(process)
        await asyncio.sleep(1)
        assert len(ear.lost) == 1
        assert far.lost == []
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(Ear, "h", 1)
        await loop.create_server(Ear, "h", 1)

    run(talk())
