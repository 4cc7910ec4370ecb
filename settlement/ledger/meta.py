"""How a transaction that landed, or was simulated, looks in JSON."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

from solders.message import MessageV0
from solders.pubkey import Pubkey

from settlement.exchange import to_base58
from settlement.ledger.encoding import amount_json
from settlement.ledger.errors import ParamsError
from settlement.ledger.wire import receive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from settlement.ledger.machine import Inner
    from settlement.ledger.records import Record, TokenBalance
    from settlement.ledger.wire import Received


_MEMO: Final = frozenset(
    Pubkey.from_string(name)
    for name in ("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr", "Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo")
)


def status_json(err: Any) -> dict[str, Any]:
    """Return the old form of an error, or of none."""
    return {"Ok": None} if err is None else {"Err": err}


def returned_json(returned: tuple[bytes, bytes] | None) -> dict[str, Any] | None:
    """Return what a program returned."""
    if returned is None:
        return None
    return {"programId": to_base58(returned[0]), "data": [b64encode(returned[1]).decode(), "base64"]}


def meta_json(record: Record, decimals: Callable[[Pubkey], int | None], *, parsed: bool) -> dict[str, Any]:
    """Return what a transaction did. Money in lamports, token amounts in base units of their mint."""
    writable, readonly = record.loaded
    static = len(record.keys) - writable - readonly
    names = [to_base58(key) for key in record.keys]
    executed = not isinstance(record.err, str)
    meta = {
        "err": record.err,
        "status": status_json(record.err),
        "fee": record.fee,
        "preBalances": record.before,
        "postBalances": record.after,
        "innerInstructions": inner_json(record.inner, names if parsed else None) if executed else None,
        "logMessages": record.logs if executed else None,
        "preTokenBalances": balances_json(record.tokens_before, decimals, from_history=True),
        "postTokenBalances": balances_json(record.tokens_after, decimals, from_history=True),
        "rewards": [],
        "computeUnitsConsumed": record.units,
    }
    if not parsed:
        meta["loadedAddresses"] = {
            "writable": names[static : static + writable],
            "readonly": names[static + writable :],
        }
    if record.returned is not None:
        meta["returnData"] = returned_json(record.returned)
    return meta


def memo_of(record: Record) -> str | None:
    """Return the memos of a transaction, each after its length; None when it has none."""
    received = receive(record.wire)
    programs = (received.keys[instruction.program_id_index] for instruction in received.instructions)
    notes = [one.data for program, one in zip(programs, received.instructions, strict=True) if program in _MEMO]
    return "; ".join(f"[{len(note)}] {_text(note)}" for note in notes) or None


def inner_json(inner: Sequence[Sequence[Inner]], names: list[str] | None) -> list[dict[str, Any]]:
    """Return what programs called; with the accounts' names in the form of parsed transactions."""
    return [
        {"index": index, "instructions": [_inner(called, names) for called in group]}
        for index, group in enumerate(inner)
        if group
    ]


def transaction_json(record: Record, encoding: str) -> Any:
    """Return a transaction in an encoding. Raises ParamsError for one that there is not."""
    match encoding:
        case "base64":
            return [b64encode(record.wire).decode(), "base64"]
        case "base58":
            return [to_base58(record.wire), "base58"]
        case "binary":
            return to_base58(record.wire)
        case "json" | "jsonParsed":
            received = receive(record.wire)
            message = _parsed_message(received, record) if encoding == "jsonParsed" else _message(received)
            return {"signatures": [str(one) for one in received.transaction.signatures], "message": message}
        case _:
            raise ParamsError(f"Invalid params: unknown variant `{encoding}`")


def _message(received: Received) -> dict[str, Any]:
    header = received.message.header
    message: dict[str, Any] = {
        "header": {
            "numRequiredSignatures": header.num_required_signatures,
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
        },
        "accountKeys": [str(key) for key in received.keys],
        "recentBlockhash": str(received.blockhash),
        "instructions": [
            {
                "programIdIndex": instruction.program_id_index,
                "accounts": list(instruction.accounts),
                "data": to_base58(instruction.data),
                "stackHeight": 1,
            }
            for instruction in received.instructions
        ],
    }
    return message | _lookups(received)


def _parsed_message(received: Received, record: Record) -> dict[str, Any]:
    names = [to_base58(key) for key in record.keys]
    listed, signers = len(received.keys), received.message.header.num_required_signatures
    keys = [
        {
            "pubkey": name,
            "signer": index < signers,
            "writable": received.is_writable(index) if index < listed else index < listed + record.loaded[0],
            "source": "transaction" if index < listed else "lookupTable",
        }
        for index, name in enumerate(names)
    ]
    instructions = [
        _decoded(instruction.program_id_index, instruction.accounts, instruction.data, 1, names)
        for instruction in received.instructions
    ]
    message = {"accountKeys": keys, "recentBlockhash": str(received.blockhash), "instructions": instructions}
    return message | _lookups(received)


def _lookups(received: Received) -> dict[str, Any]:
    if not isinstance(received.message, MessageV0):
        return {}
    return {
        "addressTableLookups": [
            {
                "accountKey": str(lookup.account_key),
                "writableIndexes": list(lookup.writable_indexes),
                "readonlyIndexes": list(lookup.readonly_indexes),
            }
            for lookup in received.message.address_table_lookups
        ]
    }


def _text(note: bytes) -> str:
    try:
        return note.decode()
    except UnicodeDecodeError:
        return "(unparseable)"


def _inner(called: Inner, names: list[str] | None) -> dict[str, Any]:
    if names is not None:
        return _decoded(called.program, called.accounts, called.data, called.stack_height, names)
    return {
        "programIdIndex": called.program,
        "accounts": list(called.accounts),
        "data": to_base58(called.data),
        "stackHeight": called.stack_height,
    }


def _decoded(program: int, accounts: bytes, data: bytes, height: int, names: list[str]) -> dict[str, Any]:
    """Return an instruction as a validator shows those of programs it cannot read."""
    return {
        "programId": names[program],
        "accounts": [names[index] for index in accounts],
        "data": to_base58(data),
        "stackHeight": height,
    }


def balances_json(
    balances: list[TokenBalance], decimals: Callable[[Pubkey], int | None], *, from_history: bool = False
) -> list[dict[str, Any]]:
    """Return token balances, without those of what is no mint. History has null where nothing is as a fraction."""
    found = []
    for balance in balances:
        places = decimals(Pubkey.from_string(balance.mint))
        if places is not None:
            amount = amount_json(balance.amount, places)
            found.append(
                {
                    "accountIndex": balance.account,
                    "mint": balance.mint,
                    "owner": balance.owner,
                    "programId": balance.program,
                    "uiTokenAmount": amount | ({"uiAmount": None} if from_history and not balance.amount else {}),
                }
            )
    return found
