"""JSON-RPC 2.0 as Solana's nodes and the gateways before them speak it: requests out, results or typed errors in.

Gateways answer what no node would: a status 429, an error with `id` null or without `jsonrpc`, code 429 in the body of
a 200, a page of HTML. An *error* is therefore taken in any such dress; a *result* only in the exact one, because what
is not certainly the answer to our question must not move money.
"""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

from settlement.rpc.errors import (
    GarbledError,
    PreflightError,
    RefusedError,
    StaleNodeError,
    ThrottledError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from settlement.rpc.transport import Reply

RETRY_AFTER_MAX_S: Final = 600.0
"""An endpoint that wants to be left alone for longer is asked again then: the wish may be a mistake or a trick."""
THROTTLED_CODES: Final = frozenset({429, -429, -32429})
UNHEALTHY_CODES: Final = frozenset({-32004, -32005, -32014})
"""Block not available, node unhealthy, block status not available: the node is behind or starting."""
PREFLIGHT_CODE: Final = -32002
STALE_CODE: Final = -32016
_EXCERPT: Final = 60


def encode_request(request_id: int, method: str, params: list[Any]) -> bytes:
    """Return the body of a request."""
    body = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()


def decode_reply(reply: Reply, request_id: int, *, url: str, method: str) -> Any:
    """Return the result in a reply. Raises the RpcError that the reply means."""
    body = _object_in(reply.body)
    if reply.status == 429:
        raise ThrottledError(url, method, "too many requests", retry_after_s=retry_after_s(reply.headers))
    if body is not None and body.get("error") is not None:
        _raise_error(body["error"], reply, request_id, body.get("id"), url=url, method=method)
    if reply.status >= 500:
        wait_s = retry_after_s(reply.headers)
        raise UnavailableError(url, method, f"HTTP status {reply.status}", retry_after_s=wait_s)
    if reply.status in (401, 403):
        raise UnavailableError(url, method, f"HTTP status {reply.status}: check the key in the endpoint's URL")
    if reply.status != 200:
        raise GarbledError(url, method, f"HTTP status {reply.status}: no node answers so, look for a portal or proxy")
    if body is None:
        raise GarbledError(url, method, f"not JSON-RPC: {_excerpt(reply.body)}")
    if body.get("jsonrpc") != "2.0" or "result" not in body:
        raise GarbledError(url, method, f"neither a result nor an error: {_excerpt(reply.body)}")
    if type(body.get("id")) is not int or body["id"] != request_id:
        raise GarbledError(url, method, f"the answer to request {body.get('id')!r}, ours was {request_id}")
    return body["result"]


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long a server wants to be left alone, at most RETRY_AFTER_MAX_S; None where it does not say.

    A date counts from the reply's own Date: a gateway's clock may be wrong by a day.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), RETRY_AFTER_MAX_S)
    try:
        until, now = (parsedate_to_datetime(value) for value in (text, headers.get("date", "")))
        wait_s = (until - now).total_seconds()
    except (ValueError, TypeError):  # TypeError: one date with a time zone and one without
        return None
    return min(max(0.0, wait_s), RETRY_AFTER_MAX_S)


def _raise_error(error: object, reply: Reply, request_id: int, reply_id: object, *, url: str, method: str) -> NoReturn:
    fields = error if isinstance(error, dict) else {"message": error}
    code = fields.get("code")
    code = code if type(code) is int else 0
    message = str(fields.get("message") or "no reason given")[:400]
    if code in THROTTLED_CODES:
        raise ThrottledError(url, method, message, retry_after_s=retry_after_s(reply.headers))
    if reply_id not in (None, request_id):
        raise GarbledError(url, method, f"the answer to request {reply_id!r}, ours was {request_id}")
    if code in UNHEALTHY_CODES or (reply.status >= 500 and code == 0):
        raise UnavailableError(url, method, message, retry_after_s=retry_after_s(reply.headers))
    if code == STALE_CODE:
        raise StaleNodeError(url, method, message)
    if code == PREFLIGHT_CODE:
        raise PreflightError(url, method, code=code, message=message, data=fields.get("data"))
    raise RefusedError(url, method, code=code, message=message, data=fields.get("data"))


def _object_in(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _excerpt(body: bytes) -> str:
    text = body[:_EXCERPT].decode("utf-8", "replace")
    return repr(text) if text else "an empty body"
