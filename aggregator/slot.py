"""One battery's place in the pool: its session, its breaker, its connection and its timer.

It is the handler of its connection and contains no rule of the protocol: it hands frames to the session and performs
what comes back.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from aggregator.breaker import Breaker
from aggregator.effects import Effect, Fetch, HangUp, Keep, Note, Send
from etp.messages import MessageType

if TYPE_CHECKING:
    from collections.abc import Callable

    from aggregator.entries import Entry, Key
    from aggregator.session import Session
    from etp.connection import Received
    from etp.discovery import Endpoint
    from etp.extensions import Contract, Receipt
    from etp.messages import Body

_HALF_MS: Final = 0.0005
"""Added to a timer, so that the clock in whole ms has really reached the deadline when it fires."""


class Conversation(Protocol):
    """A connection to a battery, as `etp.io.link.Link` is one."""

    def send(
        self,
        body: Body,
        *,
        cause_ms: int | None = None,
        contract: Contract | None = None,
        reason: str = "",
        receipt: Receipt | None = None,
    ) -> None:
        """Queue a frame; it leaves with everything else of this wake-up."""
        ...

    def close(self, reason: str) -> None:
        """Say what is waiting, then close."""
        ...


class Watch(Protocol):
    """Who wants to know which endpoints live: discovery."""

    def registered(self, slot: Slot, device_id: int, signer: bytes | None) -> None:
        """Note that the battery at an endpoint has registered on its connection."""
        ...

    def alive(self, endpoint: Endpoint) -> None:
        """Note that an endpoint has said something."""
        ...

    def unreachable(self, endpoint: Endpoint) -> None:
        """Note that an endpoint could not be dialled."""
        ...


class Keeper(Protocol):
    """Who puts trades on disk and finds them there: the cashier."""

    def keep(self, entry: Entry, done: Callable[[str], None]) -> None:
        """Put an entry on disk; `done` gets why it is not there, "" when it is."""
        ...

    def fetch(self, key: Key, done: Callable[[Entry | None], None]) -> None:
        """Look a trade up."""
        ...


class Slot:
    """One battery. `emit` gets every event with its fields; `after` runs when the session has been heard."""

    def __init__(
        self,
        endpoint: Endpoint,
        session: Session,
        *,
        emit: Callable[[str, dict[str, Any]], None],
        after: Callable[[Slot], None],
        watch: Watch | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.session = session
        self.breaker = Breaker()
        self.link: Conversation | None = None
        self.over = asyncio.Event()
        """Set while there is no connection."""
        self.over.set()
        self.retired = False
        """Not dialled again: the battery has moved."""
        self._emit = emit
        self._after = after
        self._watch = watch
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._opened_ms = 0
        self._answered = False

    def now_ms(self) -> int:
        """Return the loop's time in whole ms."""
        return int(self._loop.time() * 1_000)

    def link_opened(self, link: Conversation) -> None:
        """Register on a new connection."""
        self.link = link
        self.over.clear()
        self._answered = False
        self._opened_ms = self.now_ms()
        self.tell("connected", {})
        self._perform(self.session.opened(self._opened_ms))

    def frames_received(self, link: Conversation, frames: list[Received]) -> None:
        """Let the session take in one read."""
        if link is not self.link:
            return
        if not self._answered:
            self._answered = True
            self.breaker = self.breaker.answered()
        self._report(frames)
        self._perform(self.session.received(frames, self.now_ms()))

    def link_closed(self, link: Conversation, reason: str) -> None:
        """Let the session give up what the connection carried."""
        if link is not self.link:
            return
        now_ms = self.now_ms()
        self.link = None
        if self._answered:
            self.breaker = self.breaker.lost(now_ms, now_ms - self._opened_ms)
        else:
            self.breaker = self.breaker.failed(now_ms)
        self.tell("lost", {"reason": reason})
        self._perform(self.session.closed())
        self.over.set()

    def accept_sent(self, link: Conversation, body: Body, at_ms: int) -> None:
        """Only batteries send Accepts."""

    def accept_late(self, link: Conversation, body: Body) -> None:
        """Only batteries send Accepts."""

    def unreachable(self, reason: str) -> None:
        """Note a dial that failed."""
        self.breaker = self.breaker.failed(self.now_ms())
        self.tell("unreachable", {"reason": reason, "circuit": self.breaker.circuit.value})
        if self._watch is not None:
            self._watch.unreachable(self.endpoint)

    def tick(self) -> None:
        """Let the session do what is due."""
        self._perform(self.session.tick(self.now_ms()))

    def tell(self, event: str, fields: dict[str, Any]) -> None:
        """Emit an event of this battery."""
        self._emit(event, {"battery": self.session.battery, **fields})

    def stop(self) -> None:
        """Give up the timer and the connection."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.link is not None:
            self.link.close("stopped")

    def _report(self, frames: list[Received]) -> None:
        if self._watch is None:
            return
        self._watch.alive(self.endpoint)
        for frame in frames:
            if frame.body.message_type == MessageType.REGISTER:
                self._watch.registered(self, frame.body.device_id, frame.signer)

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    if self.link is not None:
                        self.link.send(
                            effect.body, cause_ms=effect.cause_ms, contract=effect.contract, receipt=effect.receipt
                        )
                case Note():
                    self.tell(effect.event, effect.fields)
                case HangUp():
                    if self.link is not None:
                        self.link.close(effect.reason)
                case Keep():
                    self._the_keeper.keep(effect.entry, partial(self._kept, effect))
                case Fetch():
                    self._the_keeper.fetch(effect.key, partial(self._fetched, effect))
        self._set_timer()
        self._after(self)

    @property
    def _the_keeper(self) -> Keeper:
        if self._keeper is None:
            raise RuntimeError("a session that settles needs somebody who keeps its trades")
        return self._keeper

    def _kept(self, keep: Keep, error: str) -> None:
        self._perform(self.session.kept(keep, error, self.now_ms()))

    def _fetched(self, fetch: Fetch, entry: Entry | None) -> None:
        self._perform(self.session.fetched(fetch, entry, self.now_ms()))

    def _set_timer(self) -> None:
        """Wake up at the session's next deadline; a timer that fires too early is kept, it costs one empty tick."""
        deadline_ms = self.session.next_deadline()
        if deadline_ms is None:
            return
        when = deadline_ms / 1_000 + _HALF_MS
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.tick()
