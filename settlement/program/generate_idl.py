"""The program's interface in Anchor's format (IDL specification 0.1.0), so that its clients read what we write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from settlement.program import schema
from settlement.program.constants import SYSTEM_PROGRAM

if TYPE_CHECKING:
    from settlement.program.layout import Account, Call, Event, Field, Slot


def idl(address: str = SYSTEM_PROGRAM) -> dict[str, Any]:
    """Return the IDL for the program at an address; which one that is, a client says by its own."""
    records = (*schema.ACCOUNTS, *schema.EVENTS)
    return {
        "address": address,
        "metadata": {
            "name": "settlement",
            "version": "0.1.0",
            "spec": "0.1.0",
            "description": "Pays batteries for energy that was delivered, from money that buyers laid aside",
        },
        "instructions": [_instruction(call) for call in schema.CALLS],
        "accounts": [_named(account) for account in schema.ACCOUNTS],
        "events": [_named(event) for event in schema.EVENTS],
        "errors": [{"code": one.number, "name": one.name, "msg": one.text} for one in schema.FAILURES],
        "types": [_type(record) for record in records],
    }


def _named(record: Account | Event) -> dict[str, Any]:
    return {"name": record.name, "discriminator": list(record.discriminator)}


def _instruction(call: Call) -> dict[str, Any]:
    return {
        "name": call.name,
        "docs": [call.text],
        "discriminator": list(call.discriminator),
        "accounts": [_slot(slot) for slot in call.accounts],
        "args": _fields(call.args),
    }


def _slot(slot: Slot) -> dict[str, Any]:
    said: dict[str, Any] = {"name": slot.name}
    said |= {word: True for word in ("writable", "signer", "optional") if getattr(slot, word)}
    if slot.address:
        said["address"] = slot.address
    return said


def _type(record: Account | Event) -> dict[str, Any]:
    return {"name": record.name, "docs": [record.text], "type": {"kind": "struct", "fields": _fields(record.fields)}}


def _fields(fields: tuple[Field, ...]) -> list[dict[str, Any]]:
    said, fills = [], 0
    for field in fields:
        fills += field.is_padding
        one: dict[str, Any] = {"name": f"padding_{fills}" if field.is_padding else field.name}
        if field.text:
            one["docs"] = [field.text]
        said.append({**one, "type": field.kind.idl})
    return said
