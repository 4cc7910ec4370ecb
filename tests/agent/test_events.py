"""Numbered events in bounded queues."""

from __future__ import annotations

import asyncio

import pytest

from agent.events import EventHub


def hub() -> EventHub:
    return EventHub(lambda: 1_000)


async def test_events_are_numbered_whether_or_not_somebody_listens() -> None:
    events = hub()
    events.publish("lot_opened", lot_id=1)
    subscription = events.subscribe()
    assert events.listening
    events.publish("lot_closed", lot_id=1)
    assert await subscription.next() == (2, "lot_closed", 1_000, {"lot_id": 1})


async def test_a_subscriber_hears_what_it_asked_for() -> None:
    events = hub()
    subscription = events.subscribe(["alarm"])
    events.publish("lot_opened")
    events.publish("alarm", name="x")
    assert (await subscription.next()).number == 2


async def test_a_slow_subscriber_is_told_how_much_it_lost_and_keeps_the_newest() -> None:
    events = hub()
    slow, other = events.subscribe(limit=3), events.subscribe()
    for number in range(1, 8):
        events.publish("metrics", n=number)
    assert await slow.next() == (4, "dropped", 1_000, {"n": 4})
    assert [(await slow.next()).number for _ in range(3)] == [5, 6, 7]
    events.publish("metrics", n=8)
    assert (await slow.next()).name == "metrics"
    assert [(await other.next()).number for _ in range(8)] == list(range(1, 9))


async def test_waiting_ends_when_something_happens_and_closing_ends_listening() -> None:
    events = hub()
    subscription = events.subscribe()
    waiting = asyncio.ensure_future(subscription.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    events.publish("alarm")
    assert (await waiting).name == "alarm"
    subscription.close()
    subscription.close()
    assert not events.listening
    events.publish("alarm")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(subscription.next(), 0.01)
