"""Modbus TCP, through pymodbus: no retries, no reconnect of its own, every answer checked before it counts.

pymodbus frames and parses. Here each frame that arrives is checked against the question (protocol, unit, function,
byte count), and the parsed answer again (count, echoed address and quantity). Age comes from the packet trace: when the
last byte was read from the socket. A connection that is given up is reset, so that single-client devices let us in.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException, ModbusIOException
from pymodbus.pdu import ExceptionResponse

from drivers.bus.line import Reply
from drivers.errors import BadReply, LinkLost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pymodbus.pdu import ModbusPDU

    from drivers.declaration import Space

READ_FUNCTION: Final = {"holding": 3, "input": 4}
WRITE_ONE: Final = 6
WRITE_MANY: Final = 16
_HEADER: Final = struct.Struct(">HHHBB")  # transaction, protocol, length, unit, function
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)

# Every failure reaches the caller as one of our errors, and each is logged once where it is handled.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)


class _Question(NamedTuple):
    unit: int
    function: int
    words: int


def check_frame(data: bytes, unit: int, function: int, words: int) -> str | None:
    """Return what is wrong with the bytes received so far as an answer, None while nothing is. Pure."""
    if len(data) < _HEADER.size:
        return None
    _, protocol, length, answer_unit, answer_function = _HEADER.unpack_from(data)
    refused = answer_function == function | 0x80
    reading = function in READ_FUNCTION.values()
    expected = 3 if refused else 3 + 2 * words if reading else 6
    wrong: str | None = None
    if protocol:
        wrong = f"not Modbus TCP: protocol {protocol}"
    elif answer_unit != unit:
        wrong = f"unit {answer_unit} answers for unit {unit}"
    elif not refused and answer_function != function:
        wrong = f"function {answer_function} answers function {function}"
    elif length != expected:
        wrong = f"an answer of {length} bytes where {expected} are right"
    elif reading and not refused and len(data) > _HEADER.size and data[_HEADER.size] != 2 * words:
        wrong = f"a byte count of {data[_HEADER.size]} for {words} registers"
    return wrong


class TcpTransport:
    """One Modbus TCP connection at a time to one address."""

    def __init__(self, host: str, port: int, *, timeout_ms: int) -> None:
        self._host = host
        self._port = port
        self._timeout_s = timeout_ms / 1_000
        self._client: AsyncModbusTcpClient | None = None
        self._question: _Question | None = None
        self._wrong: str | None = None
        self._sent_at_ms = 0
        self._received_at_ms = 0

    @property
    def connected(self) -> bool:
        """Whether a connection is open."""
        return self._client is not None and self._client.connected

    async def open(self) -> None:
        """Open a connection; LinkLost where nobody answers."""
        self.abort()
        client = AsyncModbusTcpClient(
            self._host,
            port=self._port,
            timeout=self._timeout_s,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._trace,
            trace_connect=self._trace_connect,
        )
        if not await client.connect():
            raise LinkLost("no connection", device=f"{self._host}:{self._port}")
        self._client = client

    def abort(self) -> None:
        """Reset the connection and forget it."""
        client, self._client, self._question = self._client, None, None
        if client is None:
            return
        transport = client.ctx.transport
        raw = transport.get_extra_info("socket") if transport is not None else None
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        client.close()
        if transport is not None:
            cast("asyncio.WriteTransport", transport).abort()

    async def read(self, unit: int, space: Space, address: int, count: int) -> Reply:
        """Read registers."""
        client = self._open_client()
        ask = client.read_holding_registers if space == "holding" else client.read_input_registers
        question = _Question(unit, READ_FUNCTION[space], count)
        answer = await self._ask(question, lambda: ask(address, count=count, device_id=unit))
        registers = tuple(answer.registers)
        if len(registers) != count:
            raise BadReply(f"{len(registers)} registers instead of {count} at {address}", device=self._name())
        return Reply(registers, self._received_at_ms)

    async def write(self, unit: int, address: int, values: Sequence[int], *, single: bool) -> int:
        """Write registers; return when the request was handed to the wire."""
        client = self._open_client()
        if single and len(values) == 1:
            question = _Question(unit, WRITE_ONE, 1)
            answer = await self._ask(question, lambda: client.write_register(address, values[0], device_id=unit))
            echoed = (answer.address, answer.registers[0] if answer.registers else None)
            wanted: tuple[int, int | None] = (address, values[0])
        else:
            question = _Question(unit, WRITE_MANY, len(values))
            answer = await self._ask(question, lambda: client.write_registers(address, list(values), device_id=unit))
            echoed, wanted = (answer.address, answer.count), (address, len(values))
        if echoed != wanted:
            raise BadReply(f"a write to {wanted} was acknowledged as {echoed}", device=self._name())
        return self._sent_at_ms

    def _name(self) -> str:
        return f"{self._host}:{self._port}"

    def _open_client(self) -> AsyncModbusTcpClient:
        if self._client is None:
            raise LinkLost("no connection", device=self._name())
        return self._client

    async def _ask(self, question: _Question, send: Callable[[], Awaitable[ModbusPDU]]) -> ModbusPDU:
        self._question, self._wrong = question, None
        try:
            answer = await send()
        except (ModbusException, OSError, RuntimeError) as error:  # uvloop: RuntimeError on a closed transport
            if self._wrong is not None:
                raise BadReply(self._wrong, device=self._name()) from error
            words = "no answer in time" if isinstance(error, ModbusIOException) else "connection lost"
            raise LinkLost(words, device=self._name()) from error
        finally:
            self._question = None
        if isinstance(answer, ExceptionResponse):
            code = int(answer.exception_code)
            raise BadReply(f"refused with exception {code}", device=self._name(), exception_code=code)
        return answer

    def _trace(self, sending: bool, data: bytes) -> bytes:
        now_ms = int(asyncio.get_running_loop().time() * 1_000)
        if sending:
            self._sent_at_ms = now_ms
            return data
        self._received_at_ms = now_ms
        question = self._question
        if question is None:
            return b""
        wrong = check_frame(data, question.unit, question.function, question.words)
        if wrong is None:
            return data
        self._wrong = wrong
        self._fail()
        return b""

    def _trace_connect(self, connected: bool) -> None:
        if not connected:
            self._fail()

    def _fail(self) -> None:
        # pymodbus leaves a request waiting for its full timeout when the connection goes; end it now.
        if self._client is not None and self._question is not None:
            answer = self._client.ctx.response_future
            if not answer.done():
                answer.set_exception(ConnectionException("the connection failed"))
