"""Whatever is asked, the answer is a result or a documented error."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from settlement.cluster.minting import mint_to
from settlement.ledger import Node
from settlement.ledger.errors import ParamsError
from settlement.ledger.node import METHODS
from settlement.ledger.wire import receive
from tests.settlement.ledger.world import SOL, World, pay

KEYS = (
    "SysvarC1ock11111111111111111111111111111111",
    "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
    "1" * 32,
    "1" * 64,
)
OPTIONS = [
    "commitment",
    "encoding",
    "minContextSlot",
    "dataSlice",
    "filters",
    "memcmp",
    "dataSize",
    "offset",
    "length",
    "bytes",
    "mint",
    "programId",
    "limit",
    "before",
    "until",
    "searchTransactionHistory",
    "maxSupportedTransactionVersion",
    "skipPreflight",
    "preflightCommitment",
    "maxRetries",
    "sigVerify",
    "replaceRecentBlockhash",
    "accounts",
    "addresses",
    "innerInstructions",
    "withContext",
    "recentBlockhash",
    "tokenAccountState",
]
TEXTS = st.sampled_from(
    [*KEYS, "confirmed", "processed", "base64", "base58", "jsonParsed", "base64+zstd", "AAAA", "", "\x00", "é"]
)
PLAIN = st.none() | st.booleans() | st.integers(-2, 1 << 70) | st.floats(allow_nan=False) | TEXTS | st.text(max_size=8)
VALUES: st.SearchStrategy[Any] = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(OPTIONS) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
WORLD = World()
NODE = Node(WORLD.ledger)
PAYER = WORLD.funded()
WIRE = WORLD.signed(
    [pay(PAYER, WORLD.key().pubkey(), SOL), mint_to(WORLD.key().pubkey(), PAYER.pubkey(), PAYER.pubkey(), 1)], PAYER
).wire
CODES = {-32700, -32600, -32601, -32602, -32603, -32002, -32004, -32005, -32007, -32015, -32016, -32020}


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(METHODS))
@settings(max_examples=40)
@given(params=st.lists(VALUES, max_size=4))
@example(params=["1" * 32, {"dataSlice": {"offset": 1 << 63, "length": 1 << 63}}])
@example(
    params=["TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", {"filters": [{"memcmp": {"offset": 1 << 63, "bytes": [1]}}]}]
)
@example(params=[KEYS[0], {"programId": "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"}, {"encoding": 5}])
def test_every_method_takes_any_parameters(method: str, params: list[Any]) -> None:
    answered({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})


@given(body=VALUES)
def test_every_body_is_answered(body: Any) -> None:
    answered(body)


@given(body=st.binary(max_size=60))
def test_every_bytes_are_answered(body: bytes) -> None:
    answer = NODE.handle(body)
    assert answer is not None
    assert answer.status == 200


@given(
    changes=st.lists(st.tuples(st.integers(65, 300), st.integers(0, 255)), max_size=4),
    method=st.sampled_from(["sendTransaction", "simulateTransaction"]),
    encoding=st.sampled_from(["json", "jsonParsed", "base64"]),
)
def test_every_spoiled_transaction_is_answered(changes: list[tuple[int, int]], method: str, encoding: str) -> None:
    """Signatures are not looked at here, so that what is spoiled is executed."""
    wire = bytearray(WIRE)
    for at, value in changes:
        wire[at % len(wire)] = value
    text = b64encode(bytes(wire)).decode()
    options = {
        "encoding": "base64",
        "commitment": "processed",
        "replaceRecentBlockhash": True,
        "innerInstructions": True,
    }
    answered({"jsonrpc": "2.0", "id": 1, "method": method, "params": [text, {**options, "skipPreflight": True}]})
    try:
        received = receive(bytes(wire))
    except ParamsError:
        return
    if NODE.ledger.submit(received) is None:
        found = {"encoding": encoding, "maxSupportedTransactionVersion": 0, "commitment": "confirmed"}
        WORLD.wait(2)
        answered({"jsonrpc": "2.0", "id": 1, "method": "getTransaction", "params": [str(received.signature), found]})


def answered(body: Any) -> None:
    answer = NODE.handle(json.dumps(body).encode())
    assert answer is not None
    assert answer.status == 200
    told = json.loads(answer.body) if answer.body else []
    for one in told if isinstance(told, list) else [told]:
        assert ("result" in one) != ("error" in one)
        assert "error" not in one or one["error"]["code"] in CODES
