"""A battery's dynamic reserve at work: keeps the table of what energy is worth, and learns the mark-up from its lots.

The work is done every half hour, when a forecast's file changes, when the battery turns out to be another than was
thought, and after some lots: in short slices on the event loop, while files are read beside it. What the seller reads
is always ready: a look into the table at the energy that is still for sale, so that every lot sold makes the next one
as dear as the energy that is left. While a forecast fails, what is left of the last one that spoke holds for `keep_ms`,
then the owner's fallback; the floor holds always.

State it owns: the readers of files, the table, the mark-up, the history of own sales, and what the open lot has taught
so far.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from agent.appraisal import Appraised, Asked, FileRead, appraised, files_of, in_slices, read
from agent.lot_lesson import LotLesson
from agent.pricing import SLOT_MS, FlatTariff, Markup, Parts, Plant, SalesHistory, parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.control_protocol import PriceSnapshot
    from agent.pricing import DynamicTerms, LotSeen, PriceFile
    from etp.auction import Bid, LotClosed
    from settlement.executor import Executor

LOOK_EVERY_S: Final = 60.0
"""How often a file is looked at, and how soon a time of day that was set is noticed."""
READ_LIMIT_S: Final = 10.0
"""Files that have not been read by then count as unreadable; the work goes on without them."""
_HUNG_MAX: Final = 4
"""So many reads may hang at a time, each in a thread of its own; then no other is begun until one comes back."""
_RETHINK_LOTS: Final = 20
"""After so many lots the mark-up is chosen again; between two choices it stands."""
_LATEST: Final = 2 * SLOT_MS
"""A table older than this says what energy was worth at another time of day: nobody goes by it."""


class ForSale(NamedTuple):
    """The battery as a reserve sees it, energies delivered: for sale now and when full, power out, and a lot."""

    energy_wh: int
    full_wh: int
    power_w: int
    lot_wh: int
    efficiency_permille: int


class AppraiserPorts(NamedTuple):
    """What an appraiser needs from the battery it prices.

    `for_sale` is None while the battery has not told its ratings and its charge; `reached` is the number of buyers who
    are told of a lot; `learned` writes a lot down; `changed` presents a new reserve; `told` is for logs, metrics and
    alarms.
    """

    for_sale: Callable[[], ForSale | None]
    reached: Callable[[], int]
    learned: Callable[[LotSeen], None]
    changed: Callable[[], None]
    told: Callable[[Parts, str], None]
    wall_ms: Callable[[], int]


class Appraiser:
    """Implements `pricing.Reserve` for one battery; `run` does the work."""

    def __init__(
        self,
        terms: DynamicTerms,
        *,
        ports: AppraiserPorts,
        readers: Callable[[], Executor],
        rule: str,
        price_cap_e4: int,
    ) -> None:
        """`readers` makes what files are read by: another one while a read hangs."""
        self.terms = terms
        self._ports = ports
        self._readers = readers
        self._reader: Executor | None = None
        """What reads files and is idle now."""
        self._hung = 0
        self._is_clock_trusted = False
        self._learns = rule != "sealed_first"  # what is bid there is less than what it is worth
        self._cap_e4 = price_cap_e4
        self._markup = self._chosen = Markup(terms.markup_max_e4)
        self._sales = SalesHistory()
        self._last: Appraised | None = None
        self._due = asyncio.Event()
        self._lesson: LotLesson | None = None
        self._waits_since: int | None = None
        """The half hour in which the open lot began to wait for its first bid; None = none waits."""

    def restore(self, markup: Markup | None, sales: SalesHistory) -> None:
        """Go on from what an earlier start has learned; under another cap the mark-up is learned anew."""
        if markup is not None and markup.cap_e4 == self.terms.markup_max_e4:
            self._markup = markup
        self._sales = sales

    def trust_clock(self, *, trusted: bool) -> None:
        """Go by prices of a time of day only while that can be trusted; until then the owner's fallback holds."""
        if trusted != self._is_clock_trusted:
            self._is_clock_trusted = trusted
            if self._last is not None:
                self._tell()

    @property
    def _is_lost(self) -> bool:
        """Whether nobody knows which of the prices ahead is now's."""
        sources = (self.terms.sell, self.terms.buy)
        return not self._is_clock_trusted and not all(isinstance(one, FlatTariff | None) for one in sources)

    @property
    def _trouble(self) -> str:
        if self._last is None:
            return ""
        return "the time of day is not trusted" if self._is_lost else self._last.trouble

    @property
    def is_pending(self) -> bool:
        """Whether nothing has been worked out yet: then nothing must be sold."""
        return self._last is None

    def reserve_e4(self, soc_permille: int | None, wall_ms: int) -> int:  # noqa: ARG002 - the energy for sale says more
        """Return the reserve that holds now."""
        return self.parts(wall_ms).reserve_e4

    def parts(self, wall_ms: int) -> Parts:
        """Return the reserve that holds now, and what it is made of."""
        for_sale = self._ports.for_sale()
        last = self._last
        if not self._is_of(wall_ms, for_sale):
            self._due.set()
        if last is None or last.table is None or self._is_lost or not self._is_young(last, wall_ms):
            return parts_of(self.terms, None, self._chosen, "fallback")
        if for_sale is None:
            opportunity_e4 = last.table.dearest_e4()
        else:
            stored_wh = for_sale.energy_wh * 1_000 // for_sale.efficiency_permille
            opportunity_e4 = last.table.opportunity_e4(stored_wh, for_sale.lot_wh)
        return parts_of(self.terms, opportunity_e4, self._chosen, "kept" if last.trouble else "forecast")

    def _is_of(self, wall_ms: int, for_sale: ForSale | None) -> bool:
        """Whether the last appraisal is of this half hour and of this battery."""
        if self._last is None or self._last.asked.now_ms // SLOT_MS != wall_ms // SLOT_MS:
            return False
        return for_sale is None or self._plant(for_sale) == self._last.asked.plant

    def _is_young(self, last: Appraised, wall_ms: int) -> bool:
        """Whether a table is of this time of day, and what it was made from not older than the owner allows."""
        if not last.trouble:
            return wall_ms - last.asked.now_ms <= _LATEST
        age_ms = 0 if last.outlook is None else wall_ms - last.outlook.at_ms
        return wall_ms - last.asked.now_ms <= _LATEST and age_ms <= self.terms.keep_ms

    def snapshot(self) -> PriceSnapshot:
        """Return the reserve with its parts, for the control socket."""
        wall_ms = self._ports.wall_ms()
        parts = self.parts(wall_ms)
        outlook = None if self._last is None else self._last.outlook
        return {
            "reserve_e4": parts.reserve_e4,
            "floor_e4": parts.floor_e4,
            "cost_e4": parts.cost_e4,
            "opportunity_e4": parts.opportunity_e4,
            "wear_e4": parts.wear_e4,
            "markup_e4": parts.markup_e4,
            "basis": parts.basis,
            "wear_basis": self.terms.wear_basis,
            "lots_learned": self._markup.lots,
            "forecast_age_ms": None if outlook is None else max(0, wall_ms - outlook.at_ms),
            "forecast_half_hours": 0 if outlook is None else len(outlook.ahead(wall_ms)),
            "trouble": self._trouble,
        }

    # what lots and sales teach

    def heed(self, bids: Sequence[Bid], asked: Callable[[], tuple[int, int]]) -> None:
        """Bids of one wake-up entered the auction or were beaten; its open lot has this reserve and quantity (Wh)."""
        if not self._learns:
            return
        if self._lesson is None:
            asked_e4, lot_wh = asked()
            if all(bid.price_e4 < asked_e4 for bid in bids):
                return
            parts = self.parts(self._ports.wall_ms())
            self._lesson = LotLesson(parts._replace(reserve_e4=asked_e4), self._cap_e4, lot_wh)
        self._lesson.heed(bids)

    def lot_over(self, closed: LotClosed) -> None:
        """A lot is over: learn from it when half of it or more was bid for and it was not taken back."""
        lesson, self._lesson, self._waits_since = self._lesson, None, None
        if lesson is not None and lesson.teaches and lesson.is_bid_for and closed.sold_wh:
            self._learn(lesson.seen(max(self._ports.reached(), closed.distinct_bidders)))

    def lot_waits(self, wall_ms: int) -> None:
        """A lot is open: each half hour that it waits without a bid counts as a lot that nobody wanted."""
        slot = wall_ms // SLOT_MS
        if self._waits_since is None or self._lesson is not None:
            self._waits_since = slot
        elif slot > self._waits_since:
            self._waits_since = slot
            lesson = LotLesson(self.parts(wall_ms), self._cap_e4, 0)
            if self._learns and lesson.teaches:
                self._learn(lesson.seen(self._ports.reached()))

    def sold(self, price_e4: int) -> None:
        """A trade exists."""
        self._sales = self._sales.with_sale(self._ports.wall_ms(), price_e4)

    def _learn(self, seen: LotSeen) -> None:
        if not self.terms.markup_max_e4 or not seen.reached:
            return
        self._ports.learned(seen)
        self._markup = self._markup.learn(seen)
        if self._markup.lots % _RETHINK_LOTS == 0:
            self._due.set()

    # the work

    async def run(self) -> None:
        """Appraise whenever it is due."""
        while True:
            wall_ms = self._ports.wall_ms()
            asked = self._asked(wall_ms)
            if asked is not None:
                self._due.clear()
                files = await self._read(asked)
                if files is not None:
                    self._take(await in_slices(appraised(asked, files)))
            try:
                async with asyncio.timeout(min(LOOK_EVERY_S, (SLOT_MS - wall_ms % SLOT_MS) / 1_000)):
                    await self._due.wait()
            except TimeoutError:
                continue
            if self._ports.for_sale() is None:
                self._due.clear()  # it comes again with the battery's next word

    def _asked(self, wall_ms: int) -> Asked | None:
        """Return what is to be worked out now, None when nothing can have changed."""
        for_sale = self._ports.for_sale()
        if for_sale is None:
            return None
        known = None
        last = self._last
        if last is not None and not self._due.is_set() and last.asked.now_ms // SLOT_MS == wall_ms // SLOT_MS:
            if not files_of(self.terms):
                return None
            known = last.signatures
        outlook = None if last is None else last.outlook
        return Asked(self.terms, self._plant(for_sale), self._markup, self._sales, wall_ms, outlook, known)

    def _plant(self, for_sale: ForSale) -> Plant:
        terms = self.terms
        return Plant(
            range_wh=max(1, for_sale.full_wh * 1_000 // for_sale.efficiency_permille),
            discharge_w=for_sale.power_w,
            charge_w=0 if terms.buy is None else for_sale.power_w if terms.charge_w is None else terms.charge_w,
            discharge_permille=for_sale.efficiency_permille,
            charge_permille=terms.charge_permille,
            wear_e4=terms.wear_e4,
        )

    async def _read(self, asked: Asked) -> tuple[FileRead, ...] | None:
        """Return what is in the forecasts' files, None when nothing has changed since they were read."""
        sources = files_of(self.terms)
        if not sources:
            return ()
        if self._hung >= _HUNG_MAX:
            return _unread(sources) if asked.known is None else None
        reader, self._reader = self._reader or self._readers(), None
        is_late = False
        found: list[tuple[FileRead, ...] | None] = []
        over = asyncio.get_running_loop().create_future()

        def done(error: BaseException | None) -> None:
            if over.cancelled():
                self._hung -= is_late
                self._due.set()
                reader.close()
            elif error is None:
                over.set_result(None)
            else:
                over.set_exception(error)

        reader.submit(lambda: found.append(read(sources, asked.known)), done)
        try:
            async with asyncio.timeout(READ_LIMIT_S):
                await over
        except TimeoutError:
            is_late = over.cancelled()  # or it came at the last moment
            self._hung += is_late
            return _unread(sources)
        finally:
            if not over.cancelled():
                self._reader = reader
        return found[0]

    def close(self) -> None:
        """Read no more; a read that hangs is left to itself."""
        if self._reader is not None:
            self._reader.close()

    def _take(self, found: Appraised) -> None:
        self._last = found
        self._chosen = found.asked.markup
        self._tell()

    def _tell(self) -> None:
        self._ports.told(self.parts(self._ports.wall_ms()), self._trouble)
        self._ports.changed()


def _unread(sources: Sequence[PriceFile]) -> tuple[FileRead, ...]:
    """Return what is known of files while nobody knows whether they can be read."""
    return tuple(FileRead((0, 0), trouble=f"was not read within {READ_LIMIT_S:g} s") for _ in sources)
