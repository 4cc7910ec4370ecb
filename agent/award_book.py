"""Awards on their way to being trades: journal, Accept, Confirm, lapse. Owns every `OpenAward` of one battery.

An Accept leaves only after its record is on disk, at most 480 ms after the Bid's last byte; the Confirm is waited for
1,000 ms; a trade exists when the Confirm's record is on disk (ETP section 7). `awards.py` holds the table of steps.

A buyer is told on the connection that it bid on. When that is gone a signed buyer is told on every other of its own;
and as long as none of them is known to be its own, because whoever has overheard a Register elsewhere can have one in
its name, it counts as not told, and hears of the end when it registers.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from agent import records
from agent.awards import Happening, OpenAward, Phase
from agent.journal_errors import JournalError
from agent.paper import Paper, with_paper
from agent.records import Deal, Kind
from etp.messages import Body, MessageType, ReasonCode
from etp.timing import LIMIT_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.cashier import NotSignedError
    from agent.journal import Journal
    from etp.auction import Award
    from etp.connection import Received
    from etp.io.link import Link

ACCEPT_BY_MS: Final = 480
CONFIRM_WITHIN_MS: Final = 1_000


class AwardListener(Protocol):
    """Who must know how an award ended, and what the book must ask."""

    def award_offered(self, award: OpenAward) -> None:
        """The Accept was handed to the kernel."""

    def award_voided(self, award: OpenAward, code: int, *, blame: bool) -> None:
        """The award fell through; its quantity is free again."""

    def award_confirmed(self, award: OpenAward, confirmed_seq: int) -> None:
        """The Confirm's record is on disk: this is a trade now."""

    def price_to_beat(self, link: Link, energy_wh: int) -> int:
        """Return what every Reject on a connection quotes."""
        ...

    def links_of(self, peer: str) -> list[Link]:
        """Return every open connection of a peer."""
        ...

    def shield(self) -> tuple[int, int] | None:
        """Return price and end (wall ms) of the shield that stays up longest, None without one."""
        ...

    def disk_late(self, *, late: bool) -> None:
        """An award's record did not reach the disk in time; or one did again."""

    def tell_later(self, peer: str, end: Body) -> None:
        """A signed buyer is away, or may be, and must hear how its award ended when it comes back."""


class AwardBook:
    """The open awards of one battery."""

    def __init__(
        self, *, battery: str, device_id: int, journal: Journal, listener: AwardListener, now_ms: Callable[[], int]
    ) -> None:
        self._battery = battery
        self._device_id = device_id
        self._journal = journal
        self._listener = listener
        self._now_ms = now_ms
        self._open: dict[tuple[str, int], OpenAward] = {}
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._is_disk_late = False
        self._undecided: set[tuple[str, int]] = set()  # bounded: a journal that failed takes no further awards

    def __len__(self) -> int:
        return len(self._open)

    @property
    def energy_wh(self) -> int:
        """The energy of every open award."""
        return sum(award.deal.energy_wh for award in self._open.values())

    @property
    def power_w(self) -> int:
        """The power granted to every open award (magnitude)."""
        return sum(award.deal.power_w for award in self._open.values())

    @property
    def unconfirmed_wh(self) -> int:
        """The energy of open awards whose buyers have not confirmed: what can still be voided."""
        unbound = (award for award in self._open.values() if award.phase is not Phase.CONFIRMING)
        return sum(award.deal.energy_wh for award in unbound)

    def add(
        self,
        award: Award,
        *,
        link: Link,
        buyer: str,
        signer: bytes | None,
        asked_at_ms: int,
        paper: Paper | NotSignedError | None = None,
    ) -> None:
        """Put an award on disk; its Accept follows when it is there. One whose contract was not signed ends here."""
        deal = Deal(
            peer=award.peer,
            bid_id=award.bid_id,
            price_e4=award.price_e4,
            energy_wh=award.energy_wh,
            power_w=award.power_w,
            lot_id=award.lot_id,
            buyer=buyer,
            signer=signer.hex() if signer else None,
            reserve_e4=award.reserve_e4,
            first_acceptable_e4=award.first_acceptable_e4,
            distinct_bidders=award.distinct_bidders,
            increment_e4=award.increment_e4,
            asked_at_ms=asked_at_ms,
        )
        opened = OpenAward(deal=deal, link=link, decided_at_ms=self._now_ms())
        self._open[opened.key] = opened
        self._none_open.clear()
        if isinstance(paper, Paper):
            opened.paper = paper
            opened.deal = deal = with_paper(deal, paper)
        elif paper is not None:
            self._end(opened, Happening.WITHDRAWN, paper.code, reason=paper.reason)
            return
        try:
            opened.seq, written = self._journal.append(self._battery, Kind.AWARD, records.award(deal))
        except JournalError:
            self._end(opened, Happening.JOURNAL_FAILED, ReasonCode.TOO_LATE)
            return
        self._end_at(opened, ACCEPT_BY_MS)
        written.add_done_callback(partial(self._on_disk, opened))

    def holds(self, key: tuple[str, int]) -> bool:
        """Whether a bid's name belongs to an award that has not ended, or whose end only a restart can tell."""
        return key in self._open or key in self._undecided

    def _end_at(self, opened: OpenAward, after_ask_ms: int) -> None:
        """Give the award up unless its next step comes within a time of its Bid's last byte."""
        if opened.timer is not None:
            opened.timer.cancel()
        due_s = (opened.deal.asked_at_ms + after_ask_ms) / 1_000
        opened.timer = asyncio.get_running_loop().call_at(
            due_s, self._end, opened, Happening.TOO_LATE, ReasonCode.TOO_LATE
        )

    def _on_disk(self, opened: OpenAward, written: asyncio.Future[None]) -> None:
        if written.cancelled() or written.exception() is not None:
            self._end(opened, Happening.JOURNAL_FAILED, ReasonCode.TOO_LATE)
            return
        if self._now_ms() - opened.deal.asked_at_ms > ACCEPT_BY_MS:
            self._end(opened, Happening.TOO_LATE, ReasonCode.TOO_LATE)
            return
        self._note_disk(late=False)
        if opened.advance(Happening.ON_DISK):
            self._offer(opened)

    def _offer(self, opened: OpenAward) -> None:
        """Send the Accept; a signed buyer that has come back on another connection gets it there."""
        opened.offered = tuple(self._links_of(opened))
        if not opened.offered:
            self._end(opened, Happening.LINK_GONE, ReasonCode.NOT_CONFIRMED, blame=True)
            return
        won = opened.deal
        accept = Body.bid_accept(
            won.bid_id, self._device_id, price_e4=won.price_e4, energy_wh=won.energy_wh, power_w=-won.power_w
        )
        self._end_at(opened, LIMIT_MS[MessageType.BID_ACCEPT] + 1)
        for link in opened.offered:
            link.send(accept, cause_ms=won.asked_at_ms, contract=None if opened.paper is None else opened.paper.wire)

    def accept_sent(self, peer: str, bid_id: int, at_ms: int) -> None:
        """The Accept was handed to the kernel, the first if there are several: the buyer's time to confirm runs."""
        opened = self._open.get((peer, bid_id))
        if opened is None or opened.is_sent or opened.phase is not Phase.OFFERED:
            return
        opened.deal = replace(opened.deal, awarded_at_ms=at_ms)
        opened.is_sent = True
        if opened.timer is not None:
            opened.timer.cancel()
        opened.timer = asyncio.get_running_loop().call_later(
            CONFIRM_WITHIN_MS / 1_000,
            partial(self._end, opened, Happening.LAPSED, ReasonCode.NOT_CONFIRMED, blame=True),
        )
        self._listener.award_offered(opened)

    def accept_late(self, peer: str, bid_id: int) -> None:
        """An Accept could not leave in time; if another one has, that one counts."""
        opened = self._open.get((peer, bid_id))
        if opened is not None and not opened.is_sent:
            self._end(opened, Happening.TOO_LATE, ReasonCode.TOO_LATE)

    def objection(self, received: Received) -> str:
        """Return why a Confirm does not sign the contract that it answers, "" when it does or there is none."""
        opened = self._open.get((received.peer, received.body.message_id))
        if opened is None or opened.paper is None or opened.phase is not Phase.OFFERED:
            return ""
        return opened.paper.objection(received)

    def confirm(self, link: Link, received: Received) -> int | None:
        """Take a Confirm; return the code to refuse it with, or None when it needs no refusal.

        9 = price or quantity differ (the award stays open), 10 = no such award, or it lapsed. `objection` comes first.
        """
        body = received.body
        if (received.peer, body.message_id) in self._undecided:
            return None
        opened = self._open.get((received.peer, body.message_id))
        if opened is None or opened.phase is Phase.JOURNALING:
            return ReasonCode.NOT_CONFIRMED
        won = opened.deal
        if body.sale_price_e4 != won.price_e4 or body.energy_wh != won.energy_wh:
            return ReasonCode.MALFORMED
        if not opened.advance(Happening.CONFIRM):
            return None
        opened.link = link
        signed = received.extensions.contract
        if opened.paper is not None and signed is not None:
            opened.deal = replace(opened.deal, buyer_signature=signed.signature.hex())
        # A Confirm counts from when the loop could first have read it, which may seem to be before its Accept had left.
        opened.confirmed_at_ms = max(received.cause_ms, opened.deal.awarded_at_ms)
        record = records.confirmed(opened.deal, award_seq=opened.seq, confirmed_at_ms=opened.confirmed_at_ms)
        try:
            seq, written = self._journal.append(self._battery, Kind.CONFIRMED, record)
        except JournalError:
            self._end(opened, Happening.JOURNAL_FAILED, ReasonCode.TOO_LATE)
            return None
        written.add_done_callback(partial(self._confirm_on_disk, opened, seq))
        return None

    def _confirm_on_disk(self, opened: OpenAward, seq: int, written: asyncio.Future[None]) -> None:
        if written.cancelled() or written.exception() is not None:
            # Whether the record survives is unknown, so the buyer hears neither yes nor no; replay decides.
            if opened.advance(Happening.JOURNAL_FAILED):
                self._undecided.add(opened.key)
                self._close(opened)
                self._listener.award_voided(opened, ReasonCode.TOO_LATE, blame=False)
            return
        if opened.advance(Happening.CONFIRM_ON_DISK):
            self._close(opened)
            self._listener.award_confirmed(opened, seq)

    def link_gone(self, link: Link, *, signed: bool) -> None:
        """A connection closed: an unsigned buyer can no longer confirm; a signed one may come back in time."""
        for opened in [award for award in self._open.values() if award.link is link or link in award.offered]:
            if not signed:
                self._end(opened, Happening.LINK_GONE, ReasonCode.NOT_CONFIRMED, blame=True)
            elif opened.phase is not Phase.OFFERED or opened.is_sent:
                continue
            elif not any(other.is_open for other in opened.offered):
                self._offer(opened)

    async def settled(self) -> None:
        """Wait until no award is open."""
        await self._none_open.wait()

    def _close(self, opened: OpenAward) -> None:
        del self._open[opened.key]
        if not self._open:
            self._none_open.set()

    def void_newest(self, energy_wh: int) -> None:
        """Void unconfirmed awards, newest first, until at least `energy_wh` is free again (Terminate 2)."""
        freed = 0
        for opened in sorted(self._open.values(), key=lambda award: award.seq, reverse=True):
            if freed >= energy_wh:
                return
            if self._end(opened, Happening.WITHDRAWN, ReasonCode.NOT_ENOUGH_ENERGY):
                freed += opened.deal.energy_wh

    def void_all(self, code: int) -> None:
        """Void every award that its buyer has not confirmed (Terminate with `code`)."""
        for opened in list(self._open.values()):
            self._end(opened, Happening.WITHDRAWN, code)

    def _end(
        self, opened: OpenAward, happening: Happening, code: int, *, blame: bool = False, reason: str = ""
    ) -> bool:
        """Void an award if the table allows it, then tell its buyer; False when it is past that."""
        withdrawn = happening is Happening.WITHDRAWN and opened.is_sent
        if opened.phase is Phase.JOURNALING and happening is Happening.TOO_LATE:
            self._note_disk(late=True)
        if not opened.advance(happening):
            return False
        self._close(opened)
        self._listener.award_voided(opened, code, blame=blame)
        won = opened.deal
        links = self._links_of(opened)
        untold = won.signer is not None and not any(link.is_own for link in links)
        shield_e4, shield_until_wall_ms = (self._listener.shield() if blame else None) or (0, 0)
        record = records.void(
            peer=won.peer,
            bid_id=won.bid_id,
            code=code,
            blame=blame,
            shield_e4=shield_e4,
            shield_until_wall_ms=shield_until_wall_ms,
            untold=untold,
            reason=reason,
        )
        # A journal that has failed needs no void record: its replay voids every award that was not confirmed.
        with contextlib.suppress(JournalError):
            self._journal.append(self._battery, Kind.VOID, record)
        ended = Body.terminate(won.bid_id, self._device_id, code=code, delivered_wh=0)
        for link in links:
            if withdrawn:
                link.send(ended)
            else:
                beat_e4 = self._listener.price_to_beat(link, won.energy_wh)
                cause_ms = None if opened.is_sent else won.asked_at_ms
                refused = Body.bid_reject(won.bid_id, self._device_id, code=code, beat_e4=beat_e4)
                link.send(refused, cause_ms=cause_ms, reason=reason)
        if untold:
            self._listener.tell_later(won.peer, ended)
        return True

    def _note_disk(self, *, late: bool) -> None:
        if late != self._is_disk_late:
            self._is_disk_late = late
            self._listener.disk_late(late=late)

    def _links_of(self, opened: OpenAward) -> list[Link]:
        """Return where an award's buyer is to be reached: a signed one also where it may have come back."""
        return [opened.link] if opened.link.is_open else self._listener.links_of(opened.deal.peer)
