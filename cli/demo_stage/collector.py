"""Follows the market from outside: agents through their control sockets, batteries through their control ports."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

from agent.control_client import ControlClient
from cli.demo_stage.errors import ChildError

if TYPE_CHECKING:
    from pathlib import Path

    from cli.demo_stage.book import Book

TRUTH_EVERY_S: Final = 0.1
ANSWER_S: Final = 20.0  # a machine that is busy with something else


class TruthPort:
    """The control port of one simulated battery, for one asker at a time."""

    def __init__(self, name: str, port: int) -> None:
        self._name = name
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send one command and return its answer. Raises ChildError when the battery has gone or refuses.

        A connection whose answer was not awaited is given up, so that nobody takes an old answer for a new one.
        """
        line = b""
        try:
            async with asyncio.timeout(ANSWER_S):
                streams = self._streams or await asyncio.open_connection("127.0.0.1", self._port)
                self._streams = None
                try:
                    streams[1].write(json.dumps({"cmd": command, **arguments}).encode() + b"\n")
                    line = await streams[0].readline()
                finally:
                    if not line:
                        streams[1].transport.abort()
                self._streams = streams
        except (OSError, TimeoutError) as error:
            raise ChildError(f"battery-{self._name}", f"does not answer its control port: {error}") from error
        answer: dict[str, Any] = json.loads(line) if line else {"error": "closed the control port"}
        if not answer.get("ok"):
            raise ChildError(f"battery-{self._name}", str(answer.get("error")))
        return answer

    def close(self) -> None:
        """Disconnect."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


class SiteFollower:
    """One site: keeps the book in line with its agent and its battery until cancelled."""

    def __init__(self, name: str, book: Book, *, socket: Path, truth_port: int, look_every_s: float) -> None:
        self.name = name
        self._book = book
        self._socket = socket
        self._look_every_s = look_every_s
        self._stack = AsyncExitStack()
        self._events: ControlClient | None = None
        self._requests: ControlClient | None = None
        self._turn = asyncio.Lock()
        self._battery = TruthPort(name, truth_port)

    async def open(self) -> None:
        """Connect to agent and battery; nothing that happens from here on is missed."""
        self._events = await self._stack.enter_async_context(await ControlClient.connect(self._socket))
        self._requests = await self._stack.enter_async_context(await ControlClient.connect(self._socket))
        self._stack.callback(self._battery.close)
        await self._events.request("subscribe")
        await self.look()
        await self.weigh()

    async def close(self) -> None:
        """Disconnect."""
        await self._stack.aclose()

    async def follow_agent(self) -> None:
        """Take in every event."""
        if self._events is None:
            raise RuntimeError("not connected")
        while True:
            self._book.agent_event(self.name, await self._events.next_event())

    async def follow_looks(self) -> None:
        """Look at the agent again and again."""
        while True:
            await asyncio.sleep(self._look_every_s)
            await self.look()

    async def follow_battery(self) -> None:
        """Read the battery's own counter again and again."""
        while True:
            await asyncio.sleep(TRUTH_EVERY_S)
            await self.weigh()

    async def look(self) -> dict[str, Any]:
        """Take in a snapshot and return it."""
        snapshot: dict[str, Any] = await self._request("snapshot")
        self._book.agent_snapshot(self.name, snapshot)
        return snapshot

    async def weigh(self) -> dict[str, Any]:
        """Take in the battery's truth and return it."""
        truth = await self._battery.ask("truth")
        self._book.truth(self.name, truth)
        return truth

    async def stop_selling(self, reason: str) -> None:
        """Ask the agent to offer nothing more; deliveries go on."""
        await self._request("stop-selling", reason=reason)

    async def resume(self) -> None:
        """Let the agent sell again."""
        await self._request("resume")

    async def _request(self, do: str, **arguments: Any) -> Any:
        if self._requests is None:
            raise RuntimeError("not connected")
        try:
            async with self._turn, asyncio.timeout(ANSWER_S):
                return await self._requests.request(do, **arguments)
        except TimeoutError as error:
            raise ChildError(
                f"agent-{self.name}", f"does not answer its control socket within {ANSWER_S:.0f} s"
            ) from error
