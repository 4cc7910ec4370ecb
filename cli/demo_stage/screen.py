"""Shows the live view on the terminal, and leaves the terminal as it was."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import termios
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.demo_stage.book import Book

FRAME_S: Final = 0.125


def can_draw() -> bool:
    """Whether standard output is a terminal that can show the live view."""
    try:
        from rich.console import Console
    except ImportError:
        return False
    console = Console()
    return console.is_terminal and not console.is_dumb_terminal


async def watch(book: Book, wanted: int | None) -> None:
    """Draw the book until cancelled."""
    from rich.console import Console
    from rich.live import Live

    from cli.demo_stage.view import Size, render

    loop = asyncio.get_running_loop()
    began_s = loop.time()
    console = Console()
    with _silent_keyboard(), Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            size = Size(*console.size)
            live.update(render(book, size=size, elapsed_s=loop.time() - began_s, wanted=wanted), refresh=True)
            await asyncio.sleep(FRAME_S)


@contextlib.contextmanager
def _silent_keyboard() -> Iterator[None]:
    """Keep what is typed from being drawn into the view; Ctrl-C still works."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    silent = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, before)
