"""Zstandard frames (RFC 8878) that hold their content as it is: what a client that asked for them can read."""

from __future__ import annotations

from typing import Final

_MAGIC: Final = bytes.fromhex("28b52ffd")
_SINGLE_SEGMENT_4: Final = b"\xa0"
"""One segment, whose size takes four bytes."""
_BLOCK_MAX: Final = 128 * 1_024


def framed(data: bytes) -> bytes:
    """Return a frame with raw blocks only."""
    frame = bytearray(_MAGIC + _SINGLE_SEGMENT_4 + len(data).to_bytes(4, "little"))
    at = 0
    while True:
        part = data[at : at + _BLOCK_MAX]
        at += len(part)
        frame += (len(part) << 3 | (at == len(data))).to_bytes(3, "little") + part
        if at == len(data):
            return bytes(frame)
