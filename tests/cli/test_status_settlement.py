"""`wattbid status` of a battery whose trades are paid: from what a running gateway shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.status_settlement import settlement_lines
from cli.status_text import snapshot_text
from settlement import to_base58
from tests.agent import gateway_world as gw
from tests.agent.settling_world import BATTERY_WALLET, BUYER_WALLET, STRANGER, buyer_in, settled_world

if TYPE_CHECKING:
    from pathlib import Path


def test_the_owner_sees_what_is_open_and_who_covers_it(tmp_path: Path) -> None:
    async def scenario() -> str:
        async with settled_world(tmp_path) as (world, ledger):
            await (await buyer_in(world)).trade()
            stranger = await buyer_in(world, STRANGER)
            await stranger.bid((await stranger.terms())._replace(buyer_wallet=bytes([77]) * 32))
            ledger.settler.state = "offline"
            return snapshot_text(world.gateway.owner_desk().snapshot())

    text = gw.run(scenario())
    assert "battery-1: ledger offline (no route), read 4 s ago; 1 open cheque up to 60.30 c" in text
    assert f"wallet {to_base58(BATTERY_WALLET)}: 0.0000 SOL, 0.00 c" in text
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("buyer ")]
    assert lines == [
        f"buyer {to_base58(BUYER_WALLET)}: 60.30 c of 100000000.00 c promised, read 4 s ago",
        f"buyer {to_base58(bytes([77]) * 32)}: no line of it was seen",
    ]


def test_without_settlement_there_is_nothing_to_tell() -> None:
    assert settlement_lines({"name": "b", "settlement": None}) == []
    assert settlement_lines({"name": "b"}) == []


def test_a_settler_that_knows_nothing_yet_is_shown_as_that() -> None:
    look = {"state": "starting", "lamports": None, "tokens": None, "read_age_s": None, "stages": {"settled": 3}}
    first, second = settlement_lines({"name": "b", "settlement": {**look, "disputed_by_buyer": 2}})
    assert first == "b: ledger starting, never read; 0 open cheques up to -, 2 disputed by the buyer, 3 settled"
    assert second == "   wallet ?: - SOL, -"
