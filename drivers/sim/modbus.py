"""Modbus TCP as a server speaks it, without a socket: bytes in, requests out; a request in, an answer's bytes out.

Function codes 3, 6 and 16. Exceptions: 1 function, 2 address, 3 value, 6 busy, 11 a unit that is not here.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from drivers.sim.controls import IllegalValueError
from drivers.sim.image import IllegalAddressError, TornPointError

if TYPE_CHECKING:
    from drivers.sim.device import SimulatedBattery

READ: Final = 3
WRITE_ONE: Final = 6
WRITE_MANY: Final = 16
_HEADER: Final = struct.Struct(">HHHB")
_TWO: Final = struct.Struct(">HH")
_READ_MAX: Final = 125
_WRITE_MAX: Final = 123
_PDU_MAX: Final = 253


class BadFrameError(Exception):
    """Bytes that are not Modbus TCP; the connection has to be closed."""


class Request(NamedTuple):
    """One request as it came: transaction, unit and the bytes from the function code on."""

    transaction: int
    unit: int
    pdu: bytes


class Refusal(Exception):  # noqa: N818 - an answer of the protocol, not an error of ours
    """A request that gets an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class RequestReader:
    """Cuts a byte stream into requests; holds at most one unfinished request."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[Request]:
        """Return the requests that are complete. Raises BadFrameError."""
        pending, requests = self._pending + data, []
        while len(pending) >= _HEADER.size:
            transaction, protocol, length, unit = _HEADER.unpack_from(pending)
            if protocol != 0 or not 2 <= length <= _PDU_MAX + 1:
                raise BadFrameError(f"protocol {protocol}, length {length}")
            end = 6 + length
            if len(pending) < end:
                break
            requests.append(Request(transaction, unit, pending[_HEADER.size : end]))
            pending = pending[end:]
        self._pending = pending
        return requests


def answer(device: SimulatedBattery, request: Request, now_ms: int) -> bytes:
    """Perform a request and return the whole answer frame, an exception where there is one."""
    function = request.pdu[0]
    try:
        reply = _perform(device, request, now_ms)
    except Refusal as refusal:
        reply = bytes((function | 0x80, refusal.code))
    except IllegalAddressError:
        reply = bytes((function | 0x80, 2))
    except (IllegalValueError, TornPointError):
        reply = bytes((function | 0x80, 3))
    return _HEADER.pack(request.transaction, 0, len(reply) + 1, request.unit) + reply


def _perform(device: SimulatedBattery, request: Request, now_ms: int) -> bytes:
    pdu, function = request.pdu, request.pdu[0]
    if request.unit != device.unit:
        raise Refusal(11)
    if device.faults.on("busy"):
        raise Refusal(6)
    if function not in (READ, WRITE_ONE, WRITE_MANY):
        raise Refusal(1)
    if len(pdu) < 5:
        raise Refusal(3)
    address, number = _TWO.unpack_from(pdu, 1)
    if function == READ:
        if len(pdu) != 5 or not 1 <= number <= _READ_MAX:
            raise Refusal(3)
        registers = device.read(address, number, now_ms)
        return bytes((READ, 2 * number)) + struct.pack(f">{number}H", *registers)
    if function == WRITE_ONE:
        if len(pdu) != 5:
            raise Refusal(3)
        device.write(address, [number], now_ms)
        return pdu
    if not 1 <= number <= _WRITE_MAX or len(pdu) != 6 + 2 * number or pdu[5] != 2 * number:
        raise Refusal(3)
    device.write(address, list(struct.unpack_from(f">{number}H", pdu, 6)), now_ms)
    return pdu[:5]
