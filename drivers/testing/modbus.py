"""A Modbus TCP device that answers as a script says.

Registers are a dictionary; a missing one is refused with exception 2. `behave` may be replaced at any time by a
coroutine that gets the question, the honest answer and a way to send, and does with them what it likes.
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

_HEADER: Final = struct.Struct(">HHHB")
_FRAME_MAX: Final = 260
_ILLEGAL_FUNCTION: Final = 1
_ILLEGAL_ADDRESS: Final = 2


class Request(NamedTuple):
    """One question: `values` are what a write carries."""

    transaction: int
    unit: int
    function: int
    address: int
    words: int
    values: tuple[int, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether this is a write."""
        return self.function in (6, 16)


def frame(request: Request, pdu: bytes, *, unit: int | None = None, transaction: int | None = None) -> bytes:
    """Return the answer frame around a PDU; unit and transaction as asked unless given."""
    number = request.transaction if transaction is None else transaction
    return _HEADER.pack(number, 0, len(pdu) + 1, request.unit if unit is None else unit) + pdu


def exception(request: Request, code: int) -> bytes:
    """Return the frame that refuses a request."""
    return frame(request, bytes((request.function | 0x80, code)))


class FakeModbus:
    """The device. `log` holds every request in order, `accepted` counts connections."""

    def __init__(self, registers: dict[int, int] | None = None, *, unit: int = 1) -> None:
        self.registers = dict(registers or {})
        self.inputs: dict[int, int] = {}
        self.unit = unit
        self.log: list[Request] = []
        self.accepted = 0
        self.port = 0
        self.behave: Callable[[Request, bytes, Callable[[bytes], Awaitable[None]]], Awaitable[None]] = self.honest
        self.on_write: Callable[[int, tuple[int, ...]], None] = lambda _address, _values: None
        self.before_read: Callable[[], None] = lambda: None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def address(self) -> str:
        """Return "127.0.0.1:port"."""
        return f"127.0.0.1:{self.port}"

    @property
    def writes(self) -> list[tuple[int, tuple[int, ...]]]:
        """Return every write in order as (address, values)."""
        return [(request.address, request.values) for request in self.log if request.writes]

    async def start(self) -> None:
        """Listen; a second start uses the same port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and every connection."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.drop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if server is not None:
            await server.wait_closed()

    def drop(self) -> None:
        """Close every connection."""
        for writer in tuple(self._writers):
            writer.close()

    async def honest(self, request: Request, answer: bytes, send: Callable[[bytes], Awaitable[None]]) -> None:  # noqa: ARG002 - the shape of every behaviour
        """Send the right answer."""
        await send(answer)

    def hold(self, address: int, values: Sequence[int]) -> None:
        """Set registers as the device itself would."""
        self.registers.update({address + i: value for i, value in enumerate(values)})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        talk = asyncio.get_running_loop().create_task(self._talk(reader, writer))
        self._tasks.add(talk)
        await asyncio.wait({talk})
        self._tasks.discard(talk)
        self._writers.discard(writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def send(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(_HEADER.size)
                transaction, _, length, unit = _HEADER.unpack(head)
                pdu = await reader.readexactly(min(length, _FRAME_MAX) - 1)
                request = self._parse(transaction, unit, pdu)
                self.log.append(request)
                await self.behave(request, self._answer(request), send)

    @staticmethod
    def _parse(transaction: int, unit: int, pdu: bytes) -> Request:
        function, address, third = struct.unpack_from(">BHH", pdu)
        if function == 6:
            return Request(transaction, unit, function, address, 1, (third,))
        values = struct.unpack_from(f">{third}H", pdu, 6) if function == 16 else ()
        return Request(transaction, unit, function, address, third, values)

    def _answer(self, request: Request) -> bytes:
        bank = self.inputs if request.function == 4 else self.registers
        wanted = range(request.address, request.address + request.words)
        if request.function not in (3, 4, 6, 16):
            return exception(request, _ILLEGAL_FUNCTION)
        if request.unit != self.unit or any(address not in bank for address in wanted):
            return exception(request, _ILLEGAL_ADDRESS)
        if request.writes:
            self.hold(request.address, request.values)
            self.on_write(request.address, request.values)
            last = request.values[0] if request.function == 6 else request.words
            return frame(request, struct.pack(">BHH", request.function, request.address, last))
        self.before_read()
        words = [bank[address] for address in wanted]
        return frame(request, struct.pack(f">BB{len(words)}H", request.function, 2 * len(words), *words))
