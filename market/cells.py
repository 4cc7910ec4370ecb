"""Cells of a study, played on all cores: each is drawn by itself, so their number and order change nothing."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    Cell = TypeVar("Cell")
    Result = TypeVar("Result")


def played(play: Callable[[Cell], Result], cells: Sequence[Cell]) -> Generator[Result]:
    """Yield what each cell comes to, in the order of the cells; leaving early ends the workers."""
    pool = ProcessPoolExecutor(max_workers=min(len(cells), os.cpu_count() or 1), initializer=_leave_ctrl_c_alone)
    try:
        yield from pool.map(play, cells)
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_ctrl_c_alone() -> None:
    """Let the parent alone answer Ctrl-C: it ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
