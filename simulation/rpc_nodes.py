"""The nodes between settlers and their ledger, and each settler's line to them: both have bad hours.

A request travels, takes effect at the node or not, and its answer travels back or not; a process that dies meanwhile
changes nothing of it. A node's mood says what it makes of requests; a line that is cut carries nothing at all.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from settlement.base58 import from_base58
from settlement.exchange import to_base58
from settlement.rpc import Reply, TransportError
from simulation.invariants import Breach

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from simulation.loop import VirtualLoop

MOODS: Final = (
    "throttled",
    "bad_gateway",
    "portal",
    "unhealthy",
    "drops_before",
    "drops_after",
    "slow",
    "stale",
    "late",
    "loses",
    "lies",
    "crossed",
    "foreign",
)
"""429; 502; a captive portal's page; not caught up; a request or its answer is lost; seconds late; behind the others;
passes transactions on when it likes; accepts and forgets them; says of those that they are final; another request's
answer; another cluster."""
FOREIGN_GENESIS: Final = bytes(range(200, 232))
FOREIGN_BLOCKHASH: Final = bytes(range(100, 132))
_TRAVEL_S: Final = (0.01, 0.15)
_SLOW_S: Final = (0.5, 9.0)
_PASSED_ON_S: Final = (2.0, 70.0)
"""Now and then longer than a blockhash is good."""
_STALE_BLOCKS: Final = (1, 120)
_PAGE: Final = b"<html><body>Please accept our terms of use</body></html>"
_SEND: Final = b'"sendTransaction"'
_STATUSES: Final = b'"getSignatureStatuses"'


class Serves(Protocol):
    """What stands behind every node: the ledger as JSON-RPC, as it was `lag_blocks` ago."""

    def answer(self, body: bytes, lag_blocks: int = 0) -> bytes:
        """Return the answer to one request."""
        ...


@dataclass(slots=True)
class Node:
    """One endpoint: its mood, and how often that shows in an answer."""

    url: str
    mood: str = ""
    share: float = 1.0
    lag_blocks: int = 0
    last_answer: bytes = b""
    held: set[bytes] = field(default_factory=set)
    """Transactions that it passes on late, or has."""
    turned: int = 0
    """How often it became another cluster's or came back: each time its connections break."""


class Nodes:
    """All endpoints of one ledger. Every draw comes from the generator handed in."""

    def __init__(self, loop: VirtualLoop, rng: random.Random, ledger: Serves, urls: tuple[str, ...]) -> None:
        self.loop = loop
        self.rng = rng
        self.of = {url: Node(url) for url in urls}
        self.requests = 0
        self.under_way: Counter[bytes] = Counter()
        """Transactions, by their signature, that have left and are not at a node yet."""
        self.taken: set[bytes] = set()
        """Transactions that a node has taken and that may land as long as their blockhash is good."""
        self.called_final: set[bytes] = set()
        """Transactions that a lying node has called final: whoever heard it cannot know better."""
        self.spoiled: dict[str, int] = dict.fromkeys(MOODS, 0)
        """Requests that met each mood."""
        self._ledger = ledger
        self._replies: dict[str, Callable[[Node, bytes], Reply | TransportError | None]] = {
            "throttled": self._throttled,
            "bad_gateway": self._bad_gateway,
            "portal": self._portal,
            "unhealthy": self._unhealthy,
            "drops_before": self._drops_before,
            "drops_after": self._drops_after,
            "stale": self._stale,
            "late": self._late,
            "loses": self._loses,
            "lies": self._lies,
            "crossed": self._crossed,
            "foreign": self._foreign,
        }
        """None: the mood does not show in this request."""

    def turn(self, node: Node, mood: str) -> None:
        """Let a node be in a mood from now on, "" for none."""
        node.turned += "foreign" in (node.mood, mood)
        node.mood = mood
        node.share = self.rng.choice((0.3, 0.7, 1.0))
        node.lag_blocks = self.rng.randint(*_STALE_BLOCKS) if mood == "stale" else 0

    def travel_s(self, node: Node) -> float:
        """Draw how long a request or its answer is under way."""
        if node.mood == "slow" and self.rng.random() < node.share:
            self.spoiled["slow"] += 1
            return self.rng.uniform(*_SLOW_S)
        return self.rng.uniform(*_TRAVEL_S)

    def serve(self, node: Node, body: bytes) -> Reply | TransportError:
        """Return what the node makes of a request that has reached it."""
        self.requests += 1
        mood = node.mood if node.mood == "foreign" or self.rng.random() < node.share else ""
        if mood in ("", "slow"):
            return self._well(node, body)
        reply = self._replies[mood](node, body)
        if reply is None:
            return self._well(node, body)
        self.spoiled[mood] += 1
        return reply

    def _well(self, node: Node, body: bytes) -> Reply:
        node.last_answer = self._answer(body)
        return Reply(200, {"content-type": "application/json"}, node.last_answer)

    def _answer(self, body: bytes, lag_blocks: int = 0) -> bytes:
        answer = self._ledger.answer(body, lag_blocks)
        if _SEND in body and b'"result"' in answer:
            self.taken.add(signature_in(body))
        return answer

    def _throttled(self, _node: Node, _body: bytes) -> Reply:
        wish = self.rng.choice((None, "1", "30", "120"))
        return Reply(429, {} if wish is None else {"retry-after": wish}, b"Too many requests")

    def _bad_gateway(self, _node: Node, _body: bytes) -> Reply:
        return Reply(502, {"content-type": "text/html"}, b"<html><h1>502 Bad Gateway</h1></html>")

    def _portal(self, _node: Node, _body: bytes) -> Reply:
        return Reply(200, {"content-type": "text/html"}, _PAGE)

    def _unhealthy(self, _node: Node, body: bytes) -> Reply:
        error = {"code": -32005, "message": "Node is behind by 4000 slots", "data": {"numSlotsBehind": 4000}}
        return _json({"jsonrpc": "2.0", "id": json.loads(body)["id"], "error": error})

    def _drops_before(self, _node: Node, _body: bytes) -> TransportError:
        return TransportError("connection reset")

    def _drops_after(self, node: Node, body: bytes) -> TransportError:
        self._well(node, body)
        return TransportError("connection reset")

    def _stale(self, node: Node, body: bytes) -> Reply:
        return Reply(200, {}, self._answer(body, node.lag_blocks))

    def _late(self, node: Node, body: bytes) -> Reply | None:
        if _SEND not in body:
            return None
        signature = signature_in(body)
        if signature not in node.held:
            node.held.add(signature)
            self.taken.add(signature)
            self.loop.call_outside(self.rng.uniform(*_PASSED_ON_S), self._answer, body)
        return _taken(body)

    def _crossed(self, node: Node, _body: bytes) -> Reply | None:
        return Reply(200, {}, node.last_answer) if node.last_answer else None

    def _loses(self, _node: Node, body: bytes) -> Reply | None:
        return _taken(body) if _SEND in body else None

    def _lies(self, node: Node, body: bytes) -> Reply | None:
        if _SEND in body:
            return _taken(body)
        if _STATUSES not in body:
            return None
        request, answer = json.loads(body), json.loads(self._ledger.answer(body))
        if "result" not in answer:
            return None
        slot = answer["result"]["context"]["slot"]
        final = {"slot": slot, "confirmations": None, "err": None, "status": {"Ok": None}}
        final["confirmationStatus"] = "finalized"
        told = zip(request["params"][0], answer["result"]["value"], strict=True)
        self.called_final |= {from_base58(name, field="signature", size=64) for name, value in told if value is None}
        answer["result"]["value"] = [final if value is None else value for value in answer["result"]["value"]]
        node.last_answer = json.dumps(answer).encode()
        return Reply(200, {}, node.last_answer)

    def _foreign(self, _node: Node, body: bytes) -> Reply:
        """Be a node of another cluster on which the same program runs: only hashes tell."""
        if _SEND in body:
            raise Breach("nothing is sent to another cluster", "a transaction was")
        answer = json.loads(self._ledger.answer(body))
        method = json.loads(body)["method"]
        if method == "getGenesisHash":
            answer["result"] = to_base58(FOREIGN_GENESIS)
        elif method == "getLatestBlockhash" and "result" in answer:
            answer["result"]["value"]["blockhash"] = to_base58(FOREIGN_BLOCKHASH)
        return _json(answer)


class Wire:
    """Implements `settlement.rpc.Transport` for one process. `step` is told before a request leaves and after."""

    def __init__(self, nodes: Nodes, is_cut: Callable[[], bool], step: Callable[[str, bytes], None]) -> None:
        self._nodes = nodes
        self._is_cut = is_cut
        self._step = step
        self._met: dict[str, int] = {}
        """Of each node, how often it had turned when this process last spoke to it."""

    async def post(self, url: str, body: bytes, timeout_s: float) -> Reply:
        """Carry one request. Raises TransportError."""
        loop = self._nodes.loop
        self._step("asks", body)
        if self._is_cut():
            await asyncio.sleep(self._nodes.rng.uniform(*_TRAVEL_S))
            raise TransportError("network is unreachable")
        node = self._nodes.of[url]
        if self._met.setdefault(url, node.turned) != node.turned:
            self._met[url] = node.turned
            raise TransportError("connection reset")
        future: asyncio.Future[Reply] = loop.create_future()
        if _SEND in body:
            self._nodes.under_way[signature_in(body)] += 1
        loop.call_outside(self._nodes.travel_s(node), self._arrive, node, body, future)
        try:
            async with asyncio.timeout(timeout_s):
                reply = await future
        except TimeoutError as error:
            raise TransportError(f"no whole answer within {timeout_s:.0f} s") from error
        self._step("hears", body)
        return reply

    async def close(self) -> None:
        """Nothing is kept open."""

    def _arrive(self, node: Node, body: bytes, future: asyncio.Future[Reply]) -> None:
        if _SEND in body:
            self._nodes.under_way[signature_in(body)] -= 1
        reply = TransportError("connection reset") if self._is_cut() else self._nodes.serve(node, body)
        self._nodes.loop.call_outside(self._nodes.travel_s(node), _deliver, future, reply)


def _deliver(future: asyncio.Future[Reply], reply: Reply | TransportError) -> None:
    if future.done():
        return
    if isinstance(reply, TransportError):
        future.set_exception(reply)
    else:
        future.set_result(reply)


def _taken(body: bytes) -> Reply:
    """Answer a sendTransaction as if it had been taken."""
    request = json.loads(body)
    signature = to_base58(signature_in(body))
    return _json({"jsonrpc": "2.0", "id": request["id"], "result": signature})


def is_send(body: bytes) -> bool:
    """Whether a request is a sendTransaction."""
    return _SEND in body


def signature_in(body: bytes) -> bytes:
    """Return the first signature of the transaction in a sendTransaction."""
    return transaction_in(body)[1:65]


def transaction_in(body: bytes) -> bytes:
    """Return the bytes of the transaction in a sendTransaction."""
    return base64.b64decode(json.loads(body)["params"][0])


def _json(value: dict[str, Any]) -> Reply:
    return Reply(200, {"content-type": "application/json"}, json.dumps(value).encode())
