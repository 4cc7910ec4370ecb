"""Address lookup tables: the accounts that a versioned transaction names by an index into one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from solders.message import MessageV0
from solders.pubkey import Pubkey

if TYPE_CHECKING:
    from collections.abc import Callable

    from solders.account import Account

    from settlement.ledger.wire import Received

TABLE_PROGRAM: Final = Pubkey.from_string("AddressLookupTab1e1111111111111111111111111")
_HEAD_BYTES: Final = 56
_KEY_BYTES: Final = 32


@dataclass(slots=True)
class Loaded:
    """What a transaction names beside the accounts it lists."""

    writable: list[Pubkey] = field(default_factory=list)
    readonly: list[Pubkey] = field(default_factory=list)


def loaded_keys(received: Received, read: Callable[[Pubkey], Account | None]) -> Loaded | str:
    """Return what the lookup tables of a transaction add to its accounts, or the name of the error there is."""
    loaded = Loaded()
    if not isinstance(received.message, MessageV0):
        return loaded
    for lookup in received.message.address_table_lookups:
        account = read(lookup.account_key)
        if account is None:
            return "AddressLookupTableNotFound"
        if account.owner != TABLE_PROGRAM:
            return "InvalidAddressLookupTableOwner"
        data = account.data
        if len(data) < _HEAD_BYTES or (len(data) - _HEAD_BYTES) % _KEY_BYTES:
            return "InvalidAddressLookupTableData"
        for indexes, keys in (
            (lookup.writable_indexes, loaded.writable),
            (lookup.readonly_indexes, loaded.readonly),
        ):
            for index in bytes(indexes):
                at = _HEAD_BYTES + index * _KEY_BYTES
                if at >= len(data):
                    return "InvalidAddressLookupTableIndex"
                keys.append(Pubkey.from_bytes(data[at : at + _KEY_BYTES]))
    return loaded
