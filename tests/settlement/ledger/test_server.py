"""Clients as they are, against the ledger on a real socket."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Confirmed
from solana.rpc.models import TxOpts
from solders.message import MessageV0
from solders.transaction import VersionedTransaction

from settlement.ledger import Faults, Node, Settings
from settlement.ledger.server import LedgerServer
from tests.settlement.ledger.world import SOL, World, pay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def served(world: World, faults: Faults | None = None) -> AsyncIterator[str]:
    server = LedgerServer(Node(world.ledger, faults))
    port = await server.start("127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.close()
        world.ledger.close()


async def test_solana_py_pays_and_sees_it_land() -> None:
    world = World(settings=Settings(confirmed_lag=0, finalized_lag=1))
    payer, to = world.key(), world.key().pubkey()
    async with served(world) as url, AsyncClient(url, commitment=Confirmed) as client:
        assert await client.is_connected()
        airdrop = (await client.request_airdrop(payer.pubkey(), 10 * SOL)).value
        assert (await client.get_signature_statuses([airdrop])).value[0] is not None
        blockhash = (await client.get_latest_blockhash()).value.blockhash
        message = MessageV0.try_compile(payer.pubkey(), [pay(payer, to, SOL)], [], blockhash)
        paid = VersionedTransaction(message, [payer])
        sent = await client.send_transaction(paid, opts=TxOpts(preflight_commitment=Confirmed))
        assert sent.value == paid.signatures[0]
        confirmed = await client.confirm_transaction(sent.value, commitment=Confirmed)
        status = confirmed.value[0]
        assert status is not None
        assert status.err is None
        assert (await client.get_balance(to)).value == SOL
        found = (await client.get_transaction(sent.value, max_supported_transaction_version=0)).value
        assert found is not None
        assert found.transaction.meta is not None
        assert found.transaction.meta.post_balances[1] == SOL
