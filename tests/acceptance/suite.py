"""The acceptance suite: one story of money from an empty cluster to the last reckoning, chapter by chapter.

It runs against any cluster, with the checked-in program and the product's own builders and clients.
"""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from settlement.program.elf import program_elf
from tests.acceptance import alone, beginning, ending, proof, trades
from tests.acceptance.client import Client
from tests.acceptance.market import Market

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.acceptance.cluster import Cluster

_SAME: Final = b"a fresh cluster!"
_TRADES: Final = (
    trades.a_stranger_relays_a_cosigned_settle,
    trades.a_party_settles_with_one_signature,
    trades.what_was_not_signed_is_not_paid,
    trades.the_battery_claims_alone,
    trades.a_late_cosignature_ends_a_claim,
    trades.a_dispute_is_ruled_on,
    trades.an_overclaim_costs_its_bond,
    trades.nobody_rules_and_time_does,
)
_ENDING: Final = (
    ending.a_battery_changes_its_key,
    ending.a_closed_account_is_paid_later,
    ending.a_line_is_closed_and_opened_again,
    ending.cover_leaves_only_after_its_delay,
    ending.a_pause_stops_new_money_only,
    ending.the_operator_hands_over,
    ending.fees_reach_the_treasury,
    ending.the_ledger_tells_the_same,
)


async def run(cluster: Cluster, place: Path, tell: Callable[[str], None]) -> None:
    """Run all chapters; what is left of the SOL goes back to the funder, whatever happened.

    `place` is an empty directory. A fresh cluster gets the same keys in each run, so that what was measured on two of
    them can be compared: how many compute units an instruction takes depends on the addresses.
    """
    client = await Client.connect(cluster.url)
    seed = _SAME if cluster.is_fresh else os.urandom(len(_SAME))
    market = Market(client, cluster.funder, cluster.scale, seed)
    try:
        await _chapter(market, tell, beginning.wallets_get_sol)
        try:
            for chapter in _chapters(place):
                await _chapter(market, tell, chapter)
        finally:
            await _chapter(market, tell, ending.what_is_left_goes_back)
    finally:
        await client.close()


def _chapters(place: Path) -> tuple[Callable[[Market], Awaitable[None]], ...]:
    return (
        partial(beginning.the_program_is_deployed, code=program_elf()),
        beginning.it_is_initialized_and_frozen,
        beginning.money_is_issued,
        beginning.the_parties_register,
        beginning.the_buyer_lays_money_aside,
        *_TRADES,
        partial(alone.settlers_settle_by_themselves, place=place),
        *_ENDING,
        partial(proof.anybody_can_verify, place=place),
    )


async def _chapter(market: Market, tell: Callable[[str], None], chapter: Callable[[Market], Awaitable[None]]) -> None:
    named = chapter.func if isinstance(chapter, partial) else chapter
    begun_s = time.monotonic()
    await chapter(market)
    tell(f"{time.monotonic() - begun_s:6.1f} s  {named.__name__.replace('_', ' ')}")
    for line in market.told:
        tell(f"          {line}")
    market.told.clear()
