"""Signed bids, made before they are needed: signing is the buyer's work, not the server's."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from agent.clock import wall_ms
from bench.load import write_frames
from etp.auth import NOBODY, sign_frame
from etp.frame import prefixed
from etp.messages import Body
from settlement.keys import IdentityKey

if TYPE_CHECKING:
    from etp.auth import Signer


def signed_frames(battery: bytes, *, buyers: int, rounds: int) -> bytes:
    """Return a FRAMES file: for each buyer a Register and so many bids below the reserve, for the next 30 s."""
    return write_frames([_frames(IdentityKey(struct.pack("<Q24x", n + 1)), battery, rounds) for n in range(buyers)])


def _frames(key: Signer, battery: bytes, rounds: int) -> bytes:
    register = sign_frame(Body.register(1, 7).encode(), signer=key, peer=NOBODY, timestamp_ms=wall_ms())
    frames = [prefixed(register)]
    for number in range(rounds):
        bid = Body.bid(number + 1, 7, price_e4=200_000, energy_wh=500)
        frames.append(prefixed(sign_frame(bid.encode(), signer=key, peer=battery, timestamp_ms=wall_ms())))
    return b"".join(frames)
