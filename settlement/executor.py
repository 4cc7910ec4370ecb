"""Where blocking file jobs run: a thread of their own in production, whatever a simulator likes in a simulation.

The contract of an executor: jobs run one at a time in the order of their submission, each at most once, and `done` is
called on the event loop's thread, in the same order, with None or the error. An executor may report an error without
running the job (a disk that fails), and after a power cut it may run a job without reporting it, or neither.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Executor(Protocol):
    """Runs blocking jobs apart from the event loop."""

    def submit(self, job: Callable[[], None], done: Callable[[BaseException | None], None]) -> None:
        """Run `job`, then call `done` on the thread that called `submit`, through its running loop."""

    def close(self) -> None:
        """Take no more jobs; called when the last one is done."""


class ThreadExecutor:
    """One thread that waits for jobs; it starts with the first one."""

    def __init__(self, name: str = "file-writer") -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Submitted | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, job: Callable[[], None], done: Callable[[BaseException | None], None]) -> None:
        """Hand a job to the thread; `done` arrives through the running loop."""
        if self._thread is None:
            self._thread = threading.Thread(target=_serve, args=(self._jobs,), name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put((job, done, asyncio.get_running_loop()))

    def close(self) -> None:
        """End the thread after the jobs it has."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None


_Submitted = tuple["Callable[[], None]", "Callable[[BaseException | None], None]", asyncio.AbstractEventLoop]


def _serve(jobs: queue.SimpleQueue[_Submitted | None]) -> None:
    while (item := jobs.get()) is not None:
        job, done, loop = item
        error: BaseException | None = None
        try:
            job()
        except Exception as caught:  # noqa: BLE001 - the thread's outermost edge: every error goes to `done`
            error = caught
        try:
            loop.call_soon_threadsafe(done, error)
        except RuntimeError:
            if not loop.is_closed():
                raise
            # Nobody is left to be told: the loop ended without closing its file, as a crash would.
