"""One message to bytes and back, against the bare struct calls that move the same fourteen fields."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bench.report import Figure
from bench.stats import best_us
from etp.frame import decode_frame, encode_tcp
from etp.messages import Body

if TYPE_CHECKING:
    from bench.settings import Settings


def run(settings: Settings) -> list[Figure]:
    """Measure a round trip of a Bid."""
    body = Body.bid(12_345, 7, price_e4=400_300, energy_wh=2_500)
    fields = struct.Struct("<BQQBdddddBdBdd")
    times = settings.count(20_000, 20)
    bare_us = best_us(lambda: fields.unpack(fields.pack(*body)), times=times)
    ours_us = best_us(lambda: decode_frame(encode_tcp(body)[4:]), times=times)
    if decode_frame(encode_tcp(body)[4:])[0] != body:
        raise RuntimeError("a Bid does not survive its round trip")
    return [
        Figure(key="codec.round_trip_us", value=ours_us, unit="us", note="framed, decoded and checked"),
        Figure(key="codec.ratio_to_struct", value=bare_us / ours_us, note=f"bare pack and unpack: {bare_us:.2f} us"),
    ]
