"""docs/contract.md alone is enough: its tables, read by a test, decode the published vectors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from settlement.contract import CONTRACT_BYTES
from settlement.keystore import LOG2_N, LOG2_N_MAX
from settlement.receipt import RECEIPT_BYTES
from settlement.statements import BINDING_BYTES, REGISTRATION_BYTES

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "contract.md").read_text()
VECTORS: list[dict[str, Any]] = json.loads((DOCS / "contract-vectors.json").read_text())["vectors"]
ROW = re.compile(r"^\| (\d+) \| (\d+) \| `(\w+)` \| (bytes|u8|u16|u32|u64|i64) \| (.+) \|$", re.MULTILINE)
SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "i64": 8}
Row = tuple[int, int, str, str, str]


def table(first_field: str, after: str) -> list[Row]:
    """The rows of the first table after a text."""
    start = PAGE.index(after)
    end = PAGE.find("\n\n", PAGE.index(f"`{first_field}`", start))
    rows = ROW.findall(PAGE[start:end])
    return [(int(offset), int(size), name, kind, what) for offset, size, name, kind, what in rows]


TABLES = {
    "contract": (table("prefix", "## The contract"), CONTRACT_BYTES),
    "receipt": (table("prefix", "## The receipt"), RECEIPT_BYTES),
    "registration": (table("prefix", "Registration, 146 bytes"), REGISTRATION_BYTES),
    "binding": (table("prefix", "Binding, 153 bytes"), BINDING_BYTES),
    "signature": (table("domain", "## Signatures"), 47),
}


def read(rows: list[Row], data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for offset, size, name, kind, _ in rows:
        piece = data[offset : offset + size]
        number = int.from_bytes(piece, "little", signed=kind == "i64")
        found[name] = piece.hex() if kind == "bytes" else str(number)
    return found


@pytest.mark.parametrize("layer", TABLES)
def test_offsets_follow_each_other_to_the_end(layer: str) -> None:
    rows, total = TABLES[layer]
    at = 0
    for offset, size, _, kind, _ in rows:
        assert offset == at
        assert size == SIZES.get(kind, size)
        at += size
    assert at == total


@pytest.mark.parametrize("layer", ["contract", "receipt", "registration", "binding"])
def test_the_tables_decode_the_vectors(layer: str) -> None:
    rows, _ = TABLES[layer]
    good = [vector for vector in VECTORS if vector["layer"] == layer and vector["accept"]]
    assert good
    for vector in good:
        found = read(rows, bytes.fromhex(vector["hex"]))
        (text,) = re.findall(r'"([a-z-]+)"', rows[0][4])
        assert found.pop("prefix") == (b"\xff" + text.encode() + b"\x01").hex()
        told = {name: str(int(value) if isinstance(value, bool) else value) for name, value in vector["fields"].items()}
        assert found == told


def test_the_table_of_signatures_reads_what_they_cover() -> None:
    rows, _ = TABLES["signature"]
    for vector in (vector for vector in VECTORS if vector["layer"] == "signature"):
        found = read(rows, bytes.fromhex(vector["signed"]))
        assert found == {
            "domain": (b"\xffwattbid-sign").hex(),
            "kind": str(vector["kind"]),
            "version": "1",
            "digest": vector["digest"],
        }


def test_money_as_the_page_writes_it() -> None:
    assert "amount  = price_e4 * energy_wh * base_units_per_cent / 10^7" in PAGE
    for vector in (vector for vector in VECTORS if vector["layer"] == "contract" and vector["accept"]):
        terms = vector["fields"]
        product, rate = terms["price_e4"] * terms["energy_wh"], int(terms["base_units_per_cent"])
        amount = product // 10**7 * rate + product % 10**7 * rate // 10**7
        assert (vector["amount"], vector["reserve"]) == (str(amount), str(amount + amount * terms["fee_bps"] // 10**4))


def test_numbers_of_the_keystore() -> None:
    flat = " ".join(PAGE.split())
    assert f"`log2_n` is {LOG2_N} when written (64 MiB), at most {LOG2_N_MAX} when read" in flat
    ring = next(vector for vector in VECTORS if vector["layer"] == "keys")["ring"]
    assert f"The secret ring is {len(ring) // 2} bytes" in flat
