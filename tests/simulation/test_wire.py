"""What the gateway's links are given is read from the bytes, not from what the gateway tells."""

from __future__ import annotations

from etp.frame import encode_tcp
from etp.messages import Body
from simulation.wire import Accept, accepts_in


def test_accepts_are_found_among_other_frames() -> None:
    accept = Body.bid_accept(7, 1, price_e4=100_000, energy_wh=300, power_w=-2_000)
    reject = Body.bid_reject(8, 1, code=4, beat_e4=100_000)
    data = b"".join(encode_tcp(body) for body in (reject, accept, reject, accept._replace(message_id=9)))
    assert list(accepts_in(data)) == [Accept(7, 300), Accept(9, 300)]
