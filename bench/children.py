"""Processes of the benches: each says a JSON line when it is ready, takes JSON lines as orders, and ends with stdin."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from agent.clock import wall_ms
from agent.logs import setup
from bench.machine import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_END_S: Final = 20.0


class Child:
    """A Python module in a process of its own; a context manager that ends it."""

    def __init__(self, module: str, **options: Any) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        self.ready = self._read()
        self.pid = self._process.pid

    def ask(self, **order: Any) -> dict[str, Any]:
        """Send an order and return the answer."""
        if self._process.stdin is None:
            raise RuntimeError("the child has no stdin")
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError(f"the child ended with status {self._process.wait(_END_S)}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def options() -> dict[str, Any]:
    """Return what `Child` was made with; pins this process to the core named there."""
    given: dict[str, Any] = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    if given.get("core") is not None:
        os.sched_setaffinity(0, {given["core"]})
    return given


def say(**words: Any) -> None:
    """Tell the parent something."""
    print(json.dumps(words), flush=True)


@contextlib.contextmanager
def log_to(directory: str, name: str) -> Iterator[None]:
    """Send this process's log lines to a file, as in production: by a thread of their own."""
    with Path(directory, f"{name}.log").open("w", encoding="utf-8") as file:
        sink = setup(wall_ms=wall_ms, stream=file)
        try:
            yield
        finally:
            sink.close()


async def orders() -> asyncio.StreamReader:
    """Return stdin as a stream of orders; it ends when the parent closes it."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader
