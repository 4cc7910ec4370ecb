"""Crashes are reported and restarted with growing pauses; what cannot be restarted stops the selling first."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest

from agent.supervisor import NEVER, Crash, RestartPolicy, Supervisor, TaskState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FAST = RestartPolicy(first_pause_ms=1, longest_pause_ms=4, healthy_ms=60_000, crashes_max=5, window_ms=60_000)


class Site:
    """Hears what the supervisor says, in order."""

    def __init__(self) -> None:
        self.heard: list[str | Crash] = []
        self.changed = asyncio.Event()
        self.supervisor = Supervisor(stop_selling=self.stop, report=self.report)

    def stop(self, reason: str) -> None:
        self.heard.append(reason)

    def report(self, crash: Crash) -> None:
        self.heard.append(crash)
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await self.changed.wait()
                self.changed.clear()


def crashing(times: int, healthy: asyncio.Event | None = None) -> Callable[[], Awaitable[None]]:
    left = times

    async def run() -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise RuntimeError(f"{left} left")
        if healthy is not None:
            healthy.set()
        await asyncio.Event().wait()

    return run


async def test_a_crash_is_reported_and_the_task_runs_again() -> None:
    site, healthy = Site(), asyncio.Event()
    site.supervisor.start("desk", crashing(3, healthy), policy=FAST)
    await asyncio.wait_for(healthy.wait(), 30)
    assert site.heard == [
        Crash("desk", "RuntimeError: 2 left", 1, 1),
        Crash("desk", "RuntimeError: 1 left", 2, 2),
        Crash("desk", "RuntimeError: 0 left", 3, 4),
    ]
    assert site.supervisor.summary() == [
        {"name": "desk", "state": "running", "crashes": 3, "last_error": "RuntimeError: 0 left"}
    ]
    assert await site.supervisor.close() == []


async def test_pauses_have_a_limit_and_a_task_that_keeps_crashing_is_given_up() -> None:
    site = Site()
    site.supervisor.start("poll", crashing(99), policy=FAST)
    await site.until(lambda: len(site.heard) == 7)
    crashes = [said for said in site.heard if isinstance(said, Crash)]
    assert [crash.restart_in_ms for crash in crashes] == [1, 2, 4, 4, 4, None]
    assert site.heard[-2] == "task poll failed: RuntimeError: 93 left"
    assert site.supervisor.states() == {"poll": TaskState.FAILED}
    await site.supervisor.close()


async def test_what_cannot_be_restarted_stops_selling_before_it_is_reported() -> None:
    site = Site()
    site.supervisor.start("journal", crashing(1), policy=NEVER)
    await site.until(lambda: len(site.heard) == 2)
    assert site.heard == [
        "task journal failed: RuntimeError: 0 left",
        Crash("journal", "RuntimeError: 0 left", 1, None),
    ]
    await site.supervisor.close()


async def test_a_crash_is_reported_even_when_selling_cannot_be_stopped() -> None:
    site = Site()

    def broken(reason: str) -> None:
        raise OSError(reason)

    supervisor = Supervisor(stop_selling=broken, report=site.report)
    supervisor.start("journal", crashing(1), policy=NEVER)
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(str(context["message"])))
    await site.until(lambda: len(site.heard) == 1)
    assert supervisor.states() == {"journal": TaskState.FAILED}
    await supervisor.close()
    del supervisor
    gc.collect()
    assert complaints == ["Task exception was never retrieved"]


async def test_a_healthy_time_makes_the_next_pause_short_again() -> None:
    site = Site()
    policy = RestartPolicy(first_pause_ms=1, longest_pause_ms=1_000, healthy_ms=0, crashes_max=5)
    site.supervisor.start("desk", crashing(4), policy=policy)
    await site.until(lambda: len(site.heard) == 4)
    assert [crash.restart_in_ms for crash in site.heard if isinstance(crash, Crash)] == [1, 1, 1, 1]
    await site.supervisor.close()


async def test_old_crashes_are_forgotten() -> None:
    site = Site()
    policy = RestartPolicy(first_pause_ms=1, longest_pause_ms=1, crashes_max=0, window_ms=0)
    site.supervisor.start("desk", crashing(3), policy=policy)
    await site.until(lambda: len(site.heard) == 3)
    assert all(isinstance(said, Crash) and said.restart_in_ms for said in site.heard)
    await site.supervisor.close()


async def test_a_return_is_a_crash_unless_it_is_allowed() -> None:
    site = Site()

    async def ends() -> None:
        return

    site.supervisor.start("once", ends, may_end=True)
    site.supervisor.start("ever", ends, policy=NEVER)
    await site.until(lambda: len(site.heard) == 2)
    assert site.supervisor.states() == {"once": TaskState.ENDED, "ever": TaskState.FAILED}
    assert site.heard[0] == "task ever failed: returned although it should run for ever"
    await site.supervisor.close()


async def test_stopping_one_and_all_in_reverse_order() -> None:
    site = Site()
    ended: list[str] = []

    def waits(name: str) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(name)

        return run

    for name in ("a", "b", "c"):
        site.supervisor.start(name, waits(name))
    await asyncio.sleep(0)
    with pytest.raises(ValueError, match="'a'"):
        site.supervisor.start("a", waits("a"))
    await site.supervisor.stop("b")
    await site.supervisor.stop("nobody")
    assert await site.supervisor.close() == []
    assert ended == ["b", "c", "a"]
    assert site.heard == []
    with pytest.raises(ValueError, match="stopping"):
        site.supervisor.start("d", waits("d"))


async def test_a_task_that_does_not_end_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.supervisor.STOP_TIMEOUT_S", 0.01)
    site = Site()
    release = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await release.wait()

    site.supervisor.start("stubborn", stubborn, may_end=True)
    await asyncio.sleep(0)
    assert await site.supervisor.close() == ["stubborn"]
    release.set()
    await asyncio.sleep(0)
