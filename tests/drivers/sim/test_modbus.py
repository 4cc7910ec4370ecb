"""Modbus TCP framing and the answers, exceptions included."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sim.device import SimulatedBattery
from drivers.sim.modbus import BadFrameError, Request, RequestReader, answer
from drivers.sim.physics import BatteryConfig


def device() -> SimulatedBattery:
    return SimulatedBattery(BatteryConfig())


def ask(battery: SimulatedBattery, pdu: bytes, unit: int = 1) -> bytes:
    frame = answer(battery, Request(258, unit, pdu), 0)
    assert frame[:6] == struct.pack(">HHH", 258, 0, len(frame) - 6)
    assert frame[6] == unit
    return frame[7:]


def test_requests_are_found_byte_by_byte() -> None:
    frames = [struct.pack(">HHHBBHH", n, 0, 6, 1, 3, 40_000, 2) for n in range(3)]
    expected = [Request(n, 1, frame[7:]) for n, frame in enumerate(frames)]
    assert RequestReader().feed(b"".join(frames)) == expected
    reader = RequestReader()
    found = [request for byte in b"".join(frames) for request in reader.feed(bytes((byte,)))]
    assert found == expected


@pytest.mark.parametrize("header", [(1, 1, 6, 1), (1, 0, 1, 1), (1, 0, 255, 1)])
def test_what_is_not_modbus_tcp_is_an_error(header: tuple[int, int, int, int]) -> None:
    with pytest.raises(BadFrameError):
        RequestReader().feed(struct.pack(">HHHB", *header))


def test_reading_and_writing() -> None:
    battery = device()
    assert ask(battery, struct.pack(">BHH", 3, 40_000, 2)) == b"\x03\x04SunS"
    ena, _ = battery.address_of(704, "WSetEna")
    one = struct.pack(">BHH", 6, ena, 1)
    assert ask(battery, one) == one
    many = struct.pack(">BHHBHHHH", 16, ena, 4, 8, 1, 1, 0, 700)
    assert ask(battery, many) == many[:5]
    assert battery.model.target_w == -700
    assert (battery.reads, battery.writes) == (1, 2)


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        (struct.pack(">BHH", 4, 40_000, 2), 1),
        (struct.pack(">BHH", 3, 39_999, 2), 2),
        (struct.pack(">BHH", 6, 40_000, 2), 2),
        (struct.pack(">BHH", 3, 40_000, 0), 3),
        (struct.pack(">BHH", 3, 40_000, 126), 3),
        (struct.pack(">BHHB", 3, 40_000, 2, 0), 3),
        (struct.pack(">BHHB", 6, 40_000, 2, 0), 3),
        (b"\x03\x9c", 3),
        (struct.pack(">BHHBH", 16, 40_000, 2, 4, 0), 3),
        (struct.pack(">BHH", 16, 40_000, 1), 3),
        (struct.pack(">BHH", 6, 40_299, 5), 3),
        (struct.pack(">BHH", 6, 40_301, 5), 3),
    ],
)
def test_exceptions(pdu: bytes, code: int) -> None:
    assert ask(device(), pdu) == bytes((pdu[0] | 0x80, code))


def test_another_unit_and_a_busy_device() -> None:
    battery = device()
    read = struct.pack(">BHH", 3, 40_000, 2)
    assert ask(battery, read, unit=9) == b"\x83\x0b"
    battery.set_fault("busy")
    assert ask(battery, read) == b"\x83\x06"


@given(st.binary(min_size=1, max_size=253))
def test_any_request_gets_an_answer(pdu: bytes) -> None:
    reply = ask(device(), pdu)
    assert reply[0] & 0x7F == pdu[0] & 0x7F


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_any_bytes_are_requests_or_an_error(chunks: list[bytes]) -> None:
    reader = RequestReader()
    try:
        for chunk in chunks:
            for request in reader.feed(chunk):
                assert 1 <= len(request.pdu) <= 253
    except BadFrameError:
        pass
