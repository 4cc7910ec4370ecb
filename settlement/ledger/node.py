"""A node: answers JSON-RPC about one ledger, with the faults it is told to have.

`handle` takes the body of a request and returns what HTTP is to say, so it serves a socket and a simulation alike; None
is a connection that is cut without an answer. Several nodes may show one ledger.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from settlement.ledger import methods_accounts, methods_chain, methods_transactions
from settlement.ledger.errors import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    ParamsError,
    RpcError,
)
from settlement.ledger.faults import Faults
from settlement.ledger.limits import BATCH_MAX, BODY_BYTES_MAX
from settlement.ledger.params import Params
from settlement.ledger.view import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from settlement.ledger.chain import Ledger

METHODS: Final[Mapping[str, tuple[Callable[[Call], Any], int, int]]] = {
    "getAccountInfo": (methods_accounts.get_account_info, 1, 2),
    "getBalance": (methods_accounts.get_balance, 1, 2),
    "getBlockHeight": (methods_chain.get_block_height, 0, 1),
    "getBlockTime": (methods_chain.get_block_time, 1, 1),
    "getEpochInfo": (methods_chain.get_epoch_info, 0, 1),
    "getEpochSchedule": (methods_chain.get_epoch_schedule, 0, 0),
    "getFeeForMessage": (methods_chain.get_fee_for_message, 1, 2),
    "getGenesisHash": (methods_chain.get_genesis_hash, 0, 0),
    "getHealth": (methods_chain.get_health, 0, 0),
    "getLatestBlockhash": (methods_chain.get_latest_blockhash, 0, 1),
    "getMinimumBalanceForRentExemption": (methods_chain.get_rent, 1, 2),
    "getMultipleAccounts": (methods_accounts.get_multiple_accounts, 1, 2),
    "getProgramAccounts": (methods_accounts.get_program_accounts, 1, 2),
    "getRecentPrioritizationFees": (methods_chain.get_recent_prioritization_fees, 0, 1),
    "getSignatureStatuses": (methods_transactions.get_signature_statuses, 1, 2),
    "getSignaturesForAddress": (methods_transactions.get_signatures_for_address, 1, 2),
    "getSlot": (methods_chain.get_slot, 0, 1),
    "getTokenAccountBalance": (methods_accounts.get_token_balance, 1, 2),
    "getTokenAccountsByDelegate": (methods_accounts.get_token_accounts_by_delegate, 2, 3),
    "getTokenAccountsByOwner": (methods_accounts.get_token_accounts_by_owner, 2, 3),
    "getTokenSupply": (methods_accounts.get_token_supply, 1, 2),
    "getTransaction": (methods_transactions.get_transaction, 1, 2),
    "getTransactionCount": (methods_chain.get_transaction_count, 0, 1),
    "getVersion": (methods_chain.get_version, 0, 0),
    "isBlockhashValid": (methods_chain.is_blockhash_valid, 1, 2),
    "requestAirdrop": (methods_transactions.request_airdrop, 2, 3),
    "sendTransaction": (methods_transactions.send_transaction, 1, 2),
    "simulateTransaction": (methods_transactions.simulate_transaction, 1, 2),
}
"""What a node answers to, by the name of the method; it takes from so many to so many parameters."""
_JSON: Final = {"content-type": "application/json; charset=utf-8"}
_PAGE: Final = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in to the network.</body></html>"


class Answer(NamedTuple):
    """What HTTP says: its status, its headers in lower case, its body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Node:
    """One endpoint of a ledger."""

    def __init__(self, ledger: Ledger, faults: Faults | None = None) -> None:
        """Show this ledger; `faults` may be switched at any time."""
        self.ledger = ledger
        self.faults = faults or Faults()

    def handle(self, body: bytes) -> Answer | None:
        """Answer the body of a POST. Raises LedgerFileError when the ledger cannot go on."""
        spoiled = self._spoiled()
        if spoiled is not _FINE:
            return spoiled
        if len(body) > BODY_BYTES_MAX:
            return Answer(413, {"content-type": "text/plain"}, b"request body size exceeds allowed maximum")
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            return _said(_error(None, RpcError(PARSE_ERROR, "Parse error")))
        if not _is_call(request) and not (isinstance(request, list) and all(map(_is_call, request))):
            return _said(_error(None, RpcError(PARSE_ERROR, "Parse error")))
        if isinstance(request, list):
            if len(request) > BATCH_MAX:
                return _said(_error(None, RpcError(INVALID_REQUEST, f"Batch too large; max {BATCH_MAX}")))
            answers = [answer for one in request if (answer := self._answer(one)) is not None]
            reply = _said(answers) if answers else _said(None)
        else:
            reply = _said(self._answer(request))
        return None if self.faults.is_due("mute") else reply

    def call(self, method: str, params: list[Any]) -> Any:
        """Return the result of one call. Raises RpcError, and LedgerFileError when the ledger cannot go on."""
        found = METHODS.get(method)
        if found is None:
            raise RpcError(METHOD_NOT_FOUND, "Method not found")
        act, least, most = found
        if len(params) > most:
            expected = f"Expected from {least} to {most} parameters." if most else "No parameters were expected"
            raise RpcError(INVALID_PARAMS, f"Invalid parameters: {expected}", f'"Got: {len(params)}"')
        asked = Params(params)
        asked.require(least)
        self.ledger.advance()
        return act(Call(self.ledger, self.faults, asked))

    def _spoiled(self) -> Answer | None:
        """Return what a fault says in place of an answer."""
        faults = self.faults
        if faults.is_due("drop"):
            return None
        if faults.is_due("rate_limit"):
            wait = {"retry-after": str(faults.retry_after_s)} if faults.retry_after_s else {}
            limited = {"code": 429, "message": "Too many requests for a specific RPC call"}
            body = json.dumps({"jsonrpc": "2.0", "error": limited, "id": None}).encode()
            return Answer(429, _JSON | wait, body)
        if faults.is_due("bad_gateway"):
            return Answer(502, {"content-type": "text/html"}, b"<html><body>502 Bad Gateway</body></html>")
        if faults.is_due("html"):
            return Answer(200, {"content-type": "text/html; charset=utf-8"}, _PAGE)
        return _FINE

    def _answer(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Return the answer to one request; None for a notification, which gets none."""
        number = request.get("id")
        try:
            method, params = _read(request)
            result = self.call(method, params)
        except RpcError as error:
            answer = _error(number, error)
        else:
            answer = {"jsonrpc": "2.0", "result": result, "id": number}
        if "jsonrpc" not in request:
            del answer["jsonrpc"]
        return answer if "id" in request else None


_FINE: Final = Answer(200, {}, b"")
"""What no fault has spoiled."""


def _is_call(request: Any) -> bool:
    """Whether something has the form of a request, or else cannot even be answered."""
    number = request.get("id") if isinstance(request, dict) else 0.0
    return number is None or isinstance(number, str) or (isinstance(number, int) and not isinstance(number, bool))


def _read(request: dict[str, Any]) -> tuple[str, list[Any]]:
    """Return method and parameters of a request. Raises RpcError."""
    if not isinstance(request.get("method"), str):
        raise RpcError(INVALID_REQUEST, "Invalid request")
    if "jsonrpc" not in request:
        raise RpcError(INVALID_REQUEST, "Unsupported JSON-RPC protocol version")
    params = request.get("params", [])
    if request["jsonrpc"] != "2.0" or not (params is None or isinstance(params, list | dict)):
        raise RpcError(INVALID_REQUEST, "Invalid request")
    if isinstance(params, dict) or params is None:
        params = [] if not params else None
    if not isinstance(params, list):
        raise ParamsError("`params` should be an array")
    return request["method"], params


def _error(number: Any, error: RpcError) -> dict[str, Any]:
    told: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.data is not None:
        told["data"] = error.data
    return {"jsonrpc": "2.0", "error": told, "id": number}


def _said(answer: Any) -> Answer:
    body = b"" if answer is None else json.dumps(answer, separators=(",", ":")).encode()
    return Answer(200, _JSON, body)
