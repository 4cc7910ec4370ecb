"""`wattbid program show|pause|resume|set|propose|accept|sweep|resolve` on a market with a dispute."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from settlement import to_base58, to_solana_json
from settlement.program.elf import program_elf
from tests.acceptance import beginning, trades
from tests.acceptance.client import Client
from tests.acceptance.cluster import embedded
from tests.acceptance.market import Market, address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

COMMAND = [sys.executable, "-c", "from cli.main import main; main()", "program"]
SCALE = 10
CLAIMED_WH, BUYER_WH = 2_000, 1_000


class Said(NamedTuple):
    status: int
    told: Any
    errors: str


class Desk:
    """Somebody with key files, at a cluster."""

    def __init__(self, market: Market, url: str, place: Path) -> None:
        self.market = market
        self._at = ["--rpc", url, "--program", str(market.program_id), "--json"]
        self._place = place

    def key(self, name: str) -> list[str]:
        path = self._place / f"{name}.json"
        path.write_text(to_solana_json(self.market.seed(name)))
        path.chmod(0o600)
        return ["--keypair", str(path)]

    async def says(self, *words: str, answer: str = "") -> Said:
        done = await asyncio.to_thread(
            subprocess.run,
            [*COMMAND, *words, *self._at],
            input=answer,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Said(done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr)


@asynccontextmanager
async def market_of(place: Path) -> AsyncIterator[Desk]:
    """A frozen program, its currency, a battery and a buyer with money on a Line."""
    with embedded(SCALE) as cluster:
        client = await Client.connect(cluster.url)
        market = Market(client, cluster.funder, cluster.scale, b"who governs it")
        try:
            for chapter in (
                beginning.wallets_get_sol,
                partial(beginning.the_program_is_deployed, code=program_elf()),
                beginning.it_is_initialized_and_frozen,
                beginning.money_is_issued,
                beginning.the_parties_register,
                beginning.the_buyer_lays_money_aside,
            ):
                await chapter(market)
            yield Desk(market, cluster.url, place)
        finally:
            await client.close()


@pytest.mark.slow
async def test_the_admin_pauses_changes_and_hands_over(tmp_path: Path) -> None:
    async with market_of(tmp_path) as desk:
        operator, stranger = desk.key("operator"), desk.key("stranger")
        stood = (await desk.says("show")).told
        assert (stood["paused"], stood["is_the_one_that_comes_along"], stood["upgrade_authority"]) == (
            False,
            True,
            None,
        )
        assert stood["admin"] == to_base58(desk.market.operator.public_key)

        refused = await desk.says("pause", *stranger, "--yes")
        assert (refused.status, refused.told) == (1, None)
        assert f"{stood['admin']} is the admin" in refused.errors
        declined = await desk.says("pause", *operator, answer="n\n")
        assert (declined.status, declined.told) == (1, None)
        assert not (await desk.says("show")).told["paused"]
        assert (await desk.says("pause", *operator, "--yes")).told["changed"]
        assert (await desk.says("show")).told["paused"]
        assert not (await desk.says("pause", *operator, "--yes")).told["changed"]
        assert (await desk.says("resume", *operator)).told["changed"]

        changed = await desk.says("set", *operator, "--fee-bps", "75", "--yes")
        assert changed.told["changed"], changed.errors
        successor = to_base58(desk.market.stranger.public_key)
        early = await desk.says("accept", *stranger)
        assert (early.status, "nobody is" in early.errors) == (1, True)
        assert (await desk.says("propose", successor, *operator, "--yes")).told["changed"]
        assert (await desk.says("accept", *stranger)).told["changed"]
        stands = (await desk.says("show")).told
        assert stands == {**stood, "admin": successor, "fee_bps": 75}


@pytest.mark.slow
async def test_a_resolver_rules_and_the_fees_come_home(tmp_path: Path) -> None:
    async with market_of(tmp_path) as desk:
        market, resolver = desk.market, desk.key("resolver")
        contract = await trades.claim_alone(market, 7, CLAIMED_WH)
        trade = contract.trade_id.hex()
        undisputed = await desk.says("resolve", trade, *resolver)
        assert (undisputed.status, "nobody disputes it" in undisputed.errors) == (1, True)
        await market.client.do(market.dispute(contract, BUYER_WH), signers=[market.buyer.wallet])

        shown = (await desk.says("resolve", trade, *resolver)).told
        assert (shown["safe_wh"], shown["claimed_wh"], shown["buyer_wh"]) == (BUYER_WH, CLAIMED_WH, BUYER_WH)
        assert shown["claimed_units"] == contract.split(CLAIMED_WH).payout
        wrong = await desk.says("resolve", trade, *desk.key("stranger"), "--wh", "1600", "--yes")
        assert (wrong.status, "rules on this trade" in wrong.errors) == (1, True)
        beyond = await desk.says("resolve", trade, *resolver, "--wh", "2001", "--yes")
        assert (beyond.status, "from 1000 (undisputed) to 2000 (claimed) Wh can" in beyond.errors) == (1, True)
        assert (await desk.says("show")).told["fees_due"] == 0
        ruled = await desk.says("resolve", trade, *resolver, "--wh", "1600", answer="y\n")
        assert ruled.told["changed"], ruled.errors
        over = await desk.says("resolve", trade, *resolver, "--wh", "1600", "--yes")
        assert (over.status, "or over" in over.errors) == (1, True)

        fee = contract.split(1_600).fee
        assert (await desk.says("show")).told["fees_due"] == fee > 0
        swept = await desk.says("sweep", *desk.key("stranger"))
        assert swept.told["units"] == fee, swept.errors
        assert await market.client.tokens(market.tokens(address(market.treasury))) == fee
        assert (await desk.says("sweep", *desk.key("stranger"))).told == {"swept": [], "units": 0}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["show", "--program", "x"], "--program"),
        (["resolve", "12", "--keypair", "none"], "64 hex digits"),
        (["propose", "x", "--keypair", "none"], "WALLET"),
    ],
)
def test_what_cannot_be_meant_is_told(words: list[str], text: str) -> None:
    at = ["--rpc", "http://127.0.0.1:9"] + ([] if "--program" in words else ["--program", "1" * 32])
    done = subprocess.run([*COMMAND, *words, *at], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr


def test_a_program_that_cannot_be_reached_is_told() -> None:
    at = ["--rpc", "http://127.0.0.1:9", "--program", "1" * 32]
    done = subprocess.run([*COMMAND, "show", *at], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "http://127.0.0.1:9: getGenesisHash" in done.stderr
    assert done.stderr.count("\n") == 1
