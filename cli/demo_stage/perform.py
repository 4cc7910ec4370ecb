"""The demo as a command: plays a show, judges it, and says how it went."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import signal
from typing import TYPE_CHECKING, Final, NamedTuple

from cli.demo_stage.cast import Ports
from cli.demo_stage.errors import DemoError
from cli.demo_stage.lines import follow
from cli.demo_stage.places import why_not_writable, write_whole
from cli.demo_stage.report import Report
from cli.demo_stage.screen import can_draw, watch
from cli.demo_stage.show import Show
from cli.demo_stage.voice import say, tell
from cli.words import counted

if TYPE_CHECKING:
    from pathlib import Path

    from cli.demo_stage.evidence import Evidence
    from cli.demo_stage.picture import Photographer

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_SIGNAL_BASE: Final = 128
_USAGE: Final = 2


class Wishes(NamedTuple):
    """What the command line asks for; `trades` None = until interrupted."""

    headless: bool = False
    trades: int | None = None
    json_file: Path | None = None
    picture: Path | None = None
    port: int = 0
    modbus_port: int = 0
    multicast: bool = True


def perform(wishes: Wishes) -> int:
    """Play until it is over or interrupted; return the exit status."""
    if wishes.json_file is not None and wishes.picture is not None and _same(wishes.json_file, wishes.picture):
        say(f"wattbid demo: {wishes.picture}: one file cannot hold both the report and the picture")
        return _USAGE
    for path in (wishes.json_file, wishes.picture):
        if path is not None and (reason := why_not_writable(path)):
            say(f"wattbid demo: {path}: {reason}")
            return _USAGE
    if wishes.picture is not None and importlib.util.find_spec("rich") is None:
        say("wattbid demo: a picture needs the packages of the extra `demo`")
        return _USAGE
    return asyncio.run(_perform(wishes))


async def _perform(wishes: Wishes) -> int:
    caught = _catch_signals()
    show = Show(say=say, ports=Ports(wishes.port, wishes.modbus_port), multicast=wishes.multicast)
    photographer = _photographer(show, wishes)
    play = asyncio.create_task(_play(show, wishes))
    trouble: DemoError | None = None
    try:
        await asyncio.wait((play, caught), return_when=asyncio.FIRST_COMPLETED)
        play.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await play
    except DemoError as error:
        trouble = error
        say(f"wattbid demo: {error}")
    finally:
        if caught.done():
            say("stopping: the agents give their batteries back")
        evidence = await show.close()
    kept = photographer is None or wishes.picture is None or _keep(wishes.picture, photographer.picture())
    if caught.done():
        return _interrupted(evidence, caught.result())
    if trouble is not None and not evidence.duration_ms:
        _say_leftovers(evidence)
        return 1
    evidence.wanted = wishes.trades
    report = Report(evidence)
    if wishes.json_file is not None:
        kept &= _keep(wishes.json_file, json.dumps(report.as_json(), indent=1) + "\n")
    for line in report.lines():
        tell(line)
    return 0 if trouble is None and report.ok and kept else 1


async def _play(show: Show, wishes: Wishes) -> None:
    draws = not wishes.headless and can_draw()
    if not draws:
        follow(show.book, say if wishes.headless else tell)
    await show.open()
    parts = [asyncio.create_task(show.trade(wishes.trades))]
    if draws:
        parts.append(asyncio.create_task(watch(show.book, wishes.trades)))
    try:
        done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        for part in done:
            part.result()
    except OSError as error:
        raise DemoError(f"the live view cannot be shown: {error.strerror or error}") from error
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _keep(path: Path, text: str) -> bool:
    """Write a file; say why when it fails, and return whether it did not."""
    try:
        write_whole(path, text)
    except OSError as error:
        say(f"wattbid demo: {path}: cannot be written: {error.strerror or error}")
        return False
    return True


def _catch_signals() -> asyncio.Future[int]:
    """Return what will hold the first signal that ends the demo; later ones change nothing."""
    loop = asyncio.get_running_loop()
    caught: asyncio.Future[int] = loop.create_future()

    def catch(number: int) -> None:
        if not caught.done():
            caught.set_result(number)

    for number in _SIGNALS:
        if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue  # nohup: the demo shall outlive its terminal
        loop.add_signal_handler(number, catch, number)
    return caught


def _photographer(show: Show, wishes: Wishes) -> Photographer | None:
    if wishes.picture is None:
        return None
    from cli.demo_stage.picture import Photographer

    photographer = Photographer(show.book, wanted=wishes.trades)
    show.watched_by(photographer.look)
    return photographer


def _interrupted(evidence: Evidence, number: int) -> int:
    """Say what was traded until then, and whether everything is gone; return the exit status."""
    whole = [trade for trade in evidence.trades if trade.metered_wh is not None]
    cut = len(evidence.trades) - len(whole)
    evidence.trades = whole
    for line in Report(evidence).totals_lines():
        tell(line)
    if cut:
        tell(f"{counted(cut, 'trade')} still under delivery {'was' if cut == 1 else 'were'} cut short")
    _say_leftovers(evidence)
    return _SIGNAL_BASE + number


def _say_leftovers(evidence: Evidence) -> None:
    for leftover in evidence.left_running:
        say(f"left behind: {leftover}")
