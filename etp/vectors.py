"""Test vectors for any implementation of ETP: `python -m etp.vectors` writes docs/etp-vectors.json.

Each vector is bytes in hex with either the fields they hold or the reason why they are refused. 64-bit integers are
written as strings, because not every JSON reader keeps them; keys, hashes and signatures are hex. The keys are
Ed25519 seeds of 32 equal bytes and protect nothing.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, Final, TypeAlias

from etp.extensions import Contract, Receipt, encode_item, extensions
from etp.frame import encode_tcp
from etp.messages import FIRST_BATTERY_ID, Body, ReasonCode
from etp.vectors_signed import signatures

Vector: TypeAlias = dict[str, Any]

PATH: Final = Path("docs/etp-vectors.json")
_BODY: Final = struct.Struct("<BQQBdddddBdBdd")

_WIDE: Final = frozenset(
    {"message_id", "device_id", "generation", "contract_no", "base_units_per_cent", "delivered_wh", "timestamp_ms"}
    | {"starts_at_s", "ends_at_s", "valid_until_s", "started_at_s"}
)
"""Fields of 64 bits."""

_CONTRACT: Final = Contract(
    market=bytes(range(32)),
    battery_wallet=bytes([11]) * 32,
    buyer_wallet=bytes([12]) * 32,
    generation=(1 << 63) + 5,
    contract_no=300,
    base_units_per_cent=10_000,
    starts_at_s=1_700_000_000,
    ends_at_s=1_700_004_500,
    valid_until_s=1_700_259_200,
    fee_bps=50,
    dispute_window_s=86_400,
    resolver=bytes([13]) * 32,
    meter_key=bytes(32),
    signature=bytes(range(64)),
)
_RECEIPT: Final = Receipt(1, 2_500, 1_700_000_003, 1_700_003_003, bytes([14]) * 32, bytes(range(64, 128)))

_BID: Final = Body.bid(4_711, 9, price_e4=125_000, energy_wh=2_500)
_GOOD_BODIES: Final[dict[str, Body]] = {
    "register": Body.register(1, 9),
    "query for the whole lot": Body.query(2, 9),
    "query for 1.5 kWh": Body.query(3, 9, energy_wh=1_500),
    "query response with a lot": Body.query_response(
        3,
        7,
        beat_e4=126_000,
        own_e4=125_000,
        usable_wh=8_000,
        lot_wh=4_000,
        lot_power_w=-5_000,
        remaining_wh=9_500,
        voltage_mv=51_200,
    ),
    "query response without a lot": Body.query_response(2, 7, beat_e4=120_000, code=ReasonCode.NO_LOT),
    "bid": _BID,
    "accept": Body.bid_accept(4_711, 7, price_e4=125_000, energy_wh=2_500, power_w=-3_125),
    "confirm": Body.bid_confirm(4_711, 9, price_e4=125_000, energy_wh=2_500),
    "reject with the price to beat": Body.bid_reject(4_711, 7, code=ReasonCode.OUTBID, beat_e4=126_000),
    "terminate, all delivered": Body.terminate(4_711, 7, code=ReasonCode.NONE, delivered_wh=2_500),
    "device failure": Body.device_failure(FIRST_BATTERY_ID + 1, 7),
    "status of a trade": Body.bess_status(
        4_711, 7, delivered_wh=700, remaining_wh=8_800, voltage_mv=50_900, power_w=-3_125
    ),
    "highest ids": Body.register((1 << 64) - 1, (1 << 64) - 1),
    "expired: decodes, to be dropped and counted": _BID._replace(ttl=0),
    "all of it for sale": _BID._replace(percentage_for_sale=100.0),
    "the largest price there is": _BID._replace(bid_price=1.7976931348623157e308),
    "the smallest price there is": _BID._replace(bid_price=5e-324),
    "negative zero is zero": _BID._replace(sale_price=-0.0),
}


def vectors() -> list[Vector]:
    """Return all vectors in the order of the file."""
    return [*_bodies(), *_numbers(), *_streams(), *_layouts(), *_extensions(), *signatures(_BID)]


def document() -> str:
    """Return the text of the file."""
    head = {
        "format": 1,
        "about": "ETP test vectors: hex bytes, and the fields they hold or why they are refused",
        "layers": {
            "body": "84 bytes; fields as design section 1 names them",
            "bid": "a Bid's body at a battery that has no other objection; `then` is what the auction sees",
            "stream": "bytes on TCP; `frames` is what they hold",
            "contract": "content of extension 2",
            "receipt": "content of extension 4",
            "extensions": "bytes after a body",
            "auth": "a signed frame without length prefix, at a receiver with this key and clock",
        },
    }
    lines = ",\n".join("  " + json.dumps(vector, ensure_ascii=True) for vector in vectors())
    return json.dumps(head, indent=1)[:-2] + ',\n "vectors": [\n' + lines + "\n ]\n}\n"


def _good(layer: str, name: str, data: bytes, **more: object) -> Vector:
    return {"layer": layer, "name": name, "hex": data.hex(), "accept": True, **more}


def _refused(layer: str, name: str, data: bytes, why: str, **more: object) -> Vector:
    return {"layer": layer, "name": name, "hex": data.hex(), "accept": False, "why": why, **more}


def _fields(value: Any) -> dict[str, Any]:
    """Return a named tuple's fields as every JSON reader can carry them."""
    return {name: _json_safe(name, field) for name, field in value._asdict().items()}


def _json_safe(name: str, field: Any) -> Any:
    if isinstance(field, bytes):
        return field.hex()
    return str(field) if name in _WIDE else field


def _bodies() -> list[Vector]:
    good = [_good("body", name, body.encode(), fields=_fields(body)) for name, body in _GOOD_BODIES.items()]
    bid = tuple(_BID)
    refused = [
        _refused("body", "one byte short", _BID.encode()[:-1], "83 bytes"),
        _refused("body", "empty", b"", "0 bytes"),
        _refused("body", "first unknown type", _BODY.pack(10, *bid[1:]), "unknown type"),
        _refused("body", "last unknown type", _BODY.pack(255, *bid[1:]), "unknown type"),
        _refused("body", "more than all for sale", _BID._replace(percentage_for_sale=100.1).encode(), "above 100"),
    ]
    for field in (name for name, value in _BID._asdict().items() if isinstance(value, float)):
        for name, value, why in (
            ("not a number", float("nan"), "not a finite number"),
            ("infinite", float("inf"), "not a finite number"),
            ("negative", -0.01, "negative"),
        ):
            broken = Body(**{**_BID._asdict(), field: value}).encode()
            refused.append(_refused("body", f"{field} {name}", broken, why, field=field))
    return [*good, *refused]


def _bid(name: str, price: float, energy: float, then: tuple[int, int] | None, *, signed: bool = False) -> Vector:
    body = _BID._replace(bid_price=price, required_energy_amount=energy).encode()
    if then is None:
        return _refused("bid", name, body, "code 9", signed=signed)
    return _good("bid", name, body, signed=signed, then={"price_e4": then[0], "energy_wh": then[1]})


def _numbers() -> list[Vector]:
    battery_id = _BID._replace(message_id=FIRST_BATTERY_ID).encode()
    return [
        _bid("on the grid, signed", 12.5, 2.5, (125_000, 2_500), signed=True),
        _bid("within 1e-6 of the grid, signed", 0.1 + 0.2, 0.7 + 0.1, (3_000, 800), signed=True),
        _bid("price between ticks, signed", 12.505, 2.5, None, signed=True),
        _bid("quantity between steps, signed", 12.5, 2.55, None, signed=True),
        _bid("between ticks and steps, cut down", 12.509, 2.59, (125_000, 2_500)),
        _bid("a hair below a tick counts as the tick", 12.509999999, 2.5, (125_100, 2_500)),
        _bid("one step", 12.5, 0.1, (125_000, 100)),
        _bid("less than one step", 12.5, 0.0999, None),
        _bid("no quantity", 12.5, 0.0, None),
        _bid("price nothing", 0.0, 2.5, (0, 2_500)),
        _bid("more than any lot is for the auction to refuse", 12.5, 1e300, (125_000, 4_294_967_200)),
        _bid("a price that no contract can hold", 1e300, 2.5, None),
        _refused("bid", "an id of a battery", battery_id, "code 9", signed=False),
    ]


def _streams() -> list[Vector]:
    one, two = encode_tcp(_BID), encode_tcp(_BID, extensions(reason="hello"))
    return [
        _good("stream", "one frame", one, frames=[one[4:].hex()]),
        _good("stream", "two frames", one + two, frames=[one[4:].hex(), two[4:].hex()]),
        _good("stream", "a frame and a half", one + two[:50], frames=[one[4:].hex()]),
        _refused("stream", "length zero", bytes(4), "length 0"),
        _refused("stream", "length 83", struct.pack("<I", 83) + bytes(83), "length 83"),
        _refused("stream", "length 1025", struct.pack("<I", 1025) + bytes(1025), "length 1025"),
        _refused("stream", "huge length", b"\xff\xff\xff\xff", "length 4294967295"),
        _refused("stream", "big-endian length", struct.pack(">I", 84) + _BID.encode(), "length 1409286144"),
    ]


def _layouts() -> list[Vector]:
    contract, receipt = _CONTRACT.encode(), _RECEIPT.encode()
    return [
        _good("contract", "terms of a trade", contract, fields=_fields(_CONTRACT)),
        _good("contract", "terms before any trade", Contract().encode(), fields=_fields(Contract())),
        _refused("contract", "contract, one byte short", contract[:-1], "277 bytes"),
        _good("receipt", "final", receipt, fields=_fields(_RECEIPT)),
        _good("receipt", "interim", _RECEIPT._replace(final=0).encode(), fields=_fields(_RECEIPT._replace(final=0))),
        _refused("receipt", "receipt, one byte more", receipt + bytes(1), "122 bytes"),
        _refused("receipt", "neither final nor interim", b"\x02" + receipt[1:], "final is 2"),
    ]


def _extensions() -> list[Vector]:
    reason, unknown = encode_item(3, b"outbid"), encode_item(200, b"from the future")
    every = extensions(contract=_CONTRACT, reason="outbid", receipt=_RECEIPT).encode()
    return [
        _good("extensions", "none", b"", tags=[]),
        _good("extensions", "a reason", reason, tags=[3], reason="outbid"),
        _good("extensions", "the longest reason", encode_item(3, b"x" * 120), tags=[3], reason="x" * 120),
        _good("extensions", "contract, reason, receipt", every, tags=[2, 3, 4], reason="outbid"),
        _good("extensions", "an unknown tag is skipped", reason + unknown, tags=[3, 200], reason="outbid"),
        _good("extensions", "an empty unknown tag", encode_item(99, b""), tags=[99], reason=""),
        _refused("extensions", "half a header", reason + b"\x04\x01", "2 bytes"),
        _refused("extensions", "content cut short", reason[:-1], "claims 6 bytes"),
        _refused("extensions", "content longer than the frame", b"\x63\xff\xff", "claims 65535 bytes"),
        _refused("extensions", "descending tags", unknown + reason, "tag 3 after tag 200"),
        _refused("extensions", "the same tag twice", reason + reason, "tag 3 after tag 3"),
        _refused("extensions", "a reason too long", encode_item(3, b"x" * 121), "121 bytes"),
        _refused("extensions", "a reason that is not UTF-8", encode_item(3, b"\xc3\x28"), "not UTF-8"),
        _refused("extensions", "auth one byte short", encode_item(1, bytes(135)), "135 bytes"),
        _refused("extensions", "an empty contract", encode_item(2, b""), "0 bytes"),
    ]


def main() -> None:
    """Write the file."""
    PATH.write_text(document())


if __name__ == "__main__":
    main()
