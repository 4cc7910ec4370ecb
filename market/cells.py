"""Cells of a study, played on all cores: each is drawn by itself, so their number and order change nothing."""

from __future__ import annotations

import os
import signal
from multiprocessing import get_context
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    Cell = TypeVar("Cell")
    Result = TypeVar("Result")


def played(play: Callable[[Cell], Result], cells: Sequence[Cell]) -> Generator[Result]:
    """Yield what each cell comes to, in the order of the cells; leaving early ends the workers at once."""
    workers = min(len(cells), os.cpu_count() or 1)
    with get_context("fork").Pool(workers, initializer=_obey_the_parent) as pool:
        yield from pool.imap(play, cells)


def _obey_the_parent() -> None:
    """Let the parent alone answer Ctrl-C and a closed terminal, and end at once when it says so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
