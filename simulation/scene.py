"""What the world is made of: the site file of its gateway, the files of its buyers, and its batteries' nameplates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from drivers.sim.physics import BatteryConfig, BatteryModel

if TYPE_CHECKING:
    import random

TIME_LAPSE: Final = 20
FIRST_PORT: Final = 4084
LINK_WAITS_MS: Final = {"half_frame_ms": 40_000, "stalled_ms": 40_000}
"""No stall here lasts that long, and every link looks at its watch four times as rarely."""
BATTERIES_MAX: Final = 2
BUYERS_MAX: Final = 5
SUN_W: Final = 2_500
"""What charges a battery that nobody commands, while the house is content."""
DEVICES: Final[dict[str, Any]] = {
    "capacity_wh": 13_500,
    "rated_power_w": 5_000,
    "own_power_w": SUN_W,
    "time_lapse": TIME_LAPSE,
}
SCARCE: Final[dict[str, Any]] = {"own_power_w": 700}
"""What differs at a battery of which too much is wanted: little sun."""
SCARCE_START_PERMILLE: Final = (220, 300)
_SCARCE_POWER_W: Final = 600
_RESERVES_C: Final = (5.0, 8.0, 12.5)
_MARKET_C: Final = 12.5
"""The reserve that is not named but worked out: a kWh fetches as much later, and a mark-up is learned on top."""
_FOLLOWS_MARKET: Final = f"""[battery.reserve]
kind = "dynamic"
floor_c_per_kwh = 5.0
wear_c_per_kwh = 2.5
[battery.reserve.sell]
kind = "flat"
c_per_kwh = {_MARKET_C}"""
_SCARCE_BID_KWH: Final = 0.2
_OTHER_RULES: Final = ("sealed_first", "sealed_second", "ascending_clock", "first_acceptable")
_SCARCE_SHARE: Final = 0.25
_LOTS_PER_H: Final = 24
_STRATEGIES: Final = ("random", "conservative", "aggressive", "truthful", "equilibrium", "zip", "win_rate", "timing")


class BuyerPart(NamedTuple):
    """One buyer's part in the play."""

    name: str
    strategy: str
    value_c: float
    need_kwh: float
    seed: int
    forgets_time: bool = False
    """Its machine has no clock of its own: after a restart it numbers its frames from 1."""
    is_small: bool = False
    """Where energy is scarce it bids for a part of a lot."""


def battery_names(rng: random.Random) -> list[str]:
    """Return the names of one or two batteries."""
    return [f"battery-{number}" for number in range(1, rng.randint(1, BATTERIES_MAX) + 1)]


class Market(NamedTuple):
    """What a world's gateway and its buyers agree on."""

    lot_kwh: float
    rule: str
    signed: bool
    scarce: bool = False
    """Batteries near their floor, nothing kept for the owner, little power, and buyers who take a part of a lot."""


def draw_market(rng: random.Random) -> Market:
    """Draw a market; the standing bid is the product's rule, the others get a part of the time."""
    rule = "standing_bid" if rng.random() < 0.7 else rng.choice(_OTHER_RULES)
    market = Market(lot_kwh=rng.choice((0.2, 0.3, 0.5)), rule=rule, signed=rng.random() < 0.5)
    return market._replace(scarce=rng.random() < _SCARCE_SHARE)


def draw_model(rng: random.Random, market: Market) -> BatteryModel:
    """Draw a battery's charge at the start."""
    if market.scarce:
        start = rng.randint(*SCARCE_START_PERMILLE)
        return BatteryModel(BatteryConfig(soc_permille=start, **{**DEVICES, **SCARCE}))
    return BatteryModel(BatteryConfig(soc_permille=rng.randint(250, 1_000), **DEVICES))


def site_toml(rng: random.Random, names: list[str], market: Market, settlement: str = "") -> str:
    """Return the gateway's site file; `settlement` is its table of that name, if it has one."""
    lines = [
        "[site]",
        'name = "simulated"',
        "lab = true",
        f"time_lapse = {TIME_LAPSE}",
        'clock = "system"',
        "[network]",
        "multicast = false",
        'peers = "signed"\ntrusted_peers = "any"' if market.signed else 'peers = "open"',
        "[limits]",
        *(f"{name} = {value_ms}" for name, value_ms in LINK_WAITS_MS.items()),
        settlement,
    ]
    standing_ms = rng.choice((50, 200, 400))
    for number, name in enumerate(names):
        reserve_c = rng.choice(_RESERVES_C)
        lines += [
            "[[battery]]",
            f'name = "{name}"',
            f"port = {FIRST_PORT + number}",
            f"unit = {number + 1}",
            f"lot_kwh = {market.lot_kwh}",
            f'rule = "{market.rule}"',
            f"standing_ms = {standing_ms}",
            f"reserve_c_per_kwh = {reserve_c}" if reserve_c != _MARKET_C else "",
            f"increment_c = {rng.choice((0.5, 1, 2))}",
            f"share_percent = {100 if market.scarce else rng.choice((50, 80, 100))}",
            f"max_power_w = {_SCARCE_POWER_W}" if market.scarce else "",
            _FOLLOWS_MARKET if reserve_c == _MARKET_C else "",
        ]
    return "\n".join(lines)


def draw_gauge(rng: random.Random) -> tuple[int, int]:
    """Draw the step of a battery's state of charge and what its gauge adds before it cuts down to that, permille."""
    if rng.random() < 0.7:
        return 1, 0
    return 10, rng.choice((0, 5, 9))  # whole per cent: cut down, rounded, or rounded up


def buyers_of(rng: random.Random, market: Market) -> list[BuyerPart]:
    """Return two to five buyers with different strategies; together they want two dozen lots an hour or more."""
    strategies = rng.sample(_STRATEGIES, rng.randint(2, BUYERS_MAX))
    forgetful = rng.choice((0, 0, 1))  # the number of the one without a clock, in a part of the worlds
    return [
        BuyerPart(
            name=f"buyer-{number}",
            strategy=strategy,
            value_c=round(rng.uniform(20, 40), 2),
            need_kwh=round(market.lot_kwh * rng.uniform(1.0, 1.5) * _LOTS_PER_H / len(strategies), 1),
            seed=rng.getrandbits(32),
            forgets_time=number == forgetful,
            is_small=number % 2 == 1,
        )
        for number, strategy in enumerate(strategies, start=1)
    ]


def buyer_toml(part: BuyerPart, batteries_listed: int, market: Market) -> str:
    """Return a buyer's configuration file."""
    batteries = ", ".join(f'"127.0.0.1:{FIRST_PORT + number}"' for number in range(batteries_listed))
    return "\n".join(
        [
            f'name = "{part.name}"',
            f"seed = {part.seed}",
            f'root_file = "{part.name}.root"' if market.signed else "",
            "[network]",
            f"batteries = [{batteries}]",
            "multicast = false",
            'peers = "signed"\ntrusted_peers = "any"' if market.signed else 'peers = "open"',
            "[buy]",
            f"need_kwh = {part.need_kwh}",
            "period_h = 1",
            f"max_bid_kwh = {_SCARCE_BID_KWH}" if market.scarce and part.is_small else "",
            "[value]",
            f"forecast_c = [{part.value_c}]",
            "private_spread_c = 3",
            "[strategy]",
            f'name = "{part.strategy}"',
            f'rule = "{market.rule}"',
        ]
    )
