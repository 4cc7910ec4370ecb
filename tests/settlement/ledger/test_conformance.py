"""The same calls to the ledger and to a real validator: what they say may differ in nothing but time and names."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

import pytest
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import AdvanceNonceAccountParams, advance_nonce_account, create_nonce_account
from solders.transaction import VersionedTransaction

from settlement.cluster.minting import make_mint, make_token_account, mint_to
from settlement.program.addresses import token_account
from tests.acceptance.cluster import embedded, validator
from tests.settlement.ledger.world import SOL, pay

if TYPE_CHECKING:
    from collections.abc import Iterable

AT: Final = {"commitment": "confirmed"}
ED25519: Final = Pubkey.from_string("Ed25519SigVerify111111111111111111111111111")
NOWHERE: Final = Keypair.from_seed(bytes([7]) * 32).pubkey()
PASSING: Final = frozenset(
    [
        "slot",
        "blockhash",
        "lastValidBlockHeight",
        "blockTime",
        "recentBlockhash",
        "apiVersion",
        "absoluteSlot",
        "blockHeight",
        "slotIndex",
        "contextSlot",
        "transactionCount",
        "feature-set",
        "unixTimestamp",
        "epochStartTimestamp",
        "confirmations",
        "transactionIndex",
        "costUnits",
        "computeUnitsConsumed",
        "unitsConsumed",
        "signatures",
        "signature",
        "logs",
        "logMessages",
        "rentEpoch",
        "prioritizationFee",
        "jsonrpc",
    ]
)
"""Fields that hold time, names or measures; `rentEpoch` is that of the epoch in which the genesis was made."""


class Side:
    """One of the two, and a payer there whose key is the same on both."""

    def __init__(self, url: str, seed: bytes) -> None:
        self.url = url
        self.payer, self.mint, self.nonce = (Keypair.from_seed(bytes([n]) + seed[1:]) for n in (1, 2, 3))
        self.found: dict[str, Any] = {}

    def post(self, body: bytes) -> Any:
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            return {"status": error.code, "text": error.read().decode()}
        return json.loads(text) if text else None

    def call(self, method: str, *params: Any) -> Any:
        return self.post(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode())

    def note(self, name: str, answer: Any) -> Any:
        self.found[name] = answer
        return answer

    def signed(
        self, *instructions: Instruction, signers: Iterable[Keypair] = (), blockhash: Hash | None = None
    ) -> bytes:
        if blockhash is None:
            blockhash = Hash.from_string(self.call("getLatestBlockhash", AT)["result"]["value"]["blockhash"])
        keys = [self.payer, *signers]
        return bytes(
            VersionedTransaction(MessageV0.try_compile(keys[0].pubkey(), list(instructions), [], blockhash), keys)
        )

    def send(self, wire: bytes, **options: Any) -> Any:
        return self.call(
            "sendTransaction",
            b64encode(wire).decode(),
            {"encoding": "base64", "preflightCommitment": "confirmed", **options},
        )

    def simulate(self, wire: bytes, **options: Any) -> Any:
        return self.call("simulateTransaction", b64encode(wire).decode(), {"encoding": "base64", **AT, **options})

    def wait(self, signature: str) -> Any:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            (status,) = self.call("getSignatureStatuses", [signature])["result"]["value"]
            if status is not None and status["confirmationStatus"] != "processed":
                return status
            time.sleep(0.2)
        raise AssertionError(f"{signature} did not land")

    def landed(self, wire: bytes, **options: Any) -> Any:
        return self.wait(self.send(wire, **options)["result"])

    def value_of_nonce(self) -> Hash:
        account = self.call("getAccountInfo", str(self.nonce.pubkey()), {"encoding": "jsonParsed", **AT})
        return Hash.from_string(account["result"]["value"]["data"]["parsed"]["info"]["blockhash"])


def begin(side: Side) -> None:
    key, mint = side.payer.pubkey(), side.mint
    side.wait(side.call("requestAirdrop", str(key), 100 * SOL)["result"])
    rent = side.note("rent", side.call("getMinimumBalanceForRentExemption", 82))["result"]
    made = [*make_mint(key, mint.pubkey(), key, 6, rent), make_token_account(key, key, mint.pubkey())]
    sent = side.send(side.signed(*made, mint_to(mint.pubkey(), key, key, 1_250_000), signers=[mint]))["result"]
    side.note("status", side.wait(sent))
    for encoding in ("json", "base64", "base58"):
        options = {"encoding": encoding, "maxSupportedTransactionVersion": 0, **AT}
        answer = side.note(f"tx {encoding}", side.call("getTransaction", sent, options))["result"]
        if encoding != "json":  # the bytes hold a blockhash
            answer["transaction"] = [len(answer["transaction"]), answer["transaction"][1]]
    side.note("tx without version", side.call("getTransaction", sent, AT))
    side.note("tx processed", side.call("getTransaction", sent, {"commitment": "processed"}))


def accounts(side: Side) -> None:
    key, mint = str(side.payer.pubkey()), str(side.mint.pubkey())
    held, token = (
        str(token_account(side.payer.pubkey(), side.mint.pubkey())),
        "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
    )
    for encoding in ("binary", "base58", "base64", "jsonParsed", "hex"):
        for name, one in (("wallet", key), ("held", held), ("mint", mint)):
            side.note(f"{name} {encoding}", side.call("getAccountInfo", one, {"encoding": encoding, **AT}))
    side.note(
        "slice",
        side.call("getAccountInfo", held, {"encoding": "base64", "dataSlice": {"offset": 160, "length": 20}, **AT}),
    )
    side.note(
        "clock", side.call("getAccountInfo", "SysvarC1ock11111111111111111111111111111111", {"encoding": "jsonParsed"})
    )
    side.note("many", side.call("getMultipleAccounts", [held, str(NOWHERE)], AT))
    side.note("too many", side.call("getMultipleAccounts", [key] * 101, AT))
    for name, one in (("held", held), ("mint", mint), ("nowhere", str(NOWHERE))):
        side.note(f"balance of {name}", side.call("getTokenAccountBalance", one, AT))
        side.note(f"supply of {name}", side.call("getTokenSupply", one, AT))
    asked: list[dict[str, str]] = [
        {"mint": mint},
        {"programId": token},
        {},
        {"programId": key},
        {"mint": key},
        {"mint": str(NOWHERE)},
    ]
    for number, one_asked in enumerate(asked):
        side.note(
            f"by owner {number}", side.call("getTokenAccountsByOwner", key, one_asked, {"encoding": "jsonParsed", **AT})
        )
    side.note("by owner plain", side.call("getTokenAccountsByOwner", key, {"mint": mint}, AT))
    filters = [{"dataSize": 165}, {"memcmp": {"offset": 32, "bytes": key}}]
    side.note("program", side.call("getProgramAccounts", token, {"encoding": "base64", "filters": filters, **AT}))
    side.note("five filters", side.call("getProgramAccounts", token, {"filters": [{"dataSize": 1}] * 5}))
    side.note(
        "long filter",
        side.call("getProgramAccounts", token, {"filters": [{"memcmp": {"offset": 0, "bytes": "1" * 129}}]}),
    )


def requests(side: Side) -> None:
    key = str(side.payer.pubkey())
    for name, params in (
        ("short", ["abc"]),
        ("letters", ["0" * 32]),
        ("none", []),
        ("number", [5]),
        ("three", [key, AT, 1]),
        ("level", [key, {"commitment": "never"}]),
        ("slot", [key, {"minContextSlot": 10**9}]),
    ):
        side.note(f"getBalance {name}", side.call("getBalance", *params))
    call = {"jsonrpc": "2.0", "id": 1, "method": "getHealth"}
    for name, body in (
        ("method", {**call, "method": "getNothing"}),
        ("text", "x"),
        ("no method", {"jsonrpc": "2.0", "id": 1}),
        ("no version", {"id": 1, "method": "getHealth"}),
        ("text id", {**call, "id": "a"}),
        ("float id", {**call, "id": 1.5}),
        ("object id", {**call, "id": {}}),
        ("null id", {**call, "id": None}),
        ("notification", {"jsonrpc": "2.0", "method": "getHealth"}),
        ("object params", {**call, "method": "getBalance", "params": {"a": 1}}),
        ("null params", {**call, "params": None}),
        ("batch", [call, {**call, "id": 2, "method": "getNothing"}, {"jsonrpc": "2.0", "method": "getHealth"}]),
        ("bad batch", [call, 5]),
        ("empty batch", []),
    ):
        side.note(name, side.post(json.dumps(body).encode()))
    side.note("no JSON", side.post(b"{"))
    side.note("too long", side.post(b" " * 60_000))
    side.note("future", side.call("getBlockTime", 10**9))
    side.note("valid", side.call("isBlockhashValid", "zz"))
    side.note("rent too long", side.call("getMinimumBalanceForRentExemption", 10 * 1024 * 1024 + 1))
    side.note("before", side.call("getSignaturesForAddress", key, {"before": str(Signature.default()), **AT}))
    side.note("limit", side.call("getSignaturesForAddress", key, {"limit": 1_001}))
    side.note("statuses", side.call("getSignatureStatuses", [str(Signature.default())] * 257))


def sending(side: Side) -> None:
    key = side.payer.pubkey()
    for name, text, encoding in (
        ("base64", "====", "base64"),
        ("short", b64encode(bytes(10)).decode(), "base64"),
        ("long", b64encode(bytes(1_300)).decode(), "base64"),
    ):
        answer = side.call("sendTransaction", text, {"encoding": encoding})
        side.note(f"send {name}", answer["error"]["code"])
    rich = side.signed(pay(side.payer, key, 10**15))
    side.note("preflight", side.send(rich))
    side.note("failed", side.landed(rich, skipPreflight=True))
    once = side.signed(pay(side.payer, key, 1))
    side.landed(once)
    side.note("duplicate", side.send(once))
    forged = bytes(VersionedTransaction.populate(VersionedTransaction.from_bytes(once).message, [Signature.default()]))
    side.note("forged", side.send(forged))
    side.note("forged and verified", side.simulate(forged, sigVerify=True)["result"]["value"]["err"])
    side.note("context", side.send(side.signed(pay(side.payer, key, 2)), minContextSlot=10**9))
    side.note("old", side.send(side.signed(pay(side.payer, key, 3), blockhash=Hash.default())))
    young = side.signed(pay(side.payer, key, 4))
    side.note("finalized preflight", side.call("sendTransaction", b64encode(young).decode(), {"encoding": "base64"}))
    side.note("no program", side.send(side.signed(Instruction(NOWHERE, b"", []))))
    side.note("no program lands", side.landed(side.signed(Instruction(NOWHERE, b"", [])), skipPreflight=True))
    side.note("no code", side.send(side.signed(Instruction(side.mint.pubkey(), b"", []))))
    side.note("dust", side.send(side.signed(pay(side.payer, NOWHERE, 5))))
    for name, data in (("bad", b"\x01\x00" + bytes(110)), ("short", b"\x01\x00"), ("none", b"\x00\x00")):
        side.note(f"precompile {name}", side.simulate(side.signed(Instruction(ED25519, data, []))))


def simulating(side: Side) -> None:
    key = side.payer.pubkey()
    wanted = {"accounts": {"addresses": [str(key)], "encoding": "base64"}}
    good, rich = side.signed(pay(side.payer, key, 7)), side.signed(pay(side.payer, key, 10**15))
    old = side.signed(pay(side.payer, key, 7), blockhash=Hash.default())
    side.note("simulated", side.simulate(good))
    side.note("with accounts", side.simulate(good, **wanted))
    side.note("failed with accounts", side.simulate(rich, **wanted))
    side.note("both", side.simulate(good, sigVerify=True, replaceRecentBlockhash=True))
    side.note("old simulated", side.simulate(old)["result"]["value"]["err"])
    side.note("replaced", side.simulate(old, replaceRecentBlockhash=True))
    message = MessageV0.try_compile(key, [pay(side.payer, key, 1)], [], Hash.default())
    side.note("fee", side.call("getFeeForMessage", b64encode(to_bytes_versioned(message)).decode(), AT))


def nonces(side: Side) -> None:
    key, nonce = side.payer.pubkey(), side.nonce.pubkey()
    side.landed(side.signed(*create_nonce_account(key, nonce, key, 1_447_680), signers=[side.nonce]))
    moved = advance_nonce_account(AdvanceNonceAccountParams(nonce_pubkey=nonce, authorized_pubkey=key))
    for name, after in (("fails", pay(side.payer, key, 10**15)), ("no program", Instruction(NOWHERE, b"", []))):
        value = side.value_of_nonce()
        durable = side.signed(moved, after, blockhash=value)
        side.note(f"durable {name}", side.landed(durable, skipPreflight=True))
        side.note(f"durable {name}: burnt", side.value_of_nonce() != value)
        side.note(f"durable {name} again", side.send(durable))
    value = side.value_of_nonce()
    durable = side.signed(moved, pay(side.payer, key, 11), blockhash=value)
    side.note("durable", side.landed(durable))
    side.note("durable moved", side.value_of_nonce() != value)
    message = VersionedTransaction.from_bytes(side.signed(moved, blockhash=side.value_of_nonce())).message
    side.note("durable fee", side.call("getFeeForMessage", b64encode(to_bytes_versioned(message)).decode(), AT))


def told(side: Side) -> dict[str, Any]:
    for part in (begin, accounts, requests, sending, simulating, nonces):
        part(side)
    return {name: steady(answer) for name, answer in side.found.items()}


def steady(answer: Any) -> Any:
    """Return an answer without what passes, and without the text of errors whose wording is a library's."""
    if isinstance(answer, dict):
        answer = {name: steady(value) for name, value in answer.items() if name not in PASSING}
        if answer.get("code") == -32602 and str(answer.get("message", "")).startswith("Invalid params"):
            answer["message"] = "Invalid params"
        return answer
    return [steady(one) for one in answer] if isinstance(answer, list) else answer


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_the_ledger_answers_as_a_validator_does() -> None:
    seed = Keypair().secret()
    with validator() as real:
        expected = await asyncio.to_thread(told, Side(real.url, seed))
    with embedded() as ours:
        found = await asyncio.to_thread(told, Side(ours.url, seed))
    differing = [
        f"{name}\n  validator {json.dumps(expected[name])}\n  ledger    {json.dumps(found[name])}"
        for name in expected
        if found[name] != expected[name]
    ]
    assert not differing, "\n".join(differing)
    assert len(found) > 90
