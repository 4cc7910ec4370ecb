"""What is on offer, and what is said of it: limits that outlive a change of terms, pace, figures, coarse gauges."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from etp.messages import FIRST_BATTERY_ID, MessageType, ReasonCode
from tests.agent.market_lab import ANSWERS, Lab, c

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.market_lab import Buyer

IN_FLIGHT_WH = 5_000 * 3 // 3_600 + 1
"""What leaves a battery between two readings that the agent can have."""


@pytest.mark.parametrize("retuned", [False, True], ids=["as opened", "after set-reserve"])
def test_a_change_of_the_reserve_keeps_the_smallest_power(tmp_path: Path, retuned: bool) -> None:
    """0.1 kWh of a lot of 5 kWh at 5 kW would be granted 100 W, which the battery cannot deliver."""
    lab = Lab(tmp_path, lot_kwh=5.0, battery=["min_power_w = 500"])

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        gateway = lab.host.gateway
        assert gateway is not None
        if retuned:
            gateway.owner_desk().set_reserve("battery-1", c(11))
            await asyncio.sleep(0.2)
            assert (await buyer.asks(1)).sale_price_e4 == c(11)
        buyer.bid(1, 12, 100)
        refused = await buyer.until(*ANSWERS, about=1)
        assert refused.message_type == MessageType.BID_REJECT
        assert refused.termination_code == ReasonCode.NOT_ENOUGH_ENERGY
        await buyer.buys(2, 12, 500)
        await asyncio.sleep(300)
        assert [each["end_code"] for each in lab.told("delivery_ended")] == [0]

    lab.run(story())


def pushes(buyer: Buyer, since_ms: int) -> list[int]:
    """Return when the battery said what it offers without being asked."""
    said = buyer.of(MessageType.QUERY_RESPONSE, since_ms=since_ms)
    return [heard.at_ms for heard in said if heard.body.message_id >= FIRST_BATTERY_ID]


@pytest.mark.parametrize("with_bids", [False, True], ids=["alone", "while others outbid each other"])
def test_a_buyer_that_registers_over_and_over_gets_no_more_pushes_than_anybody(tmp_path: Path, with_bids: bool) -> None:
    lab = Lab(tmp_path, standing_ms=400, delay_ms=(1, 1))

    async def story() -> None:
        await lab.up()
        eager, calm, rival = [await lab.buyer(name) for name in ("eager", "calm", "rival")]
        calm.register()
        await asyncio.sleep(0.1)
        since_ms = lab.now_ms
        for number in range(200):
            eager.register(number + 1)
            if with_bids and number % 3 == 0:
                (calm if number % 2 else rival).bid(number + 1, 12 + number / 5, 500)
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        for buyer in (eager, calm):
            at_ms = pushes(buyer, since_ms)
            assert all(later - earlier >= 20 for earlier, later in pairwise(at_ms)), at_ms
        assert len(pushes(eager, since_ms)) >= (40 if with_bids else 1)

    lab.run(story())


def figures(lab: Lab) -> dict[str, Any]:
    gateway = lab.host.gateway
    assert gateway is not None
    metrics: dict[str, Any] = gateway.owner_desk().snapshot()["metrics"]
    return metrics


def test_frames_and_the_time_bids_take_are_counted(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        buyer.register()
        await buyer.asks(50)
        await buyer.buys(1, 12, 300)
        for bid_id in range(2, 6):
            buyer.bid(bid_id, 5, 100)  # below the reserve
            await buyer.until(MessageType.BID_REJECT, about=bid_id)
        found = figures(lab)
        assert found["bid_processing_ms"]["count"] == 5
        assert found["bid_processing_ms"]["late"] == 0
        assert found["bid_processing_ms"]["worst"] < 100  # the standing time is not work
        assert found["frames"]["received"] >= 8
        assert found["frames"]["unanswered_share"] == 0

    lab.run(story())


@pytest.mark.parametrize("bias_permille", [0, 5, 9], ids=["rounds down", "rounds", "rounds up"])
def test_a_coarse_gauge_does_not_let_energy_be_sold_twice(tmp_path: Path, bias_permille: int) -> None:
    """The gauge moves in steps of 135 Wh: between two of them the counter alone tells what has left."""
    lab = Lab(
        tmp_path,
        soc_permille=300,
        soc_step_permille=10,
        soc_bias_permille=bias_permille,
        time_lapse=1,
        lot_kwh=0.1,
        battery=["share_percent = 100"],
    )

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        buyer.register()
        for bid_id in range(1, 1_500):
            buyer.bid(bid_id, 12, 100)
            answer = await buyer.until(*ANSWERS, about=bid_id)
            if answer.message_type == MessageType.BID_ACCEPT:
                owed_wh = lab.front().seller.promises().energy_wh
                assert owed_wh <= truly_usable_wh(lab) + IN_FLIGHT_WH
                buyer.confirm(answer)
            await asyncio.sleep(1)
        ended = lab.told("delivery_ended")
        assert len(ended) >= 8
        assert {each["end_code"] for each in ended} == {0}

    lab.run(story())


def truly_usable_wh(lab: Lab) -> int:
    model = lab.device().model
    return int((model.soc - 0.2) * model.config.capacity_wh * 0.95)
