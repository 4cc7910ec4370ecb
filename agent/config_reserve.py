"""`[battery.reserve]` as it is written: tiers by state of charge, or a reserve that follows the market.

Part of the file's one description (`agent.config_model`); `agent.config_rules_reserve` says which keys go together.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator

from agent import config_fields as fields
from agent.config_fields import Price, Section, Tenths, key

TIERS_MAX: Final = 16
TIMES_MAX: Final = 48
SOURCES: Final = ("flat", "time_of_use", "file", "own_sales")

Zone = Annotated[str, AfterValidator(fields.time_zone)]


class TierSection(Section):
    """`[[battery.reserve.tiers]]`: from a state of charge upwards, this reserve."""

    from_soc_percent: Tenths = key(
        unit="%", text="State of charge from which it holds.", ge=0, le=100, allowed=fields.PERCENT
    )
    c_per_kwh: Price = key(unit="c/kWh", text="Reserve.", ge=0, le=fields.PRICE_MAX, allowed=fields.PRICE)


class TimeSection(Section):
    """`[[battery.reserve.sell.times]]` (and `buy.times`): from a time of day on, until the next one, this price."""

    from_time: str = key(
        text="Time of day in `zone` from which it holds.",
        pattern=r"^([01][0-9]|2[0-3]):(00|30)$",
        allowed='"HH:00" or "HH:30", from "00:00" to "23:30"',
    )
    c_per_kwh: Price = key(
        unit="c/kWh",
        text="Price; negative where energy is paid for being taken.",
        ge=-fields.PRICE_MAX,
        le=fields.PRICE_MAX,
        allowed=fields.SIGNED_PRICE,
    )


class ForecastSection(Section):
    """`[battery.reserve.sell]` and `[battery.reserve.buy]`: what a kWh will fetch, and what it costs to charge one."""

    kind: Literal["flat", "time_of_use", "file", "own_sales"] = key(
        text="Where the prices come from. `own_sales` (only of `sell`): the running mean of what own sales have "
        "fetched in each half hour of the UTC day, two weeks back.",
        allowed=", ".join(f'"{source}"' for source in SOURCES),
    )
    c_per_kwh: Price | None = key(
        None,
        unit="c/kWh",
        text="The price of `flat`.",
        ge=-fields.PRICE_MAX,
        le=fields.PRICE_MAX,
        allowed=fields.SIGNED_PRICE,
        default_text="none; required by `flat`",
    )
    times: list[TimeSection] | None = key(
        None,
        text="The prices of `time_of_use`; the last of a day holds until the next day's first.",
        min_length=1,
        max_length=TIMES_MAX,
        allowed=f"1..{TIMES_MAX} tables, each from another time",
        default_text="none; required by `time_of_use`",
    )
    path: str | None = key(
        None,
        text="The file of `file`: lines `2026-04-04T17:30,12.5` (beginning of a half hour, c/kWh; no price = a hole). "
        "A hole of up to 2 h has the dearer of its edges, a longer one ends the forecast; a forecast that ends within "
        "6 h is stale. Read again when it changes.",
        path=True,
        default_text="none; required by `file`",
    )
    stale_after_h: int = key(
        36, unit="h", text="A `file` that has not been written for longer says nothing any more.", ge=1, le=8_760
    )


class ReserveSection(Section):
    """`[battery.reserve]`: a reserve that changes, instead of `reserve_c_per_kwh`."""

    kind: Literal["tiers", "dynamic"] = key(
        "tiers",
        text="By state of charge, or max(floor, cost) + mark-up with cost = opportunity + wear, see below. The keys "
        "after `tiers` are for `dynamic`.",
        allowed='"tiers" or "dynamic"',
    )
    tiers: list[TierSection] | None = key(
        None,
        text="Tiers; below the lowest one the dearest holds.",
        min_length=1,
        max_length=TIERS_MAX,
        allowed=f"1..{TIERS_MAX} tiers, each with another from_soc_percent",
        default_text='none; required by `kind = "tiers"`',
    )
    floor_c_per_kwh: Price | None = key(
        None,
        unit="c/kWh",
        text="The reserve is never below it, whatever a forecast says.",
        ge=0,
        le=fields.PRICE_MAX,
        allowed=fields.PRICE,
        default_text='none; required by `kind = "dynamic"`',
    )
    sell: ForecastSection | None = key(
        None,
        text="What a kWh will fetch.",
        allowed="a [battery.reserve.sell] table",
        default_text='none; required by `kind = "dynamic"`',
    )
    buy: ForecastSection | None = key(
        None,
        text="What it costs to charge a kWh: a tariff, or for own solar what feeding it in would have paid.",
        allowed="a [battery.reserve.buy] table",
        default_text="none: what is sold is gone",
    )
    zone: Zone = key(
        "UTC",
        text="Time zone of `times`, and of times in files that name no offset. When clocks change, the hour that comes "
        "twice has its price twice, the one that is skipped never holds.",
        allowed='a name of the IANA data base that this machine knows, like "Australia/Melbourne"',
    )
    wear_c_per_kwh: Price | None = key(
        None,
        unit="c/kWh",
        text="What a delivered kWh wears off.",
        ge=0,
        le=fields.PRICE_MAX,
        allowed=fields.PRICE,
        default_text="`replacement_cost` over `throughput_kwh`; without them 5.00, an assumption",
    )
    replacement_cost: int | None = key(
        None,
        unit="100 c",
        text="What replacing the battery costs, in whole units of the currency.",
        ge=1,
        le=1_000_000_000,
        default_text="none",
    )
    throughput_kwh: int | None = key(
        None,
        unit="kWh",
        text="What the battery delivers in its life, as its warranty says.",
        ge=1,
        le=1_000_000_000,
        default_text="none",
    )
    markup_max_c_per_kwh: Price | None = key(
        None,
        unit="c/kWh",
        text="Most that may be asked above floor and cost. What is asked is learned from the bids of past lots, and 0 "
        "for the first 200 of them; 0 = never anything.",
        ge=0,
        le=1_000,
        allowed="0..1000 in steps of 0.01",
        default_text="5; 0 with own_sales, whose prices hold the mark-up already",
    )
    charge_power_w: int | None = key(
        None,
        unit="W",
        text="Power that `buy` charges with.",
        ge=1,
        le=100_000_000,
        default_text="the power it sells with",
    )
    charge_efficiency_percent: Tenths = key(
        95.0,
        unit="%",
        text="Energy stored per energy taken in.",
        ge=50,
        le=100,
        allowed="50..100 in steps of 0.1",
    )
    end_c_per_kwh: Price | None = key(
        None,
        unit="c/kWh",
        text="What a kWh is worth that is left where the forecast ends, after 48 h at most.",
        ge=0,
        le=fields.PRICE_MAX,
        allowed=fields.PRICE,
        default_text="the mean price of the forecast less wear",
    )
    keep_h: int = key(
        12,
        unit="h",
        text="How long the last opportunity value holds when the forecast is missing, unreadable or stale.",
        ge=0,
        le=168,
    )
    fallback_c_per_kwh: Price = key(
        0.0,
        unit="c/kWh",
        text="What then counts as cost: with 0, the floor is the reserve.",
        ge=0,
        le=fields.PRICE_MAX,
        allowed=fields.PRICE,
    )
