"""What a trade paid, from the ledger's own mouth: the Settled event of the transaction that ended it.

Events of money are instructions of the program to itself, so a transaction's record holds them whole. The transaction
is our own, or one that somebody else sent: every one that ends a trade names the trade's address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from solders.message import from_bytes_versioned

from settlement.base58 import from_base58
from settlement.errors import TermsError
from settlement.outbox_records import Outcome
from settlement.program.constants import HOW_COSIGNED, HOW_FINALIZED, HOW_RESOLVED, HOW_TIMED_OUT
from settlement.program.events import Settled
from settlement.program.layout import EVENT_TAG
from settlement.rpc.answers import encoded_transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from settlement.rpc import RpcClient

SEARCH_MAX: Final = 20
"""Transactions looked through for one trade: it takes four to end the longest dispute."""
HOW: Final = {
    HOW_COSIGNED: "co-signed",
    HOW_FINALIZED: "finalized",
    HOW_RESOLVED: "resolved",
    HOW_TIMED_OUT: "timed out",
}
_EVENT_BYTES: Final = len(EVENT_TAG) + Settled.SIZE


async def find_outcome(
    client: RpcClient, program_id: bytes, trade_id: bytes, address: bytes, signature: bytes | None
) -> Outcome | None:
    """Return how a trade ended, None when no transaction shows it; `signature` is looked at first. Raises RpcError."""
    looked_at: set[bytes] = set()
    if signature is not None:
        looked_at.add(signature)
        found = outcome_in(await client.transaction(signature), program_id, trade_id, signature)
        if found is not None:
            return found
    for other in await client.signatures_for(address, limit=SEARCH_MAX):
        if other in looked_at:
            continue
        found = outcome_in(await client.transaction(other), program_id, trade_id, other)
        if found is not None:
            return found
    return None


def outcome_in(record: dict[str, Any] | None, program_id: bytes, trade_id: bytes, signature: bytes) -> Outcome | None:
    """Return the end of this trade that a transaction's record shows, None when it shows none. Takes any JSON."""
    for event in settled_events(record, program_id, signature):
        if event.trade_id == trade_id:
            return Outcome(
                delivered_wh=event.delivered_wh,
                payout=event.payout,
                fee=event.fee,
                returned=event.returned,
                unpaid=event.unpaid,
                how=HOW.get(event.how, str(event.how)),
                signature=signature,
            )
    return None


def settled_events(record: dict[str, Any] | None, program_id: bytes, signature: bytes) -> Iterator[Settled]:
    """Yield the Settled events of a successful transaction, in order; only the program's own to itself count."""
    meta = record.get("meta") if isinstance(record, dict) else None
    if record is None or not isinstance(meta, dict) or meta.get("err") is not None:
        return
    keys = _keys_in(record, signature)
    groups = meta.get("innerInstructions")
    for group in groups if isinstance(groups, list) else ():
        inner = group.get("instructions") if isinstance(group, dict) else None
        for instruction in inner if isinstance(inner, list) else ():
            event = _event_in(instruction, keys, program_id)
            if event is not None:
                yield event


def _keys_in(record: dict[str, Any], signature: bytes) -> list[bytes]:
    """The accounts of the transaction itself, nobody when it is not the one that was asked for."""
    try:
        encoded = encoded_transaction(record)
        message = from_bytes_versioned(encoded[1 + 64 * encoded[0] :])
    except ValueError:
        return []
    return [bytes(key) for key in message.account_keys] if encoded[1:65] == signature else []


def _event_in(instruction: object, keys: list[bytes], program_id: bytes) -> Settled | None:
    if not isinstance(instruction, dict):
        return None
    place, text = instruction.get("programIdIndex"), instruction.get("data")
    if type(place) is not int or not 0 <= place < len(keys) or keys[place] != program_id or not isinstance(text, str):
        return None
    try:
        data = from_base58(text, field="event", size=_EVENT_BYTES)
    except TermsError:
        return None  # another event, of another length
    if not data.startswith(EVENT_TAG + Settled.DISCRIMINATOR):
        return None
    return Settled.decode(data[len(EVENT_TAG) :])
