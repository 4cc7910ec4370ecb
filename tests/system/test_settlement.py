"""A battery is paid on a ledger by its own process: co-signed, and by claim where its buyer does not sign."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from etp.auth import AuthPolicy
from etp.connection import Role
from etp.io.client import connect
from etp.io.maker import ConnectionMaker
from etp.io.pollclock import PollClock
from etp.limits import Limits
from etp.messages import Body, MessageType, ReasonCode
from settlement import KeyRing, Venue
from settlement.base58 import from_base58
from settlement.terms import MarketTerms
from tests.agent.gateway_world import BUYER_ID, Buyer
from tests.agent.settling_world import SettledBuyer
from tests.system.processes import Agent, Battery, Process, write_site

if TYPE_CHECKING:
    from pathlib import Path

    from settlement import Contract

pytestmark = pytest.mark.slow  # a ledger, a battery and an agent, and blocks that must become final

LAPSE: Final = 60
BATTERY: Final = KeyRing(bytes([11]) * 32)
BUYER: Final = KeyRing(bytes([12]) * 32)
RESOLVER: Final = "3bF3gMqzY3tFj1Y4ZVJ9fQd3uJxXhY9kzv8yGzq1cQnW"


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def root_file(directory: Path, name: str, number: int) -> Path:
    path = directory / name
    path.write_bytes(bytes([number]) * 32)
    path.chmod(0o600)
    return path


def settlement(ready: dict[str, str]) -> str:
    return "\n".join(
        [
            "[settlement]",
            f'rpc = ["{ready["rpc"]}"]',
            f'program_id = "{ready["program"]}"',
            f'genesis = "{ready["genesis"]}"',
            f'mint = "{ready["mint"]}"',
            f'resolver = "{RESOLVER}"',
            "cosign_wait_s = 1",
            "dispute_window_s = 1",
        ]
    )


async def signed_buyer(endpoint: tuple[str, int], ready: dict[str, str]) -> SettledBuyer:
    """Return a buyer on a real socket that has read the battery's terms."""
    key = BUYER.identity
    link = Buyer()
    policy = AuthPolicy(peers="signed", signer=key)
    maker = ConnectionMaker(role=Role.AGGREGATOR, device_id=BUYER_ID, policy=policy, limits=Limits(), wall_ms=wall_ms)
    await connect(*endpoint, handler=link, maker=maker, clock=PollClock(asyncio.get_running_loop()))
    buyer = SettledBuyer(link, wall_ms, key)
    names = ("program", "genesis", "mint")
    program_id, genesis, mint = (from_base58(ready[name], field=name) for name in names)
    buyer.market = MarketTerms(
        venue=Venue(program_id=program_id, genesis_hash=genesis, mint=mint),
        base_units_per_cent=10_000,
        fee_bps=50,
        dispute_window_s=1,
        resolver=from_base58(RESOLVER, field="resolver"),
    )
    buyer.battery_key = BATTERY.identity.public_key
    buyer.wallet = BUYER.public_keys["wallet"]
    return await buyer.introduce()


async def find_line(buyer: SettledBuyer) -> None:
    """Learn the Line's generation as a stranger would: from what the battery refuses."""
    buyer.generation = 1
    async with asyncio.timeout(60):
        while True:
            refused = await buyer.bid(await buyer.terms(), kwh=0.1)
            assert refused.body.termination_code == ReasonCode.COVER_TOO_SMALL, refused
            if found := re.search(r"your line is (\d+)", refused.extensions.reason):
                buyer.generation = int(found[1])
                return
            assert re.search("no line of yours|has not read your line yet", refused.extensions.reason)
            await asyncio.sleep(0.5)


async def delivered(buyer: SettledBuyer, *, signs_the_end: bool) -> tuple[Contract, Body]:
    """Trade 0.3 kWh, sign what comes while energy flows, and the end or not."""
    offer = await buyer.terms()
    short_s = -(-(offer.ends_at_s - offer.starts_at_s) // LAPSE) + 5
    ends_at_s = offer.starts_at_s + short_s
    terms = offer._replace(ends_at_s=ends_at_s, valid_until_s=ends_at_s + 86_400)
    accept = await buyer.bid(terms, kwh=0.3)
    assert accept.body.message_type == MessageType.BID_ACCEPT, accept
    buyer.confirm(accept)
    contract = buyer.contract_of(accept)
    answered = 0
    async with asyncio.timeout(90):
        while True:
            frames = [f for f in buyer.buyer.said(message_id=contract.message_id) if f.extensions.receipt is not None]
            for frame in frames[answered:]:
                if frame.body.message_type != MessageType.TERMINATE:
                    buyer.answer(contract, frame)
                    continue
                if signs_the_end:
                    buyer.answer(contract, frame)
                else:
                    buyer.buyer.send(
                        Body.terminate(contract.message_id, BUYER_ID, code=ReasonCode.DISPUTED, delivered_wh=1)
                    )
                return contract, frame.body
            answered = len(frames)
            await asyncio.sleep(0.05)


async def test_signed_or_not_what_was_delivered_is_paid(tmp_path: Path) -> None:
    battery_root, buyer_root = root_file(tmp_path, "battery.root", 11), root_file(tmp_path, "buyer.root", 12)
    parties = ("--battery", str(battery_root), "--buyer", str(buyer_root), "--line-usdc", "50", "--usdc", "100")
    options = ("--port", "0", "--init", "--finalized-after", "2", *parties)
    lapse = ("--time-lapse", str(LAPSE))
    with Process(tmp_path, "ledger", "ledger", *options) as ledger, Battery(tmp_path, *lapse) as battery:
        ready = ledger.until_ready()
        lab = f"time_lapse = {LAPSE}"
        network = 'peers = "signed"\ntrusted_peers = "any"\n' + settlement(ready)
        keys = 'root_file = "battery.root"\nlot_kwh = 1.0'
        site = write_site(tmp_path, battery.address, site=lab, network=network, battery=keys)
        with Agent(tmp_path, site) as agent:
            await agent.until_selling()
            buyer = await signed_buyer(agent.endpoint, ready)
            await find_line(buyer)
            first, first_end = await delivered(buyer, signs_the_end=True)
            await agent.until_logged("cheque cashed", trade_id=first.trade_id.hex(), stage="settled", timeout_s=120)
            second, second_end = await delivered(buyer, signs_the_end=False)
            await agent.until_logged("cheque cashed", trade_id=second.trade_id.hex(), stage="settled", timeout_s=180)
            owed = first.split(first_end.energy_wh).payout + second.split(second_end.energy_wh).payout
            look: dict[str, Any] = await agent.until(lambda shown: shown["settlement"]["tokens"] == owed)
            shown = look["settlement"]
            assert shown["open_cheques"] == 0
            assert shown["stages"]["settled"] == 2
            moved = {(entry["trade_id"], entry["stage"]) for entry in agent.log("trade moved")}
            assert (second.trade_id.hex(), "claimed") in moved
            assert (first.trade_id.hex(), "claimed") not in moved
            assert agent.end() == 0
            buyer.buyer.link.close("the test is over")
