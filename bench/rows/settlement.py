"""What money costs: a contract signed, an intent on disk, trades settled by the embedded ledger, the loop beside it."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import subprocess
import time
from itertools import count
from typing import TYPE_CHECKING, Final

import uvloop

from bench.bank import BATTERY, BATTERY_ROOT, BUYER, BUYER_ROOT, Bank, agreed, cosigned
from bench.children import Child
from bench.commands import WATTBID
from bench.report import Figure
from bench.rows.journal import commit_bytes
from bench.stats import best_us, percentile
from settlement import Venue, sign_contract
from settlement.base58 import from_base58
from settlement.executor import ThreadExecutor
from settlement.ledger.server import LedgerServer
from settlement.ledger.wire import receive
from settlement.outbox import Outbox
from settlement.outbox_records import TradeRecord
from settlement.rpc import HttpTransport, Question, RpcClient
from settlement.settler import open_settler
from settlement.settler_types import SettlerSettings

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from bench.settings import Settings
    from settlement import Cheque
    from settlement.settler import Settler

_WRITERS: Final = 64
_VENUE: Final = Venue(program_id=b"\x01" * 32, genesis_hash=b"\x02" * 32, mint=b"\x03" * 32)
_TICK_S: Final = 0.001
_CHEQUES: Final = 40
_PAID_S: Final = 120.0


def run(settings: Settings) -> list[Figure]:
    """Measure each by itself."""
    return [
        *_signing(settings),
        *_intents(settings),
        *_ledger(settings),
        *_loop(settings),
    ]


def _signing(settings: Settings) -> list[Figure]:
    numbers = count()
    signer, text = BATTERY.identity, bytes(47)
    times = settings.count(500, 5)
    bare_us = best_us(lambda: signer.sign(text), times=times)
    ours_us = best_us(lambda: sign_contract(agreed(_VENUE, next(numbers)), signer), times=times)
    note = f"made, encoded, hashed, signed; a bare signature {bare_us:.0f} us"
    return [
        Figure(key="settlement.sign_contract_us", value=ours_us, unit="us", target=150, note=note),
        Figure(key="settlement.sign_ratio_to_bare", value=ours_us / bare_us),
    ]


def _intents(settings: Settings) -> list[Figure]:
    room = settings.room("outbox")
    records = [TradeRecord(cheque=cosigned(agreed(_VENUE, n))) for n in range(settings.count(2_000, 50))]
    per_s = uvloop.run(_write(room, records))
    with Child("bench.disk", directory=str(room), size=commit_bytes(settings), every_s=60.0) as disk:
        began_s, times = time.monotonic(), settings.count(300, 5)
        disk.ask(do="run", times=times)
        bare_per_s = times / (time.monotonic() - began_s)
    note = f"{_WRITERS} wait at once; bare fdatasyncs {bare_per_s:,.0f}/s"
    return [Figure(key="settlement.intents_per_s", value=per_s, unit="/s", target=1_000, sense=">=", note=note)]


async def _write(room: Path, records: list[TradeRecord]) -> float:
    outbox = Outbox(room / "outbox.db", ThreadExecutor())
    await outbox.open()
    left = iter(records)

    async def write() -> None:
        for record in left:
            await outbox.save(record)

    began_s = time.monotonic()
    await asyncio.gather(*(write() for _ in range(_WRITERS)))
    took_s = time.monotonic() - began_s
    await outbox.close()
    return len(records) / took_s


def _ledger(settings: Settings) -> list[Figure]:
    bank = Bank.open()
    cheques = list(bank.cheques(settings.count(4_000, 60)))
    half = len(cheques) // 2
    made = [receive(encoded) for encoded, _ in bank.settlements(cheques[:half])]
    began_s = time.monotonic()
    refused = [error for received in made if (error := bank.ledger.submit(received)) is not None]
    core_per_s = len(made) / (time.monotonic() - began_s)
    sent = [encoded for encoded, _ in bank.settlements(cheques[half:])]
    served_per_s = asyncio.run(_over_http(bank, sent))
    paid = bank.line().trades_settled
    bank.ledger.close()
    whole = not refused and paid == len(cheques)
    note = f"{paid} of {len(cheques)} trades settled"
    return [
        Figure(
            key="settlement.ledger_settles_per_s",
            value=core_per_s,
            unit="/s",
            target=1_500,
            sense=">=",
            valid=whole,
            note=note,
        ),
        Figure(key="settlement.ledger_settles_http_per_s", value=served_per_s, unit="/s", valid=whole, note=note),
    ]


async def _over_http(bank: Bank, transactions: list[bytes]) -> float:
    """Return how many a second the node takes over HTTP, one after the other, without preflight."""
    server, transport = LedgerServer(bank.node), HttpTransport()
    url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}"
    genesis = bank.venue.genesis_hash
    client = RpcClient([url], genesis, transport, monotonic_s=time.monotonic, rng=random.Random(1))
    try:
        began_s = time.monotonic()
        for encoded in transactions:
            params = [base64.b64encode(encoded).decode(), {"encoding": "base64", "skipPreflight": True}]
            await client.call(Question("sendTransaction", params, lambda value: value))
        return len(transactions) / (time.monotonic() - began_s)
    finally:
        await transport.close()
        await server.close()


def _loop(settings: Settings) -> list[Figure]:
    room = settings.room("settler")
    roots = {"--battery": room / "battery.root", "--buyer": room / "buyer.root"}
    for path, ring in zip(roots.values(), (BATTERY_ROOT, BUYER_ROOT), strict=True):
        path.write_bytes(ring)
        path.chmod(0o600)
    command = [*WATTBID, "ledger", "--init", "--port", "0", "--json", "--line-usdc", "100", "--finalized-after", "2"]
    command += [f"{option}={path}" for option, path in roots.items()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None:
            raise RuntimeError("the ledger has a pipe")
        try:
            told = json.loads(process.stdout.readline())
            idle_ms, busy_ms = uvloop.run(_late_ms(room, told, settings.count(_CHEQUES, 3)))
        finally:
            process.terminate()
    note = f"a settler pays {_CHEQUES} trades; idle {percentile(idle_ms, 0.99):.2f} ms, worst {max(busy_ms):.1f} ms"
    p99_ms = percentile(busy_ms, 0.99)
    return [Figure(key="settlement.loop_lag_p99_ms", value=p99_ms, unit="ms", target=5, note=note)]


async def _late_ms(room: Path, told: dict[str, str], count: int) -> tuple[list[float], list[float]]:
    """Return how late ticks are while nothing happens, and while a buyer's settler pays trades."""
    named = {name: from_base58(told[name], field=name) for name in ("program", "genesis", "mint")}
    venue = Venue(program_id=named["program"], genesis_hash=named["genesis"], mint=named["mint"])
    settings = SettlerSettings(role="buyer", rpc=(told["rpc"],), venue=venue, outbox=room / "outbox.db", poll_s=0.5)
    told_of = asyncio.Event()
    settler = open_settler(settings, wallet=BUYER.signer("wallet"), on_event=lambda _event: told_of.set())
    idle_ms: list[float] = []
    busy_ms: list[float] = []
    await _ticked(asyncio.sleep(1.0), idle_ms)
    await settler.start()
    battery = BATTERY.signer("wallet").public_key
    settler.watch(battery)
    try:
        async with asyncio.timeout(_PAID_S):
            while (line := settler.line(battery)) is None:
                told_of.clear()
                await told_of.wait()
            cheques = [cosigned(agreed(venue, n, generation=line.generation)) for n in range(count)]
            await _ticked(_pay(settler, cheques, told_of), busy_ms)
    finally:
        await settler.close()
    return idle_ms, busy_ms


async def _pay(settler: Settler, cheques: list[Cheque], told_of: asyncio.Event) -> None:
    for cheque in cheques:
        settler.put(cheque, seen_wh=cheque.contract.energy_wh)
        await asyncio.sleep(0.02)
    while not all((view := settler.trade(cheque.trade_id)) is not None and view.is_done for cheque in cheques):
        told_of.clear()
        await told_of.wait()


async def _ticked(work: Coroutine[None, None, None], late_ms: list[float]) -> None:
    """Do some work, and note how late each tick of a millisecond was meanwhile."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    while not task.done():
        due_s = loop.time() + _TICK_S
        await asyncio.sleep(_TICK_S)
        late_ms.append((loop.time() - due_s) * 1e3)
    await task
