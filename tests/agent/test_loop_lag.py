"""The loop's own lag is measured, and a long one is told."""

from __future__ import annotations

import asyncio
import time

from agent.loop_lag import LoopLag


async def test_a_blocked_loop_is_measured_and_told() -> None:
    told: list[int] = []
    heard = asyncio.Event()

    def on_lag(lag_ms: int) -> None:
        told.append(lag_ms)
        heard.set()

    lag = LoopLag(on_lag, alarm_ms=20)
    lag.start()
    await asyncio.sleep(0)
    time.sleep(0.2)  # noqa: ASYNC251 - blocking the loop is what is tested
    await asyncio.wait_for(heard.wait(), 30)
    lag.stop()
    lag.stop()
    summary = lag.summary()
    assert told[0] >= 50
    assert summary["count"] >= 1
    assert summary["worst"] >= 50
    assert summary["over_5_ms"] >= 1


async def test_an_idle_loop_alarms_nothing() -> None:
    told: list[int] = []
    measured = asyncio.Event()
    lag, clock = LoopLag(told.append, alarm_ms=2_000), LoopLag(lambda _: measured.set(), alarm_ms=-1)
    lag.start()
    clock.start()
    await asyncio.wait_for(measured.wait(), 30)
    lag.stop()
    clock.stop()
    assert told == []
    assert lag.summary()["count"] == 1
    assert lag.summary()["p50"] <= lag.summary()["p99"] <= lag.summary()["worst"]
