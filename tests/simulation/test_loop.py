"""The virtual loop: time jumps, processes die between two instructions, and a hang is told."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from simulation.loop import Process, StalledError, VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Coroutine


def run_without_clean_up(world: Coroutine[None, None, None]) -> None:
    """`asyncio.run` would wait for the tasks of dead processes, which never end."""
    loop = VirtualLoop()
    try:
        loop.run_until_complete(world)
    finally:
        loop.close()


def test_a_day_passes_in_no_time() -> None:
    async def sleep_a_day() -> float:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    started = time.perf_counter()
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(sleep_a_day()) == 86_400
    assert time.perf_counter() - started < 5


def test_a_dead_process_runs_no_further_not_even_its_finally() -> None:
    done: list[str] = []

    async def work() -> None:
        try:
            while True:
                await asyncio.sleep(1)
                done.append("tick")
        finally:
            done.append("finally")

    async def world() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        process = Process("p")
        loop.start_in(process, work())
        await asyncio.sleep(2.5)
        process.kill()
        await asyncio.sleep(10)
        assert done == ["tick", "tick"]
        process.bury()

    run_without_clean_up(world())


def test_what_a_process_starts_dies_with_it_but_not_what_happens_outside() -> None:
    done: list[str] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.call_later(5, done.append, "inside")
        loop.call_outside(5, done.append, "outside")

    async def world() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        process = Process("p")
        await loop.start_in(process, work())
        process.kill()
        await asyncio.sleep(10)

    run_without_clean_up(world())
    assert done == ["outside"]


def test_a_program_that_hangs_is_told() -> None:
    async def hang() -> None:
        await asyncio.get_running_loop().create_future()

    loop = VirtualLoop()
    try:
        with pytest.raises(StalledError):
            loop.run_until_complete(hang())
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.call_later(0, loop.stop)
        loop.run_forever()
        loop.close()


async def _in_thread() -> int:
    return await asyncio.to_thread(lambda: 7)


def test_what_asks_for_a_thread_runs_at_once() -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(_in_thread()) == 7
