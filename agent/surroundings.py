"""What an agent takes from the machine it runs on, and a simulation replaces: devices, disk, time of day, chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.journal_upkeep import DEFAULT_RULES
from settlement.executor import ThreadExecutor

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config_values import BatterySite, Site
    from agent.journal_upkeep import UpkeepRules
    from agent.settling_ports import SettlerPort
    from drivers.device import Battery
    from etp.auth import Signer
    from settlement.executor import Executor
    from settlement.settler_types import SettlerEvent, SettlerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Each field makes or returns one part. `clock_trusted` says whether the time of day may be signed.

    `signer` is a battery's identity; `wallet` pays its transactions, and `open_settler` makes what sends them: both are
    needed for `[settlement]` alone.
    `datagrams`: whether there is UDP. `loop_blocks`: whether work can hold up the event loop, so that its lag must be
    measured; virtual time never waits. `telemetry`: whether samples are kept, by a thread in real time.
    `pricing_executor`: where the files of forecasts are read. `journal_rules`: when the journal writes checkpoints, and
    what it leaves behind them.
    """

    open_battery: Callable[[BatterySite, Site], Battery]
    journal_executor: Callable[[], Executor]
    signer: Callable[[BatterySite], Signer]
    wall_ms: Callable[[], int]
    random_bytes: Callable[[int], bytes]
    clock_trusted: Callable[[], bool]
    wallet: Callable[[BatterySite], Signer] | None = None
    open_settler: Callable[[SettlerSettings, Signer, Callable[[SettlerEvent], None]], SettlerPort] | None = None
    datagrams: bool = True
    loop_blocks: bool = True
    telemetry: bool = True
    pricing_executor: Callable[[], Executor] = lambda: ThreadExecutor("pricing")
    journal_rules: UpkeepRules = DEFAULT_RULES
