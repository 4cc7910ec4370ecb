"""The client over real sockets: every way in which an endpoint can let it down."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING

import pytest

from settlement.rpc import (
    Account,
    GarbledError,
    HttpTransport,
    NoEndpointError,
    PreflightError,
    RefusedError,
    RpcClient,
    RpcError,
    StaleNodeError,
    ThrottledError,
    UnavailableError,
    UnreachableError,
    WrongClusterError,
)
from settlement.rpc.client import WATERMARK_S
from settlement.rpc.health import BACK_OFF_S, FOREIGN_S, THROTTLED_S, VERIFIED_S
from settlement.rpc.testing import DROP, DROP_AFTER, HANG, HTML, FakeChain, FakeNode, Fault, ScriptedRefusalError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = bytes(range(1, 33))
SIGNATURE = bytes(range(64))
TRANSACTION = b"\x01" + SIGNATURE + b"message"


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class World:
    def __init__(self, chain: FakeChain, nodes: list[FakeNode], client: RpcClient, clock: Clock) -> None:
        self.chain = chain
        self.nodes = nodes
        self.client = client
        self.clock = clock
        self.told: list[tuple[str, RpcError | None]] = []


@contextlib.asynccontextmanager
async def world(
    count: int = 1, *, transport: HttpTransport | None = None, timeout_s: float = 10.0, rounds: int = 1
) -> AsyncIterator[World]:
    chain, clock = FakeChain(), Clock()
    transport = transport or HttpTransport()
    async with contextlib.AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(FakeNode(chain.answer)) for _ in range(count)]
        stack.push_async_callback(transport.close)
        told: list[tuple[str, RpcError | None]] = []
        client = RpcClient(
            [node.url for node in nodes],
            chain.genesis_hash,
            transport,
            monotonic_s=clock,
            rng=random.Random(1),
            timeout_s=timeout_s,
            rounds=rounds,
            on_health=lambda url, error: told.append((url, error)),
        )
        made = World(chain, nodes, client, clock)
        made.told = told
        yield made


async def test_an_endpoint_shows_its_genesis_hash_before_it_is_asked_anything() -> None:
    async with world() as w:
        assert (await w.client.blockhash()).last_valid_block_height == w.chain.block_height + 150
        await w.client.block_height()
        assert w.nodes[0].methods == ["getGenesisHash", "getLatestBlockhash", "getBlockHeight"]


async def test_a_node_of_another_cluster_gets_nothing_and_the_next_one_serves() -> None:
    async with world(2) as w:
        foreign = FakeChain(genesis_hash=bytes(31) + b"\x09")
        w.nodes[0]._answer = foreign.answer
        await w.client.send(TRANSACTION, SIGNATURE, preflight=True)
        assert (foreign.sent, w.chain.sent) == ([], [TRANSACTION])
        assert w.nodes[0].methods == ["getGenesisHash"]
        w.clock.now_s += FOREIGN_S - 1
        await w.client.block_height()
        assert w.nodes[0].methods == ["getGenesisHash"], "left alone"
        w.nodes[0]._answer = w.chain.answer
        w.clock.now_s += 2
        w.nodes[1].faults.append(DROP)
        await w.client.block_height()
        assert w.nodes[0].methods[1:] == ["getGenesisHash", "getBlockHeight"], "mended, and looked at again"


async def test_only_foreign_nodes_is_an_error_that_names_both_hashes() -> None:
    async with world() as w:
        w.nodes[0]._answer = FakeChain(genesis_hash=bytes(31) + b"\x09").answer
        with pytest.raises(WrongClusterError, match=r"genesis hash is 1{31}A, the file says 1{31}8"):
            await w.client.send(TRANSACTION, SIGNATURE, preflight=True)
        assert w.nodes[0].methods == ["getGenesisHash"]


@pytest.mark.parametrize("fault", [DROP, HTML])
async def test_the_genesis_hash_is_shown_again_when_somebody_else_may_answer(fault: Fault) -> None:
    async with world() as w:
        await w.client.block_height()
        w.nodes[0].faults.append(fault)
        with pytest.raises(RpcError):
            await w.client.block_height()
        foreign = FakeChain(genesis_hash=bytes(31) + b"\x09")
        w.nodes[0]._answer = foreign.answer
        with pytest.raises(WrongClusterError):
            await w.client.send(TRANSACTION, SIGNATURE, preflight=True)
        assert foreign.sent == []


async def test_a_busy_node_is_no_other_one() -> None:
    async with world() as w:
        await w.client.block_height()
        w.nodes[0].faults.append(Fault.http("502 Bad Gateway"))
        with pytest.raises(UnavailableError):
            await w.client.block_height()
        await w.client.block_height()
        assert w.nodes[0].methods.count("getGenesisHash") == 1


async def test_the_genesis_hash_is_shown_again_every_two_minutes() -> None:
    async with world() as w:
        for _ in range(3):
            await w.client.block_height()
            w.clock.now_s += VERIFIED_S / 2
        assert w.nodes[0].methods.count("getGenesisHash") == 2


async def test_an_endpoint_that_lags_is_asked_last() -> None:
    async with world(2) as w:
        behind = FakeChain(slot=w.chain.slot - 50)
        w.nodes[0]._answer = behind.answer
        for _ in range(2):
            await w.client.probe()
        assert (await w.client.accounts([KEY], "finalized")).slot == w.chain.slot
        assert [health.slot for _, health in w.client.healths] == [w.chain.slot - 50, w.chain.slot]


async def test_a_probe_fails_quietly_and_one_endpoint_is_not_probed() -> None:
    async with world(2) as w:
        w.nodes[0].faults.append(DROP)
        await w.client.probe()
        assert [health.failures for _, health in w.client.healths] == [1, 0]
    async with world() as w:
        await w.client.probe()
        assert w.nodes[0].methods == []


def _error(error: object) -> Fault:
    return Fault.json({"jsonrpc": "2.0", "id": 2, "error": error})


GATEWAY = {"jsonrpc": "2.0", "error": {"code": 429, "message": "Too many requests for a specific RPC call"}, "id": None}
FAULTS: list[tuple[str, Fault, type[RpcError]]] = [
    ("status 429", Fault.http("429 Too Many Requests", "slow down", "Retry-After: 7"), ThrottledError),
    ("code 429 and no id", Fault.json(GATEWAY), ThrottledError),
    ("code 429, neither id nor jsonrpc", Fault.json({"error": {"code": 429, "message": "busy"}}), ThrottledError),
    ("code -32429", _error({"code": -32429, "message": "x"}), ThrottledError),
    ("status 502", Fault.http("502 Bad Gateway", "<html>nginx</html>"), UnavailableError),
    ("status 503", Fault.http("503 Service Unavailable"), UnavailableError),
    ("status 403", Fault.http("403 Forbidden", "{}"), UnavailableError),
    ("unhealthy", _error({"code": -32005, "message": "Node is behind"}), UnavailableError),
    ("a portal's page", HTML, GarbledError),
    ("a portal's redirect", Fault.http("302 Found", "", "Location: http://127.0.0.1:1/login"), GarbledError),
    ("an empty body", Fault.http("200 OK"), GarbledError),
    ("a list", Fault.json([1, 2]), GarbledError),
    ("deep nesting", Fault.http("200 OK", "[" * 100_000), GarbledError),
    ("a result without id", Fault.json({"jsonrpc": "2.0", "id": None, "result": 1}), GarbledError),
    ("another request's result", Fault.json({"jsonrpc": "2.0", "id": 999, "result": 1}), GarbledError),
    ("another request's error", Fault.json({"jsonrpc": "2.0", "id": 999, "error": {"code": -32601}}), GarbledError),
    ("id true, which equals 1", Fault.json({"jsonrpc": "2.0", "id": True, "result": 1}), GarbledError),
    ("no jsonrpc", Fault.json({"id": 2, "result": 1}), GarbledError),
    ("a height that is text", Fault.json({"jsonrpc": "2.0", "id": 2, "result": "900"}), GarbledError),
    ("a height that is negative", Fault.json({"jsonrpc": "2.0", "id": 2, "result": -1}), GarbledError),
    ("stale", _error({"code": -32016, "message": "x"}), StaleNodeError),
    ("refused", _error({"code": -32602, "message": "bad"}), RefusedError),
    ("refused in words", _error("no"), RefusedError),
    ("a code that is text", _error({"code": "x", "message": 5}), RefusedError),
    ("preflight", _error({"code": -32002, "message": "x", "data": None}), PreflightError),
    ("dropped", DROP, UnreachableError),
    ("dropped after it took effect", DROP_AFTER, UnreachableError),
    ("half an answer", Fault(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"), UnreachableError),
    ("no HTTP", Fault(raw=b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n"), UnreachableError),
]


@pytest.mark.parametrize(("fault", "error"), [case[1:] for case in FAULTS], ids=[case[0] for case in FAULTS])
async def test_each_misbehaviour_is_one_typed_error_and_the_next_request_works(
    fault: Fault, error: type[RpcError]
) -> None:
    async with world() as w:
        await w.client.block_height()
        assert w.client._request_id == 2
        w.client._request_id = 1
        w.nodes[0].faults.append(fault)
        with pytest.raises(error) as caught:
            await w.client.block_height()
        assert type(caught.value) is error
        assert str(caught.value).startswith(f"{w.nodes[0].url}: getBlockHeight: ")
        w.clock.now_s += 700
        assert await w.client.block_height() == w.chain.block_height


@pytest.mark.parametrize("fault", [HANG, Fault(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")])
async def test_a_node_that_does_not_finish_is_given_up(fault: Fault) -> None:
    async with world(timeout_s=0.1) as w:
        await w.client.block_height()
        w.nodes[0].faults.append(fault)
        with pytest.raises(UnreachableError):
            await w.client.block_height()
        assert await w.client.block_height() == w.chain.block_height


async def test_an_answer_without_end_is_cut() -> None:
    async with world(transport=HttpTransport(reply_bytes_max=2_000)) as w:
        w.nodes[0].faults.append(Fault.http("200 OK", b"x" * 2_001))
        with pytest.raises(UnreachableError, match="more than 2000 bytes"):
            await w.client.block_height()


async def test_the_next_endpoint_serves_when_the_first_does_not() -> None:
    async with world(2) as w:
        w.nodes[0].faults.extend([HTML] * 3)
        for _ in range(5):
            assert await w.client.block_height() == w.chain.block_height
        assert len(w.nodes[0].methods) < 5, "a failing endpoint is not asked every time"


async def test_a_failure_that_is_over_with_the_next_request_is_none() -> None:
    async with world(rounds=2) as w:
        w.nodes[0].faults.extend([DROP])
        assert await w.client.block_height() == w.chain.block_height
        w.nodes[0].faults.extend([DROP, HTML])
        with pytest.raises(GarbledError):
            await w.client.block_height()


async def test_a_circuit_opens_after_three_failures_and_one_request_tries_it_again() -> None:
    async with world() as w:
        w.nodes[0].faults.extend([DROP] * 4)
        for _ in range(3):
            with pytest.raises(UnreachableError):
                await w.client.block_height()
        asked = len(w.nodes[0].methods)
        with pytest.raises(NoEndpointError) as caught:
            await w.client.block_height()
        assert 0 < caught.value.wait_s <= BACK_OFF_S
        assert len(w.nodes[0].methods) == asked, "nothing was sent"
        w.clock.now_s += BACK_OFF_S
        with pytest.raises(UnreachableError):
            await w.client.block_height()
        with pytest.raises(NoEndpointError) as caught:
            await w.client.block_height()
        assert BACK_OFF_S <= caught.value.wait_s <= 2 * BACK_OFF_S, "twice as long"
        w.clock.now_s += 2 * BACK_OFF_S
        assert await w.client.block_height() == w.chain.block_height


@pytest.mark.parametrize(
    ("headers", "least_s", "most_s"),
    [
        (("Retry-After: 30",), 30, 39),
        (("Retry-After: 999999999999",), 600, 751),
        (("Retry-After: Tue, 24 Nov 2026 02:00:40 GMT", "Date: Tue, 24 Nov 2026 02:00:00 GMT"), 40, 51),
        (("Retry-After: Tue, 24 Nov 2026 01:00:00 GMT", "Date: Tue, 24 Nov 2026 02:00:00 GMT"), 0, 1),
        (("Retry-After: Tue, 24 Nov 2026 02:00:40 GMT",), THROTTLED_S, THROTTLED_S * 1.25 + 1),
        (("Retry-After: soon",), THROTTLED_S, THROTTLED_S * 1.25 + 1),
        ((), THROTTLED_S, THROTTLED_S * 1.25 + 1),
    ],
)
async def test_retry_after_is_heeded_by_the_servers_own_clock(
    headers: tuple[str, ...], least_s: float, most_s: float
) -> None:
    async with world() as w:
        w.nodes[0].faults.append(Fault.http("429 Too Many Requests", "", *headers))
        with pytest.raises(ThrottledError):
            await w.client.block_height()
        ((_, health),) = w.client.healths
        assert least_s <= health.closed_until_s - w.clock.now_s <= most_s


async def test_a_503_with_retry_after_is_heeded_too() -> None:
    async with world() as w:
        w.nodes[0].faults.append(Fault.http("503 Service Unavailable", "", "Retry-After: 20"))
        with pytest.raises(UnavailableError):
            await w.client.block_height()
        with pytest.raises(NoEndpointError) as caught:
            await w.client.block_height()
        assert caught.value.wait_s >= 20


async def test_a_node_behind_what_was_seen_is_passed_over() -> None:
    async with world(2) as w:
        w.chain.accounts[KEY] = Account(5, bytes(32), b"data")
        assert (await w.client.accounts([KEY, bytes(32)], "finalized")).values == (Account(5, bytes(32), b"data"), None)
        behind = FakeChain(slot=w.chain.slot - 50)
        w.nodes[0]._answer = behind.answer
        found = await w.client.accounts([KEY], "finalized")
        assert found.slot == w.chain.slot
        assert found.values[0] is not None


async def test_a_node_that_ignores_the_least_slot_is_found_out() -> None:
    async with world() as w:
        await w.client.accounts([KEY], "finalized")
        answer = {"context": {"slot": 5}, "value": [None]}
        w.nodes[0].faults.append(Fault.json({"jsonrpc": "2.0", "id": w.client._request_id + 1, "result": answer}))
        with pytest.raises(StaleNodeError, match="its slot is 5, 1000 was seen before"):
            await w.client.accounts([KEY], "finalized")


async def test_a_slot_that_nobody_reaches_again_is_forgotten() -> None:
    async with world() as w:
        w.chain.slot = 10**15
        await w.client.accounts([KEY], "finalized")
        w.chain.slot = 2_000
        with pytest.raises(StaleNodeError):
            await w.client.accounts([KEY], "finalized")
        w.clock.now_s += WATERMARK_S + 1
        assert (await w.client.accounts([KEY], "finalized")).slot == 2_000


async def test_a_transaction_goes_to_two_endpoints_and_one_is_enough() -> None:
    async with world(3) as w:
        await w.client.send(TRANSACTION, SIGNATURE, preflight=True)
        assert [node.methods.count("sendTransaction") for node in w.nodes] == [1, 1, 0], "the second said: done already"
        w.chain.landed.clear()
        w.chain.lands = False
        w.nodes[0].faults.append(DROP)
        w.nodes[1].faults.append(HTML)
        await w.client.send(TRANSACTION, SIGNATURE, preflight=True)
        assert w.nodes[2].methods.count("sendTransaction") == 1


async def test_a_node_that_names_another_signature_has_not_taken_it() -> None:
    async with world() as w:
        with pytest.raises(GarbledError, match="another transaction's signature"):
            await w.client.send(TRANSACTION, bytes(64), preflight=True)


async def test_a_preflight_failure_says_why_or_that_it_does_not() -> None:
    async with world() as w:

        def refuse(_transaction: bytes) -> object:
            error = {"InstructionError": [1, {"Custom": 6007}]}
            raise ScriptedRefusalError(-32002, "simulation failed", {"err": error, "logs": ["Program log: early", 5]})

        w.chain.on_send = refuse
        with pytest.raises(PreflightError) as caught:
            await w.client.send(TRANSACTION, SIGNATURE, preflight=True)
        assert caught.value.failure == {"InstructionError": [1, {"Custom": 6007}]}
        assert caught.value.logs == ("Program log: early",)
        w.nodes[0].faults.append(
            Fault.json({"jsonrpc": "2.0", "id": w.client._request_id + 1, "error": {"code": -32002, "data": None}})
        )
        with pytest.raises(PreflightError, match="no reason given") as bare:
            await w.client.send(TRANSACTION, SIGNATURE, preflight=True)
        assert (bare.value.failure, bare.value.logs) == (None, ())


async def test_the_first_failure_and_the_recovery_are_told_once() -> None:
    async with world() as w:
        w.nodes[0].faults.extend([DROP, DROP])
        for _ in range(2):
            with pytest.raises(UnreachableError):
                await w.client.block_height()
        await w.client.block_height()
        await w.client.block_height()
        assert [(url, type(error)) for url, error in w.told] == [
            (w.nodes[0].url, UnreachableError),
            (w.nodes[0].url, type(None)),
        ]


async def test_statuses_tell_failure_from_success() -> None:
    async with world() as w:
        w.chain.on_send = lambda _transaction: {"InstructionError": [0, "Custom"]}
        await w.client.send(TRANSACTION, SIGNATURE, preflight=False)
        landed, unknown = await w.client.statuses([SIGNATURE, bytes(64)], history=True)
        assert landed is not None
        assert landed.error == {"InstructionError": [0, "Custom"]}
        assert landed.reached("finalized")
        assert unknown is None


async def test_secrets_in_an_endpoints_url_are_not_shown() -> None:
    transport = HttpTransport()
    url = "http://user:pass@127.0.0.1:1/v2/secret-key?api-key=also"
    client = RpcClient([url], bytes(32), transport, monotonic_s=Clock(), rng=random.Random(1))
    with pytest.raises(UnreachableError) as caught:
        await client.block_height()
    assert str(caught.value).startswith("http://127.0.0.1:1: getGenesisHash: ")
    for secret in ("user", "pass", "secret", "also"):
        assert secret not in str(caught.value)
        assert secret not in repr(client.healths)
    await transport.close()


def test_the_list_of_endpoints_is_bounded() -> None:
    for urls in ([], ["http://a"] * 2, [f"http://{n}" for n in range(9)]):
        with pytest.raises(ValueError, match="1 to 8 different endpoints"):
            RpcClient(urls, bytes(32), HttpTransport(), monotonic_s=Clock(), rng=random.Random(1))


async def test_too_much_at_once_is_refused_before_anything_is_sent() -> None:
    async with world() as w:
        with pytest.raises(ValueError, match="101 accounts"):
            await w.client.accounts([KEY] * 101, "finalized")
        with pytest.raises(ValueError, match="257 signatures"):
            await w.client.statuses([SIGNATURE] * 257, history=True)
        assert w.nodes[0].methods == []
