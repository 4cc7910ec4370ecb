"""@solana/web3.js as it comes from npm, against the ledger on a real socket in real time."""

from __future__ import annotations

import asyncio
import time

import pytest

from settlement.cluster.minting import make_mint, make_token_account, mint_to
from settlement.ledger import Ledger, Node
from settlement.ledger.server import LedgerServer
from settlement.program.addresses import token_account
from tests.npm_packages import packages, run
from tests.settlement.ledger.world import SOL, World

pytestmark = pytest.mark.system
TOKEN = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_web3_js_works_unchanged() -> None:
    packages()
    world = World()
    world.ledger.close()
    world.ledger = Ledger(None, clock_ms=now_ms)
    owner, mint = world.funded(), world.key()
    made = make_mint(owner.pubkey(), mint.pubkey(), owner.pubkey(), 6, world.ledger.rent(82))
    held = [make_token_account(owner.pubkey(), owner.pubkey(), mint.pubkey())]
    brought = mint_to(mint.pubkey(), owner.pubkey(), owner.pubkey(), 1_500_000)
    assert world.submit([*made, *held, brought], owner, mint) is None
    account = str(token_account(owner.pubkey(), mint.pubkey()))
    server = LedgerServer(Node(world.ledger))
    try:
        url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}"
        said = {"url": url, "mint": {"address": str(mint.pubkey()), "held": account}}
        told = await asyncio.to_thread(run, "web3.cjs", said)
    finally:
        await server.close()
        world.ledger.close()
    assert told["version"]["solana-core"] == "4.1.2"
    assert told["genesis"] == str(world.ledger.genesis)
    assert told["airdrop"] == 5 * SOL
    assert told["blockhash"]["valid"] is True
    assert 145 <= told["blockhash"]["ahead"] <= 150
    assert (told["simulated"], told["fee"], told["status"]["err"]) == (None, 5_000, None)
    assert told["balance"] == 3 * SOL
    assert told["refused"]["name"] == "SendTransactionError"
    assert any("insufficient lamports" in line for line in told["refused"]["logs"])
    assert told["transaction"] == {"fee": 5_000, "version": 0, "balances": [2 * SOL - 10_000, 3 * SOL, 1]}
    assert told["parsed"] == [
        {"signer": True, "writable": True},
        {"signer": False, "writable": True},
        {"signer": False, "writable": False},
    ]
    assert told["listed"] == [1, 0]
    assert told["account"] == {"size": 165, "owner": TOKEN, "executable": False}
    assert (told["parsedAccount"], told["several"], told["tokens"]) == ("1.5", [True, True, False], [account])
    assert (told["tokenBalance"], told["supply"], told["programAccounts"]) == ("1500000", "1500000", [account])
    assert (told["rent"], told["epoch"], told["prices"]) == (2_039_280, 0, True)
    assert abs(told["time"] - time.time()) < 60
