"""Calls that send, simulate and look up transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from solders.account import Account
from solders.hash import Hash
from solders.system_program import ID as SYSTEM_PROGRAM

from settlement.cluster.words import error_text
from settlement.exchange import to_base58
from settlement.ledger.airdrop import airdrop
from settlement.ledger.encoding import Shape, account_json
from settlement.ledger.errors import (
    TRANSACTION_NOT_FOUND,
    UNSUPPORTED_VERSION,
    BehindError,
    ParamsError,
    PreflightError,
    RpcError,
)
from settlement.ledger.limits import (
    AIRDROP_LAMPORTS_MAX,
    HISTORY_PAGE_MAX,
    SIGNATURES_MAX,
    TRANSACTION_BYTES_MAX,
)
from settlement.ledger.machine import Execution
from settlement.ledger.meta import (
    balances_json,
    inner_json,
    memo_of,
    meta_json,
    returned_json,
    status_json,
    transaction_json,
)
from settlement.ledger.params import Options, address, blockhash, decoded, signature
from settlement.ledger.records import Place, lamports_of, tokens_of
from settlement.ledger.wire import TYPE_NAME, receive

if TYPE_CHECKING:
    from solders.signature import Signature

    from settlement.ledger.view import Call, View
    from settlement.ledger.wire import Received

_EMPTY: Final = Account(0, b"", SYSTEM_PROGRAM)
"""An account that a transaction names and nobody has made."""
_TEXT_MAX: Final = {"base64": 1_644, "base58": 1_683}
"""Characters of a whole packet."""


def send_transaction(call: Call) -> Any:
    """Send a transaction and return its signature; whether it landed is another question.

    Raises PreflightError for one that the simulation before sending shows to fail.
    """
    options = call.params.options(1)
    received = _received(call.params.text(0), options)
    skips = options.flag("skipPreflight")
    commitment = "processed" if skips else options.commitment("preflightCommitment")
    view = call.view_at(commitment, options)
    options.whole("maxRetries")
    if not skips:
        _preflight(call, received, view)
    if not call.faults.is_due("lose") and received.is_signed():
        call.ledger.submit(received)
    return str(received.signature)


def simulate_transaction(call: Call) -> Any:
    """Return what a transaction would do on top of the newest block of a level."""
    options = call.params.options(1)
    received = _received(call.params.text(0), options)
    verifies, replaces = options.flag("sigVerify"), options.flag("replaceRecentBlockhash")
    if verifies and replaces:
        raise ParamsError("sigVerify may not be used with replaceRecentBlockhash")
    view = call.view(options)
    wanted = _wanted_accounts(options.inner("accounts"))
    outcome: Execution | str = "SignatureFailure"
    if not verifies or received.is_signed():
        outcome = call.ledger.simulate(received, view.height, checked=not replaces)
    value = _simulated(outcome, wanted, view, shows_inner=options.flag("innerInstructions"))
    value |= _balances(outcome, view, received)
    if replaces:
        blocks = call.ledger.blocks
        value["replacementBlockhash"] = {
            "blockhash": to_base58(blocks.latest_hash(view.height)),
            "lastValidBlockHeight": blocks.last_good_height(view.height),
        }
    return view.context(value)


def get_signature_statuses(call: Call) -> Any:
    """Return what became of transactions, null for those that are not known."""
    texts, options = call.params.listed(0), call.params.options(1)
    if len(texts) > SIGNATURES_MAX:
        raise ParamsError(f"Too many inputs provided; max {SIGNATURES_MAX}")
    search, view = options.flag("searchTransactionHistory"), call.view(Options({"commitment": "processed"}))
    return view.context([_status(call, signature(text), search=search) for text in texts])


def get_transaction(call: Call) -> Any:
    """Return a transaction and what it did; null when it is not known at that level."""
    wanted, options = signature(call.params.text(0)), _options(call, 1)
    height = call.view_at(_settled(options), options).height
    record = call.ledger.record(bytes(wanted))
    if record is None or record.place.height > height:
        return None
    version = receive(record.wire).version
    newest = options.whole("maxSupportedTransactionVersion")
    if version is not None and newest is None:
        raise RpcError(
            UNSUPPORTED_VERSION,
            f"Transaction version ({version}) is not supported by the requesting client. Please try the request again "
            f'with the following configuration parameter: "maxSupportedTransactionVersion": {version}',
        )
    encoding = options.text("encoding") or "json"
    newest_view = call.view(Options({"commitment": "processed"}))
    found = {
        "slot": call.ledger.blocks.slot_of(record.place.height),
        "blockTime": call.ledger.blocks.time_s_of(record.place.height),
        "transactionIndex": record.place.number,
        "transaction": transaction_json(record, encoding),
        "meta": meta_json(record, newest_view.decimals, parsed=encoding == "jsonParsed"),
    }
    if newest is not None:
        found["version"] = "legacy" if version is None else version
    return found


def get_signatures_for_address(call: Call) -> Any:
    """Return the transactions that name an account, newest first."""
    key, options = call.params.address(0), call.params.options(1)
    limit = options.whole("limit")
    limit = HISTORY_PAGE_MAX if limit is None else limit
    if not 0 < limit <= HISTORY_PAGE_MAX:
        raise ParamsError(f"Invalid limit; max {HISTORY_PAGE_MAX}")
    height = call.view_at(_settled(options), options).height
    first, last = options.text("before"), options.text("until")
    before, until = Place(height + 1, 0), Place(-1, 0)
    if first is not None:
        record = call.ledger.record(bytes(signature(first)))
        if record is None:
            raise RpcError(TRANSACTION_NOT_FOUND, f"Transaction {first} not found")
        before = min(before, record.place)
    if last is not None:
        record = call.ledger.record(bytes(signature(last)))
        until = until if record is None else record.place
    found = [one for one in call.ledger.mentioning(key, before, limit) if one.place > until]
    return [
        {
            "signature": to_base58(record.signature),
            "slot": call.ledger.blocks.slot_of(record.place.height),
            "err": record.err,
            "memo": memo_of(record),
            "blockTime": call.ledger.blocks.time_s_of(record.place.height),
            "confirmationStatus": _level(call, record.place.height),
            "transactionIndex": record.place.number,
        }
        for record in found
    ]


def request_airdrop(call: Call) -> Any:
    """Let the faucet pay an account, and return the signature of its transfer."""
    key, lamports = call.params.address(0), call.params.whole(1)
    if lamports > AIRDROP_LAMPORTS_MAX:
        raise ParamsError(f"Invalid param: an airdrop has at most {AIRDROP_LAMPORTS_MAX} lamports")
    options = call.params.options(2)
    view = call.view(options)
    asked = options.text("recentBlockhash")
    chosen = Hash.from_bytes(call.ledger.blocks.latest_hash(view.height)) if asked is None else blockhash(asked)
    return str(airdrop(call.ledger, key, lamports, chosen))


def _received(text: str, options: Options) -> Received:
    encoding = options.text("encoding") or "base58"
    if encoding not in _TEXT_MAX:
        raise ParamsError(f"Invalid params: unknown variant `{encoding}`, expected one of `base64`, `base58`.")
    if len(text) > _TEXT_MAX[encoding]:
        limits = f"max: encoded/raw {_TEXT_MAX[encoding]}/{TRANSACTION_BYTES_MAX}"
        raise ParamsError(f"{encoding} encoded {TYPE_NAME} too large: {len(text)} bytes ({limits})")
    return receive(decoded(text, encoding, bytes_max=2 * TRANSACTION_BYTES_MAX))


def _options(call: Call, index: int) -> Options:
    """Return the options of a call that once took only the encoding in their place."""
    value = call.params.at(index)
    return Options({"encoding": value}) if isinstance(value, str) else call.params.options(index)


def _settled(options: Options) -> Any:
    commitment = options.commitment()
    if commitment == "processed":
        raise ParamsError("Method does not support commitment below `confirmed`")
    return commitment


def _preflight(call: Call, received: Received, view: View) -> None:
    if call.faults.stale:
        raise BehindError(call.faults.stale)
    outcome: Execution | str = "SignatureFailure"
    if received.is_signed():
        outcome = call.ledger.simulate(received, view.height)
    err = outcome if isinstance(outcome, str) else outcome.err
    if err is not None:
        raise PreflightError(error_text(err), _simulated(outcome, None, view, shows_inner=False))


def _wanted_accounts(options: Options | None) -> tuple[list[Any], Shape] | None:
    if options is None:
        return None
    encoding = options.text("encoding") or "base64"
    if encoding not in ("base64", "jsonParsed"):
        raise ParamsError("base58 encoding not supported")
    addresses = options.at("addresses")
    if not isinstance(addresses, list):
        raise ParamsError("Invalid params: missing field `addresses`.")
    return [address(text) for text in addresses], Shape(encoding)


def _simulated(
    outcome: Execution | str, wanted: tuple[list[Any], Shape] | None, view: View, *, shows_inner: bool
) -> dict[str, Any]:
    """Return what a simulation found, as JSON-RPC has it."""
    if isinstance(outcome, str):
        outcome = Execution.none(outcome)
    after = dict(zip(outcome.keys, outcome.after, strict=True))
    accounts = None
    if wanted is not None:
        keys, shape = wanted
        if len(keys) > len(outcome.keys) and outcome.keys:
            raise ParamsError(f"Too many accounts provided; max {len(outcome.keys)}")
        found = [after[key] or _EMPTY if key in after else view.account(key) for key in keys]
        accounts = [None if one is None else account_json(one, shape, view.decimals) for one in found]
    names = [str(key) for key in outcome.keys]
    return {
        "err": outcome.err,
        "logs": outcome.logs,
        "accounts": accounts if outcome.err is None or wanted is None else [None] * len(wanted[0]),
        "unitsConsumed": outcome.units,
        "fee": outcome.fee if outcome.loaded_bytes else None,
        "loadedAccountsDataSize": outcome.loaded_bytes,
        "returnData": returned_json(outcome.returned),
        "innerInstructions": inner_json(outcome.inner, names) if shows_inner else None,
        "replacementBlockhash": None,
        "loadedAddresses": None,
        "preBalances": None,
        "postBalances": None,
        "preTokenBalances": None,
        "postTokenBalances": None,
    }


def _balances(outcome: Execution | str, view: View, received: Received) -> dict[str, Any]:
    """Return what a simulation alone tells, beside what a failed preflight does."""
    if isinstance(outcome, str):
        told: dict[str, Any] = {"loadedAddresses": {"writable": [], "readonly": []}}
        if outcome == "SignatureFailure":
            return told
        untouched = [view.account(key) for key in received.keys]
        return told | _balances_json(untouched, untouched, view)
    writable = len(outcome.keys) - sum(outcome.loaded)
    names = [str(key) for key in outcome.keys[writable:]]
    loaded = {"writable": names[: outcome.loaded[0]], "readonly": names[outcome.loaded[0] :]}
    return {"loadedAddresses": loaded} | _balances_json(outcome.before, outcome.after, view)


def _balances_json(before: list[Account | None], after: list[Account | None], view: View) -> dict[str, Any]:
    return {
        "preBalances": lamports_of(before),
        "postBalances": lamports_of(after),
        "preTokenBalances": balances_json(tokens_of(before), view.decimals),
        "postTokenBalances": balances_json(tokens_of(after), view.decimals),
    }


def _status(call: Call, wanted: Signature, *, search: bool) -> dict[str, Any] | None:
    landing = call.ledger.landing(bytes(wanted), search=search)
    if landing is None or landing.place.height > call.height("processed"):
        return None
    height, level = landing.place.height, _level(call, landing.place.height)
    return {
        "slot": call.ledger.blocks.slot_of(height),
        "confirmations": None if level == "finalized" else call.height("processed") - height,
        "err": landing.err,
        "status": status_json(landing.err),
        "confirmationStatus": level,
    }


def _level(call: Call, height: int) -> str:
    if height <= call.height("finalized"):
        return "finalized"
    return "confirmed" if height <= call.height("confirmed") else "processed"
