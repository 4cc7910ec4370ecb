"""What is kept of a transaction that landed, and how it lies on disk.

On disk a record is the transaction's bytes beside one JSON text; bytes in it are base64.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from settlement.cluster.tokens import read_token_account
from settlement.ledger.machine import Execution, Inner

if TYPE_CHECKING:
    from solders.account import Account

    from settlement.ledger.wire import Received


class Place(NamedTuple):
    """Where in the ledger a transaction is."""

    height: int
    number: int
    """Its number within the block."""


class TokenBalance(NamedTuple):
    """What one of a transaction's accounts held of a token, in base units."""

    account: int
    mint: str
    owner: str
    program: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One transaction that is part of a block. Money in lamports."""

    place: Place
    signature: bytes
    digest: bytes
    wire: bytes
    err: Any
    fee: int
    units: int
    logs: list[str]
    inner: list[list[Inner]]
    returned: tuple[bytes, bytes] | None
    keys: list[bytes]
    loaded: tuple[int, int]
    before: list[int]
    after: list[int]
    tokens_before: list[TokenBalance]
    tokens_after: list[TokenBalance]


def record_of(received: Received, execution: Execution, place: Place) -> Record:
    """Return what is kept of a transaction that landed at this place."""
    return Record(
        place=place,
        signature=bytes(received.signature),
        digest=received.digest,
        wire=received.wire,
        err=execution.err,
        fee=execution.fee,
        units=execution.units,
        logs=execution.logs,
        inner=execution.inner,
        returned=execution.returned,
        keys=[bytes(key) for key in execution.keys],
        loaded=execution.loaded,
        before=lamports_of(execution.before),
        after=lamports_of(execution.after),
        tokens_before=tokens_of(execution.before),
        tokens_after=tokens_of(execution.after),
    )


def to_text(record: Record) -> str:
    """Return all of a record but its place, names and bytes."""
    returned = record.returned
    return json.dumps(
        {
            "err": record.err,
            "fee": record.fee,
            "units": record.units,
            "logs": record.logs,
            "inner": [
                [[one.program, _text(one.accounts), _text(one.data), one.stack_height] for one in group]
                for group in record.inner
            ],
            "returned": None if returned is None else [_text(returned[0]), _text(returned[1])],
            "keys": _text(b"".join(record.keys)),
            "loaded": record.loaded,
            "before": record.before,
            "after": record.after,
            "tokens_before": record.tokens_before,
            "tokens_after": record.tokens_after,
        },
        separators=(",", ":"),
    )


def from_text(text: str, *, place: Place, signature: bytes, digest: bytes, wire: bytes) -> Record:
    """Return the record of which `to_text` made this text."""
    fields = json.loads(text)
    returned, keys = fields["returned"], b64decode(fields["keys"])
    return Record(
        place=place,
        signature=signature,
        digest=digest,
        wire=wire,
        err=fields["err"],
        fee=fields["fee"],
        units=fields["units"],
        logs=fields["logs"],
        inner=[
            [
                Inner(program=program, accounts=b64decode(accounts), data=b64decode(data), stack_height=height)
                for program, accounts, data, height in group
            ]
            for group in fields["inner"]
        ],
        returned=None if returned is None else (b64decode(returned[0]), b64decode(returned[1])),
        keys=[keys[at : at + 32] for at in range(0, len(keys), 32)],
        loaded=(fields["loaded"][0], fields["loaded"][1]),
        before=fields["before"],
        after=fields["after"],
        tokens_before=[TokenBalance(*balance) for balance in fields["tokens_before"]],
        tokens_after=[TokenBalance(*balance) for balance in fields["tokens_after"]],
    )


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def lamports_of(accounts: list[Account | None]) -> list[int]:
    """Return what accounts hold."""
    return [0 if account is None else account.lamports for account in accounts]


def tokens_of(accounts: list[Account | None]) -> list[TokenBalance]:
    """Return what those of a transaction's accounts hold that are token accounts."""
    held = ((index, account, read_token_account(account)) for index, account in enumerate(accounts))
    return [
        TokenBalance(index, str(token.mint), str(token.owner), str(account.owner), token.amount)
        for index, account, token in held
        if account is not None and token is not None
    ]
