"""One TCP conversation: an asyncio protocol around a sans-IO `Connection`.

A wake-up runs `data_received` -> `Connection.receive` -> `LinkHandler.frames_received` -> one `transport.write`; there
is no task, future or scheduled callback per frame. The transport's write buffer has a high-water mark of 0: as soon as
the kernel does not take everything, frames wait in the connection's own outbox, where the urgent overtake the rest and
the late are dealt with. One timer per link finds peers that went silent, stopped reading or never finished shaking
hands; TCP keepalive and user time-out find those whose host is gone.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

import structlog

from etp.io.sockets import host_of, tune
from etp.io.tls import TlsEngine, TlsError
from etp.messages import MessageType

if TYPE_CHECKING:
    from collections.abc import Callable

    from etp.connection import Connection
    from etp.extensions import Contract, Receipt
    from etp.io.handler import LinkHandler, LinkOwner
    from etp.io.maker import ConnectionMaker
    from etp.io.pollclock import PollClock
    from etp.messages import Body

_ACCEPT: Final = int(MessageType.BID_ACCEPT)
HANDSHAKE_MS: Final = 10_000
"""TLS costs two round trips; a peer that needs longer is not going to trade within 500 ms."""
CLOSING_S: Final = 1.0
"""How long the last words of a closing link may take to leave."""
_CHECKS_PER_WAIT: Final = 4
"""A silent peer is found at most a quarter of its limit late."""

log = structlog.get_logger("etp")


class Link(asyncio.Protocol):
    """One conversation and its transport. `remote` is for logs, `address` tells hosts apart."""

    __slots__ = (
        "_accepts",
        "_clock",
        "_closing",
        "_corked",
        "_handler",
        "_made_ms",
        "_make_tls",
        "_maker",
        "_now_ms",
        "_opened",
        "_owner",
        "_paused",
        "_reason",
        "_timer",
        "_tls",
        "_traded",
        "_transport",
        "address",
        "connection",
        "remote",
    )

    connection: Connection

    def __init__(
        self,
        *,
        handler: LinkHandler,
        maker: ConnectionMaker,
        clock: PollClock,
        owner: LinkOwner,
        tls: Callable[[], TlsEngine] | None = None,
    ) -> None:
        self._handler = handler
        self._maker = maker
        self._clock = clock
        self._owner = owner
        self._make_tls = tls
        self._tls: TlsEngine | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._made_ms = self._now_ms = 0
        self._opened = self._paused = self._corked = self._closing = self._accepts = self._traded = False
        self._reason = ""
        self.address = self.remote = "?"

    @property
    def peer(self) -> str:
        """Who this is: "key:<64 hex>" or "conn:<n>"."""
        return self.connection.peer

    @property
    def signer(self) -> bytes | None:
        """The key that the peer has proved."""
        return self.connection.signer

    @property
    def is_own(self) -> bool:
        """Whether the peer itself is known to be here, not somebody who has overheard its Register elsewhere."""
        return self.connection.is_own

    @property
    def registered(self) -> bool:
        """Whether the peer gets pushes."""
        return self.connection.registered

    @property
    def is_open(self) -> bool:
        """Whether what is sent may still leave."""
        return self._opened and not self._closing

    def send(
        self,
        body: Body,
        *,
        cause_ms: int | None = None,
        contract: Contract | None = None,
        reason: str = "",
        receipt: Receipt | None = None,
        hold: bool = False,
    ) -> None:
        """Queue a frame by its priority and write what may leave; `hold` leaves the writing to a later call.

        Within `frames_received` everything is held until that returns. After `close` nothing is sent: `link_closed`
        has said, or will say, that the conversation is over.
        """
        if self._closing:
            self.connection.missed(body)
            return
        if body[0] == _ACCEPT:
            self._accepts = self._traded = True
        now_ms = self._now_ms if self._corked else self._clock.now_ms()
        self.connection.send(body, now_ms=now_ms, cause_ms=cause_ms, contract=contract, reason=reason, receipt=receipt)
        if not (hold or self._corked):
            self.flush()

    def refuse(self, bid_id: int, code: int, beat_e4: int, now_ms: int, cause_ms: int, *, hold: bool = False) -> bytes:
        """Answer a Bid with a plain BidReject, as `send(Body.bid_reject(...))` does, by the shortest way.

        A frame that may leave at once is returned, for `hand_over`: so that who refuses many bids makes all answers
        first, and then writes them one right after the other. Otherwise nothing is returned, and it is as with `send`.
        """
        if self._closing or self._transport is None:
            self.connection.counts.unanswered += 1
            return b""
        holds = hold or self._corked
        at_once = not (holds or self._paused) and self._tls is None
        frame = self.connection.refuse(bid_id, code, beat_e4, now_ms, cause_ms, at_once)
        if not (frame or holds):
            self.flush()
        return frame

    def hand_over(self, frame: bytes, now_ms: int) -> None:
        """Write what `refuse` returned, if anything; before the loop does anything else."""
        transport = self._transport
        if not frame or transport is None:
            return
        transport.write(frame)
        connection = self.connection
        if not self._paused:
            connection.drained(now_ms)
            if not connection.is_calm:
                self.flush()

    def flush(self) -> None:
        """Write everything that may leave now, unless the last bytes are still on their way."""
        connection = self.connection
        transport = self._transport
        if transport is not None and self._opened and not self._paused:
            now_ms = self._clock.now_ms()
            data = connection.data_to_send(now_ms)
            if data:
                transport.write(data if self._tls is None else self._tls.encrypt(data))
                if not self._paused:
                    connection.drained(now_ms)
            if self._accepts:
                self._tell_accepts()
        if connection.close_reason is not None and not self._closing:
            self.close(connection.close_reason)

    def close(self, reason: str) -> None:
        """End the conversation: what waits is written if the peer takes it within a second."""
        if self._closing:
            return
        self._closing = True
        self._reason = reason
        self.flush()
        transport = self._transport
        if transport is None:
            return
        if self._tls is not None and not self._paused:
            transport.write(self._tls.goodbye())
        transport.close()
        self._watch_again(CLOSING_S, transport.abort)

    def abort(self, reason: str) -> None:
        """End the conversation at once, whatever waits."""
        self._closing = True
        self._reason = self._reason or reason
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport if the owner admits the link."""
        stream = cast("asyncio.Transport", transport)
        self.address, self.remote = host_of(transport.get_extra_info("peername"))
        if not self._owner.admit(self):
            self._closing = True
            stream.abort()
            return
        self._transport = stream
        limits = self._maker.limits
        stream.set_write_buffer_limits(high=0)
        tune(stream.get_extra_info("socket"), limits)
        self._made_ms = now_ms = self._clock.now_ms()
        self.connection = self._maker(self.remote, now_ms, self.address)
        self._clock.link_opened()
        self._watch()
        if self._make_tls is None:
            self._open()
        else:
            self._tls = self._make_tls()
            self._tls.begin()
            self._write_tls(self._tls)

    def data_received(self, data: bytes) -> None:
        """One read: decode, let the handler answer, write once."""
        now_ms, cause_ms = self._clock.now_and_cause_ms()
        if self._tls is not None:
            data = self._decrypt(self._tls, data)
            if not data:
                return
        connection = self.connection
        received = connection.receive(data, now_ms, cause_ms)
        if received:
            self._now_ms = now_ms
            self._corked = True
            try:
                self._handler.frames_received(self, received)
            finally:
                self._corked = False
        if not connection.is_calm:
            self.flush()
        if self._tls is not None and self._tls.is_closed:
            self.close("the peer closed")

    def pause_writing(self) -> None:
        """Keep the rest in the outbox: the kernel did not take everything."""
        self._paused = True

    def resume_writing(self) -> None:
        """Everything has left: stamp it, and let follow what waited."""
        self._paused = False
        if self._opened:
            self.connection.drained(self._clock.now_ms())
            self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say once why it is over."""
        if self._transport is None:
            return
        self._transport = None
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        self._clock.link_closed()
        self.connection.lost()
        reason = self._reason or (f"{type(exc).__name__}: {exc}" if exc is not None else "the peer closed")
        self._log_end(reason)
        self._owner.gone(self, reason)
        if self._opened:
            self._handler.link_closed(self, reason)

    def _log_end(self, reason: str) -> None:
        """Say why it is over. Any stranger can make links and leave: that is no news, and faults are told sparingly."""
        ends = self._maker.ends
        fields = {"remote": self.remote, "peer": self.peer, "reason": reason, "opened": self._opened}
        if self._traded or not ends.is_limited or (self._reason and ends.spend(self._clock.now_ms())):
            log.info("link_closed", **fields, unsaid=ends.unsaid)
        else:
            log.debug("link_closed", **fields)

    def _open(self) -> None:
        self._opened = True
        try:
            self._handler.link_opened(self)
        except BaseException:
            self.abort("its handler failed")
            raise
        self.flush()
        self._owner.opened(self)

    def _decrypt(self, tls: TlsEngine, data: bytes) -> bytes:
        """Return the plaintext of a read; opens the link when the handshake is done."""
        try:
            plain = tls.receive(data)
        except TlsError as error:
            self._write_tls(tls)
            self.close(f"TLS: {error}")
            return b""
        self._write_tls(tls)
        if tls.is_ready and not self._opened:
            self._open()
        if tls.is_closed and not plain:
            self.close("the peer closed")
        return plain

    def _write_tls(self, tls: TlsEngine) -> None:
        data = tls.pending()
        if data and self._transport is not None:
            self._transport.write(data)

    def _tell_accepts(self) -> None:
        """Tell what became of the Accepts that were queued."""
        connection = self.connection
        self._accepts = connection.waiting > 0
        for body, at_ms in connection.take_sent():
            self._handler.accept_sent(self, body, at_ms)
        for body in connection.take_late():
            self._handler.accept_late(self, body)

    def _watch(self) -> None:
        """Close a peer that is silent, does not read, or does not finish the handshake; look again later."""
        limits = self._maker.limits
        waits_ms = [wait for wait in (limits.half_frame_ms, limits.stalled_ms, limits.idle_ms) if wait]
        if not self._opened:
            waits_ms.append(HANDSHAKE_MS)
        if not waits_ms:
            return
        now_ms = self._clock.now_ms()
        if self._opened:
            self.connection.tick(now_ms)
            self.flush()
        elif now_ms - self._made_ms >= HANDSHAKE_MS:
            self.close(f"no TLS handshake within {HANDSHAKE_MS} ms")
        if not self._closing:
            self._watch_again(min(waits_ms) / 1_000 / _CHECKS_PER_WAIT, self._watch)

    def _watch_again(self, delay_s: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.loop.call_later(delay_s, callback)
