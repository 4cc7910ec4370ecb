"""The control socket on a real unix socket: requests, events, bounds, credentials."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from typing import TYPE_CHECKING, Any

import pytest
import structlog
import uvloop

from agent import control
from agent.control import ControlServer
from agent.control_client import ControlClient
from agent.control_protocol import LINE_BYTES_MAX
from agent.errors import CommandRefusedError, ControlError, NoAgentError
from agent.events import EventHub, Subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path


class Site:
    """Two batteries that remember what they were told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def snapshot(self) -> dict[str, Any]:
        return {"site": "test", "batteries": []}

    def stop_selling(self, battery: str | None, reason: str) -> None:
        self._known(battery)
        self.told.append(("stop", battery, reason))

    def resume(self, battery: str | None) -> None:
        if battery == "crash":
            raise ZeroDivisionError("bug")
        self.told.append(("resume", battery))

    def set_reserve(self, battery: str, price_e4: int | None) -> None:
        self._known(battery)
        self.told.append(("reserve", battery, price_e4))

    def _known(self, battery: str | None) -> None:
        if battery not in (None, "home"):
            raise CommandRefusedError(f'no battery "{battery}"')


class Hub(EventHub):
    """An event hub whose listeners' coming and going can be waited for."""

    def __init__(self) -> None:
        super().__init__(lambda: 5)
        self.came, self.went = asyncio.Event(), asyncio.Event()

    def subscribe(self, names: Iterable[str] | None = None, *, limit: int = 1_000) -> Subscription:
        self.came.set()
        return super().subscribe(names, limit=limit)

    def remove(self, subscription: Subscription) -> None:
        super().remove(subscription)
        self.went.set()


class Bench:
    """A served site."""

    def __init__(self, path: Path) -> None:
        self.site = Site()
        self.hub = Hub()
        self.server = ControlServer(path, self.site, self.hub, clients_max=3)
        self.path = path

    async def client(self) -> ControlClient:
        return await ControlClient.connect(self.path)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "run" / "control.sock")
    await bench.server.start()
    yield bench
    await bench.server.close()
    assert not bench.path.exists()


async def test_requests_reach_the_site(bench: Bench) -> None:
    assert stat.S_IMODE(bench.path.stat().st_mode) == 0o600
    async with await bench.client() as client:
        assert (await client.request("snapshot"))["site"] == "test"
        assert await client.request("stop-selling", battery="home", reason="r") is None
        await client.request("stop-selling")
        await client.request("resume", battery="home")
        await client.request("set-reserve", battery="home", price_e4=250_000)
        with pytest.raises(CommandRefusedError, match='no battery "barn"'):
            await client.request("set-reserve", battery="barn", price_e4=1)
        with pytest.raises(CommandRefusedError, match="no request"):
            await client.request("dance")
        with pytest.raises(CommandRefusedError, match="ZeroDivisionError: bug"):
            await client.request("resume", battery="crash")
    assert bench.site.told == [
        ("stop", "home", "r"),
        ("stop", None, "stopped over the control socket"),
        ("resume", "home"),
        ("reserve", "home", 250_000),
    ]


async def test_a_command_is_logged_with_what_came_of_it(bench: Bench) -> None:
    with structlog.testing.capture_logs() as lines:
        async with await bench.client() as client:
            await client.request("snapshot")
            await client.request("stop-selling", battery="home", reason="cleaning")
            for battery, name in (("barn", "set-reserve"), ("crash", "resume")):
                with pytest.raises(CommandRefusedError):
                    await client.request(name, battery=battery, **({"price_e4": 1} if battery == "barn" else {}))
    told = [line for line in lines if line["event"] == "control command"]
    assert [(line["command"], line["outcome"], line.get("why")) for line in told] == [
        ("StopSelling", "done", None),
        ("SetReserve", "refused", 'no battery "barn"'),
        ("Resume", "failed", "ZeroDivisionError: bug"),
    ]
    assert (told[0]["battery"], told[0]["reason"], told[0]["pid"]) == ("home", "cleaning", os.getpid())


async def test_a_subscription_to_nothing_says_so_and_brings_nothing(bench: Bench) -> None:
    async with await bench.client() as client:
        assert await client.request("subscribe", events=[]) == {"events": [], "number": 0}
        bench.hub.publish("alarm", battery="home")
        await client.request("snapshot")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.next_event(), 0.05)


async def test_events_come_between_answers(bench: Bench) -> None:
    bench.hub.publish("lot_opened")
    async with await bench.client() as client:
        assert (await client.request("subscribe", events=["alarm", "lot_opened"]))["number"] == 1
        with pytest.raises(CommandRefusedError, match="subscribed already"):
            await client.request("subscribe")
        bench.hub.publish("alarm", battery="home", name="x")
        bench.hub.publish("metrics")
        await asyncio.sleep(0.02)
        await client.request("snapshot")
        bench.hub.publish("lot_opened", lot_id=2)
        first, second = await client.next_event(), await client.next_event()
    assert first == {"event": "alarm", "number": 2, "at_ms": 5, "battery": "home", "name": "x"}
    assert (second["number"], second["lot_id"]) == (4, 2)
    await asyncio.wait_for(bench.hub.went.wait(), 30)
    assert not bench.hub.listening


async def raw(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_unix_connection(path)
    assert json.loads(await reader.readline())["protocol"] == "wattbid-control"
    return reader, writer


async def test_bad_lines_are_answered_and_endless_ones_close(bench: Bench) -> None:
    reader, writer = await raw(bench.path)
    writer.write(b"not json\n[]\n")
    for _ in range(2):
        assert json.loads(await reader.readline())["code"] == "malformed"
    writer.write(b"x" * (LINE_BYTES_MAX + 2))
    assert "at most" in json.loads(await reader.readline())["error"]
    assert await reader.read() == b""
    writer.close()


async def test_clients_are_bounded(bench: Bench) -> None:
    clients = [await bench.client() for _ in range(3)]
    with pytest.raises(ControlError, match="3 clients are enough"):
        await bench.client()
    await clients.pop().close()
    async with asyncio.timeout(30):
        while True:
            try:
                clients.append(await bench.client())
            except ControlError:
                await asyncio.sleep(0.005)
            else:
                break
    for client in clients:
        await client.close()


async def test_a_client_that_reads_nothing_is_closed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "SLOW_READER_S", 0.05)
    reader, writer = await raw(bench.path)
    reader._transport.pause_reading()  # type: ignore[attr-defined] # a reader that is asleep
    writer.write(b'{"do": "subscribe"}\n')
    await asyncio.wait_for(bench.hub.came.wait(), 30)
    for _ in range(100):
        bench.hub.publish("alarm", text="y" * 50_000)
    await asyncio.wait_for(bench.hub.went.wait(), 30)
    writer.close()


async def test_another_user_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_242)
    monkeypatch.setattr(control, "_ROOT", 4_243)
    with pytest.raises(ControlError, match="may not control this agent"):
        await bench.client()


async def test_root_may_always(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_ROOT", os.geteuid())
    monkeypatch.setattr(os, "geteuid", lambda: 4_242)
    async with await bench.client() as client:
        await client.request("snapshot")


async def test_a_second_agent_is_told_and_a_stale_socket_is_replaced(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="another agent listens here"):
        await ControlServer(bench.path, bench.site, bench.hub).start()
    async with await bench.client() as client:
        await client.request("snapshot")  # the first agent is none the worse
    stale = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(stale))
    again = ControlServer(stale, bench.site, bench.hub)
    await again.start()
    await again.close()
    await again.close()
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ControlError, match="is not a socket"):
        await ControlServer(blocked, bench.site, bench.hub).start()
    with pytest.raises(ControlError, match="cannot be used as control socket"):
        await ControlServer(blocked / "below.sock", bench.site, bench.hub).start()
    with pytest.raises(ControlError, match="cannot be used as control socket"):
        await ControlServer(tmp_path / ("x" * 120), bench.site, bench.hub).start()


async def test_closing_ends_clients(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "c.sock")
    await bench.server.start()
    client = await bench.client()
    await client.request("subscribe")
    await bench.server.close()
    with pytest.raises(ControlError, match="closed"):
        await client.next_event()
    with pytest.raises(ControlError):
        await client.request("snapshot")
    await client.close()
    with pytest.raises(NoAgentError, match=r"no agent listens on .*c\.sock"):
        await bench.client()


async def serve_lines(path: Path, *lines: bytes, wait: bool = False) -> tuple[asyncio.Server, asyncio.Event]:
    closed = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.writelines(lines)
        if wait:
            await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        closed.set()

    return await asyncio.start_unix_server(handle, path), closed


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b'{"hello": 1}\n', "not an agent of this kind"),
        (b'{"protocol": "wattbid-control", "version": 99}\n', "speaks control version 99"),
        (b"HTTP/1.1 200 OK\n", "the agent sent not a line of JSON"),
        (b"", "closed the connection"),
    ],
)
async def test_what_is_not_an_agent_is_said(tmp_path: Path, said: bytes, words: str) -> None:
    server, closed = await serve_lines(tmp_path / "s", said)
    with pytest.raises(ControlError, match=words):
        await ControlClient.connect(tmp_path / "s")
    await asyncio.wait_for(closed.wait(), 30)
    server.close()
    await server.wait_closed()


async def test_an_agent_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    server, closed = await serve_lines(tmp_path / "s", wait=True)
    with pytest.raises(ControlError, match="does not answer"):
        await ControlClient.connect(tmp_path / "s", timeout_s=0.05)
    await asyncio.wait_for(closed.wait(), 30)
    server.close()
    await server.wait_closed()


async def test_an_unreadable_socket_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ControlError):
        await ControlClient.connect(tmp_path / "file" / "s")


def test_it_works_on_uvloop(tmp_path: Path) -> None:
    async def talk() -> None:
        bench = Bench(tmp_path / "u.sock")
        await bench.server.start()
        async with await bench.client() as client:
            assert (await client.request("snapshot"))["site"] == "test"
        await bench.server.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(talk())
