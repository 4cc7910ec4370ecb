"""The demo as a command: plays a show, judges it, and says how it went."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from cli.demo_stage.errors import DemoError
from cli.demo_stage.report import Report, write_json
from cli.demo_stage.show import Show

if TYPE_CHECKING:
    from pathlib import Path

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SIGNAL_BASE: Final = 128


class Wishes(NamedTuple):
    """What the command line asks for."""

    headless: bool = False
    trades: int | None = None
    json_file: Path | None = None


def perform(wishes: Wishes) -> int:
    """Play until it is over or interrupted; return the exit status."""
    return asyncio.run(_perform(wishes))


async def _perform(wishes: Wishes) -> int:
    loop = asyncio.get_running_loop()
    caught: asyncio.Future[int] = loop.create_future()
    for number in _SIGNALS:
        loop.add_signal_handler(number, _catch, caught, number)
    show = Show(say=_say)
    play = asyncio.create_task(_play(show, wishes))
    trouble: DemoError | None = None
    try:
        await asyncio.wait((play, caught), return_when=asyncio.FIRST_COMPLETED)
        if caught.done():
            _say("stopping")
            play.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await play
    except DemoError as error:
        trouble = error
        _say(f"wattbid demo: {error}")
    evidence = await show.close()
    evidence.wanted = wishes.trades
    if caught.done():
        return _SIGNAL_BASE + caught.result()
    report = Report(evidence)
    if wishes.json_file is not None:
        write_json(wishes.json_file, report.as_json())
    for line in report.lines():
        print(line)
    return 1 if trouble is not None or not report.ok else 0


async def _play(show: Show, wishes: Wishes) -> None:
    await show.open()
    await show.trade(wishes.trades)


def _catch(caught: asyncio.Future[int], number: int) -> None:
    if not caught.done():
        caught.set_result(number)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
