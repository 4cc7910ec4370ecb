"""The agent as a process: real devices, real disk, real clock; its last act is the release."""

from __future__ import annotations

import asyncio
import importlib
import os
import secrets
import signal
from functools import partial
from typing import TYPE_CHECKING

import uvloop

from agent.clock import is_kernel_synchronised, wall_ms
from agent.gateway import Gateway
from agent.keys import BatteryKeys
from agent.logs import get_logger
from agent.notify import Notifier
from agent.surroundings import Surroundings
from drivers.open import Lines, open_battery
from drivers.options import Options
from settlement.executor import ThreadExecutor

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config_values import BatterySite, Site
    from agent.settling_ports import SettlerPort
    from drivers.device import Battery
    from etp.auth import Signer
    from settlement.settler_types import SettlerEvent, SettlerSettings

_log = get_logger("agent")


def run_agent(site: Site, *, ready: Callable[[str], None]) -> int:
    """Sell until SIGTERM or SIGINT; `ready` gets the line that names every port. Return the exit status.

    Raises JournalBusy, ListenError, ControlError, KeyFileError: nothing was sold, and the text says what to do.
    """
    keys = BatteryKeys()
    keys.open_keystores(site)
    if site.settlement is not None:  # a tenth of a second each, which no loop should wait for
        for name in ("settlement.settler", "httpx2"):
            importlib.import_module(name)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(site, keys, ready))


async def _serve(site: Site, keys: BatteryKeys, ready: Callable[[str], None]) -> int:
    loop = asyncio.get_running_loop()
    notifier = Notifier(os.environ)
    gateway = Gateway(site, _surroundings(site, keys), beat=lambda: notifier.alive(int(loop.time() * 1_000)))
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        await gateway.start()
        line = _ready_line(gateway)
        ready(line)
        notifier.ready(line)
        await ended.wait()
    finally:
        notifier.stopping("releasing the batteries")
        troubles = await gateway.stop()
        notifier.close()
    for trouble in troubles:
        _log.error("not stopped cleanly", reason=trouble)
    return 1 if troubles else 0


def _ready_line(gateway: Gateway) -> str:
    doors = " ".join(f"{name}={endpoint}" for name, endpoint in gateway.endpoints.items())
    return f"ready {doors} control={gateway.site.control_socket}"


def _surroundings(site: Site, keys: BatteryKeys) -> Surroundings:
    return Surroundings(
        open_battery=partial(_open_battery, Lines()),
        journal_executor=lambda: ThreadExecutor("journal-writer"),
        signer=keys.identity,
        wallet=keys.wallet,
        wall_ms=wall_ms,
        random_bytes=secrets.token_bytes,
        open_settler=_open_settler,
        clock_trusted=(lambda: True) if site.clock == "system" else is_kernel_synchronised,
    )


def _open_settler(settings: SettlerSettings, wallet: Signer, told: Callable[[SettlerEvent], None]) -> SettlerPort:
    from settlement.settler import open_settler  # noqa: PLC0415 - a ledger's types are large: for who settles alone

    return open_settler(settings, wallet=wallet, on_event=told)


def _open_battery(lines: Lines, battery: BatterySite, site: Site) -> Battery:
    options = Options(
        capacity_wh=battery.capacity_wh,
        min_power_w=battery.min_power_w,
        efficiency_permille=battery.efficiency_permille,
        state_age_max_ms=site.state_age_max_ms,
        time_lapse=site.time_lapse,
    )
    return open_battery(
        battery.address, name=battery.name, unit=battery.unit, family=battery.driver, options=options, lines=lines
    )
