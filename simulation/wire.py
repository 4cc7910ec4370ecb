"""Listens to what a gateway's links are given, and goes by that instead of by what the gateway says of itself."""

from __future__ import annotations

import json
import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from agent.records import Kind
from etp.messages import Body, MessageType
from simulation.invariants import Breach

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LENGTH: Final = struct.Struct("<I")
_LOOKS_BACK: Final = 2_000
"""An Accept goes by an award of the last so many records, also when it is repeated."""


class Accept(NamedTuple):
    """What an Accept on the wire says."""

    bid_id: int
    energy_wh: int


def accepts_in(data: bytes) -> Iterator[Accept]:
    """Yield the Accepts among whole frames, each behind its length."""
    at = 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if data[at] == MessageType.BID_ACCEPT:
            body = Body.decode(data, at)
            yield Accept(body.message_id, body.energy_wh)
        at += length


def check_accept_on_disk(journal: Path, battery: str, accept: Accept) -> None:
    """Raise Breach unless the award that an Accept tells of can be read from the disk at this moment."""
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT body FROM records WHERE seq > (SELECT max(seq) FROM records) - ? AND kind = ? AND battery = ?"
            " ORDER BY seq DESC",
            (_LOOKS_BACK, Kind.AWARD, battery),
        )
        awards = (json.loads(text) for (text,) in rows)
        if not any((award["bid_id"], award["energy_wh"]) == accept for award in awards):
            what = f"bid {accept.bid_id} at {battery} is accepted, its award of {accept.energy_wh} Wh is not on disk"
            raise Breach("an Accept leaves only after its record is on disk", what)
