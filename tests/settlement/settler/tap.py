"""A wire tap between a settler and its nodes: sees every request, may change an answer or raise in its place."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from settlement.rpc import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from settlement.rpc import Transport


class Tap:
    """A Transport around another one."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.methods: list[str] = []
        self.sent: list[bytes] = []
        """The transactions, in the order in which they left."""
        self.before: Callable[[str, str, list[Any]], None] = lambda _url, _method, _params: None
        self.after: Callable[[str, str, Any], Any] = lambda _url, _method, result: result

    async def post(self, url: str, body: bytes, timeout_s: float) -> Reply:
        request = json.loads(body)
        method, params = request["method"], request["params"]
        self.methods.append(method)
        self.before(url, method, params)
        if method == "sendTransaction":
            self.sent.append(base64.b64decode(params[0]))
        reply = await self._inner.post(url, body, timeout_s)
        answer = json.loads(reply.body) if reply.status == 200 and reply.body.startswith(b"{") else {}
        if "result" in answer:
            answer["result"] = self.after(url, method, answer["result"])
            return Reply(reply.status, reply.headers, json.dumps(answer).encode())
        return reply

    async def close(self) -> None:
        await self._inner.close()
