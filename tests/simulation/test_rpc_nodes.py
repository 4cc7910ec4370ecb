"""Nodes with moods: what a client meets is what the mood says, and a request has its effect or not as that says."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from settlement.exchange import to_base58
from settlement.rpc import Reply, TransportError
from simulation.invariants import Breach
from simulation.loop import Process, VirtualLoop
from simulation.rpc_nodes import FOREIGN_GENESIS, MOODS, Nodes, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

URL = "http://one.simulated"
SIGNATURE = bytes(range(64))
TRANSACTION = b"\x01" + SIGNATURE + b"the message"


class Ledger:
    """Answers every request with how often it was asked, and how far behind."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def answer(self, body: bytes, lag_blocks: int = 0) -> bytes:
        request = json.loads(body)
        self.asked.append(request["method"])
        results: dict[str, Any] = {
            "getSignatureStatuses": {"context": {"slot": 7}, "value": [None]},
            "getLatestBlockhash": {"context": {"slot": 7}, "value": {"blockhash": "ours"}},
            "getGenesisHash": "ours",
        }
        result = results.get(request["method"], {"count": len(self.asked), "lag": lag_blocks})
        return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode()


class Scene:
    """One wire to one node."""

    def __init__(self, mood: str = "") -> None:
        self.loop = VirtualLoop()
        self.ledger = Ledger()
        self.nodes = Nodes(self.loop, random.Random(1), self.ledger, (URL,))
        self.node = self.nodes.of[URL]
        self.cut = False
        self.steps: list[str] = []
        self.wire = Wire(self.nodes, lambda: self.cut, lambda step, _body: self.steps.append(step))
        self.failures: list[BaseException] = []
        self.loop.set_exception_handler(lambda _loop, context: self.failures.append(context["exception"]))
        if mood:
            self.nodes.turn(self.node, mood)
            self.node.share = 1.0

    def ask(self, method: str = "getSlot", *params: object, timeout_s: float = 60.0) -> Reply:
        body = json.dumps({"jsonrpc": "2.0", "id": 5, "method": method, "params": list(params)}).encode()
        reply = self.run(lambda: self.wire.post(URL, body, timeout_s))
        assert isinstance(reply, Reply)
        return reply

    def send(self) -> Reply:
        return self.ask("sendTransaction", base64.b64encode(TRANSACTION).decode())

    def run(self, start: Callable[[], Any]) -> Any:
        asyncio.set_event_loop(self.loop)
        try:
            return self.loop.run_until_complete(start())
        finally:
            asyncio.set_event_loop(None)


@pytest.fixture
def make() -> Iterator[Callable[..., Scene]]:
    scenes: list[Scene] = []

    def scene(mood: str = "") -> Scene:
        scenes.append(Scene(mood))
        return scenes[-1]

    yield scene
    for each in scenes:
        each.loop.close()


def result_of(reply: Reply) -> Any:
    assert reply.status == 200
    return json.loads(reply.body)["result"]


def test_a_well_node_answers_after_a_while(make: Callable[..., Scene]) -> None:
    scene = make()
    assert result_of(scene.ask()) == {"count": 1, "lag": 0}
    assert 0.02 <= scene.loop.time() <= 0.3
    assert scene.steps == ["asks", "hears"]


@pytest.mark.parametrize(("mood", "status"), [("throttled", 429), ("bad_gateway", 502), ("portal", 200)])
def test_a_bad_answer_means_that_nothing_happened(make: Callable[..., Scene], mood: str, status: int) -> None:
    scene = make(mood)
    reply = scene.ask()
    assert reply.status == status
    assert not scene.ledger.asked
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(reply.body)


def test_a_throttling_node_says_how_long_now_and_then(make: Callable[..., Scene]) -> None:
    scene = make("throttled")
    assert {scene.ask().headers.get("retry-after") for _ in range(40)} == {None, "1", "30", "120"}


def test_an_unhealthy_node_says_so(make: Callable[..., Scene]) -> None:
    assert json.loads(make("unhealthy").ask().body)["error"]["code"] == -32005


@pytest.mark.parametrize(("mood", "asked"), [("drops_before", []), ("drops_after", ["getSlot"])])
def test_a_request_or_its_answer_is_lost(make: Callable[..., Scene], mood: str, asked: list[str]) -> None:
    scene = make(mood)
    with pytest.raises(TransportError, match="connection reset"):
        scene.ask()
    assert scene.ledger.asked == asked


def test_a_slow_node_takes_effect_after_the_client_has_given_up(make: Callable[..., Scene]) -> None:
    scene = make("slow")
    for _ in range(20):
        try:
            scene.ask(timeout_s=2.0)
        except TransportError:
            break
    else:
        pytest.fail("it was never slow")
    before = len(scene.ledger.asked)
    scene.run(lambda: asyncio.sleep(30))
    assert len(scene.ledger.asked) in (before, before + 1)
    assert scene.loop.time() > 30


def test_a_stale_node_lags(make: Callable[..., Scene]) -> None:
    assert result_of(make("stale").ask())["lag"] >= 1


@pytest.mark.parametrize("mood", ["loses", "lies"])
def test_a_node_that_loses_transactions_names_them_all_the_same(make: Callable[..., Scene], mood: str) -> None:
    scene = make(mood)
    assert result_of(scene.send()) == to_base58(SIGNATURE)
    assert "sendTransaction" not in scene.ledger.asked
    assert result_of(scene.ask())["count"] == 1


def test_a_late_node_takes_a_transaction_and_passes_it_on_when_it_likes(make: Callable[..., Scene]) -> None:
    scene = make("late")
    assert result_of(scene.send()) == to_base58(SIGNATURE)
    assert scene.nodes.taken == {SIGNATURE}
    assert not scene.ledger.asked
    scene.run(lambda: asyncio.sleep(80))
    assert scene.ledger.asked == ["sendTransaction"]


def test_a_lying_node_calls_final_what_nobody_has_seen(make: Callable[..., Scene]) -> None:
    names = [to_base58(SIGNATURE)]
    assert result_of(make("loses").ask("getSignatureStatuses", names))["value"] == [None]
    scene = make("lies")
    status = result_of(scene.ask("getSignatureStatuses", names))["value"][0]
    assert scene.nodes.called_final == {SIGNATURE}
    assert (status["err"], status["confirmationStatus"]) == (None, "finalized")


def test_a_crossed_answer_is_the_one_before(make: Callable[..., Scene]) -> None:
    scene = make()
    first = scene.ask()
    scene.nodes.turn(scene.node, "crossed")
    scene.node.share = 1.0
    assert scene.ask().body == first.body


def test_another_clusters_node_differs_in_its_hashes_and_breaks_connections_when_it_comes(
    make: Callable[..., Scene],
) -> None:
    scene = make()
    scene.ask()
    scene.nodes.turn(scene.node, "foreign")
    with pytest.raises(TransportError):
        scene.ask()
    assert result_of(scene.ask("getGenesisHash")) == to_base58(FOREIGN_GENESIS)
    assert result_of(scene.ask("getLatestBlockhash"))["value"]["blockhash"] != "ours"
    scene.nodes.turn(scene.node, "")
    with pytest.raises(TransportError):
        scene.ask()
    assert result_of(scene.ask("getGenesisHash")) == "ours"


def test_what_is_sent_to_another_cluster_is_noticed(make: Callable[..., Scene]) -> None:
    scene = make("foreign")
    scene.node.turned = 0
    with pytest.raises(TransportError):
        scene.run(lambda: asyncio.wait_for(_never_answered(scene), 30))
    assert isinstance(scene.failures[0], Breach)


async def _never_answered(scene: Scene) -> None:
    params = [base64.b64encode(TRANSACTION).decode()]
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "sendTransaction", "params": params}).encode()
    await scene.wire.post(URL, body, 10.0)


def test_a_line_that_is_cut_carries_nothing(make: Callable[..., Scene]) -> None:
    scene = make()
    scene.cut = True
    with pytest.raises(TransportError, match="unreachable"):
        scene.ask()
    assert not scene.ledger.asked


def test_a_request_outlives_the_process_that_sent_it(make: Callable[..., Scene]) -> None:
    scene = make()
    process = Process("client")
    heard: list[Reply] = []

    async def client() -> None:
        heard.append(await scene.wire.post(URL, b'{"id": 1, "method": "getSlot"}', 60.0))

    async def world() -> None:
        scene.loop.start_in(process, client())
        await asyncio.sleep(0.001)
        process.kill()
        await asyncio.sleep(5.0)

    scene.run(world)
    assert scene.ledger.asked == ["getSlot"]
    assert not heard
    process.bury()


def test_every_mood_is_known(make: Callable[..., Scene]) -> None:
    for mood in MOODS:
        scene = make(mood)
        try:
            scene.ask()
        except TransportError:
            assert mood in ("drops_before", "drops_after")
