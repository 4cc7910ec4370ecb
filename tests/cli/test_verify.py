"""`wattbid verify` against a ledger on which a trade was really paid."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bench.bank import Bank, agreed, cosigned
from settlement.bundle import Bundle
from settlement.ledger.server import LedgerServer
from settlement.ledger.wire import receive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WATTBID = [sys.executable, "-c", "from cli.main import main; main()", "verify"]


@pytest.fixture(scope="module")
def bank() -> Bank:
    """A ledger with one trade paid and final, a second agreed and not paid."""
    bank = Bank.open()
    paid = next(bank.cheques(1))
    ((encoded, _),) = bank.settlements([paid])
    assert bank.ledger.submit(receive(encoded)) is None
    bank.clock_ms[0] += 60_000
    bank.ledger.advance()
    return bank


@pytest.fixture
async def rpc(bank: Bank) -> AsyncIterator[str]:
    server = LedgerServer(bank.node)
    yield f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}"
    await server.close()


async def ran(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *WATTBID, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def write(path: Path, bank: Bank, number: int = 0, **changed: Any) -> str:
    contract = agreed(bank.venue, number, generation=bank.line().generation)
    bundle = Bundle(cheque=cosigned(contract), stage="settled")
    path.write_text(replace(bundle, **changed).to_json())
    return str(path)


async def test_a_paid_trade_is_found_and_holds(bank: Bank, rpc: str, tmp_path: Path) -> None:
    status, out, _ = await ran(write(tmp_path / "b.json", bank), "--rpc", rpc)
    assert (status, out.splitlines()[-1]) == (0, "everything holds")
    assert "ok  payout: 40000 base units for 100 Wh and 200 fee; 40000 and 200 by the formula" in out
    status, out, _ = await ran(write(tmp_path / "b.json", bank), "--rpc", rpc, "--json")
    told = json.loads(out)
    assert (status, told["holds"]) == (0, True)


async def test_a_trade_that_is_not_paid_does_not_hold(bank: Bank, rpc: str, tmp_path: Path) -> None:
    status, out, _ = await ran(write(tmp_path / "b.json", bank, 1), "--rpc", rpc)
    assert status == 1
    assert "BAD payment: nothing on the ledger ends this trade" in out


async def test_a_transaction_that_is_somebody_elses_does_not_hold(bank: Bank, rpc: str, tmp_path: Path) -> None:
    (_, signature), *_ = bank.settlements([cosigned(agreed(bank.venue, 0, generation=bank.line().generation))])
    name = write(tmp_path / "b.json", bank, 1, signature=signature)
    status, out, _ = await ran(name, "--rpc", rpc)
    assert status == 1
    assert "BAD payment" in out


async def test_papers_alone_can_be_looked_at(bank: Bank, tmp_path: Path) -> None:
    status, out, _ = await ran(write(tmp_path / "b.json", bank, 1), "--offline")
    assert (status, out.splitlines()[-1]) == (0, "everything holds")


async def test_another_cluster_is_not_asked(bank: Bank, rpc: str, tmp_path: Path) -> None:
    venue = replace(bank.venue, genesis_hash=b"\x01" * 32)
    path = tmp_path / "b.json"
    path.write_text(Bundle(cheque=cosigned(agreed(venue, 0)), stage="settled").to_json())
    status, _, err = await ran(str(path), "--rpc", rpc)
    assert status == 1
    assert "genesis hash" in err


async def test_what_is_no_bundle_is_one_line_and_status_2(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"format": "another"}')
    for arguments in ([str(tmp_path / "x.json"), "--offline"], [str(tmp_path / "x.json")]):
        status, _, err = await ran(*arguments)
        assert (status, len(err.splitlines())) == (2, 1), err
    status, _, err = await ran(str(tmp_path / "nothing.json"))
    assert (status, len(err.splitlines())) == (1, 1), err
    assert "nothing.json" in err


async def test_an_endpoint_that_is_no_url_is_told(bank: Bank, tmp_path: Path) -> None:
    status, _, err = await ran(write(tmp_path / "b.json", bank), "--rpc", "nonsense")
    assert (status, len(err.splitlines())) == (2, 1), err
    assert "an endpoint is a URL" in err
