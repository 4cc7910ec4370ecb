"""The control socket: a unix socket over which this machine's people and programs watch and steer the agent.

Only the agent's own user and root are served (peer credentials of the kernel, whatever the file's mode). Everything is
bounded: clients, line length, events that wait for a slow reader. What requests mean is `control_protocol`'s; what they
do is the site's, behind `SiteControl`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, Any, Final, Protocol

from agent import control_protocol as protocol
from agent.errors import CommandRefusedError, ControlError
from agent.logs import get_logger

if TYPE_CHECKING:
    from pathlib import Path

    from agent.events import EventHub, Subscription

CLIENTS_MAX: Final = 16
SLOW_READER_S: Final = 30.0  # a client that takes nothing for so long is closed
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid
_ROOT: Final = 0
_log = get_logger("agent.control")


class SiteControl(Protocol):
    """What the control socket may ask of the site. A refusal is a CommandRefusedError with the reason."""

    def snapshot(self) -> dict[str, Any]:
        """Return a `control_protocol.Snapshot`."""
        ...

    def stop_selling(self, battery: str | None, reason: str) -> None:
        """Offer nothing more from one battery (None = from any)."""
        ...

    def resume(self, battery: str | None) -> None:
        """Sell again, and acknowledge what blocked it."""
        ...

    def set_reserve(self, battery: str, price_e4: int | None) -> None:
        """Ask this price, or (None) what the site's own rule says."""
        ...


class ControlServer:
    """Serves the control socket from `start` to `close`."""

    def __init__(self, path: Path, site: SiteControl, hub: EventHub, *, clients_max: int = CLIENTS_MAX) -> None:
        self.path = path
        self._site = site
        self._hub = hub
        self._clients_max = clients_max
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Bind the socket, mode 0600. Raises ControlError: another agent listens, or the path cannot be used."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _clear_stale(self.path)
            listener = _bind(self.path)
        except OSError as error:
            raise ControlError(f"{self.path}: cannot be used as control socket: {error.strerror or error}") from error
        self._server = await asyncio.start_unix_server(self._accept, sock=listener, limit=protocol.LINE_BYTES_MAX)

    async def close(self) -> None:
        """Stop listening, close every client, remove the socket."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for task in tuple(self._clients):
            task.cancel()
        if self._clients:
            await asyncio.wait(self._clients)
        self.path.unlink(missing_ok=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # accepted while the agent was closing
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer), name="wattbid:control-client")
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pid, uid = _peer(writer)
        client = _Client(self._site, self._hub, writer, pid, uid)
        try:
            if uid not in (os.geteuid(), _ROOT):
                _log.warning("control client refused", uid=uid, pid=pid)
                await client.send(protocol.refusal(None, protocol.REFUSED, f"user {uid} may not control this agent"))
            elif len(self._clients) > self._clients_max:
                await client.send(protocol.refusal(None, protocol.REFUSED, f"{self._clients_max} clients are enough"))
            else:
                await client.send(protocol.greeting())
                await client.run(reader)
        except (ConnectionError, TimeoutError, asyncio.CancelledError):
            writer.transport.abort()
        try:
            await client.close()
            await _finish(writer)
        finally:
            writer.transport.abort()  # for a server that closes meanwhile; else it is closed already


class _Client:
    """One client of the socket: answers its requests in order, and sends events in between."""

    def __init__(self, site: SiteControl, hub: EventHub, writer: asyncio.StreamWriter, pid: int, uid: int) -> None:
        self._site = site
        self._hub = hub
        self._writer = writer
        self._who = {"pid": pid, "uid": uid}
        self._subscription: Subscription | None = None
        self._pump: asyncio.Task[None] | None = None

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Answer until the client closes or sends a line that is too long."""
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                limit = protocol.LINE_BYTES_MAX
                await self.send(protocol.refusal(None, protocol.MALFORMED, f"a line has at most {limit} bytes"))
                return
            if not line:
                return
            await self.send(self._answer(line))

    async def send(self, body: dict[str, Any]) -> None:
        """Write a line; raises TimeoutError for a client that does not read."""
        self._writer.write(protocol.encode_line(body))
        async with asyncio.timeout(SLOW_READER_S):
            await self._writer.drain()

    async def close(self) -> None:
        """Stop sending events."""
        if self._subscription is not None:
            self._subscription.close()
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait((self._pump,))

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = protocol.decode_request(line)
        except protocol.ProtocolError as error:
            return protocol.refusal(error.request_id, error.code, str(error))
        try:
            result = self._perform(request)
        except CommandRefusedError as error:
            self._log_command(request, "refused", why=str(error))
            return protocol.refusal(request.id, protocol.REFUSED, str(error))
        except Exception as error:  # noqa: BLE001 - a request's outermost edge: told and logged, the agent goes on
            why = f"{type(error).__name__}: {error}"
            _log.exception("control request failed", **self._who)
            self._log_command(request, "failed", why=why)
            return protocol.refusal(request.id, protocol.FAILED, why)
        self._log_command(request, "done")
        return protocol.answer(request.id, result)

    def _log_command(self, request: protocol.Request, outcome: str, **more: str) -> None:
        """Log what somebody wanted changed, and what came of it; who only looks is not logged."""
        if not isinstance(request, protocol.TakeSnapshot | protocol.Subscribe):
            name = type(request).__name__
            _log.info("control command", command=name, outcome=outcome, **self._who, **_fields(request), **more)

    def _perform(self, request: protocol.Request) -> Any:
        match request:
            case protocol.TakeSnapshot():
                return self._site.snapshot()
            case protocol.Subscribe(_, events):
                return self._subscribe(events)
            case protocol.StopSelling(_, battery, reason):
                self._site.stop_selling(battery, reason)
            case protocol.Resume(_, battery):
                self._site.resume(battery)
            case protocol.SetReserve(_, battery, price_e4):
                self._site.set_reserve(battery, price_e4)
        return None

    def _subscribe(self, events: tuple[str, ...] | None) -> dict[str, Any]:
        if self._subscription is not None:
            raise CommandRefusedError("this connection has subscribed already; open another one")
        self._subscription = self._hub.subscribe(events)
        self._pump = asyncio.get_running_loop().create_task(self._send_events(self._subscription))
        return {"events": list(protocol.EVENTS if events is None else events), "number": self._hub.number}

    async def _send_events(self, subscription: Subscription) -> None:
        try:
            while True:
                happened = await subscription.next()
                await self.send(protocol.event(happened.name, happened.number, happened.at_ms, happened.fields))
        except (ConnectionError, TimeoutError):
            self._writer.transport.abort()


def _fields(request: protocol.Request) -> dict[str, Any]:
    return {key: value for key, value in request._asdict().items() if key != "id"}


async def _finish(writer: asyncio.StreamWriter) -> None:
    """Send what waits and close; a client that does not take it is cut off."""
    writer.close()
    try:
        async with asyncio.timeout(SLOW_READER_S):
            await writer.wait_closed()
    except (ConnectionError, TimeoutError):
        writer.transport.abort()


def _peer(writer: asyncio.StreamWriter) -> tuple[int, int]:
    """Return the client's process and user, as the kernel knows them."""
    raw = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    return pid, uid


def _bind(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(CLIENTS_MAX)
    except OSError:
        listener.close()
        raise
    return listener


def _clear_stale(path: Path) -> None:
    """Remove a socket that nobody listens on. Raises ControlError while somebody does, or for another kind of file."""
    if not path.exists():
        return
    if not path.is_socket():
        raise ControlError(f"{path}: is in the way of the control socket and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        result = probe.connect_ex(str(path))
    if result in (0, errno.EAGAIN, errno.EACCES):
        raise ControlError(f"{path}: another agent listens here")
    path.unlink()
