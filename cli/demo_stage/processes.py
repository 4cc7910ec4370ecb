"""The processes that play the demo: started with a ready line to wait for, watched, stopped, and counted at the end.

Each is in a session of its own, so that Ctrl-C reaches the demo alone and the demo decides the order of the end:
buyers, then agents (which give their batteries back), then batteries.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

from cli.demo_stage.errors import ChildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

READY_S: Final = 60.0  # ten interpreters start on as little as one slow core
STOP_S: Final = 15.0  # an agent takes up to 10 s to release a battery that does not answer
_LINE_BYTES_MAX: Final = 1 << 20
_LAST_WORDS: Final = 3


class Child:
    """One process: `start` it, await `ready`, `stop` it. Its errors go to a log file, its lines to `on_line`."""

    def __init__(
        self,
        name: str,
        command: list[str],
        *,
        directory: Path,
        on_line: Callable[[str], None] | None = None,
        niceness: int = 0,
    ) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        self.ended = asyncio.Event()
        self._command = command
        self._niceness = niceness
        self._directory = directory
        self._on_line = on_line
        self._process: asyncio.subprocess.Process | None = None
        self._ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reader: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The process id, None before the start."""
        return None if self._process is None else self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, None while it runs."""
        return None if self._process is None else self._process.returncode

    @property
    def failed(self) -> bool:
        """Whether it ended without having been asked to."""
        return self.ended.is_set() and not self._stopping

    async def start(self) -> None:
        """Start the process."""
        argv = [sys.executable, "-m", "cli.demo_stage.child", str(os.getpid()), str(self._niceness), *self._command]
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *argv,
                cwd=self._directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=_LINE_BYTES_MAX,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self._reader = asyncio.create_task(self._read(self._process), name=f"demo:{self.name}")

    async def ready(self) -> str:
        """Wait for the first line. Raises ChildError when the process ends or takes too long instead."""
        try:
            async with asyncio.timeout(READY_S):
                return await asyncio.shield(self._ready)
        except TimeoutError as error:
            raise ChildError(self.name, f"not ready after {READY_S:.0f} s") from error

    async def stop(self) -> None:
        """Ask the process to end, wait, and kill it if it does not."""
        self._stopping = True
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await self.ended.wait()
        except TimeoutError:
            process.kill()
            await self.ended.wait()

    def last_words(self) -> str:
        """Return the end of what it wrote to its log: what the command said to people, else the last lines."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        lines = [line for line in text.split("\n") if line]
        told = [line for line in lines if line.startswith("wattbid ")]
        return told[-1] if told else "; ".join(lines[-_LAST_WORDS:])

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            raise RuntimeError("a child has a pipe")
        while line := await process.stdout.readline():
            text = line.decode(errors="replace").rstrip("\n")
            if not self._ready.done():
                self._ready.set_result(text)
            elif self._on_line is not None:
                self._on_line(text)
        await process.wait()
        if not self._ready.done():
            words = self.last_words() or f"ended with status {process.returncode}"
            self._ready.set_exception(ChildError(self.name, words))
            self._ready.exception()  # looked at: nobody may be waiting for it
        self.ended.set()


class Troupe:
    """All processes of one demo, in the order of their start."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._children: list[Child] = []

    @property
    def children(self) -> tuple[Child, ...]:
        """Every process that was started."""
        return tuple(self._children)

    async def start(
        self,
        name: str,
        command: Iterable[str],
        *,
        on_line: Callable[[str], None] | None = None,
        niceness: int = 0,
    ) -> Child:
        """Start a process of this name; it is not ready yet. The higher its niceness, the more others go before it."""
        child = Child(name, list(command), directory=self.directory, on_line=on_line, niceness=niceness)
        self._children.append(child)
        await child.start()
        return child

    async def first_failure(self) -> Child:
        """Wait until a process ends without having been asked to, and return it."""
        waits = {asyncio.create_task(child.ended.wait()): child for child in self._children}
        try:
            while True:
                done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    child = waits.pop(task)
                    if child.failed:
                        return child
        finally:
            for task in waits:
                task.cancel()

    async def stop(self, prefix: str = "") -> None:
        """Stop every process whose name starts so, all at once."""
        await asyncio.gather(*(child.stop() for child in self._children if child.name.startswith(prefix)))

    def left_running(self) -> list[str]:
        """Return the names of processes that still exist."""
        return [child.name for child in self._children if child.pid is not None and _exists(child.pid)]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # the number is somebody else's by now
    return True
