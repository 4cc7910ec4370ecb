"""One appraisal: read the forecasts' files, run the programme, choose the mark-up. No state.

Reading blocks and belongs into a thread. The rest would hold up the event loop from a thread, too, because one thread
at a time runs Python: it comes in slices, between which the loop does everything else.
"""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agent.pricing import (
    SLOT_MS,
    DynamicTerms,
    ForecastError,
    OwnSales,
    PriceFile,
    appraising,
    horizon,
    parsing,
    terminal_e4,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.pricing import FlatTariff, Forecast, Markup, Plant, SalesHistory, Slices, Step, TimeOfUse, WorthTable

FILE_READ_MAX = (1 << 20) + 1
"""One byte more than a forecast may have, so that a larger one is told from one that just fits."""

Signatures = tuple[tuple[int, int] | None, ...]
"""Of each file when and how large it was last written; None = there is none."""


class FileRead(NamedTuple):
    """What was in a file, when it was written and how large it was; in words why it could not be read."""

    signature: tuple[int, int] | None
    data: bytes = b""
    trouble: str = ""


class Outlook(NamedTuple):
    """What a forecast said at `at_ms` of the half hours from then on, and what energy left at its end is worth."""

    at_ms: int
    steps: tuple[Step, ...]
    terminal_e4: int

    def ahead(self, now_ms: int) -> tuple[Step, ...]:
        """Return the half hours that have not passed."""
        return self.steps[max(0, now_ms // SLOT_MS - self.at_ms // SLOT_MS) :]


class Asked(NamedTuple):
    """What an appraisal is made from. With `known` signatures nothing is done unless a file has others now.

    `outlook` is what the last forecast said that spoke: what is left of it counts while none does.
    """

    terms: DynamicTerms
    plant: Plant
    markup: Markup
    sales: SalesHistory
    now_ms: int
    outlook: Outlook | None = None
    known: Signatures | None = None


class Appraised(NamedTuple):
    """What came of it: the table, and in words why no forecast spoke; the mark-up's choice is made in either case.

    The table is from the half hour asked for on, of the `outlook`; None when nothing is left of that.
    """

    asked: Asked
    table: WorthTable | None
    outlook: Outlook | None
    trouble: str
    signatures: Signatures


def files_of(terms: DynamicTerms) -> tuple[PriceFile, ...]:
    """Return the files that a reserve reads."""
    return tuple(source for source in (terms.sell, terms.buy) if isinstance(source, PriceFile))


def read(sources: Sequence[PriceFile], known: Signatures | None) -> tuple[FileRead, ...] | None:
    """Read files; None when none has changed since `known`. Blocks as long as the disk does."""
    if known is not None and known == tuple(_signature(source) for source in sources):
        return None
    return tuple(_read(source) for source in sources)


def appraised(asked: Asked, files: Sequence[FileRead]) -> Slices[Appraised]:
    """Appraise the energy by what was read of `files_of` the terms, in slices."""
    yield from asked.markup.choosing()  # so that nobody waits for it later
    terms = asked.terms
    contents = dict(zip(files_of(terms), files, strict=True))
    try:
        buy = None if terms.buy is None else (yield from _forecast(terms.buy, asked, contents))
        sell = yield from _forecast(terms.sell, asked, contents)
        yield
        steps = horizon(sell, buy, asked.now_ms)
    except ForecastError as error:
        outlook, trouble = asked.outlook, str(error)
    else:
        outlook, trouble = Outlook(asked.now_ms, steps, terminal_e4(terms, steps)), ""
    yield
    ahead = () if outlook is None else outlook.ahead(asked.now_ms)
    table = None
    if outlook is not None and ahead:
        table = yield from appraising(asked.plant, ahead, terminal_e4=outlook.terminal_e4)
    return Appraised(asked, table, outlook, trouble, tuple(file.signature for file in files))


async def in_slices(slices: Slices[Appraised]) -> Appraised:
    """Run slices, and let the event loop do all that waits between any two of them."""
    while True:
        try:
            next(slices)
        except StopIteration as end:
            result: Appraised = end.value
            return result
        await asyncio.sleep(0)


def _forecast(
    source: FlatTariff | TimeOfUse | PriceFile | OwnSales, asked: Asked, contents: Mapping[PriceFile, FileRead]
) -> Slices[Forecast]:
    if isinstance(source, OwnSales):
        return asked.sales
    if not isinstance(source, PriceFile):
        return source
    file = contents[source]
    if file.signature is None or file.trouble:
        raise ForecastError(f"{source.path}: {file.trouble}")
    return (
        yield from parsing(
            file.data,
            name=source.path,
            zone=source.zone,
            changed_ms=file.signature[0] // 1_000_000,
            stale_after_ms=source.stale_after_ms,
        )
    )


def _read(source: PriceFile) -> FileRead:
    try:
        if not stat.S_ISREG(Path(source.path).stat().st_mode):
            return _irregular(source)
        with open(source.path, "rb", opener=_open_at_once) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):  # it has taken the file's place since
                return _irregular(source)
            return FileRead((found.st_mtime_ns, found.st_size), file.read(FILE_READ_MAX))
    except OSError as error:
        return FileRead(_signature(source), trouble=f"cannot be read ({error.strerror or error})")


def _irregular(source: PriceFile) -> FileRead:
    return FileRead(_signature(source), trouble="is not a regular file (a pipe, a device or a folder); allowed: a file")


def _open_at_once(path: str, flags: int) -> int:
    """Open what may be a pipe without waiting for somebody at its other end."""
    return os.open(path, flags | os.O_NONBLOCK)


def _signature(source: PriceFile) -> tuple[int, int] | None:
    try:
        found = Path(source.path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
