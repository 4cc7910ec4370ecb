"""A node on a socket: HTTP by uvicorn and starlette, everything else in one thread beside the event loop.

POST / takes JSON-RPC, GET /health says ok or behind. Nothing of the ledger runs in the loop, so it is never held up by
it; requests are carried out one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from settlement.ledger.errors import LedgerError, LedgerFileError
from settlement.ledger.limits import BODY_BYTES_MAX, CONNECTIONS_MAX, SLOT_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from settlement.ledger.node import Node

_KEEP_ALIVE_S: Final = 30
"""Longer than clients keep an idle connection (web3.js: 19 s), so that they never send into one that is closing."""
_BACKLOG: Final = 128
_GOODBYE_S: Final = 2
"""How long requests under way may take when the server ends."""
_HEADER_BYTES_MAX: Final = 16 * 1_024


class PortTakenError(LedgerError):
    """An address that cannot be listened on."""


class LedgerServer:
    """Serves one node until it is closed: the ledger runs in its thread from `start` on, and stays the caller's."""

    def __init__(self, node: Node) -> None:
        """Serve this node."""
        self._node = node
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._server: _Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._failed: asyncio.Future[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port. Raises PortTakenError."""
        listener = _listen(host, port)
        routes = [
            Route("/", self._post, methods=["POST"]),
            Route("/health", self._health, methods=["GET"]),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GOODBYE_S,
            h11_max_incomplete_event_size=_HEADER_BYTES_MAX,
            server_header=False,
        )
        self._server = _Server(config)
        self._failed = asyncio.get_running_loop().create_future()
        self._tasks = [asyncio.create_task(self._server.serve(sockets=[listener])), asyncio.create_task(self._tick())]
        await self._server.ready.wait()
        return int(listener.getsockname()[1])

    async def failed(self) -> None:
        """Wait until the ledger cannot go on. Raises LedgerFileError then."""
        if self._failed is not None:
            await asyncio.shield(self._failed)

    async def close(self) -> None:
        """Answer what is under way, and stop."""
        if self._server is not None:
            self._server.should_exit = True
            serving, ticking = self._tasks
            ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticking
            await serving
        if self._failed is not None and not self._failed.done():
            self._failed.cancel()
        self._thread.shutdown()

    async def _tick(self) -> None:
        """Let blocks be built, and written when they are final, also while nobody asks."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(self._thread, self._node.ledger.advance)
            except LedgerFileError as error:
                self._fail(error)
                return
            await asyncio.sleep(SLOT_MS / 1_000)

    def _fail(self, error: LedgerFileError) -> None:
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def _post(self, request: Request) -> Response:
        if not request.headers.get("content-type", "").startswith("application/json"):
            text = "Supplied content type is not allowed. Content-Type: application/json is required\n"
            return PlainTextResponse(text, status_code=415)
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > BODY_BYTES_MAX:
                return PlainTextResponse("request body size exceeds allowed maximum", status_code=413)
        try:
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._thread, self._node.handle, bytes(body))
        except LedgerFileError as error:
            self._fail(error)
            return PlainTextResponse("The ledger cannot go on\n", status_code=500)
        if answer is None:
            self._cut(request)
            return Response()
        return Response(answer.body, answer.status, answer.headers)

    async def _health(self, _request: Request) -> Response:
        behind = self._node.faults.stale
        return PlainTextResponse(f"behind {{ distance: {behind} }}" if behind else "ok")

    def _cut(self, request: Request) -> None:
        """Let go of the connection that a request came on."""
        if self._server is None or request.client is None:
            return
        for connection in list(self._server.server_state.connections):
            if connection.transport.get_extra_info("peername")[:2] == tuple(request.client):
                connection.transport.abort()


class _Server(uvicorn.Server):
    """Leaves signals to the command, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: the command has its own handlers."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self.ready.set()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Where asyncio does not read TCP here it leaves Nagle on, and each answer waits 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        advice = "; choose another port, 0 = any" if error.errno == errno.EADDRINUSE else ""
        raise PortTakenError(f"cannot listen on {host} port {port} ({error.strerror}){advice}") from error
    listener.setblocking(False)
    return listener
