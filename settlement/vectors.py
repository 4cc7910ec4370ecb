"""Test vectors for any implementation: `python -m settlement.vectors` writes docs/contract-vectors.json.

Each vector is bytes in hex with either what they mean or why they are refused. 64-bit integers are written as strings,
because not every JSON reader keeps them; keys, hashes and signatures are hex. The keys protect nothing.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

from settlement.contract import Contract, Venue
from settlement.keyring import KeyRing
from settlement.keys import PURPOSES, IdentityKey
from settlement.keystore import seal
from settlement.receipt import Receipt
from settlement.statements import Binding, Registration
from settlement.vectors_signed import BATTERY, Vector, signatures

PATH: Final = Path("docs/contract-vectors.json")
ROOT: Final = bytes(range(32))
PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - it protects a keystore that everybody can read here

_NARROW: Final = frozenset({"price_e4", "energy_wh", "fee_bps", "dispute_window_s", "final"})
"""Numbers that every JSON reader keeps."""
_BUYER: Final = IdentityKey(bytes([2]) * 32)
_METER: Final = IdentityKey(bytes([3]) * 32)
_LOG2_N: Final = 4
"""So cheap that a vector costs no time; for nothing else."""

CONTRACT: Final = Contract(
    venue=Venue(program_id=bytes([4]) * 32, genesis_hash=bytes([5]) * 32, mint=bytes([6]) * 32),
    battery_wallet=bytes([7]) * 32,
    buyer_wallet=bytes([8]) * 32,
    generation=435_888_001,
    contract_no=7,
    battery_device_id=BATTERY.device_id,
    buyer_device_id=_BUYER.device_id,
    message_id=4_711,
    price_e4=251_300,
    energy_wh=2_500,
    base_units_per_cent=10_000,
    starts_at_s=1_700_000_000,
    ends_at_s=1_700_002_310,
    valid_until_s=1_700_261_510,
    fee_bps=50,
    dispute_window_s=86_400,
    resolver=bytes([9]) * 32,
)
RECEIPT: Final = Receipt(
    trade_id=CONTRACT.trade_id,
    final=True,
    delivered_wh=2_500,
    started_at_s=1_700_000_003,
    ended_at_s=1_700_002_000,
    evidence=bytes([10]) * 32,
)
_GOOD_CONTRACTS: Final = {
    "a trade of 2.5 kWh": CONTRACT,
    "the same terms once more": replace(CONTRACT, contract_no=8),
    "the first number of a Line": replace(CONTRACT, contract_no=0),
    "a Line opened again": replace(CONTRACT, generation=435_999_001),
    "an independent meter": replace(CONTRACT, meter_key=_METER.public_key),
    "for nothing": replace(CONTRACT, price_e4=0, fee_bps=0),
    "less than one base unit": replace(CONTRACT, price_e4=100, energy_wh=100, base_units_per_cent=1),
    "the least and the shortest": replace(
        CONTRACT,
        generation=1,
        battery_device_id=0,
        buyer_device_id=1,
        message_id=0,
        energy_wh=100,
        starts_at_s=1,
        ends_at_s=2,
        valid_until_s=86_402,
        dispute_window_s=1,
    ),
    "the largest of everything": replace(
        CONTRACT,
        generation=(1 << 64) - 1,
        contract_no=(1 << 64) - 1,
        battery_device_id=(1 << 64) - 1,
        message_id=(1 << 63) - 1,
        price_e4=4_294_967_200,
        energy_wh=4_294_967_200,
        base_units_per_cent=9_523_809,
        starts_at_s=(1 << 63) - 604_802,
        ends_at_s=(1 << 63) - 604_801,
        valid_until_s=(1 << 63) - 1,
        fee_bps=500,
        dispute_window_s=(1 << 32) - 1,
    ),
}


def vectors() -> list[Vector]:
    """Return all vectors in the order of the file."""
    return [*_contracts(), *_receipts(), *_splits(), *_statements(), *signatures(), *_keys(), *_keystores()]


def document() -> str:
    """Return the text of the file."""
    head = {
        "format": 1,
        "about": "Wattbid contracts, receipts, statements, signatures and keys; docs/contract.md explains every byte",
        "layers": {
            "contract": "328 bytes; what they hold, the trade id and the money, or the field at fault",
            "receipt": "106 bytes; what they hold and the digest, or the field at fault",
            "split": "what becomes of a contract's reserve after a delivery; `contract` is a name of the first layer",
            "registration": "146 bytes and their digest, signed by the new key",
            "binding": "153 bytes and their digest, signed by the identity",
            "signature": "under strict rules; `lax` marks those that OpenSSL alone takes",
            "keys": "a root, the seeds and the public keys",
            "keystore": "a file's text and a password",
        },
    }
    lines = ",\n".join("  " + json.dumps(vector, ensure_ascii=True) for vector in vectors())
    return json.dumps(head, indent=1)[:-2] + ',\n "vectors": [\n' + lines + "\n ]\n}\n"


def _good(layer: str, name: str, **more: object) -> Vector:
    return {"layer": layer, "name": name, "accept": True, **more}


def _refused(layer: str, name: str, data: bytes, field: str, why: str) -> Vector:
    return {"layer": layer, "name": name, "hex": data.hex(), "accept": False, "field": field, "why": why}


def _fields(value: Contract | Receipt | Registration | Binding | Venue) -> dict[str, Any]:
    """Return a value's fields as every JSON reader can carry them, a venue's among its contract's."""
    found: dict[str, Any] = {}
    for field in fields(value):
        content = getattr(value, field.name)
        if isinstance(content, Venue):
            found |= _fields(content)
        elif isinstance(content, bytes):
            found[field.name] = content.hex()
        else:
            found[field.name] = content if field.name in _NARROW else str(content)
    return found


def _contracts() -> list[Vector]:
    good = [
        _good(
            "contract",
            name,
            hex=contract.encoded.hex(),
            fields=_fields(contract),
            trade_id=contract.trade_id.hex(),
            market=contract.venue.market.hex(),
            amount=str(contract.amount),
            reserve=str(contract.reserve),
            wire=contract.to_wire().encode().hex(),
        )
        for name, contract in _GOOD_CONTRACTS.items()
    ]
    return [*good, *(_refused_contract(*defect) for defect in _DEFECTS)]


def _little(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")


_DEFECTS: Final[tuple[tuple[str, int, bytes, str, str], ...]] = (
    ("the prefix of another domain", 1, b"W", "contract", "another domain or version"),
    ("version 2", 17, b"\x02", "contract", "another domain or version"),
    ("no program", 18, bytes(32), "program_id", "all zero"),
    ("no cluster", 50, bytes(32), "genesis_hash", "all zero"),
    ("no mint", 82, bytes(32), "mint", "all zero"),
    ("no battery wallet", 114, bytes(32), "battery_wallet", "all zero"),
    ("no buyer wallet", 146, bytes(32), "buyer_wallet", "all zero"),
    ("a battery that pays itself", 146, bytes([7]) * 32, "buyer_wallet", "the battery's own wallet"),
    ("no generation", 178, bytes(8), "generation", "not within"),
    ("one device on both sides", 202, _little(BATTERY.device_id, 8), "buyer_device_id", "the battery's own id"),
    ("a message id of a battery", 210, _little(1 << 63, 8), "message_id", "not within"),
    ("a price between ticks", 218, _little(251_350, 4), "price_e4", "whole number of ticks"),
    ("an energy between steps", 222, _little(2_550, 4), "energy_wh", "whole number of steps"),
    ("no energy", 222, bytes(4), "energy_wh", "not within"),
    ("no rate", 226, bytes(8), "base_units_per_cent", "not within"),
    ("a rate above 10^7", 226, _little(10_000_001, 8), "base_units_per_cent", "not within"),
    ("an end that is the start", 242, _little(CONTRACT.starts_at_s, 8), "ends_at_s", "not after the start"),
    ("a start before 1970", 234, b"\xff" * 8, "starts_at_s", "not within"),
    ("valid for less than a day", 250, _little(CONTRACT.ends_at_s + 86_399, 8), "valid_until_s", "86399 s after"),
    ("valid for more than a week", 250, _little(CONTRACT.ends_at_s + 604_801, 8), "valid_until_s", "604801 s after"),
    ("a fee above 5 %", 258, _little(501, 2), "fee_bps", "not within"),
    ("no time for a dispute", 260, bytes(4), "dispute_window_s", "not within"),
    ("no resolver", 264, bytes(32), "resolver", "all zero"),
    ("the battery rules on its own dispute", 264, bytes([7]) * 32, "resolver", "nobody rules on his own"),
    ("the buyer rules on its own dispute", 264, bytes([8]) * 32, "resolver", "nobody rules on his own"),
    ("a meter key of small order", 296, b"\x01" + bytes(31), "meter_key", "of small order"),
    ("a meter key off the curve", 296, b"\x02" + bytes(31), "meter_key", "no point of the curve"),
    ("an amount that 64 bits do not hold", 218, _little(4_294_967_200, 4) * 2 + _little(10**7, 8), "amount", "64 bits"),
)


def _refused_contract(name: str, at: int, data: bytes, field: str, why: str) -> Vector:
    whole = CONTRACT.encoded
    return _refused("contract", name, whole[:at] + data + whole[at + len(data) :], field, why)


def _receipts() -> list[Vector]:
    good = {
        "all delivered": RECEIPT,
        "interim": replace(RECEIPT, final=False, delivered_wh=700, ended_at_s=1_700_000_563),
        "more than contracted": replace(RECEIPT, delivered_wh=2_503),
        "nothing delivered": replace(RECEIPT, delivered_wh=0, started_at_s=0, ended_at_s=0),
        "of another trade": replace(RECEIPT, trade_id=_GOOD_CONTRACTS["the same terms once more"].trade_id),
    }
    whole = RECEIPT.encoded
    return [
        *(
            _good("receipt", name, hex=value.encoded.hex(), fields=_fields(value), digest=value.digest.hex())
            for name, value in good.items()
        ),
        _refused("receipt", "one byte short", whole[:-1], "receipt", "105 bytes"),
        _refused("receipt", "version 2", whole[:16] + b"\x02" + whole[17:], "receipt", "another domain or version"),
        _refused("receipt", "of no trade", whole[:17] + bytes(32) + whole[49:], "trade_id", "all zero"),
        _refused("receipt", "neither final nor interim", whole[:49] + b"\x02" + whole[50:], "final", "neither 0 nor 1"),
        _refused("receipt", "a start before 1970", whole[:58] + b"\xff" * 8 + whole[66:], "started_at_s", "not within"),
        _refused("receipt", "an end before the start", whole[:66] + bytes(8) + whole[74:], "ended_at_s", "not within"),
    ]


def _splits() -> list[Vector]:
    found = []
    for name, contract in _GOOD_CONTRACTS.items():
        for delivered_wh in (0, 1, contract.energy_wh // 3, contract.energy_wh, contract.energy_wh + 1):
            split = {part: str(units) for part, units in contract.split(delivered_wh)._asdict().items()}
            terms = {"contract": name, "delivered_wh": str(delivered_wh), "reserve": str(contract.reserve)}
            found.append(_good("split", f"{name}: {delivered_wh} Wh", **terms, **split))
    return found


def _statements() -> list[Vector]:
    ring = KeyRing(ROOT)
    venue = CONTRACT.venue
    registration = Registration(
        program_id=venue.program_id,
        genesis_hash=venue.genesis_hash,
        wallet=ring.public_keys["wallet"],
        key=ring.public_keys["identity"],
    )
    binding = ring.binding(1_700_000_000)
    return [
        _good(
            layer,
            "of the keys below",
            hex=value.encoded.hex(),
            fields=_fields(value),
            digest=value.digest.hex(),
            signature=value.sign(ring.identity).hex(),
        )
        for layer, value in (("registration", registration), ("binding", binding))
    ]


def _keys() -> list[Vector]:
    rings = {"derived": KeyRing(ROOT), "a wallet from elsewhere": KeyRing(ROOT).replace("wallet", bytes([9]) * 32)}
    return [
        _good(
            "keys",
            name,
            root=ROOT.hex(),
            ring=ring.encode().hex(),
            seeds={purpose: ring.seed(purpose).hex() for purpose in PURPOSES},
            public_keys={purpose: ring.public_keys[purpose].hex() for purpose in PURPOSES},
            device_id=str(ring.identity.device_id),
        )
        for name, ring in rings.items()
    ]


def _keystores() -> list[Vector]:
    ring = KeyRing(ROOT)
    text = seal(ring, PASSWORD, log2_n=_LOG2_N, entropy=bytes).decode()
    opened: Vector = {"password": PASSWORD, "text": text, "ring": ring.encode().hex()}
    refused = {
        "another password": ("correct horse", text, "this password does not open it"),
        "one digit of the sealed bytes": (PASSWORD, text[:-70] + "z" + text[-69:], "its checksum does not hold"),
        "cut off": (PASSWORD, text[:-1], f"is cut off after {len(text) - 1} bytes"),
        "something else": (PASSWORD, "{}\n", "is no keystore"),
        "empty": (PASSWORD, "", "is empty"),
    }
    return [
        _good("keystore", "of the derived keys", **opened),
        *(
            {"layer": "keystore", "name": name, "accept": False, "password": password, "text": damaged, "why": why}
            for name, (password, damaged, why) in refused.items()
        ),
    ]


def main() -> None:
    """Write the file."""
    PATH.write_text(document())


if __name__ == "__main__":
    main()
