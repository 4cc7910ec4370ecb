"""What the world is made of: the site file of its gateway, the files of its buyers, and its batteries' nameplates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import random

TIME_LAPSE: Final = 20
FIRST_PORT: Final = 4084
BATTERIES: Final = 2
DEVICES: Final[dict[str, Any]] = {
    "capacity_wh": 13_500,
    "rated_power_w": 5_000,
    "own_power_w": 2_500,  # the sun: a battery that nobody commands charges
    "time_lapse": TIME_LAPSE,
}
_STRATEGIES: Final = ("random", "conservative", "aggressive", "truthful", "equilibrium", "zip", "win_rate", "timing")


class BuyerPart(NamedTuple):
    """One buyer's part in the play."""

    name: str
    strategy: str
    value_c: float
    need_kwh: float
    seed: int


def battery_names() -> list[str]:
    """Return the names of the batteries."""
    return [f"battery-{number}" for number in range(1, BATTERIES + 1)]


def site_toml(rng: random.Random, *, signed: bool) -> str:
    """Return the gateway's site file."""
    lines = [
        "[site]",
        'name = "simulated"',
        "lab = true",
        f"time_lapse = {TIME_LAPSE}",
        'clock = "system"',
        "[network]",
        "multicast = false",
        'peers = "signed"\ntrusted_peers = "any"' if signed else 'peers = "open"',
    ]
    standing_ms = rng.choice((50, 200, 400))
    for number, name in enumerate(battery_names()):
        lines += [
            "[[battery]]",
            f'name = "{name}"',
            f"port = {FIRST_PORT + number}",
            f"unit = {number + 1}",
            f"lot_kwh = {rng.choice((0.3, 0.5, 1.2))}",
            f"standing_ms = {standing_ms}",
            f"reserve_c_per_kwh = {rng.choice((5.0, 8.0, 12.5))}",
            f"share_percent = {rng.choice((50, 80, 100))}",
        ]
    return "\n".join(lines)


def buyers_of(rng: random.Random) -> list[BuyerPart]:
    """Return two to five buyers with different strategies."""
    strategies = rng.sample(_STRATEGIES, rng.randint(2, 5))
    return [
        BuyerPart(
            f"buyer-{number}", strategy, round(rng.uniform(10, 40), 2), rng.choice((5, 10, 40)), rng.getrandbits(32)
        )
        for number, strategy in enumerate(strategies, start=1)
    ]


def buyer_toml(part: BuyerPart, *, signed: bool) -> str:
    """Return a buyer's configuration file."""
    batteries = ", ".join(f'"127.0.0.1:{FIRST_PORT + number}"' for number in range(BATTERIES))
    return "\n".join(
        [
            f'name = "{part.name}"',
            f"seed = {part.seed}",
            f'root_file = "{part.name}.root"' if signed else "",
            "[network]",
            f"batteries = [{batteries}]",
            "multicast = false",
            'peers = "signed"\ntrusted_peers = "any"' if signed else 'peers = "open"',
            "[buy]",
            f"need_kwh = {part.need_kwh}",
            "period_h = 1",
            "[value]",
            f"forecast_c = [{part.value_c}]",
            "private_spread_c = 3",
            "[strategy]",
            f'name = "{part.strategy}"',
        ]
    )
