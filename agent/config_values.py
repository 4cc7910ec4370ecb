"""The site as the agent works with it: integers with their units in the names, absolute paths, nothing left to default.

Values that only the device knows (rated power, capacity) stay None until it has been read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config_settlement import SettlementSite
    from agent.pricing import DynamicTerms, FixedReserve, SocTiers
    from etp.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSite:
    """Where buyers reach the batteries. `trusted_peers` None = any key."""

    listen: str
    peers: Literal["signed", "open"]
    trusted_peers: frozenset[bytes] | None
    multicast: bool
    group: str
    group_port: int
    ttl: int
    interface: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSite:
    """The agent's files."""

    directory: Path
    journal: Path
    journal_max_bytes: int
    telemetry: Path
    telemetry_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatterySite:
    """One battery for sale.

    None stands for what only the device knows: its capacity, its rated power, 1 % of that power, and for the lot 15 min
    of that power but at most 5 kWh.
    """

    name: str
    driver: str
    address: str
    unit: int
    port: int
    root_file: Path
    """Holds the battery's keys, unless there is a keystore, whose password is in `password_file`."""
    keystore: Path | None
    password_file: Path | None
    capacity_wh: int | None
    max_power_w: int | None
    min_power_w: int | None
    efficiency_permille: int
    floor_permille: int
    share_permille: int
    temp_min_dc: int
    temp_max_dc: int
    lot_wh: int | None
    rule: str
    standing_ms: int
    reserve: FixedReserve | SocTiers | DynamicTerms
    reserve_min_e4: int
    increment_e4: int
    price_cap_e4: int
    reputation_floor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything a site file says."""

    path: Path
    name: str
    lab: bool
    time_lapse: int
    state_age_max_ms: int
    clock: Literal["kernel", "system"]
    network: NetworkSite
    limits: Limits
    storage: StorageSite
    control_socket: Path
    batteries: tuple[BatterySite, ...]
    settlement: SettlementSite | None
