"""Both settlers over real sockets, threads, disk and time; then anybody checks what they did."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from settlement import Contract, KeyRing, Venue, device_id
from settlement.bundle import Bundle
from settlement.cluster.setup import Member
from settlement.ledger import Faults, Ledger, Node, Settings
from settlement.ledger.init import Wishes, prepare
from settlement.ledger.server import LedgerServer
from settlement.opening import Opening
from settlement.outbox_file import read_outbox
from settlement.program.accounts import Line
from settlement.program.elf import program_elf
from settlement.settler import Settler, open_settler
from settlement.settler_types import SettlerSettings
from tests.settlement.settler.cheques import cheque, with_final

if TYPE_CHECKING:
    from pathlib import Path

    from settlement.signing import Party

RINGS: dict[Party, KeyRing] = {"battery": KeyRing(bytes([1]) * 32), "buyer": KeyRing(bytes([2]) * 32)}
VERIFY = [sys.executable, "-c", "from cli.main import main; main()", "verify"]


def now_ms() -> int:
    return int(time.time() * 1_000)


async def until_done(settler: Settler, trade_id: bytes) -> None:
    async with asyncio.timeout(90):
        while (view := settler.trade(trade_id)) is None or not view.is_done:  # noqa: ASYNC110 - it has no other door
            await asyncio.sleep(0.2)


def contract_of(venue: Venue, generation: int, number: int) -> Contract:
    wallets = {role: ring.public_keys["wallet"] for role, ring in RINGS.items()}
    ids = {role: device_id(ring.public_keys["identity"]) for role, ring in RINGS.items()}
    ends_at_s = now_ms() // 1_000 - 20
    return Contract(
        venue=venue,
        battery_wallet=wallets["battery"],
        buyer_wallet=wallets["buyer"],
        generation=generation,
        contract_no=number,
        battery_device_id=ids["battery"],
        buyer_device_id=ids["buyer"],
        message_id=number,
        price_e4=251_300,
        energy_wh=2_500,
        base_units_per_cent=10_000,
        starts_at_s=ends_at_s - 600,
        ends_at_s=ends_at_s,
        valid_until_s=ends_at_s + 259_200,
        fee_bps=50,
        dispute_window_s=3,
        resolver=bytes([9]) * 32,
    )


async def verified(file: Path, url: str) -> str:
    """Run `wattbid verify`; return what it says when everything holds."""
    process = await asyncio.create_subprocess_exec(
        *VERIFY, str(file), "--rpc", url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


@pytest.mark.slow
async def test_a_settled_and_a_claimed_trade_are_paid_and_hold_before_anybody(tmp_path: Path) -> None:
    settings = Settings(confirmed_lag=1, finalized_lag=3)
    ledger = Ledger(None, clock_ms=now_ms, settings=settings, draw=os.urandom)
    node = Node(ledger, Faults())
    server = LedgerServer(node)
    url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}"
    members = [Member(role, ring.signer("wallet"), ring.signer("identity")) for role, ring in RINGS.items()]
    wishes = Wishes(code=program_elf(), members=members, lamports=10**9, units=10**8, line_units=5 * 10**7)
    place = await prepare(node, bytes([9]) * 32, wishes, clock_ms=now_ms, sleep=asyncio.sleep)
    venue = Venue(program_id=bytes(place.program), genesis_hash=bytes(ledger.genesis), mint=bytes(place.mint))
    address = Opening(venue).line(*(RINGS[role].public_keys["wallet"] for role in ("buyer", "battery")))
    account = ledger.account_at(address, ledger.height("confirmed"))
    assert account is not None
    generation = Line.decode(bytes(account.data)).generation

    settlers: dict[Party, Settler] = {}
    for role, ring in RINGS.items():
        made = SettlerSettings(
            role=role, rpc=(url,), venue=venue, outbox=tmp_path / f"{role}.db", poll_s=1, cosign_wait_s=0
        )
        settlers[role] = open_settler(made, wallet=ring.signer("wallet"))
        await settlers[role].start()
    contracts: dict[Party, Contract] = {"buyer": contract_of(venue, generation, 0)}
    contracts["battery"] = contract_of(venue, generation, 1)
    battery, buyer = RINGS["battery"].identity, RINGS["buyer"].identity
    for role, contract in contracts.items():
        one = cheque(role, contract=contract, battery=battery, buyer=buyer)
        settlers[role].put(with_final(one, 2_000, cosigned=role == "buyer", battery=battery, buyer=buyer))
    for role, how in (("buyer", "co-signed"), ("battery", "finalized")):
        await until_done(settlers[role], contracts[role].trade_id)
        view = settlers[role].trade(contracts[role].trade_id)
        assert view is not None
        assert (view.how, view.payout, view.fee, view.returned) == (how, *contracts[role].split(2_000))
        await settlers[role].close()
        ((record, _),) = read_outbox(tmp_path / f"{role}.db")
        assert record.outcome is not None
        file = tmp_path / f"{role}.json"
        file.write_text(Bundle(cheque=record.cheque, stage="settled", signature=record.outcome.signature).to_json())
        assert "everything holds" in await verified(file, url)
    await server.close()
    ledger.close()
