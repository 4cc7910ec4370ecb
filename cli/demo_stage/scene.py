"""The market that the demo shows: three sites with a battery each, four buyers, and the files that describe them.

Pure but for `write`. Energy runs `TIME_LAPSE` times faster, so that a delivery of some minutes takes seconds; auctions
and every protocol limit are real.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TIME_LAPSE: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteScene:
    """One site: its battery, and on what terms it sells. `sun_w` charges the battery while nobody buys."""

    name: str
    capacity_wh: int
    power_w: int
    soc_percent: int
    sun_w: int
    lot_kwh: float
    floor_percent: int
    tiers: tuple[tuple[int, float], ...]
    """From this state of charge (%) upwards, this reserve (c/kWh)."""

    def battery_command(self, *, port: int, seed: int) -> list[str]:
        """Return the command of its simulated battery; `port` 0 = any free one."""
        return [
            *("sim", "battery", "--port", str(port), "--control-port", "0", "--seed", str(seed)),
            *("--capacity-wh", str(self.capacity_wh), "--power-w", str(self.power_w), "--soc", str(self.soc_percent)),
            *("--own-power-w", str(self.sun_w), "--time-lapse", str(TIME_LAPSE)),
            *("--ramp-w-per-s", str(self.power_w * TIME_LAPSE * _RAMPS_PER_S)),
        ]

    def site_file(
        self,
        *,
        modbus: str,
        port: int,
        socket: Path,
        group: Group | None,
        root_file: Path,
        buyers: Sequence[str],
        till: Till,
    ) -> str:
        """Return the site file (TOML) of its agent; `buyers` are the public keys of those who may trade, in hex."""
        lines = [
            "[site]",
            f'name = "site-{self.name}"',
            "lab = true",
            f"time_lapse = {TIME_LAPSE}",
            'clock = "system"',
            "",
            "[network]",
            'peers = "signed"',
            f"trusted_peers = {json.dumps(list(buyers))}",
            *_group_lines(group),
            "",
            "[storage]",
            f'directory = "data-{self.name}"',
            "",
            "[control]",
            f"socket = {json.dumps(str(socket))}",
            "",
            *till.lines(),
            f"cosign_wait_s = {COSIGN_WAIT_S}",
            "",
            "[[battery]]",
            f'name = "{self.name}"',
            f"root_file = {json.dumps(str(root_file))}",
            f'address = "{modbus}"',
            f"port = {port}",
            f"lot_kwh = {self.lot_kwh}",
            f"floor_percent = {self.floor_percent}",
        ]
        for soc_percent, price_c in self.tiers:
            lines += ["[[battery.reserve.tiers]]", f"from_soc_percent = {soc_percent}", f"c_per_kwh = {price_c}"]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuyerScene:
    """One aggregator: how it bids, and what a kWh is worth to it (c/kWh, drawn anew every few seconds)."""

    name: str
    strategy: str
    forecast_c: tuple[float, ...]
    spread_c: float
    fee_c: float = 0.5
    parameters: Mapping[str, float] | None = None
    cosigns: bool = True
    """Whether it signs for what was delivered; where it does not, batteries claim what they are owed."""

    def config_file(
        self,
        *,
        seed: int,
        batteries: Sequence[str],
        group: Group | None,
        root_file: Path,
        sellers: Sequence[str],
        till: Till,
    ) -> str:
        """Return the configuration file (TOML).

        `batteries` are endpoints to dial, `sellers` the public keys, in hex, of those it buys from.
        """
        lines = [
            f'name = "{self.name}"',
            f"seed = {seed}",
            f"root_file = {json.dumps(str(root_file))}",
            "",
            "[network]",
            'peers = "signed"',
            f"trusted_peers = {json.dumps(list(sellers))}",
            f"batteries = {json.dumps(list(batteries))}",
            *_group_lines(group),
            "",
            "[value]",
            f"forecast_c = {json.dumps(list(self.forecast_c))}",
            f"forecast_step_s = {FORECAST_STEP_S}",
            f"fee_c = {self.fee_c}",
            f"private_spread_c = {self.spread_c}",
            "",
            "[strategy]",
            f'name = "{self.strategy}"',
        ]
        lines += [f"{key} = {value}" for key, value in (self.parameters or {}).items()]
        lines += ["", *till.lines(), f"time_lapse = {TIME_LAPSE}", f"cosign = {json.dumps(self.cosigns)}"]
        lines += [f"tolerance_wh = {TOLERANCE_WH}"]
        lines += [f'{file} = "{self.name}-{file}.db"' for file in ("cheques", "outbox")]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A multicast group of this demo alone, on loopback."""

    address: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Till:
    """The ledger on which this demo's trades are paid; addresses in base58."""

    rpc: str
    program: str
    genesis: str
    mint: str
    resolver: str

    def lines(self) -> list[str]:
        """Return the table `[settlement]`, as far as both sides have the same."""
        return [
            "[settlement]",
            f"rpc = {json.dumps([self.rpc])}",
            f'program_id = "{self.program}"',
            f'genesis = "{self.genesis}"',
            f'mint = "{self.mint}"',
            f'resolver = "{self.resolver}"',
            f"dispute_window_s = {DISPUTE_WINDOW_S}",
        ]


COSIGN_WAIT_S: Final = 3
DISPUTE_WINDOW_S: Final = 5
"""Both real and short, so that a claim is paid while somebody watches."""
FINALIZED_AFTER: Final = 2
"""Blocks of this ledger, which has no forks."""
TOLERANCE_WH: Final = 150
"""A battery of 7.5 kW delivers 125 Wh in a second here: that much a message may be late."""
LINE_USDC: Final = 500
"""What each buyer lays aside for each battery."""
_RAMPS_PER_S: Final = 5
"""How often a battery's power could go from nothing to all in a second of its own time."""
FORECAST_STEP_S: Final = 4.0
_KEEP_C: Final = 70.0
"""A reserve that nobody pays: below some charge a site waits for the sun, rather than sell what is left in crumbs."""
_PRICES: Final = (38.0, 40.0, 43.0, 45.0, 42.0, 39.0, 37.0, 36.0)
_BOLD: Final = tuple(price_c + 1.0 for price_c in _PRICES)
_MODEST: Final = tuple(price_c - 1.0 for price_c in _PRICES)

SITES: Final = (
    SiteScene(
        name="home",
        capacity_wh=13_500,
        power_w=5_000,
        soc_percent=86,
        sun_w=4_000,
        lot_kwh=0.7,
        floor_percent=20,
        tiers=((45, 30.0), (40, _KEEP_C)),
    ),
    SiteScene(
        name="farm",
        capacity_wh=20_000,
        power_w=7_500,
        soc_percent=78,
        sun_w=6_000,
        lot_kwh=1.0,
        floor_percent=15,
        tiers=((75, 27.0), (60, 30.0), (45, 33.0), (40, _KEEP_C)),
    ),
    SiteScene(
        name="school",
        capacity_wh=10_000,
        power_w=4_000,
        soc_percent=88,
        sun_w=3_000,
        lot_kwh=0.6,
        floor_percent=30,
        tiers=((55, 32.0), (50, _KEEP_C)),
    ),
)
BUYERS: Final = (
    BuyerScene(name="amber", strategy="truthful", forecast_c=_MODEST, spread_c=3.0),
    BuyerScene(name="boreas", strategy="zip", forecast_c=_PRICES, spread_c=3.0),
    BuyerScene(name="citron", strategy="equilibrium", forecast_c=_BOLD, spread_c=3.0),
    BuyerScene(
        name="delta", strategy="aggressive", forecast_c=_MODEST, spread_c=3.0, parameters={"edge_c": 0.6}, cosigns=False
    ),
)


def write(directory: Path, name: str, text: str) -> Path:
    """Write one file of the scene and return its path."""
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


def _group_lines(group: Group | None) -> list[str]:
    if group is None:
        return ["multicast = false"]
    return [f'group = "{group.address}"', f"group_port = {group.port}", "ttl = 0", 'interface = "127.0.0.1"']
