"""Cells of a study, played on all cores: each is drawn by itself, so their number and order change nothing."""

from __future__ import annotations

import os
import signal
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    Cell = TypeVar("Cell")
    Result = TypeVar("Result")


_ENDS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def played(play: Callable[[Cell], Result], cells: Sequence[Cell]) -> Generator[Result]:
    """Yield what each cell comes to, in the order of the cells; leaving early ends the workers at once."""
    workers = min(len(cells), os.cpu_count() or 1)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)  # half a pool could not be taken down again
    try:
        pool = get_context("fork").Pool(workers, initializer=_obey_the_parent)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with pool:
        yield from pool.imap(play, cells)


def _obey_the_parent() -> None:
    """Let the parent alone answer Ctrl-C and a closed terminal, and end at once when it says so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
