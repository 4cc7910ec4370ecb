"""`wattbid study`: the auction held against theory, and what it is worth to an owner."""

from __future__ import annotations

import contextlib
import io
import math
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
    if source != "-" and target != "-" and _is_same(source, target):
        raise _unusable(target, "is where the requests are")
    with _read(source) as requests, _written(target) as answers:
        number = 0
        while line := requests.readline(LINE_MAX + 1):
            number += 1
            if not line.strip():
                continue
            try:
                with _progress_of(number) as progress:
                    told = answer(line, progress)
            except StudyError as error:
                print(f"wattbid study mechanism: {where}:{number}: {error}", file=sys.stderr)
                raise typer.Exit(_USAGE) from error
            print(told, file=answers, flush=True)


@app.command()
def self_test(
    *,
    seed: Annotated[int, typer.Option(help="Draws the values.", min=0, max=10**12)] = 1,
    lots: Annotated[int, typer.Option(help="Lots a check.", min=100, max=10_000_000)] = 20_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Hold every rule against its closed form: one line of z-scores, status 1 when one is above 4.5."""
    leave_in_order()
    import json

    from market.self_test import LIMIT, checks

    made = []
    for check in checks(seed, lots):
        made.append(check)
        if sys.stderr.isatty():
            _over()
            print(f"{len(made)} checks: {check.name}", end="", file=sys.stderr, flush=True)
    _over()
    worst = max(made, key=lambda check: abs(check.z))
    failed = [check for check in made if not abs(check.z) <= LIMIT]
    if as_json:
        told = [check._asdict() | {"z": check.z if math.isfinite(check.z) else None} for check in made]
        print(json.dumps({"ok": not failed, "limit": LIMIT, "seed": seed, "lots": lots, "checks": told}))
    else:
        scores = " ".join(f"{check.name}: {check.z:+.2f} |" for check in made)
        print(f"z-scores | {scores} worst {worst.z:+.2f} of {len(made)}, {'ok' if not failed else 'FAILED'}")
    for check in failed:
        text = f"{check.name}: {check.measured:g} measured, {check.expected:g} expected, z = {check.z:+.2f}"
        print(f"wattbid study self-test: {text}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


@app.command()
def standing_bid(
    *,
    lots: Annotated[int, typer.Option(help="Lots a cell.", min=10, max=1_000_000)] = 400,
    seed: Annotated[int, typer.Option(help="Draws values and latencies.", min=0, max=10**12)] = 1,
    target: Annotated[str, typer.Option("--out", help="Where the page goes; - = standard output.")] = "-",
    as_json: Annotated[bool, typer.Option("--json", help="Write the figures as one JSON object.")] = False,
) -> None:
    """Show what the standing bid does: price and second value, large lots, deviations (docs/standing-bid.md)."""
    leave_in_order()
    import json

    from market.standing_page import figures, page, play_all

    progress = None
    if sys.stderr.isatty():
        progress = lambda done, count: print(f"\r{done} of {count} cells", end="", file=sys.stderr, flush=True)  # noqa: E731
    _be_writable(target)
    results = play_all(lots, seed, progress)
    _over()
    told = json.dumps(figures(results, lots=lots, seed=seed)) if as_json else page(results, lots=lots, seed=seed)
    _put(target, told)


@app.command()
def reserve(
    *,
    seeds: Annotated[int, typer.Option(help="Seed-weeks, and seeds of the mark-up.", min=1, max=1_000)] = 10,
    target: Annotated[str, typer.Option("--out", help="Where the page goes; - = standard output.")] = "-",
    as_json: Annotated[bool, typer.Option("--json", help="Write the figures as one JSON object.")] = False,
) -> None:
    """Hold a dynamic reserve against fixed ones, and the learned mark-up against theory (docs/reserve-study.md)."""
    leave_in_order()
    import json

    from market.reserve_page import page
    from market.reserve_study import study as weigh

    progress = None
    if sys.stderr.isatty():
        progress = lambda what: print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)  # noqa: E731
    _be_writable(target)
    found = weigh(seeds, progress)
    _over()
    _put(target, json.dumps(found.fields()) if as_json else page(found))


@contextlib.contextmanager
def _read(source: str) -> Iterator[BinaryIO]:
    if source == "-":
        yield sys.stdin.buffer if sys.stdin is not None else io.BytesIO()
        return
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(Path(source).open("rb"))
        except OSError as error:
            raise _unusable(source, error.strerror) from error
        yield file


@contextlib.contextmanager
def _written(target: str) -> Iterator[TextIO]:
    if target == "-":
        yield sys.stdout
        return
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(Path(target).open("w", encoding="utf-8"))
        except OSError as error:
            raise _unusable(target, error.strerror) from error
        yield file


def _be_writable(target: str) -> None:
    """Say at once, before minutes of work, that a page cannot be written; what is there stays as it is."""
    if target != "-":
        try:
            Path(target).open("a", encoding="utf-8").close()
        except OSError as error:
            raise _unusable(target, error.strerror) from error


def _put(target: str, told: str) -> None:
    """Write a finished page."""
    told = told.rstrip("\n") + "\n"
    if target == "-":
        sys.stdout.write(told)
        return
    try:
        Path(target).write_text(told, encoding="utf-8")
    except OSError as error:
        raise OSError(error.errno, error.strerror, target) from error


def _unusable(path: str, why: str | None) -> typer.Exit:
    """Say why a file cannot be used; return the end that follows."""
    print(f"wattbid study: {path}: {why}", file=sys.stderr)
    return typer.Exit(_USAGE)


def _is_same(source: str, target: str) -> bool:
    try:
        return Path(source).samefile(target)
    except OSError:
        return False


@contextlib.contextmanager
def _progress_of(line: int) -> Iterator[Callable[[int], None] | None]:
    """Yield what shows a person at a terminal how far a long request is."""
    if not sys.stderr.isatty():
        yield None
        return
    try:
        yield lambda done: print(f"\rline {line}: {done} lots", end="", file=sys.stderr, flush=True)
    finally:
        _over()


def _over() -> None:
    """Take the progress off the screen."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
