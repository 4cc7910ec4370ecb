"""`wattbid study`: the auction held against theory, and what it is worth to an owner."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final, TextIO

import typer

from cli.endings import leave_in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

app = typer.Typer(help="Studies of the auction.", no_args_is_help=True, add_completion=False)
_USAGE: Final = 2


@app.callback()
def study() -> None:
    """Hold the auction against theory."""


@app.command()
def mechanism(
    source: Annotated[str, typer.Option("--in", help="Requests as JSON lines; - = standard input.")] = "-",
    target: Annotated[str, typer.Option("--out", help="Answers, one line each; - = standard output.")] = "-",
) -> None:
    """Answer requests about the auction as a mechanism, one JSON line each (docs/mechanism.md).

    A request that makes no sense ends the run with status 2, naming line and key; the answers before it stand.
    """
    leave_in_order()
    from market.errors import StudyError
    from market.requests import LINE_MAX, answer

    where = "standard input" if source == "-" else source
    with _read(source) as requests, _written(target) as answers:
        number = 0
        while line := requests.readline(LINE_MAX + 1):
            number += 1
            if not line.strip():
                continue
            try:
                told = answer(line.decode(), _progress_of(number))
            except (StudyError, UnicodeDecodeError) as error:
                _over()
                print(f"wattbid study mechanism: {where}:{number}: {error}", file=sys.stderr)
                raise typer.Exit(_USAGE) from error
            _over()
            print(told, file=answers, flush=True)


@contextlib.contextmanager
def _read(source: str) -> Iterator[BinaryIO]:
    if source == "-":
        yield sys.stdin.buffer
        return
    with Path(source).open("rb") as file:
        yield file


@contextlib.contextmanager
def _written(target: str) -> Iterator[TextIO]:
    if target == "-":
        yield sys.stdout
        return
    with Path(target).open("w", encoding="utf-8") as file:
        yield file


def _progress_of(line: int) -> Callable[[int], None] | None:
    """Return what shows a person at a terminal how far a long request is."""
    if not sys.stderr.isatty():
        return None
    return lambda done: print(f"\rline {line}: {done} lots", end="", file=sys.stderr, flush=True)


def _over() -> None:
    """Take the progress off the screen."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
