"""A node that answers what a script says, on a real socket: for tests of everything that talks to a ledger.

`FakeNode` speaks HTTP and can misbehave one request at a time; `FakeChain` answers the questions of `RpcClient` from a
few fields that a test sets. A chain may stand behind several nodes.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from settlement.exchange import to_base58

if TYPE_CHECKING:
    from collections.abc import Callable

    from settlement.rpc.answers import Account

HASH: Final = bytes(range(32))


class ScriptedRefusalError(Exception):
    """What a script raises to answer with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, "data": data}


@dataclass(frozen=True, slots=True)
class Fault:
    """One request's misfortune: other bytes in place of the HTTP answer, or a connection that is cut or left hanging.

    `served`: the request takes effect all the same, only its answer is lost.
    """

    raw: bytes | None = None
    hang: bool = False
    served: bool = False

    @classmethod
    def http(cls, status: str, body: bytes | str = b"", *headers: str) -> Self:
        """Answer with this status line, body and headers."""
        content = body.encode() if isinstance(body, str) else body
        head = "\r\n".join((f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(content)}", "", ""))
        return cls(raw=head.encode() + content)

    @classmethod
    def json(cls, value: object, status: str = "200 OK", *headers: str) -> Self:
        """Answer with this JSON whatever was asked."""
        return cls.http(status, json.dumps(value), *headers)


DROP: Final = Fault()
DROP_AFTER: Final = Fault(served=True)
HANG: Final = Fault(hang=True)
HTML: Final = Fault.http("200 OK", "<html><body>Please accept our terms of use</body></html>")


class FakeNode:
    """An HTTP server on a loopback port; `answer(method, params)` returns a result or raises ScriptedRefusalError."""

    def __init__(self, answer: Callable[[str, list[Any]], Any]) -> None:
        self._answer = answer
        self.faults: deque[Fault] = deque()
        """Taken one for each request, before it is answered."""
        self.methods: list[str] = []
        """Of every request that came."""
        self.url = ""
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        for writer in self._serving.values():
            writer.transport.abort()
        await asyncio.gather(*self._serving)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving[task] = writer
        task.add_done_callback(self._serving.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self._exchange(reader, writer):
                pass
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        request = json.loads(await reader.readexactly(length))
        self.methods.append(request["method"])
        fault = self.faults.popleft() if self.faults else None
        if fault is not None and not fault.served and fault.raw is None and not fault.hang:
            writer.transport.abort()
            return False
        if fault is not None and fault.hang:
            await reader.read()
            return False
        reply = self._reply(request)
        if fault is not None and fault.raw is None:
            writer.transport.abort()
            return False
        writer.write(reply if fault is None or fault.raw is None else fault.raw)
        await writer.drain()
        return fault is None

    def _reply(self, request: dict[str, Any]) -> bytes:
        body: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            body["result"] = self._answer(request["method"], request["params"])
        except ScriptedRefusalError as refusal:
            body["error"] = refusal.error
        raw = Fault.http("200 OK", json.dumps(body), "Content-Type: application/json").raw
        return raw or b""


@dataclass
class FakeChain:
    """What the nodes of a cluster know; every field may be changed at any time."""

    genesis_hash: bytes = bytes(31) + b"\x07"
    slot: int = 1_000
    finalized_lag: int = 0
    """Slots by which `finalized` is behind."""
    block_height: int = 900
    accounts: dict[bytes, Account] = field(default_factory=dict)
    on_send: Callable[[bytes], object] = lambda _transaction: None
    """Called with each new transaction that a node takes; raises ScriptedRefusalError, or returns its error."""
    lands: bool = True
    """Whether transactions that are taken reach a block."""
    landed: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Signature to status."""
    sent: list[bytes] = field(default_factory=list)
    """Every transaction that a node took, repetitions included."""
    hashes: int = 0

    def answer(self, method: str, params: list[Any]) -> Any:
        """Answer one request. Raises ScriptedRefusalError."""
        try:
            handler = getattr(self, "_" + _snake(method))
        except AttributeError:
            raise ScriptedRefusalError(-32601, "Method not found") from None
        options = next((param for param in params if isinstance(param, dict)), {})
        if options.get("minContextSlot", 0) > self._slot_of(options):
            raise ScriptedRefusalError(-32016, "Minimum context slot has not been reached", {"contextSlot": self.slot})
        return handler(params, options)

    def _slot_of(self, options: dict[str, Any]) -> int:
        return self.slot - (self.finalized_lag if options.get("commitment", "finalized") == "finalized" else 0)

    def _in_context(self, options: dict[str, Any], value: object) -> dict[str, Any]:
        return {"context": {"slot": self._slot_of(options), "apiVersion": "4.1.2"}, "value": value}

    def _get_genesis_hash(self, _params: list[Any], _options: dict[str, Any]) -> str:
        return to_base58(self.genesis_hash)

    def _get_slot(self, _params: list[Any], options: dict[str, Any]) -> int:
        return self._slot_of(options)

    def _get_block_height(self, _params: list[Any], options: dict[str, Any]) -> int:
        return self.block_height - self.slot + self._slot_of(options)

    def _get_latest_blockhash(self, _params: list[Any], options: dict[str, Any]) -> dict[str, Any]:
        self.hashes += 1
        value = to_base58(HASH[:24] + self.hashes.to_bytes(8, "big"))
        return self._in_context(options, {"blockhash": value, "lastValidBlockHeight": self.block_height + 150})

    def _get_multiple_accounts(self, params: list[Any], options: dict[str, Any]) -> dict[str, Any]:
        by_address = {to_base58(key): account for key, account in self.accounts.items()}
        return self._in_context(options, [_account_json(by_address.get(key)) for key in params[0]])

    def _get_recent_prioritization_fees(self, _params: list[Any], _options: dict[str, Any]) -> list[dict[str, int]]:
        return [{"slot": self.slot, "prioritizationFee": 0}]

    def _get_signature_statuses(self, params: list[Any], options: dict[str, Any]) -> dict[str, Any]:
        options = {**options, "commitment": "processed"}
        return self._in_context(options, [self.landed.get(signature) for signature in params[0]])

    def _send_transaction(self, params: list[Any], _options: dict[str, Any]) -> str:
        transaction = base64.b64decode(params[0])
        signature = to_base58(transaction[1:65])
        known = transaction in self.sent
        self.sent.append(transaction)
        if signature in self.landed:
            raise ScriptedRefusalError(
                -32002, "Transaction simulation failed: already processed", {"err": "AlreadyProcessed"}
            )
        error = None if known and not self.lands else self.on_send(transaction)
        if self.lands:
            status = {"Ok": None} if error is None else {"Err": error}
            self.landed[signature] = {
                "slot": self.slot,
                "confirmations": None,
                "err": error,
                "status": status,
                "confirmationStatus": "finalized",
            }
        return signature


def _snake(method: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in method)


def _account_json(account: Account | None) -> dict[str, Any] | None:
    if account is None:
        return None
    data = [base64.b64encode(account.data).decode(), "base64"]
    owner = to_base58(account.owner)
    return {
        "lamports": account.lamports,
        "owner": owner,
        "data": data,
        "executable": False,
        "rentEpoch": 0,
        "space": len(account.data),
    }
