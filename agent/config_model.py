"""The site file as it is written: every key with its unit, default, meaning and what is allowed.

This is the only description of the file; `agent.config_reference` prints it, `agent.config_rules` adds what concerns
more than one key, and `agent.config_build` turns it into the integers the agent works with.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator

from agent import config_fields as fields
from agent.config_fields import Price, Section, Tenths, key
from agent.config_reserve import ReserveSection  # noqa: TC001 - pydantic reads the annotation
from agent.config_settlement import SettlementSection  # noqa: TC001 - pydantic reads the annotation

Peers = Literal["signed", "open"]
RULES: Final = ("standing_bid", "sealed_first", "sealed_second", "ascending_clock", "first_acceptable")
BATTERIES_MAX: Final = 32
TRUSTED_MAX: Final = 1_024

Address = Annotated[str, AfterValidator(fields.ip_address)]
Group = Annotated[str, AfterValidator(fields.multicast_address)]
Endpoint = Annotated[str, AfterValidator(fields.endpoint)]
Keys = Annotated[Any, AfterValidator(fields.trusted_keys)]


class SiteSection(Section):
    """`[site]`: what holds for everything this agent does."""

    name: str = key(text="Name of the site.", pattern=r"^[a-z0-9][a-z0-9-]{2,39}$", allowed=fields.SITE_NAME)
    lab: bool = key(
        False,
        text="A laboratory: no commissioning, no guard, a declared dead-man counts; every endpoint must be loopback.",
        allowed=fields.TRUE_FALSE,
    )
    time_lapse: int = key(
        1, text="Energy rules and delivery windows run this much faster; only with `lab`.", ge=1, le=1_000
    )
    state_age_max_ms: int = key(
        2_500,
        unit="ms",
        text="A battery value older than this is absent, and nothing is sold on it.",
        ge=500,
        le=10_000,
    )
    clock: Literal["kernel", "system"] = key(
        "kernel",
        text="Whose word makes the time of day trusted: the kernel's synchronisation flag, or always (`system`).",
        allowed='"kernel" or "system"',
    )


class NetworkSection(Section):
    """`[network]`: where buyers reach the batteries, and which buyers may trade."""

    listen: Address = key("127.0.0.1", text="Address that all batteries listen on.", allowed=fields.IP_ADDRESS)
    peers: Peers | None = key(
        None,
        text="Whether buyers must sign. Unsigned trades are delivered but never settled.",
        allowed='"signed" or "open"',
        default_text='`"signed"`; with `lab` `"open"`',
    )
    open_on_network: bool = key(
        False, text='Allow `peers = "open"` on an address that is not loopback.', allowed=fields.TRUE_FALSE
    )
    trusted_peers: Keys = key(
        None,
        text="Public keys of the buyers that may trade.",
        allowed=f'"any", or a list of 1..{TRUSTED_MAX} keys of 64 hex digits',
        default_text='none; required with `peers = "signed"`',
    )
    multicast: bool = key(
        True, text="Announce the batteries and answer questions by multicast.", allowed=fields.TRUE_FALSE
    )
    group: Group = key("239.192.84.14", text="Multicast group.", allowed=fields.MULTICAST_ADDRESS)
    group_port: int = key(4084, text="UDP port of the group; 0 = each battery's own port number.", ge=0, le=65_535)
    ttl: int = key(5, unit="hops", text="How far multicast datagrams travel.", ge=0, le=255)
    interface: Address | None = key(
        None,
        text="Address of the interface for multicast.",
        allowed=fields.IP_ADDRESS,
        default_text="the `listen` address",
    )


class LimitsSection(Section):
    """`[limits]`: what peers may cost us; 0 = off where it is allowed."""

    connections: int = key(256, text="Open connections of all batteries together; 0 = off.", ge=0, le=10_000)
    per_address: int = key(
        64, text="Open connections from one address to all batteries together; 0 = off.", ge=0, le=10_000
    )
    frames_per_s: int = key(200, unit="frames/s", text="Average rate of one connection; 0 = off.", ge=0, le=1_000_000)
    burst: int = key(400, unit="frames", text="Frames one connection may send at once; 0 = off.", ge=0, le=1_000_000)
    address_frames_per_s: int = key(
        2_000,
        unit="frames/s",
        text="Average rate of all connections from one address; 0 = off.",
        ge=0,
        le=1_000_000,
    )
    outbox_frames: int = key(64, unit="frames", text="Frames that may wait for a slow reader.", ge=1, le=10_000)
    outbox_bytes: int = key(65_536, unit="bytes", text="Bytes that may wait for a slow reader.", ge=1_024, le=1 << 24)
    reply_ids: int = key(1_024, text="Message ids remembered for a peer and message type.", ge=1, le=65_536)
    reply_ms: int = key(60_000, unit="ms", text="How long an id is remembered.", ge=1_000, le=3_600_000)
    bad_frames_per_min: int = key(
        10, unit="frames/min", text="Bad frames that close a connection; 0 = off.", ge=0, le=100_000
    )
    half_frame_ms: int = key(
        10_000, unit="ms", text="How long the rest of a begun frame may take; 0 = off.", ge=0, le=3_600_000
    )
    stalled_ms: int = key(
        10_000, unit="ms", text="How long a peer may leave our bytes unread; 0 = off.", ge=0, le=3_600_000
    )
    idle_ms: int = key(
        300_000,
        unit="ms",
        text="How long a connection without Register may be silent; 0 = off.",
        ge=0,
        le=86_400_000,
    )
    signers: int = key(1_024, text="Signed peers whose ids are remembered at once.", ge=1, le=65_536)


class StorageSection(Section):
    """`[storage]`: where the agent keeps what must survive. Paths are relative to the site file's directory."""

    directory: str = key("wattbid-data", text="Directory of the agent's files; made when missing.", path=True)
    journal: str = key("journal.db", text="Journal of promises, in `directory`.", path=True)
    journal_max_mb: int = key(
        1_024,
        unit="MB",
        text="Size at which the journal counts as full, and selling stops; an alarm comes at 80 %. From 50 % on, "
        "records of trades and alarms older than 90 days make room.",
        ge=1,
        le=65_536,
    )
    telemetry: str = key(
        "telemetry.db", text="Ring of battery samples, one a second of each, in `directory`.", path=True
    )
    telemetry_rows: int = key(500_000, unit="rows", text="Samples the ring holds.", ge=1_000, le=50_000_000)


class ControlSection(Section):
    """`[control]`: the local control socket."""

    socket: str | None = key(
        None, text="Unix socket for `wattbid status`.", path=True, default_text="`control.sock` in `storage.directory`"
    )


class BatterySection(Section):
    """`[[battery]]`: one battery for sale; 1..32 of them."""

    name: str = key(text="Name of the battery.", pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", allowed=fields.BATTERY_NAME)
    driver: Literal["sunspec"] = key("sunspec", text="Device family.", allowed='"sunspec"')
    address: Endpoint = key("127.0.0.1:5020", text="Modbus TCP endpoint of the device.", allowed=fields.ENDPOINT)
    unit: int = key(1, text="Modbus unit.", ge=1, le=247)
    port: int | None = key(
        None,
        text="Port that buyers reach this battery on, TCP and UDP; 0 = any.",
        ge=0,
        le=65_535,
        default_text="4084 for the first battery, 4085 for the second, ...",
    )
    root_file: str | None = key(
        None,
        text="Secret that the battery's keys come from; made at the first start.",
        path=True,
        default_text="`<name>.root` in `storage.directory`; not used with `keystore`",
    )
    keystore: str | None = key(
        None,
        text="The battery's keys under a password, in the place of `root_file`; `wattbid keys new` makes it.",
        path=True,
        default_text="none",
    )
    password_file: str | None = key(
        None,
        text="File (mode 0600) whose first line is the password of `keystore`.",
        path=True,
        default_text="none; required with `keystore`",
    )
    capacity_wh: int | None = key(
        None,
        unit="Wh",
        text="Capacity, where the device's own is wrong.",
        ge=100,
        le=100_000_000,
        default_text="the device's",
    )
    max_power_w: int | None = key(
        None, unit="W", text="Most power to sell.", ge=1, le=100_000_000, default_text="the device's rated power"
    )
    min_power_w: int | None = key(
        None,
        unit="W",
        text="Least power to sell.",
        ge=1,
        le=100_000_000,
        default_text="1 % of the device's rated power",
    )
    efficiency_percent: Tenths = key(
        95.0,
        unit="%",
        text="Energy delivered per energy drawn from the cells.",
        ge=50,
        le=100,
        allowed="50..100 in steps of 0.1",
    )
    floor_percent: Tenths = key(
        20.0, unit="%", text="State of charge below which nothing is sold.", ge=0, le=100, allowed=fields.PERCENT
    )
    share_percent: Tenths = key(
        80.0,
        unit="%",
        text="Share for sale of what lies between the floor and full charge; the rest above the floor is kept.",
        ge=0,
        le=100,
        allowed=fields.PERCENT,
    )
    temp_min_c: Tenths = key(
        0.0, unit="°C", text="Coldest cell at which energy is sold.", ge=-40, le=60, allowed="-40..60 in steps of 0.1"
    )
    temp_max_c: Tenths = key(
        50.0, unit="°C", text="Hottest cell at which energy is sold.", ge=-40, le=80, allowed="-40..80 in steps of 0.1"
    )
    lot_kwh: Tenths | None = key(
        None,
        unit="kWh",
        text="Largest lot.",
        ge=0.1,
        le=50,
        allowed="0.1..50 in steps of 0.1",
        default_text="15 min at rated power, at most 5",
    )
    rule: Literal["standing_bid", "sealed_first", "sealed_second", "ascending_clock", "first_acceptable"] = key(
        "standing_bid",
        text="Auction rule. `first_acceptable` is for studies and needs `lab`.",
        allowed=", ".join(f'"{rule}"' for rule in RULES),
    )
    standing_ms: int = key(400, unit="ms", text="How long a bid must stand unbeaten to win.", ge=50, le=400)
    reserve_c_per_kwh: Price | None = key(
        None,
        unit="c/kWh",
        text="Price below which the energy is kept. Either this or `[battery.reserve]`.",
        ge=0,
        le=fields.PRICE_MAX,
        allowed=fields.PRICE,
        default_text="none; required unless there is `[battery.reserve]`",
    )
    reserve: ReserveSection | None = key(
        None, text="A reserve that changes, see below.", allowed="a [battery.reserve] table", default_text="none"
    )
    reserve_min_c: Price = key(
        0.0,
        unit="c/kWh",
        text="Lowest reserve that the owner may set at run time.",
        ge=0,
        le=fields.PRICE_MAX,
        allowed=fields.PRICE,
    )
    increment_c: Price = key(
        0.1,
        unit="c/kWh",
        text="How much a bid must better what it displaces.",
        ge=0.01,
        le=100,
        allowed="0.01..100 in steps of 0.01",
    )
    price_cap_c: Price = key(
        2_030.0,
        unit="c/kWh",
        text="A bid above it is a mistake and refused.",
        ge=0.01,
        le=fields.PRICE_MAX,
        allowed=f"0.01..{fields.PRICE_MAX:.12g} in steps of 0.01",
    )
    reputation_floor: int = key(0, text="Buyers with a lower reputation are refused.", ge=0, le=10_000)


class SiteFile(Section):
    """The whole file."""

    site: SiteSection = key(text="The site.", allowed="a [site] table")
    network: NetworkSection = key(NetworkSection(), text="The network.", allowed="a [network] table")
    limits: LimitsSection = key(LimitsSection(), text="Limits on peers.", allowed="a [limits] table")
    storage: StorageSection = key(StorageSection(), text="The agent's files.", allowed="a [storage] table")
    control: ControlSection = key(ControlSection(), text="Local control.", allowed="a [control] table")
    settlement: SettlementSection | None = key(
        None, text="How signed trades are paid.", allowed="a [settlement] table", default_text="none: no trade is paid"
    )
    battery: list[BatterySection] = key(
        text="The batteries.", min_length=1, max_length=BATTERIES_MAX, allowed=f"1..{BATTERIES_MAX} [[battery]] tables"
    )
