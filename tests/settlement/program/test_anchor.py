"""Anchor's own coder, from npm, reads with our IDL what our codec writes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from solders.pubkey import Pubkey

from settlement.program import accounts, events, instructions, schema
from tests.npm_packages import run

pytestmark = pytest.mark.system
IDL = json.loads((Path(__file__).parents[3] / "programs/settlement/idl/settlement.json").read_text())


def value_of(field: Any, place: int) -> Any:
    """A value that no other field has."""
    if field.kind.python == "bytes":
        return bytes([place + 1]) * 32
    if field.kind.python == "bool":
        return True
    return (place + 1) * 3 if field.kind.size == 1 else (1 << (8 * field.kind.size - 1)) - 1 - place


def expected(field: Any, value: Any) -> Any:
    if field.kind.name == "pubkey":
        return str(Pubkey(value))
    if field.kind.name == "hash":
        return [str(byte) for byte in value]
    return value if isinstance(value, bool) else str(value)


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def items() -> list[tuple[str, Any, bytes]]:
    found: list[tuple[str, Any, bytes]] = []
    for kind, module, records in (("account", accounts, schema.ACCOUNTS), ("event", events, schema.EVENTS)):
        for one in records:
            values = [value_of(field, n) for n, field in enumerate(f for f in one.fields if not f.is_padding)]
            found.append((kind, one, getattr(module, one.name)(*values).encode()))
    for call in schema.CALLS:
        values = [value_of(field, n) for n, field in enumerate(call.args)]
        found.append(("instruction", call, getattr(instructions, call.name.upper()).encode(*values)))
    return found


def test_accounts_events_and_instructions_are_decoded_by_anchor() -> None:
    written = items()
    said = {
        "idl": IDL,
        "items": [{"kind": kind, "data": base64.b64encode(data).decode()} for kind, _, data in written],
    }
    read = run("anchor.cjs", said)
    assert len(read) == len(written) > 50
    for (kind, one, _), found in zip(written, read, strict=True):
        fields = [field for field in (one.args if kind == "instruction" else one.fields) if not field.is_padding]
        assert found["name"].replace("_", "").lower() == one.name.replace("_", "").lower()
        for place, field in enumerate(fields):
            name = field.name if field.name in found["data"] else camel(field.name)
            assert found["data"][name] == expected(field, value_of(field, place)), (one.name, field.name)
