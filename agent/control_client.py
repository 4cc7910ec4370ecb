"""The other end of the control socket, for command lines, demos and tests."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from agent import control_protocol as protocol
from agent.errors import CommandRefusedError, ControlError, NoAgentError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_ANSWER_BYTES_MAX = 16 * 1024 * 1024  # a snapshot of 32 batteries with full books is far below


class ControlClient:
    """One connection: `async with await ControlClient.connect(path) as client`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._last_id = 0
        self._events: deque[dict[str, Any]] = deque()

    @classmethod
    async def connect(cls, path: Path, *, timeout_s: float = 5.0) -> Self:
        """Connect and check the greeting. Raises NoAgentError or ControlError."""
        try:
            async with asyncio.timeout(timeout_s):
                client = cls(*await asyncio.open_unix_connection(path, limit=_ANSWER_BYTES_MAX))
                await client._greeted(path)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NoAgentError(str(path)) from error
        except TimeoutError as error:
            raise ControlError(f"{path}: the agent does not answer") from error
        except OSError as error:
            raise ControlError(f"{path}: {error.strerror or error}") from error
        return client

    async def request(self, do: str, **arguments: Any) -> Any:
        """Send a request and return its result. Raises CommandRefusedError or ControlError."""
        self._last_id += 1
        try:
            self._writer.write(protocol.encode_line({"id": self._last_id, "do": do, **arguments}))
            await self._writer.drain()
        except ConnectionError as error:
            raise ControlError("the agent closed the connection") from error
        while (body := await self._line()).get("id") != self._last_id or "event" in body:
            if "event" in body:
                self._events.append(body)
        if not body.get("ok"):
            raise CommandRefusedError(str(body.get("error")))
        return body.get("result")

    async def next_event(self) -> dict[str, Any]:
        """Wait for the next event after a `subscribe`. Raises ControlError when the agent has gone."""
        if self._events:
            return self._events.popleft()
        while "event" not in (body := await self._line()):
            pass
        return body

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    async def _greeted(self, path: Path) -> None:
        greeted = False
        try:
            self._check_greeting(path, await self._line())
            greeted = True
        finally:
            if not greeted:
                self._writer.transport.abort()

    def _check_greeting(self, path: Path, body: dict[str, Any]) -> None:
        if body.get("protocol") != protocol.PROTOCOL:
            raise ControlError(f"{path}: {body.get('error', 'not an agent of this kind')}")
        if body.get("version") != protocol.VERSION:
            raise ControlError(f"{path}: speaks control version {body.get('version')}, this is {protocol.VERSION}")

    async def _line(self) -> dict[str, Any]:
        try:
            line = await self._reader.readline()
        except (ConnectionError, ValueError) as error:
            raise ControlError(f"the connection to the agent broke: {error}") from error
        if not line:
            raise ControlError("the agent closed the connection")
        try:
            return protocol.decode_line(line)
        except protocol.ProtocolError as error:
            raise ControlError(f"the agent sent {error}") from error
