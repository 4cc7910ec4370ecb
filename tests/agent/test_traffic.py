"""What the agent counts of its traffic: every bid's work, every frame left without an answer, every late frame."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from etp.frame import encode_tcp
from etp.messages import Body, MessageType
from tests.agent.market_lab import ANSWERS, Lab, c

if TYPE_CHECKING:
    from pathlib import Path

    from etp.connection import Received
    from etp.io.link import Link
    from tests.agent.market_lab import Wire

DEVICE = 5


def bid(bid_id: int, price_c: float, energy_wh: int = 500) -> bytes:
    return encode_tcp(Body.bid(bid_id, DEVICE, price_e4=c(price_c), energy_wh=energy_wh))


def figures(lab: Lab) -> dict[str, Any]:
    """Return what the control socket says."""
    gateway = lab.host.gateway
    assert gateway is not None
    metrics: dict[str, Any] = gateway.owner_desk().snapshot()["metrics"]
    return metrics


def frames(lab: Lab) -> tuple[int, int]:
    """Return how many frames came, and how many of them stayed without an answer."""
    found = figures(lab)["frames"]
    return found["received"], found["unanswered"]


def answers(*wires: Wire) -> int:
    return sum(len(wire.of(*ANSWERS)) for wire in wires)


@pytest.mark.parametrize("pause_s", [0.0, 0.05, 0.6], ids=["in one wake-up", "each beats the last", "each is awarded"])
def test_every_bid_that_reached_the_desk_is_counted_once(tmp_path: Path, pause_s: float) -> None:
    lab = Lab(tmp_path, standing_ms=400, soc_permille=950)

    async def story() -> None:
        await lab.up()
        wires = [await lab.wire() for _ in range(4)]
        for number in range(12):
            wires[number % 4].write(bid(number + 1, 12 + number, 100))
            await asyncio.sleep(pause_s)
        await asyncio.sleep(3)
        found = figures(lab)
        assert found["bid_processing_ms"]["count"] == 12
        assert found["bid_processing_ms"]["worst"] < 100  # the time they stood is not work
        assert found["frames"]["unanswered"] == 0

    lab.run(story())


@pytest.mark.parametrize("rule", ["sealed_first", "sealed_second", "ascending_clock", "first_acceptable"])
def test_the_other_rules_count_every_bid_as_well(tmp_path: Path, rule: str) -> None:
    lab = Lab(tmp_path, standing_ms=200, battery=[f'rule = "{rule}"'])

    async def story() -> None:
        await lab.up()
        wires = [await lab.wire() for _ in range(4)]
        for number, wire in enumerate(wires):
            wire.write(bid(number + 1, 12 + number))
        await asyncio.sleep(2)
        assert answers(*wires) >= 4
        found = figures(lab)["bid_processing_ms"]
        assert found["count"] == 4
        assert found["worst"] < 100

    lab.run(story())


def test_a_blocked_loop_is_work_and_not_standing(tmp_path: Path) -> None:
    """The loop is 80 ms late when a better bid is read, and again when that one's time is up."""
    lab = Lab(tmp_path, standing_ms=200)

    async def story() -> None:
        await lab.up()
        one, two = await lab.wire(), await lab.wire()
        one.write(bid(1, 12))
        await asyncio.sleep(0.05)
        desk = lab.front().seller.desk
        in_time = desk._now_ms
        desk._now_ms = desk.lots._now_ms = lambda: in_time() + 80
        two.write(bid(2, 13))
        await asyncio.sleep(0.05)
        assert figures(lab)["bid_processing_ms"]["count"] == 1
        assert 75 <= figures(lab)["bid_processing_ms"]["worst"] <= 90
        await asyncio.sleep(1)
        assert (len(one.of(MessageType.BID_REJECT)), len(two.of(MessageType.BID_ACCEPT))) == (1, 1)
        assert figures(lab)["bid_processing_ms"]["count"] == 2
        assert 155 <= figures(lab)["bid_processing_ms"]["worst"] <= 185

    lab.run(story())


def test_a_standing_bid_whose_link_breaks_is_worked_on_but_unanswered(tmp_path: Path) -> None:
    lab = Lab(tmp_path, standing_ms=400)

    async def story() -> None:
        await lab.up()
        wire = await lab.wire()
        wire.write(bid(1, 12))
        await asyncio.sleep(0.1)
        assert frames(lab) == (1, 0)
        wire.close()
        await asyncio.sleep(1)
        assert frames(lab) == (1, 1)
        assert figures(lab)["bid_processing_ms"]["count"] == 1
        assert figures(lab)["frames"]["ok"] is False

    lab.run(story())


def test_an_award_that_falls_to_a_dead_link_leaves_its_bid_unanswered_once(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        wire = await lab.wire()
        wire.write(bid(1, 12))
        await asyncio.sleep(0.2)
        assert answers(wire) == 1
        wire.close()
        await asyncio.sleep(2)
        assert frames(lab) == (1, 1)
        assert figures(lab)["total"]["voided"] == 1
        assert figures(lab)["bid_processing_ms"]["count"] == 1

    lab.run(story())


def test_answers_to_a_link_that_is_gone_are_missed(tmp_path: Path) -> None:
    lab = Lab(tmp_path, delay_ms=(0.2, 0.3))

    async def story() -> None:
        await lab.up()
        wire = await lab.wire()
        wire.write(b"".join(bid(number, 1) for number in range(1, 61)))
        desk = lab.front().seller.desk
        received = desk.frames_received

        def and_break(link: Link, frames: list[Received]) -> None:
            received(link, frames)
            link.abort("the link broke")

        desk.frames_received = and_break  # type: ignore[method-assign]
        await asyncio.sleep(0.5)
        assert answers(wire) == 0
        assert frames(lab) == (60, 60)

    lab.run(story())


def test_a_flood_is_refused_and_what_comes_after_the_last_refusal_is_unanswered(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        wire = await lab.wire()
        wire.write(b"".join(bid(number, 1) for number in range(1, 1_001)))
        await asyncio.sleep(1)
        received, unanswered = frames(lab)
        assert received == 1_000
        assert answers(wire) + unanswered == received
        assert unanswered >= 100
        assert figures(lab)["connections"]["over_rate"] >= 400

    lab.run(story())


def test_expired_frames_are_unanswered_if_they_asked_for_something(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        wire = await lab.wire()
        asked = Body(MessageType.BID, 77, DEVICE, ttl=0, bid_price=12.0, required_energy_amount=0.1)
        told = Body.register(78, DEVICE)._replace(ttl=0)
        wire.write(encode_tcp(asked) * 30 + encode_tcp(told))
        await asyncio.sleep(0.2)
        assert frames(lab) == (31, 30)
        assert figures(lab)["connections"]["expired"] == 31

    lab.run(story())


def test_a_confirm_that_only_a_restart_can_answer_is_unanswered(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        buyer = await lab.buyer()
        accept = await buyer.wins(1, 12, 300)
        lab.host.disk.fails_after_commit = True
        buyer.confirm(accept)
        await asyncio.sleep(1)
        assert frames(lab)[1] == 1

    lab.run(story())


def test_what_closed_connections_counted_stays_in_the_figures(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    async def story() -> None:
        await lab.up()
        for number in range(3):
            wire = await lab.wire()
            nonsense = bytes([84, 0, 0, 0]) + bytes([255]) * 84
            wire.write(bid(number + 1, 1) + encode_tcp(Body.query(9, DEVICE)) + nonsense)
            await asyncio.sleep(0.1)
            wire.close()
        await asyncio.sleep(0.1)
        found = figures(lab)
        assert found["latency_ms"]["BidReject"]["count"] == found["latency_ms"]["QueryResponse"]["count"] == 3
        assert found["latency_ms"]["BidReject"]["late"] == 0
        assert found["connections"]["bad"] == 3
        assert found["connections"]["received"] == 9

    lab.run(story())
