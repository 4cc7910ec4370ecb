from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from settlement.ledger import Answer, FaultError, Faults, Node
from settlement.ledger.faults import NAMES
from tests.settlement.ledger.world import SOL, World, pay


def asked(node: Node, method: str, *params: Any) -> Answer | None:
    return node.handle(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode())


def result(node: Node, method: str, *params: Any) -> Any:
    answer = asked(node, method, *params)
    assert answer is not None
    return json.loads(answer.body)["result"]


def test_all_is_off_by_default() -> None:
    node = Node(World().ledger)
    assert all(result(node, "getHealth") == "ok" for _ in range(100))


def test_every_nth_request_is_limited() -> None:
    node = Node(World().ledger, Faults(rate_limit=3, retry_after_s=7))
    answers = [asked(node, "getSlot") for _ in range(6)]
    assert [answer.status for answer in answers if answer] == [200, 200, 429, 200, 200, 429]
    limited = answers[2]
    assert limited is not None
    assert limited.headers["retry-after"] == "7"
    assert json.loads(limited.body)["id"] is None
    node.faults.retry_after_s = 0
    node.faults.rate_limit = 1
    unsaid = asked(node, "getSlot")
    assert unsaid is not None
    assert "retry-after" not in unsaid.headers


def test_gateways_that_are_none() -> None:
    node = Node(World().ledger, Faults(bad_gateway=1))
    bad = asked(node, "getSlot")
    assert bad is not None
    assert bad.status == 502
    node.faults.bad_gateway, node.faults.html = 0, 1
    page = asked(node, "getSlot")
    assert page is not None
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.body.startswith(b"<!DOCTYPE html>")


def test_a_dropped_request_is_not_carried_out_and_a_muted_one_is() -> None:
    world = World()
    node, to = Node(world.ledger), world.key().pubkey()
    node.faults.drop = 1
    assert asked(node, "requestAirdrop", str(to), SOL) is None
    assert world.lamports(to) == 0
    node.faults.drop, node.faults.mute = 0, 1
    assert asked(node, "requestAirdrop", str(to), SOL) is None
    assert world.lamports(to) == SOL


def test_a_lost_transaction_is_accepted_and_never_executed() -> None:
    world = World()
    node, payer = Node(world.ledger, Faults(lose=1)), world.funded()
    sent = world.signed([pay(payer, world.ledger.faucet.pubkey(), SOL)], payer)
    encoded = [b64encode(sent.wire).decode(), {"encoding": "base64", "preflightCommitment": "processed"}]
    assert result(node, "sendTransaction", *encoded) == str(sent.signature)
    world.wait(200)
    assert result(node, "getSignatureStatuses", [str(sent.signature)], {"searchTransactionHistory": True})["value"] == [
        None
    ]
    assert world.lamports(payer.pubkey()) == 100 * SOL


def test_a_stale_node_shows_what_was_and_says_that_it_is_behind() -> None:
    world = World()
    fresh, stale = Node(world.ledger), Node(world.ledger, Faults(stale=20))
    to = world.key().pubkey()
    for amount in range(1, 61):
        world.wait(1)
        assert world.submit([pay(world.ledger.faucet, to, SOL + amount)], world.ledger.faucet) is None
    at = {"commitment": "processed"}
    paid = sum(SOL + amount for amount in range(1, 61))
    assert result(fresh, "getBalance", str(to), at)["value"] == paid
    assert result(stale, "getBalance", str(to), at)["value"] == sum(SOL + amount for amount in range(1, 41))
    assert result(stale, "getBalance", str(to))["value"] == sum(SOL + amount for amount in range(1, 9))
    assert result(fresh, "getSlot", at) - result(stale, "getSlot", at) == 20
    answer = asked(stale, "getHealth")
    assert answer is not None
    error = json.loads(answer.body)["error"]
    assert error == {"code": -32005, "message": "Node is behind by 20 slots", "data": {"numSlotsBehind": 20}}
    newest = result(fresh, "getSignaturesForAddress", str(to), {"commitment": "confirmed", "limit": 1})[0]["signature"]
    assert result(stale, "getSignatureStatuses", [newest])["value"] == [None]
    least = {"commitment": "processed", "minContextSlot": result(fresh, "getSlot", at)}
    refused = asked(stale, "getBalance", str(to), least)
    assert refused is not None
    assert json.loads(refused.body)["error"]["code"] == -32016


def test_a_node_of_another_cluster() -> None:
    ledger = World().ledger
    assert result(Node(ledger, Faults(wrong_genesis=1)), "getGenesisHash") != result(Node(ledger), "getGenesisHash")


@pytest.mark.parametrize("name", NAMES)
def test_every_fault_is_switched_by_its_name(name: str) -> None:
    faults = Faults()
    faults.put(f"{name}=1")
    assert getattr(faults, name.replace("-", "_")) == 1


@pytest.mark.parametrize(
    "text",
    ["", "nothing=1", "lose", "lose=", "lose=-1", "lose=x", "lose=1000001", "stale=151", "wrong-genesis=2", "seen=1"],
)
def test_a_fault_that_cannot_be_is_told(text: str) -> None:
    with pytest.raises(FaultError):
        Faults().put(text)
