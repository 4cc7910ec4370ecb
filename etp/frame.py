"""Frames: a body and its extensions; on TCP behind a `u32 LE` length of 84..1024 (ETP section 2)."""

from __future__ import annotations

import struct
from typing import Final

from etp.errors import BodyError, FrameLengthError
from etp.extensions import NO_EXTENSIONS, Extensions, decode_extensions
from etp.limits import FRAME_BYTES_MAX, FRAME_BYTES_MIN, LENGTH_PREFIX_BYTES
from etp.messages import BODY_BYTES, TTL_AT_BIRTH, Body, MessageType
from etp.units import price_to_wire

_LENGTH: Final = struct.Struct("<I")
_REJECT: Final = int(MessageType.BID_REJECT)
_PLAIN: Final = struct.Struct("<IBQQBdddddBdBdd")
_PLAIN_REJECT: Final = struct.Struct("<IBQQB8xd24xB25x")


def encode_frame(body: Body, extensions: Extensions = NO_EXTENSIONS) -> bytes:
    """Return the frame as one UDP datagram carries it."""
    return body.encode() + extensions.encode()


def encode_plain_tcp(body: Body) -> bytes:
    """Return the 88 bytes of a body without extensions on TCP, packed in one call."""
    return _PLAIN.pack(BODY_BYTES, *body)


def encode_plain_reject(bid_id: int, device_id: int, code: int, beat_e4: int) -> bytes:
    """Return a BidReject without extensions on TCP: `encode_plain_tcp(Body.bid_reject(...))`, without the value."""
    return _PLAIN_REJECT.pack(BODY_BYTES, _REJECT, bid_id, device_id, TTL_AT_BIRTH, price_to_wire(beat_e4), code)


def encode_tcp(body: Body, extensions: Extensions = NO_EXTENSIONS) -> bytes:
    """Return the frame with its length prefix."""
    return prefixed(encode_frame(body, extensions))


def prefixed(frame: bytes) -> bytes:
    """Return a frame with its length prefix. Raises FrameLengthError outside 84..1024 bytes."""
    if not FRAME_BYTES_MIN <= len(frame) <= FRAME_BYTES_MAX:
        raise FrameLengthError(len(frame))
    return _LENGTH.pack(len(frame)) + frame


def decode_frame(frame: bytes) -> tuple[Body, Extensions]:
    """Return body and extensions of a frame without length prefix (a UDP datagram is one).

    Raises BodyError or ExtensionError, and FrameLengthError above 1024 bytes.
    """
    if len(frame) > FRAME_BYTES_MAX:
        raise FrameLengthError(len(frame))
    if len(frame) < BODY_BYTES:
        raise BodyError("body", f"{len(frame)} bytes, need {BODY_BYTES}")
    body = Body.decode(frame)
    if len(frame) == BODY_BYTES:
        return body, NO_EXTENSIONS
    return body, decode_extensions(frame[BODY_BYTES:])


class FrameReader:
    """Cuts a TCP byte stream into frames; keeps at most one unfinished frame.

    After a length outside 84..1024 `bad_length` holds it and nothing more is read: the frame borders are lost.
    """

    __slots__ = ("bad_length", "tail")

    def __init__(self) -> None:
        self.tail = b""
        """The bytes of an unfinished frame."""
        self.bad_length: int | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that `data` completes, without their length prefixes."""
        if not self.tail and self.bad_length is None:
            size = len(data) - LENGTH_PREFIX_BYTES
            if FRAME_BYTES_MIN <= size <= FRAME_BYTES_MAX and int.from_bytes(data[:4], "little") == size:
                return [data[4:]]
        return self._cut(self.tail + data)

    def _cut(self, data: bytes) -> list[bytes]:
        frames: list[bytes] = []
        if self.bad_length is not None:
            return frames
        offset = 0
        while len(data) - offset >= LENGTH_PREFIX_BYTES:
            (size,) = _LENGTH.unpack_from(data, offset)
            if not FRAME_BYTES_MIN <= size <= FRAME_BYTES_MAX:
                self.bad_length = size
                self.tail = b""
                return frames
            stop = offset + LENGTH_PREFIX_BYTES + size
            if stop > len(data):
                break
            frames.append(data[offset + LENGTH_PREFIX_BYTES : stop])
            offset = stop
        self.tail = data[offset:]
        return frames
