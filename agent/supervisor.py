"""Named tasks that are kept running.

A task that crashes (or returns although it should not) is reported and started again after a pause that doubles from
0.1 s to 30 s; a minute without a crash makes the next pause short again. A task that cannot be restarted, or that keeps
crashing, stops the selling first and is reported then; the process goes on, so that the battery stays under control.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

STOP_TIMEOUT_S: Final = 10.0


class TaskState(Enum):
    """Where a supervised task stands."""

    RUNNING = "running"
    WAITING = "waiting"  # crashed; will be started again
    ENDED = "ended"  # returned, as it may
    FAILED = "failed"  # crashed and will not be started again


class Crash(NamedTuple):
    """What is reported of a crash; `restart_in_ms` is None when there will be no restart."""

    task: str
    error: str
    crashes: int
    restart_in_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """When to start a crashed task again: pauses in ms, and how many crashes in which time are too many.

    With these pauses a task that crashes whenever it is started has done so `crashes_max` times after 81 s.
    """

    first_pause_ms: int = 100
    longest_pause_ms: int = 30_000
    healthy_ms: int = 60_000
    crashes_max: int = 10
    window_ms: int = 300_000


ALWAYS: Final = RestartPolicy()
NEVER: Final = RestartPolicy(crashes_max=0)


@dataclass(slots=True)
class _Supervised:
    name: str
    run: Callable[[], Awaitable[None]]
    policy: RestartPolicy
    may_end: bool
    task: asyncio.Task[None] | None = None
    state: TaskState = TaskState.RUNNING
    crashes: int = 0
    last_error: str = ""
    pause_ms: int = 0
    recent: deque[int] = field(default_factory=deque)  # monotonic ms of crashes inside the window


class Supervisor:
    """Keeps tasks running. `stop_selling(reason)` and `report(crash)` are called from the event loop."""

    def __init__(self, *, stop_selling: Callable[[str], None], report: Callable[[Crash], None]) -> None:
        self._stop_selling = stop_selling
        self._report = report
        self._supervised: dict[str, _Supervised] = {}
        self._closing = False

    def start(
        self, name: str, run: Callable[[], Awaitable[None]], *, policy: RestartPolicy = ALWAYS, may_end: bool = False
    ) -> None:
        """Start `run()` under a name that is free. A return counts as a crash unless it `may_end`."""
        if self._closing or name in self._supervised:
            raise ValueError(f"task {name!r} cannot be started: the name is taken or everything is stopping")
        supervised = _Supervised(name, run, policy, may_end)
        self._supervised[name] = supervised
        supervised.task = asyncio.get_running_loop().create_task(self._keep(supervised), name=f"wattbid:{name}")

    def states(self) -> dict[str, TaskState]:
        """Return every task's state by name."""
        return {name: supervised.state for name, supervised in self._supervised.items()}

    def summary(self) -> list[dict[str, Any]]:
        """Return the tasks as JSON, in the order they were started."""
        return [
            {"name": s.name, "state": s.state.value, "crashes": s.crashes, "last_error": s.last_error}
            for s in self._supervised.values()
        ]

    async def stop(self, name: str) -> None:
        """Cancel one task, wait until it is over and forget it; an unknown name is none running."""
        supervised = self._supervised.pop(name, None)
        if supervised is not None:
            await _cancel(supervised)

    async def close(self) -> list[str]:
        """Cancel every task, the youngest first; return the names of those that did not end in 10 s."""
        self._closing = True
        stuck = []
        for name, supervised in reversed(self._supervised.items()):
            if not await _cancel(supervised):
                stuck.append(name)
        return stuck

    async def _keep(self, supervised: _Supervised) -> None:
        loop = asyncio.get_running_loop()
        while True:
            supervised.state = TaskState.RUNNING
            started_ms = _now_ms(loop)
            try:
                await supervised.run()
            except Exception as error:  # noqa: BLE001 - a task's outermost edge: reported and restarted
                supervised.last_error = f"{type(error).__name__}: {error}"
            else:
                if supervised.may_end:
                    supervised.state = TaskState.ENDED
                    return
                supervised.last_error = "returned although it should run for ever"
            now_ms = _now_ms(loop)
            pause_ms = _next_pause_ms(supervised, started_ms, now_ms)
            if pause_ms is None:
                supervised.state = TaskState.FAILED
                try:
                    self._stop_selling(f"task {supervised.name} failed: {supervised.last_error}")
                finally:
                    self._tell(supervised, None)
                return
            supervised.state = TaskState.WAITING
            self._tell(supervised, pause_ms)
            await asyncio.sleep(pause_ms / 1_000)

    def _tell(self, supervised: _Supervised, restart_in_ms: int | None) -> None:
        self._report(Crash(supervised.name, supervised.last_error, supervised.crashes, restart_in_ms))


def _next_pause_ms(supervised: _Supervised, started_ms: int, now_ms: int) -> int | None:
    """Count a crash and return the pause before the next start, None when there shall be none."""
    policy = supervised.policy
    supervised.crashes += 1
    supervised.recent.append(now_ms)
    while supervised.recent and supervised.recent[0] <= now_ms - policy.window_ms:
        supervised.recent.popleft()
    if len(supervised.recent) > policy.crashes_max:
        return None
    healthy = now_ms - started_ms >= policy.healthy_ms
    supervised.pause_ms = policy.first_pause_ms if healthy else max(policy.first_pause_ms, 2 * supervised.pause_ms)
    supervised.pause_ms = min(supervised.pause_ms, policy.longest_pause_ms)
    return supervised.pause_ms


async def _cancel(supervised: _Supervised) -> bool:
    task = supervised.task
    if task is None or task.done():
        return True
    task.cancel()
    done, _ = await asyncio.wait((task,), timeout=STOP_TIMEOUT_S)
    return bool(done)


def _now_ms(loop: asyncio.AbstractEventLoop) -> int:
    return int(loop.time() * 1_000)
