"""The TCP door of a battery: accepts links within the limits and keeps count of them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import structlog

from etp.errors import EtpError
from etp.io.crowd import Crowd
from etp.io.link import Link
from etp.io.pollclock import PollClock
from etp.io.sockets import BACKLOG, explain, site_of
from etp.io.tls import TlsEngine

if TYPE_CHECKING:
    import socket
    import ssl

    from etp.io.handler import LinkHandler
    from etp.io.maker import ConnectionMaker

log = structlog.get_logger("etp")


class ListenError(EtpError):
    """The server cannot listen where it should; the text says where and why."""


class EtpServer:
    """Accepts TCP connections and turns each into a `Link`.

    The crowd bounds connections altogether, and from one address (IPv6: one /64); servers that share one share the
    bound, and a server without has one of its own by the maker's limits. A connection counts from its first moment,
    also while it shakes hands; one too many is closed without a word.
    """

    def __init__(
        self,
        *,
        handler: LinkHandler,
        maker: ConnectionMaker,
        clock: PollClock | None = None,
        ssl_context: ssl.SSLContext | None = None,
        crowd: Crowd | None = None,
    ) -> None:
        self._handler = handler
        self._maker = maker
        self._clock = clock
        self._ssl_context = ssl_context
        self._server: asyncio.Server | None = None
        self._links: dict[Link, None] = {}
        self._crowd = Crowd(maker.limits) if crowd is None else crowd
        self._empty = asyncio.Event()
        self._stopping = False
        self.refused = 0
        """Connections that were one too many."""

    @property
    def links(self) -> tuple[Link, ...]:
        """The open links, the oldest first."""
        return tuple(link for link in self._links if link.is_open)

    async def start(self, host: str = "", port: int = 0, *, sock: socket.socket | None = None) -> int:
        """Listen on a host and port, or on a bound socket; return the port. Raises ListenError."""
        loop = asyncio.get_running_loop()
        tls = None
        if self._ssl_context is not None:
            tls = partial(TlsEngine, self._ssl_context, server_side=True)
        clock = self._clock or PollClock(loop)
        self._maker.memories.opened(clock.now_ms())

        def make_link() -> Link:
            return Link(handler=self._handler, maker=self._maker, clock=clock, owner=self, tls=tls)

        try:
            if sock is None:
                self._server = await loop.create_server(make_link, host, port, backlog=BACKLOG)
            else:
                self._server = await loop.create_server(make_link, sock=sock, backlog=BACKLOG)
        except OSError as error:
            raise ListenError(f"cannot listen on {host or 'its socket'} port {port}: {explain(error)}") from error
        sockets = self._server.sockets
        return int(sockets[0].getsockname()[1]) if sockets else port

    async def close(self, reason: str = "the server stopped") -> None:
        """Stop accepting, end every link with its last words, and wait until all are gone."""
        if self._server is None:
            return
        self._stopping = True
        server, self._server = self._server, None
        server.close()
        for link in tuple(self._links):
            link.close(reason)
        while self._links:
            self._empty.clear()
            await self._empty.wait()  # a closing link is aborted when it takes too long
        await server.wait_closed()

    def admit(self, link: Link, /) -> bool:
        """Count a new link in, unless it is one too many."""
        if self._stopping:
            return self._refuse(link, "the server is stopping")
        reason = self._crowd.enter(site_of(link.address))
        if reason:
            return self._refuse(link, reason)
        self._links[link] = None
        return True

    def opened(self, _link: Link, /) -> None:
        """Do nothing: the link was counted when it came."""

    def gone(self, link: Link, _reason: str, /) -> None:
        """Count a link out."""
        del self._links[link]
        self._crowd.leave(site_of(link.address))
        if not self._links:
            self._empty.set()

    def _refuse(self, link: Link, reason: str) -> bool:
        self.refused += 1
        # The first tells the operator; a flood must not fill the log.
        (log.warning if self.refused == 1 else log.debug)("link_refused", remote=link.remote, reason=reason)
        return False
