"""One appraisal: read the forecasts, run the programme, choose the mark-up. Blocking work for a thread, no state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agent.pricing import (
    SLOT_MS,
    DynamicTerms,
    ForecastError,
    OwnSales,
    PriceFile,
    appraise,
    horizon,
    parse_prices,
    terminal_e4,
)

if TYPE_CHECKING:
    from agent.pricing import FlatTariff, Forecast, Markup, Plant, SalesHistory, Step, TimeOfUse, WorthTable

FILE_READ_MAX = (1 << 20) + 1
"""One byte more than a forecast may have, so that a larger one is told from one that just fits."""

Signatures = tuple[tuple[int, int] | None, ...]
"""Of each file when and how large it was last written; None = there is none."""


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


def work(asked: Asked) -> Appraised | None:
    """Appraise the energy; None when no file has changed since `known`. Takes some 10 ms."""
    signatures = tuple(_signature(source) for source in files_of(asked.terms))
    if asked.known is not None and asked.known == signatures:
        return None
    asked.markup.markup_e4()  # chosen here, so that nobody waits for it on the event loop
    terms = asked.terms
    try:
        buy = None if terms.buy is None else _forecast(terms.buy, asked)
        steps = horizon(_forecast(terms.sell, asked), buy, asked.now_ms)
    except ForecastError as error:
        outlook, trouble = asked.outlook, str(error)
    else:
        outlook, trouble = Outlook(asked.now_ms, steps, terminal_e4(terms, steps)), ""
    ahead = () if outlook is None else outlook.ahead(asked.now_ms)
    table = appraise(asked.plant, ahead, terminal_e4=outlook.terminal_e4) if outlook and ahead else None
    return Appraised(asked, table, outlook, trouble, signatures)


def _forecast(source: FlatTariff | TimeOfUse | PriceFile | OwnSales, asked: Asked) -> Forecast:
    if isinstance(source, OwnSales):
        return asked.sales
    if not isinstance(source, PriceFile):
        return source
    path = Path(source.path)
    try:
        with path.open("rb") as file:
            data = file.read(FILE_READ_MAX)
        changed_ms = path.stat().st_mtime_ns // 1_000_000
    except OSError as error:
        raise ForecastError(f"{path}: cannot be read ({error.strerror or error})") from error
    return parse_prices(
        data, name=source.path, zone=source.zone, changed_ms=changed_ms, stale_after_ms=source.stale_after_ms
    )


def _signature(source: PriceFile) -> tuple[int, int] | None:
    try:
        found = Path(source.path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
