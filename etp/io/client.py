"""The aggregator's way to a battery: one TCP connection, opened or refused within a time limit."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from etp.errors import EtpError
from etp.io.link import Link
from etp.io.pollclock import PollClock
from etp.io.sockets import explain
from etp.io.tls import TlsEngine

if TYPE_CHECKING:
    import ssl

    from etp.io.handler import LinkHandler
    from etp.io.maker import ConnectionMaker

CONNECT_S = 5.0
"""A battery on the same network answers in milliseconds; one behind a mobile link within a few seconds."""


class ConnectError(EtpError):
    """A battery that cannot be reached: where, and why."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"{host} port {port}: {reason}")
        self.host = host
        self.port = port
        self.reason = reason


class _Dial:
    """The owner of a single link: tells the caller of `connect` when it is open or why not."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.outcome: asyncio.Future[str] = loop.create_future()

    def admit(self, _link: Link, /) -> bool:
        """Admit every link: how often it dials is the caller's business."""
        return True

    def opened(self, _link: Link, /) -> None:
        """Let the caller have its link."""
        if not self.outcome.done():
            self.outcome.set_result("")

    def gone(self, _link: Link, reason: str, /) -> None:
        """Tell the caller why there is no link."""
        if not self.outcome.done():
            self.outcome.set_result(reason)


async def connect(
    host: str,
    port: int,
    *,
    handler: LinkHandler,
    maker: ConnectionMaker,
    clock: PollClock | None = None,
    ssl_context: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
    timeout_s: float = CONNECT_S,
) -> Link:
    """Return an open link to a battery; its handler has been told. Raises ConnectError.

    Share one clock among the links of a process. `server_hostname` defaults to the host.
    """
    loop = asyncio.get_running_loop()
    dial = _Dial(loop)
    tls = None
    if ssl_context is not None:
        tls = partial(TlsEngine, ssl_context, server_side=False, server_hostname=server_hostname or host)
    link = Link(handler=handler, maker=maker, clock=clock or PollClock(loop), owner=dial, tls=tls)
    try:
        async with asyncio.timeout(timeout_s):
            await loop.create_connection(lambda: link, host, port)
            reason = await dial.outcome
    except TimeoutError as error:
        link.abort("not open in time")
        raise ConnectError(host, port, f"not open within {timeout_s:g} s") from error
    except OSError as error:
        raise ConnectError(host, port, explain(error)) from error
    except asyncio.CancelledError:
        link.abort("no longer wanted")
        raise
    if reason:
        raise ConnectError(host, port, reason)
    return link
