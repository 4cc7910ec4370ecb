"""What a node answers, call by call."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from settlement.cluster.minting import make_mint, make_token_account, mint_to
from settlement.ledger import Node, RpcError, Settings
from settlement.ledger.limits import AIRDROP_LAMPORTS_MAX, BATCH_MAX, BODY_BYTES_MAX
from settlement.ledger.node import METHODS
from settlement.program.addresses import token_account
from tests.settlement.ledger.world import SOL, START_MS, World, pay

PROCESSED = {"commitment": "processed"}
TOKEN = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
DOCUMENT = Path(__file__).parents[3] / "docs" / "ledger.md"


class Case:
    """A world with a node and somebody who can pay."""

    def __init__(self) -> None:
        self.world = World(settings=Settings(confirmed_lag=1, finalized_lag=4))
        self.node = Node(self.world.ledger)
        self.payer = self.world.funded()
        self.world.wait(8)

    def call(self, method: str, *params: Any) -> Any:
        return self.node.call(method, list(params))

    def value(self, method: str, *params: Any) -> Any:
        return self.call(method, *params)["value"]

    def refusal(self, method: str, *params: Any) -> tuple[int, str, Any]:
        with pytest.raises(RpcError) as caught:
            self.call(method, *params)
        return caught.value.code, caught.value.message, caught.value.data

    def encoded(self, *instructions: Any, blockhash: Hash | None = None) -> str:
        return b64encode(self.world.signed(instructions, self.payer, blockhash=blockhash).wire).decode()

    def send(self, encoded: str, **options: Any) -> Any:
        return self.call("sendTransaction", encoded, {"encoding": "base64", **options})

    def currency(self) -> Pubkey:
        """Return a mint of which the payer holds 1.25."""
        mint, key = self.world.key(), self.payer.pubkey()
        made = make_mint(key, mint.pubkey(), key, 6, self.world.ledger.rent(82))
        held = [make_token_account(key, key, mint.pubkey()), mint_to(mint.pubkey(), key, key, 1_250_000)]
        assert self.world.submit([*made, *held], self.payer, mint) is None
        return mint.pubkey()


def test_the_document_lists_every_method() -> None:
    listed = DOCUMENT.read_text().split("## JSON-RPC")[1].split(".")[0]
    assert sorted(listed.replace("\n", " ").strip().split(", ")) == sorted(METHODS)


def test_slots_heights_and_times() -> None:
    case = Case()
    assert case.call("getSlot", PROCESSED) == case.call("getBlockHeight", PROCESSED) == 9
    assert case.call("getSlot") == 5
    assert case.call("getBlockTime", 9) == START_MS // 1_000 + 8 * 400 // 1_000
    assert case.refusal("getBlockTime", 10) == (-32004, "Block not available for slot 10", None)
    info = case.call("getEpochInfo", PROCESSED)
    assert (info["absoluteSlot"], info["slotIndex"], info["epoch"], info["transactionCount"]) == (9, 9, 0, 1)
    assert case.call("getTransactionCount", PROCESSED) == 1


def test_a_slot_that_passed_while_the_ledger_was_down_was_skipped(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.time.slots(10_000)
    world.restart()
    with pytest.raises(RpcError) as caught:
        Node(world.ledger).call("getBlockTime", [5_000])
    assert (caught.value.code, caught.value.message) == (
        -32007,
        "Slot 5000 was skipped, or missing due to ledger jump to recent snapshot",
    )


def test_blockhashes_come_with_their_last_height() -> None:
    case = Case()
    found = case.call("getLatestBlockhash", {"commitment": "confirmed"})
    assert found["value"]["lastValidBlockHeight"] == 8 + 150
    assert found["context"]["slot"] == 8
    assert case.value("isBlockhashValid", found["value"]["blockhash"], PROCESSED) is True
    assert case.value("isBlockhashValid", found["value"]["blockhash"]) is False
    assert case.value("isBlockhashValid", str(Hash.default()), PROCESSED) is False
    assert case.refusal("isBlockhashValid", "zz")[0] == -32602


def test_the_clock_is_read_at_its_level() -> None:
    case = Case()
    clock = "SysvarC1ock11111111111111111111111111111111"
    slots = []
    for level in ("processed", "confirmed", "finalized"):
        data = case.value("getAccountInfo", clock, {"encoding": "base64", "commitment": level})["data"]
        raw = b64decode(data[0])
        slots.append(int.from_bytes(raw[:8], "little"))
        assert int.from_bytes(raw[32:], "little") == (START_MS + (slots[-1] - 1) * 400) // 1_000
    assert slots == [9, 8, 5]


def test_balances_and_accounts() -> None:
    case = Case()
    key = str(case.payer.pubkey())
    assert case.value("getBalance", key) == 100 * SOL
    assert case.value("getBalance", str(Pubkey.new_unique())) == 0
    assert case.value("getAccountInfo", str(Pubkey.new_unique())) is None
    account = case.value("getAccountInfo", key, {"encoding": "base64"})
    assert account == {
        "data": ["", "base64"],
        "executable": False,
        "lamports": 100 * SOL,
        "owner": "11111111111111111111111111111111",
        "rentEpoch": 18446744073709551615,
        "space": 0,
    }
    assert case.value("getMultipleAccounts", [key, str(Pubkey.new_unique())]) == [account, None]
    assert case.refusal("getBalance", "abc") == (-32602, "Invalid param: WrongSize", None)
    assert case.refusal("getBalance", "0" * 32) == (-32602, "Invalid param: Invalid", None)
    assert case.refusal("getBalance") == (-32602, "`params` should have at least 1 argument(s)", None)
    assert case.refusal("getMultipleAccounts", [key] * 101)[1] == "Too many inputs provided; max 100"


def test_account_data_in_every_encoding() -> None:
    case = Case()
    mint = case.currency()
    held, at = str(token_account(case.payer.pubkey(), mint)), {"commitment": "processed"}
    assert case.refusal("getAccountInfo", held, {**at, "encoding": "base58"})[0] == -32600
    part = {"dataSlice": {"offset": 64, "length": 8}}
    assert case.value("getAccountInfo", held, {**at, **part, "encoding": "base58"})["data"][1] == "base58"
    sliced = case.value("getAccountInfo", held, {**at, **part, "encoding": "base64"})["data"]
    assert int.from_bytes(b64decode(sliced[0]), "little") == 1_250_000
    parsed = case.value("getAccountInfo", held, {**at, "encoding": "jsonParsed"})["data"]
    assert parsed["program"] == "spl-token"
    assert parsed["parsed"]["type"] == "account"
    amount = {"amount": "1250000", "decimals": 6, "uiAmount": 1.25, "uiAmountString": "1.25"}
    assert parsed["parsed"]["info"]["tokenAmount"] == amount
    assert parsed["parsed"]["info"]["owner"] == str(case.payer.pubkey())
    minted = case.value("getAccountInfo", str(mint), {**at, "encoding": "jsonParsed"})["data"]["parsed"]
    assert (minted["type"], minted["info"]["supply"], minted["info"]["decimals"]) == ("mint", "1250000", 6)
    assert case.value("getTokenAccountBalance", held, at) == amount
    assert case.value("getTokenSupply", str(mint), at) == amount
    assert case.refusal("getTokenAccountBalance", held)[1] == "Invalid param: could not find account"
    assert case.refusal("getTokenSupply", held, at)[1] == "Invalid param: mint could not be unpacked"
    assert case.refusal("getAccountInfo", held, {"encoding": "hex"})[0] == -32602
    framed = case.value("getAccountInfo", str(mint), {**at, "encoding": "base64+zstd"})["data"]
    plain = case.value("getAccountInfo", str(mint), {**at, "encoding": "base64"})["data"]
    assert b64decode(framed[0])[-82:] == b64decode(plain[0])
    assert framed[1] == "base64+zstd"


def test_token_accounts_and_program_accounts_are_found() -> None:
    case = Case()
    mint, owner = case.currency(), str(case.payer.pubkey())
    held = str(token_account(case.payer.pubkey(), mint))
    for asked in ({"mint": str(mint)}, {"programId": TOKEN}):
        found = case.value("getTokenAccountsByOwner", owner, asked, {"encoding": "jsonParsed", **PROCESSED})
        assert [one["pubkey"] for one in found] == [held]
    assert case.value("getTokenAccountsByDelegate", owner, {"mint": str(mint)}, PROCESSED) == []
    assert case.refusal("getTokenAccountsByOwner", owner, {"mint": held[::-1]}, PROCESSED)[0] == -32602
    assert case.refusal("getTokenAccountsByOwner", owner, {}, PROCESSED)[0] == -32602
    wanted = [{"dataSize": 165}, {"memcmp": {"offset": 32, "bytes": owner}}]
    options = {"encoding": "base64", "filters": wanted, **PROCESSED}
    assert [one["pubkey"] for one in case.call("getProgramAccounts", TOKEN, options)] == [held]
    assert case.call("getProgramAccounts", TOKEN, {"filters": wanted}) == []
    raw = {"memcmp": {"offset": 0, "bytes": b64encode(bytes(mint)).decode(), "encoding": "base64"}}
    counted = case.call("getProgramAccounts", TOKEN, {**options, "filters": [raw], "withContext": True})
    assert len(counted["value"]) == 1
    assert case.refusal("getProgramAccounts", TOKEN, {"filters": [{"dataSize": 1}] * 5})[0] == -32602
    assert case.refusal("getProgramAccounts", TOKEN, {"filters": [{"other": 1}]})[0] == -32602


def test_a_transaction_is_sent_and_found_again() -> None:
    case = Case()
    to = case.world.key().pubkey()
    sent = case.send(case.encoded(pay(case.payer, to, SOL)), preflightCommitment="confirmed", maxRetries=0)
    (status,) = case.value("getSignatureStatuses", [sent])
    assert (status["slot"], status["confirmations"], status["err"], status["confirmationStatus"]) == (
        9,
        0,
        None,
        "processed",
    )
    assert case.call("getTransaction", sent, {"commitment": "confirmed", "maxSupportedTransactionVersion": 0}) is None
    case.world.wait(4)
    assert case.value("getSignatureStatuses", [sent])[0]["confirmationStatus"] == "finalized"
    found = case.call("getTransaction", sent, {"maxSupportedTransactionVersion": 0})
    meta, message = found["meta"], found["transaction"]["message"]
    assert (found["slot"], found["version"], found["transaction"]["signatures"]) == (9, 0, [sent])
    assert (meta["fee"], meta["err"], meta["computeUnitsConsumed"]) == (5_000, None, 150)
    assert (meta["preBalances"], meta["postBalances"]) == ([100 * SOL, 0, 1], [99 * SOL - 5_000, SOL, 1])
    assert message["accountKeys"] == [str(case.payer.pubkey()), str(to), "11111111111111111111111111111111"]
    parsed = case.call("getTransaction", sent, {"encoding": "jsonParsed", "maxSupportedTransactionVersion": 0})
    signer = {"pubkey": str(case.payer.pubkey()), "signer": True, "writable": True, "source": "transaction"}
    assert parsed["transaction"]["message"]["accountKeys"][0] == signer
    code, text, _ = case.refusal("getTransaction", sent)
    assert (code, text.split(" is ")[0]) == (-32015, "Transaction version (0)")
    assert case.refusal("getTransaction", sent, PROCESSED)[1] == "Method does not support commitment below `confirmed`"
    (listed,) = case.call("getSignaturesForAddress", str(to))
    assert (listed["signature"], listed["slot"], listed["err"]) == (sent, 9, None)


def test_token_balances_are_told_with_a_transaction() -> None:
    case = Case()
    mint = case.currency()
    (listed,) = case.call("getSignaturesForAddress", str(mint), {"commitment": "confirmed"}) or [None]
    assert listed is None
    case.world.wait(4)
    (listed,) = case.call("getSignaturesForAddress", str(mint))
    meta = case.call("getTransaction", listed["signature"], {"maxSupportedTransactionVersion": 0})["meta"]
    assert meta["preTokenBalances"] == []
    (balance,) = meta["postTokenBalances"]
    assert (balance["mint"], balance["uiTokenAmount"]["uiAmountString"]) == (str(mint), "1.25")
    assert meta["innerInstructions"][0]["instructions"][0]["stackHeight"] == 2


def test_pages_of_signatures() -> None:
    case = Case()
    to = case.world.key().pubkey()
    sent = []
    for amount in range(1, 6):
        sent.append(case.send(case.encoded(pay(case.payer, to, SOL + amount)), preflightCommitment="confirmed"))
        case.world.wait(2)
    case.world.wait(4)
    newest = sent[::-1]

    def page(**options: Any) -> list[str]:
        return [one["signature"] for one in case.call("getSignaturesForAddress", str(to), options)]

    assert page() == newest
    assert page(limit=2) == newest[:2]
    assert page(before=newest[1], limit=2) == newest[2:4]
    assert page(until=newest[3]) == newest[:3]
    unknown = {"before": str(Signature.default())}
    assert case.refusal("getSignaturesForAddress", str(to), unknown)[:2] == (
        -32020,
        f"Transaction {'1' * 64} not found",
    )
    assert case.refusal("getSignaturesForAddress", str(to), {"limit": 1_001})[1] == "Invalid limit; max 1000"


def test_a_preflight_that_fails_is_told_with_its_logs_and_nothing_is_sent() -> None:
    case = Case()
    encoded = case.encoded(pay(case.payer, case.world.key().pubkey(), 200 * SOL))
    with pytest.raises(RpcError) as caught:
        case.send(encoded, preflightCommitment="confirmed")
    assert caught.value.code == -32002
    assert caught.value.message == (
        "Transaction simulation failed: Error processing Instruction 0: custom program error: 0x1"
    )
    assert caught.value.data["err"] == {"InstructionError": [0, {"Custom": 1}]}
    assert any("insufficient lamports" in line for line in caught.value.data["logs"])
    assert case.value("getBalance", str(case.payer.pubkey()), PROCESSED) == 100 * SOL
    assert case.send(encoded, skipPreflight=True)
    assert case.value("getBalance", str(case.payer.pubkey()), PROCESSED) == 100 * SOL - 5_000


def test_a_preflight_sees_the_state_of_its_own_level() -> None:
    case = Case()
    fresh = case.encoded(pay(case.payer, case.payer.pubkey(), 1))
    assert "Blockhash not found" in _refused(case, fresh)
    young = case.world.funded()
    wire = case.world.signed([pay(young, young.pubkey(), 1)], young, blockhash=case.world.blockhash("finalized")).wire
    text = b64encode(wire).decode()
    assert "no record of a prior credit" in _refused(case, text)
    assert case.send(text, preflightCommitment="processed")


def _refused(case: Case, encoded: str) -> str:
    with pytest.raises(RpcError) as caught:
        case.send(encoded)
    assert caught.value.code == -32002
    return caught.value.message


def test_what_cannot_be_sent() -> None:
    case = Case()
    good = case.world.signed([pay(case.payer, case.payer.pubkey(), 1)], case.payer)
    forged = VersionedTransaction.populate(good.message, [Signature.default()])
    encoded = b64encode(bytes(forged)).decode()
    options = {"encoding": "base64", "preflightCommitment": "confirmed"}
    code, message, data = case.refusal("sendTransaction", encoded, options)
    assert (code, data["err"], data["logs"]) == (-32002, "SignatureFailure", [])
    assert message == "Transaction simulation failed: Transaction did not pass signature verification"
    simulated = case.value("simulateTransaction", encoded, {**options, "sigVerify": True, "commitment": "confirmed"})
    assert simulated["err"] == "SignatureFailure"
    assert case.send(encoded, skipPreflight=True) == str(Signature.default())
    assert case.value("getSignatureStatuses", [str(Signature.default())]) == [None]
    assert case.refusal("sendTransaction", "====", options)[0] == -32602
    assert case.refusal("sendTransaction", b64encode(bytes(10)).decode(), options)[0] == -32602
    assert case.refusal("sendTransaction", b64encode(bytes(1_233)).decode(), options)[0] == -32602
    assert case.refusal("sendTransaction", encoded, {**options, "minContextSlot": 10_000}) == (
        -32016,
        "Minimum context slot has not been reached",
        {"contextSlot": 8},
    )
    sent = case.send(b64encode(good.wire).decode(), preflightCommitment="confirmed")
    assert sent == str(good.signature)
    code, message, data = case.refusal(
        "sendTransaction", b64encode(good.wire).decode(), {**options, "preflightCommitment": "processed"}
    )
    assert (code, data["err"]) == (-32002, "AlreadyProcessed")
    assert message == "Transaction simulation failed: This transaction has already been processed"


def test_simulation_says_what_would_be_and_changes_nothing() -> None:
    case = Case()
    to = case.world.key().pubkey()
    encoded = case.encoded(pay(case.payer, to, SOL))
    options = {"encoding": "base64", "commitment": "processed", "sigVerify": True}
    wanted = {"accounts": {"encoding": "base64", "addresses": [str(to)]}}
    found = case.value("simulateTransaction", encoded, {**options, **wanted, "innerInstructions": True})
    assert (found["err"], found["unitsConsumed"], found["innerInstructions"]) == (None, 150, [])
    assert found["accounts"][0]["lamports"] == SOL
    assert case.value("getBalance", str(to), PROCESSED) == 0
    old = case.encoded(pay(case.payer, to, SOL), blockhash=Hash.new_unique())
    options["sigVerify"] = False
    assert case.value("simulateTransaction", old, options)["err"] == "BlockhashNotFound"
    replaced = case.value("simulateTransaction", old, {**options, "replaceRecentBlockhash": True})
    assert replaced["err"] is None
    assert replaced["replacementBlockhash"]["lastValidBlockHeight"] == 9 + 150
    both = {**options, "sigVerify": True, "replaceRecentBlockhash": True}
    assert case.refusal("simulateTransaction", old, both)[1] == "sigVerify may not be used with replaceRecentBlockhash"


def test_fees_and_prices() -> None:
    case = Case()
    budget = [set_compute_unit_limit(1_000), set_compute_unit_price(10_000)]
    moved = pay(case.payer, case.payer.pubkey(), 1)
    message = MessageV0.try_compile(case.payer.pubkey(), [*budget, moved], [], case.world.blockhash())
    text = b64encode(to_bytes_versioned(message)).decode()
    assert case.value("getFeeForMessage", text, PROCESSED) == 5_010
    assert case.value("getFeeForMessage", text) is None
    before = case.value("getBalance", str(case.payer.pubkey()), PROCESSED)
    case.send(case.encoded(*budget, moved), preflightCommitment="confirmed")
    assert before - case.value("getBalance", str(case.payer.pubkey()), PROCESSED) == 5_010
    paid = case.call("getRecentPrioritizationFees", [str(case.payer.pubkey())])
    assert paid[-1] == {"slot": 9, "prioritizationFee": 10_000}
    assert paid[-2] == {"slot": 8, "prioritizationFee": 0}
    assert case.call("getRecentPrioritizationFees", [str(case.world.key().pubkey())])[-1]["prioritizationFee"] == 10_000
    assert case.call("getMinimumBalanceForRentExemption", 0) == 890_880
    assert case.refusal("getFeeForMessage", b64encode(b"nonsense").decode())[0] == -32602


def test_the_faucet_pays_as_often_as_it_is_asked() -> None:
    case = Case()
    to = str(case.world.key().pubkey())
    sent = {case.call("requestAirdrop", to, SOL) for _ in range(3)}
    assert len(sent) == 3
    assert case.value("getBalance", to, PROCESSED) == 3 * SOL
    assert case.refusal("requestAirdrop", to, AIRDROP_LAMPORTS_MAX + 1)[0] == -32602
    assert case.refusal("requestAirdrop", to, -1)[0] == -32602


def test_who_it_is() -> None:
    case = Case()
    assert case.call("getHealth") == "ok"
    assert case.call("getGenesisHash") == str(case.world.ledger.genesis)
    version = case.call("getVersion")
    assert version["solana-core"].count(".") == 2
    assert 0 < version["feature-set"] < 1 << 32


def asked(node: Node, body: Any) -> Any:
    answer = node.handle(json.dumps(body).encode() if not isinstance(body, bytes) else body)
    assert answer is not None
    assert answer.status == 200
    return json.loads(answer.body) if answer.body else None


@pytest.mark.parametrize(
    ("body", "code", "number"),
    [
        (b"{", -32700, None),
        (b"[" * 40_000, -32700, None),
        ("text", -32700, None),
        ({"jsonrpc": "2.0", "id": 1.5, "method": "getSlot"}, -32700, None),
        ({"jsonrpc": "2.0", "id": {}, "method": "getSlot"}, -32700, None),
        ([{"jsonrpc": "2.0", "id": 1, "method": "getSlot"}, 5], -32700, None),
        ({"id": 1, "method": "getSlot"}, -32600, 1),
        ({"jsonrpc": "2.0", "id": 1}, -32600, 1),
        ({"jsonrpc": "2.0", "id": "a", "method": "getNothing"}, -32601, "a"),
        ({"jsonrpc": "2.0", "id": 2, "method": "getBalance"}, -32602, 2),
        ({"jsonrpc": "2.0", "id": 2, "method": "getBalance", "params": {"a": 1}}, -32602, 2),
        ({"jsonrpc": "2.0", "id": 2, "method": "getBalance", "params": [5]}, -32602, 2),
        ({"jsonrpc": "2.0", "id": 2, "method": "getSlot", "params": [1]}, -32602, 2),
        ({"jsonrpc": "2.0", "id": 2, "method": "getSlot", "params": [{}, 1]}, -32602, 2),
        ({"jsonrpc": "2.0", "id": 2, "method": "getHealth", "params": [1]}, -32602, 2),
        ({"jsonrpc": "2.0", "id": 2, "method": "getSlot", "params": [{"minContextSlot": 1 << 40}]}, -32016, 2),
        ([{"jsonrpc": "2.0", "id": 1, "method": "getSlot"}] * (BATCH_MAX + 1), -32600, None),
    ],
)
def test_requests_that_make_no_sense(body: Any, code: int, number: Any) -> None:
    answer = asked(Case().node, body)
    assert (answer["error"]["code"], answer["id"]) == (code, number)


def test_batches_and_notifications() -> None:
    node = Case().node
    slot = {"jsonrpc": "2.0", "id": 1, "method": "getSlot"}
    answers = asked(node, [slot, {**slot, "id": 2, "method": "getNothing"}, {"jsonrpc": "2.0", "method": "getSlot"}])
    assert [one["id"] for one in answers] == [1, 2]
    assert (answers[0]["result"], answers[1]["error"]["code"]) == (5, -32601)
    assert asked(node, {"jsonrpc": "2.0", "method": "getSlot"}) is None
    assert asked(node, []) is None
    too_long = node.handle(bytes(BODY_BYTES_MAX + 1))
    assert too_long is not None
    assert too_long.status == 413
