"""Clients as they are, against the ledger on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Confirmed
from solana.rpc.models import TxOpts
from solders.message import MessageV0
from solders.transaction import VersionedTransaction

from settlement.ledger import Faults, LedgerFileError, Node, Settings
from settlement.ledger.limits import BODY_BYTES_MAX, CONNECTIONS_MAX
from settlement.ledger.server import LedgerServer, PortTakenError, _listen
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


async def test_answers_do_not_wait_for_the_acknowledgement_of_their_first_part() -> None:
    """asyncio turns Nagle off only for sockets that say that they are TCP."""
    accepted = asyncio.get_running_loop().create_future()

    class Seen(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.set_result(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    listener = _listen("127.0.0.1", 0)
    server = await asyncio.get_running_loop().create_server(Seen, sock=listener)
    async with server:
        _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        assert await accepted
        writer.close()


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


ASKED = {"jsonrpc": "2.0", "id": 1, "method": "getHealth"}


async def test_faults_reach_the_socket() -> None:
    faults = Faults()
    async with served(World(), faults) as url, httpx2.AsyncClient() as client:
        faults.rate_limit, faults.retry_after_s = 1, 3
        limited = await client.post(url, json=ASKED)
        assert (limited.status_code, limited.headers["retry-after"]) == (429, "3")
        faults.rate_limit, faults.bad_gateway = 0, 1
        assert (await client.post(url, json=ASKED)).status_code == 502
        faults.bad_gateway, faults.html = 0, 1
        page = await client.post(url, json=ASKED)
        assert page.headers["content-type"].startswith("text/html")
        faults.html, faults.drop = 0, 1
        with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
            await client.post(url, json=ASKED)
        faults.drop, faults.stale = 0, 7
        assert (await client.get(f"{url}/health")).text == "behind { distance: 7 }"
        faults.stale = 0
        assert (await client.get(f"{url}/health")).text == "ok"
        assert (await client.post(url, json=ASKED)).json() == {"jsonrpc": "2.0", "result": "ok", "id": 1}


async def test_what_is_no_request_is_refused() -> None:
    async with served(World()) as url, httpx2.AsyncClient() as client:
        assert (await client.post(url, content=b"{}", headers={"content-type": "text/plain"})).status_code == 415
        long = b" " * (BODY_BYTES_MAX + 1)
        assert (await client.post(url, content=long, headers={"content-type": "application/json"})).status_code == 413
        assert (await client.get(url)).status_code == 405
        assert (await client.get(f"{url}/other")).status_code == 404
        batch = (await client.post(url, json=[ASKED, {**ASKED, "id": 2}])).json()
        assert [one["id"] for one in batch] == [1, 2]


async def test_more_connections_than_there_may_be_are_refused() -> None:
    async with served(World()) as url:
        port = int(url.rpartition(":")[2])
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS_MAX)]
        async with httpx2.AsyncClient() as client:
            assert (await client.post(url, json=ASKED)).status_code == 503
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        async with httpx2.AsyncClient() as client:
            assert (await client.post(url, json=ASKED)).status_code == 200


async def test_a_ledger_that_cannot_write_ends_its_server() -> None:
    world = World()

    def full() -> None:
        raise LedgerFileError(Path("ledger.db"), "cannot be read or written", "make room")

    server = LedgerServer(Node(world.ledger))
    url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}"
    world.ledger.advance = full  # type: ignore[method-assign]
    async with httpx2.AsyncClient() as client:
        assert (await client.post(url, json=ASKED)).status_code == 500
    with pytest.raises(LedgerFileError, match="make room"):
        await server.failed()
    await server.close()
    world.ledger.close()


async def test_a_port_that_is_taken_is_told() -> None:
    async with served(World()) as url:
        other = LedgerServer(Node(World().ledger))
        with pytest.raises(PortTakenError, match=r"cannot listen on 127\.0\.0\.1 port"):
            await other.start("127.0.0.1", int(url.rpartition(":")[2]))
        await other.close()
