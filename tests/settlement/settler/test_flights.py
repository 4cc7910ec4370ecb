"""Transactions under way, over real sockets to a node that does as a script says."""

from __future__ import annotations

import base64
import contextlib
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from settlement.failures import Cause
from settlement.flights import EXPIRY_EVERY_S, EXPIRY_FROM_S, RESEND_S, Ended, Flights
from settlement.keys import SeedKey
from settlement.outbox_records import Attempt, AttemptState
from settlement.rpc import HttpTransport, RpcClient
from settlement.rpc.testing import DROP_AFTER, FakeChain, FakeNode, ScriptedRefusalError
from settlement.transaction import compile_message, sign_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAYER = SeedKey(bytes([3]) * 32)
SUBJECT = bytes([7]) * 32
PREFLIGHT = -32002


class World:
    def __init__(self, chain: FakeChain, node: FakeNode, client: RpcClient) -> None:
        self.chain = chain
        self.node = node
        self.client = client
        self.now_s = 1_000.0
        self.flights = Flights(client, lambda: self.now_s)
        self.asked: list[tuple[str, list[Any]]] = []

    async def attempt(self, subject: bytes = SUBJECT) -> Attempt:
        """A signed transfer, as the outbox would hold it."""
        blockhash = await self.client.blockhash()
        sent = transfer(TransferParams(from_pubkey=_key(PAYER), to_pubkey=Pubkey.default(), lamports=7))
        message = compile_message(PAYER.public_key, [sent], blockhash.value, units=450, price=0)
        signed = sign_message(message, [PAYER])
        return Attempt(
            seq=1,
            subject=subject,
            action="transfer",
            number=1,
            transaction=signed.encoded,
            signature=signed.signature,
            blockhash=blockhash.value,
            last_valid_block_height=blockhash.last_valid_block_height,
            slot=blockhash.slot,
            price=0,
        )

    async def later(self, seconds: float) -> list[Ended]:
        self.now_s += seconds
        return await self.flights.check()


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    chain = FakeChain()
    made: list[World] = []

    def answer(method: str, params: list[Any]) -> Any:
        made[0].asked.append((method, params))
        return chain.answer(method, params)

    async with FakeNode(answer) as node:
        transport = HttpTransport()
        client = RpcClient(
            [node.url], chain.genesis_hash, transport, monotonic_s=lambda: made[0].now_s, rng=random.Random(1)
        )
        made.append(World(chain, node, client))
        try:
            yield made[0]
        finally:
            await transport.close()


async def test_a_transfer_lands_and_is_over() -> None:
    async with world() as w:
        attempt = await w.attempt()
        assert await w.flights.launch([attempt]) == []
        assert SUBJECT in w.flights
        assert w.chain.sent == [attempt.transaction]
        (ended,) = await w.later(1)
        assert ended.attempt == replace(attempt, state=AttemptState.LANDED, transaction=b"")
        assert ended.slot == w.chain.slot
        assert len(w.flights) == 0


async def test_hash_and_preflight_are_confirmed_ones_and_the_node_does_not_repeat_for_us() -> None:
    """Libraries ask for finalized by default: a hash that is 32 slots old at its birth."""
    async with world() as w:
        await w.flights.launch([await w.attempt()])
        options = {method: params[-1] for method, params in w.asked if params}
        assert options["getLatestBlockhash"]["commitment"] == "confirmed"
        assert options["sendTransaction"] == {
            "encoding": "base64",
            "skipPreflight": False,
            "preflightCommitment": "confirmed",
            "maxRetries": 0,
            "minContextSlot": w.chain.slot,
        }


async def test_what_fails_on_the_chain_is_no_success_because_it_landed() -> None:
    async with world() as w:
        w.chain.on_send = lambda _transaction: {"InstructionError": [2, {"Custom": 6_007}]}
        await w.flights.launch([await w.attempt()])
        (ended,) = await w.later(1)
        assert ended.attempt.state is AttemptState.FAILED
        assert ended.attempt.error == "not yet: the delivery, the window or the delay has not ended (6007)"


async def test_what_a_node_refuses_before_anybody_has_it_is_over_at_once() -> None:
    async with world() as w:

        def refuse(_transaction: bytes) -> object:
            raise ScriptedRefusalError(PREFLIGHT, "simulation failed", {"err": "AccountNotFound"})

        w.chain.on_send = refuse
        (ended,) = await w.flights.launch([await w.attempt()])
        assert ended.attempt.state is AttemptState.FAILED
        assert ended.explained is not None
        assert ended.explained.cause is Cause.NO_SOL
        assert len(w.flights) == 0


@pytest.mark.parametrize("data", [None, {}, {"err": None}])
async def test_a_refusal_without_a_reason_is_one_all_the_same(data: object) -> None:
    async with world() as w:

        def refuse(_transaction: bytes) -> object:
            raise ScriptedRefusalError(PREFLIGHT, "Transaction simulation failed", data)

        w.chain.on_send = refuse
        (ended,) = await w.flights.launch([await w.attempt()])
        assert ended.attempt.error == "Transaction simulation failed"


async def test_a_refusal_after_a_lost_answer_decides_nothing() -> None:
    """The node has it, though its answer was lost: what is said of the repetition is no news."""
    async with world() as w:
        attempt = await w.attempt()
        w.node.faults.append(DROP_AFTER)
        assert await w.flights.launch([attempt]) == []
        w.chain.landed.clear()

        def refuse(_transaction: bytes) -> object:
            raise ScriptedRefusalError(PREFLIGHT, "simulation failed", {"err": {"InstructionError": [0, "Custom"]}})

        w.chain.on_send = refuse
        assert await w.later(RESEND_S) == []
        assert SUBJECT in w.flights
        assert [params[-1]["skipPreflight"] for method, params in w.asked if method == "sendTransaction"] == [
            False,
            True,
        ]


async def test_processed_already_is_looked_up_as_what_it_is() -> None:
    async with world() as w:
        attempt = await w.attempt()
        w.chain.answer("sendTransaction", [_base64(attempt.transaction)])
        assert await w.flights.launch([attempt]) == []
        (ended,) = await w.later(1)
        assert ended.attempt.state is AttemptState.LANDED


async def test_the_same_bytes_go_again_every_two_seconds_until_they_are_seen() -> None:
    async with world() as w:
        w.chain.lands = False
        attempt = await w.attempt()
        await w.flights.launch([attempt])
        for _ in range(10):
            await w.later(RESEND_S / 2)
        assert w.chain.sent == [attempt.transaction] * 6
        w.chain.lands = True
        w.chain.answer("sendTransaction", [_base64(attempt.transaction)])
        (status,) = w.chain.landed.values()
        status["confirmationStatus"] = "confirmed"
        sent = len(w.chain.sent)
        for _ in range(5):
            assert await w.later(RESEND_S) == []
        assert len(w.chain.sent) == sent, "it was seen"
        status["confirmationStatus"] = "finalized"
        assert len(await w.later(1)) == 1


async def test_it_has_expired_only_above_its_height_and_when_history_knows_nothing() -> None:
    async with world() as w:
        w.chain.lands = False
        attempt = await w.attempt()
        await w.flights.launch([attempt])
        assert await w.later(EXPIRY_FROM_S) == []
        w.chain.block_height = attempt.last_valid_block_height
        assert await w.later(EXPIRY_EVERY_S) == [], "the last block in which it may land"
        w.chain.block_height += 1
        w.chain.finalized_lag = 1
        assert await w.later(EXPIRY_EVERY_S) == [], "which is not final yet"
        w.chain.slot += 1
        w.chain.block_height += 1
        w.asked.clear()
        (ended,) = await w.later(EXPIRY_EVERY_S)
        assert ended.attempt.state is AttemptState.EXPIRED
        asked = [method for method, _ in w.asked]
        last = [params for method, params in w.asked if method == "getSignatureStatuses"][-1]
        assert asked.index("getBlockHeight") < len(asked) - 1 - asked[::-1].index("getSignatureStatuses")
        assert last[-1] == {"searchTransactionHistory": True}


async def test_what_landed_in_the_last_block_has_not_expired() -> None:
    async with world() as w:
        w.chain.lands = False
        attempt = await w.attempt()
        await w.flights.launch([attempt])
        w.chain.block_height = attempt.last_valid_block_height + 1
        w.chain.lands = True
        seen: list[str] = []

        def land_late(method: str, params: list[Any]) -> Any:
            result = w.chain.answer(method, params)
            seen.append(method)
            if method == "getBlockHeight":
                w.chain.answer("sendTransaction", [_base64(attempt.transaction)])
            return result

        w.node._answer = land_late
        (ended,) = await w.later(EXPIRY_FROM_S)
        assert ended.attempt.state is AttemptState.LANDED
        assert "getBlockHeight" in seen


async def test_a_restart_asks_history_before_it_sends_anything() -> None:
    async with world() as w:
        attempt = await w.attempt()
        w.chain.answer("sendTransaction", [_base64(attempt.transaction)])
        w.asked.clear()
        w.flights.resume([attempt])
        (ended,) = await w.later(0)
        assert ended.attempt.state is AttemptState.LANDED
        assert [(method, params[-1]) for method, params in w.asked] == [
            ("getSignatureStatuses", {"searchTransactionHistory": True})
        ]


async def test_an_old_hash_is_no_end_before_it_is_certain() -> None:
    async with world() as w:

        def refuse(_transaction: bytes) -> object:
            raise ScriptedRefusalError(PREFLIGHT, "Blockhash not found", {"err": "BlockhashNotFound"})

        w.chain.on_send = refuse
        attempt = await w.attempt()
        assert await w.flights.launch([attempt]) == []
        w.chain.block_height = attempt.last_valid_block_height + 1
        (ended,) = await w.later(1)
        assert ended.attempt.state is AttemptState.EXPIRED, "asked for at once: the node said that it is old"


def _key(signer: SeedKey) -> Pubkey:
    return Pubkey.from_bytes(signer.public_key)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
