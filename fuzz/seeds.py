"""Where mutation starts: the protocol's own vectors, the example site files, short conversations, and forecasts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from etp.messages import Body, MessageType

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[1]
_CONTROL: Final = (
    b'{"id": 1, "do": "snapshot"}\n',
    b'{"id": 2, "do": "subscribe", "events": ["lot_opened", "alarm"]}\n',
    b'{"id": 3, "do": "stop-selling", "battery": "battery-1", "reason": "holiday"}\n',
    b'{"id": [4], "do": "resume"}\n',
    b'{"id": null, "do": "set-reserve", "battery": "battery-1", "price_e4": 300000}\n',
)
_FORECASTS: Final = (
    b"start,c_per_kwh\n2026-07-01T17:30:00+10:00,12.5\n2026-07-01T08:00Z,-1\n",
    b"# a day\n" + b"".join(b"2026-04-04T%02d:%02d,%d\n" % (n // 2, 30 * (n % 2), n) for n in range(48)),
    b"2026-04-05T02:00,1\n2026-04-05T02:30,2\n2026-04-05T02:00,3\n2026-04-05T02:30,\n2026-04-05T03:00,5\n",
    b"2026-10-04T01:30,1\n2026-10-04T02:00,2\n",
    b"2026-07-01T00:10,1\n",
)
_RAW, _FRAMED, _PLAUSIBLE, _SIGNED, _WAIT, _DRAIN, _ANSWER, _REPEAT = range(8)


def seeds_of(target: str) -> list[bytes]:
    """Return the seeds of a target."""
    match target:
        case "site":
            return list(_sites())
        case "control":
            return list(_CONTROL)
        case "forecast":
            return list(_FORECASTS)
        case "connection":
            return list(_conversations())
        case _:
            return list(_frames(with_length=target == "stream"))


def _frames(*, with_length: bool) -> Iterator[bytes]:
    for vector in json.loads((ROOT / "docs" / "etp-vectors.json").read_text())["vectors"]:
        data = bytes.fromhex(vector.get("hex", ""))
        if with_length and vector["layer"] != "tcp":
            data = len(data).to_bytes(4, "little") + data
        yield data


def _sites() -> Iterator[bytes]:
    example = (ROOT / "deploy" / "examples" / "site.toml").read_bytes()
    yield example
    yield b"\n".join(line.removeprefix(b"#") for line in example.splitlines() if not line.startswith(b"##"))
    yield (ROOT / "deploy" / "examples" / "site-dynamic.toml").read_bytes()
    least = b'[site]\nname = "abc"\nlab = true\n[network]\npeers = "open"\n[[battery]]\nname = "b"\n'
    yield least + b"reserve_c_per_kwh = 30.0\n"
    yield least + b"[battery.reserve]\ntiers = [{from_soc_percent = 0, c_per_kwh = 1.5}]\n"
    yield (least + b"reserve_c_per_kwh = 1\n") * 2


def _conversations() -> Iterator[bytes]:
    bid = Body.bid(1, 9, price_e4=100_000, energy_wh=100).encode()
    register = bytes([MessageType.REGISTER, 1, 1, 0, 0, 0])
    confirm = bytes([MessageType.BID_CONFIRM, 1, 1, 0, 1, 1])
    plain_bid = bytes([MessageType.BID, 1, 1, 1, 0, 1])
    for flags in range(8):
        start = bytes([flags])
        yield (
            start
            + bytes([_FRAMED])
            + bid
            + bytes([0, _ANSWER, 0, 1, _DRAIN, _PLAUSIBLE])
            + confirm
            + bytes([_ANSWER, 0, 3])
        )
        yield (
            start + bytes([_PLAUSIBLE]) + plain_bid + bytes([_REPEAT, 9, _WAIT, 3, _REPEAT, 1, _ANSWER, 0, 0, _WAIT, 6])
        )
        yield (
            start
            + bytes([_SIGNED, 0, 0])
            + register
            + bytes([_SIGNED, 0, 1])
            + plain_bid
            + bytes([_REPEAT, 1, _ANSWER, 0, 1])
        )
        yield (
            start
            + bytes([_RAW, 4])
            + (84).to_bytes(4, "little")
            + bytes([_RAW, 40])
            + bid[:40]
            + bytes([_WAIT, 5, _WAIT, 5])
        )
        yield start + bytes([_RAW, 4]) + (85_000).to_bytes(4, "little") + bytes([_PLAUSIBLE]) + plain_bid
