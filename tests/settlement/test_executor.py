"""The writer thread."""

from __future__ import annotations

import asyncio
import threading

from settlement.executor import ThreadExecutor


async def test_jobs_run_in_order_on_one_other_thread_and_report_on_the_loop() -> None:
    executor = ThreadExecutor("writer")
    ran: list[tuple[int, str]] = []
    reported: list[tuple[int, str, str]] = []
    finished = asyncio.Event()

    def job(n: int) -> None:
        ran.append((n, threading.current_thread().name))
        if n == 1:
            raise OSError("disk")

    def done(n: int, error: BaseException | None) -> None:
        reported.append((n, threading.current_thread().name, str(error)))
        if n == 2:
            finished.set()

    for n in range(3):
        executor.submit(lambda n=n: job(n), lambda error, n=n: done(n, error))  # type: ignore[misc]
    await asyncio.wait_for(finished.wait(), 30)
    executor.close()
    executor.close()
    here = threading.current_thread().name
    assert ran == [(0, "writer"), (1, "writer"), (2, "writer")]
    assert reported == [(0, here, "None"), (1, here, "disk"), (2, here, "None")]


def test_a_job_may_outlive_its_loop() -> None:
    executor = ThreadExecutor()
    release, ran = threading.Event(), threading.Event()

    async def run() -> None:
        def job() -> None:
            release.wait(5)
            ran.set()

        executor.submit(job, lambda _error: None)

    asyncio.run(run())
    release.set()
    executor.close()
    assert ran.is_set()
