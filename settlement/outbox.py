"""The outbox as the settler's task uses it: saves that are durable when awaited, in groups, apart from the loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from settlement.outbox_file import Loaded, OutboxFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from settlement.executor import Executor
    from settlement.outbox_file import Write
    from settlement.outbox_records import TradeRecord

T = TypeVar("T")


class Outbox:
    """One settler's file. Every method may raise OutboxError; then nothing was changed."""

    def __init__(self, path: Path, executor: Executor) -> None:
        self.path = path
        self._executor = executor
        self._file: OutboxFile | None = None
        self._waiting: list[tuple[tuple[Write, ...], asyncio.Future[None]]] = []
        self._is_writing = False

    async def open(self) -> Loaded:
        """Lock and read the file."""

        def job() -> Loaded:
            self._file = OutboxFile.open(self.path)
            return self._file.load()

        return await self.run(job)

    async def save(self, *writes: Write) -> None:
        """Write records; they are durable when this returns. What several tasks save meanwhile is one commit."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((writes, future))
        if not self._is_writing:
            self._write_next()
        await future

    async def find(self, trade_id: bytes) -> TradeRecord | None:
        """Return a trade, however long it is over."""
        return await self.run(lambda: self._opened.find(trade_id))

    async def take_wishes(self) -> tuple[bytes, ...]:
        """Return the trades that somebody wants tried again at once."""
        return await self.run(self._opened.take_wishes)

    def abandon(self) -> None:
        """Leave everything as a crash would: nothing that waits is written, the file and its lock are let go."""
        self._waiting.clear()
        file, self._file = self._file, None
        if file is not None:
            file.close()

    async def close(self) -> None:
        """Close the file, when it was opened, and end the executor."""
        if self._file is not None:
            await self.run(self._file.close)
            self._file = None
        self._executor.close()

    @property
    def _opened(self) -> OutboxFile:
        if self._file is None:
            raise RuntimeError(f"{self.path} is not open")
        return self._file

    def _write_next(self) -> None:
        group, self._waiting = self._waiting, []
        self._is_writing = True
        writes = [write for several, _ in group for write in several]

        def done(error: BaseException | None) -> None:
            for _, future in group:
                if future.cancelled():
                    continue
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
            self._is_writing = False
            if self._waiting:
                self._write_next()

        self._executor.submit(lambda: self._opened.write(writes), done)

    async def run(self, job: Callable[[], T]) -> T:
        """Return what a job of the caller's returns; it runs apart from the loop, in turn with the file's own."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        found: list[T] = []

        def done(error: BaseException | None) -> None:
            if future.cancelled():
                return
            if error is None:
                future.set_result(found[0])
            else:
                future.set_exception(error)

        self._executor.submit(lambda: found.append(job()), done)
        return await future
