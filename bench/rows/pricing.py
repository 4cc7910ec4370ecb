"""What energy is worth later: the programme over 96 half hours and 100 states of charge, and the mark-up's choice.

The yardstick is the textbook programme in plain Python that tries every move of every level. Both must find the same.
A whole appraisal, with a file of 48 hours to read and a mark-up to choose, runs on an event loop that has something to
do every millisecond: how late that is tells how long the work holds up the loop, beside how late it is without it.
"""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from agent.appraisal import Asked, FileRead, appraised, in_slices
from agent.pricing import (
    HORIZON_SLOTS,
    SLOT_MS,
    DynamicTerms,
    LotSeen,
    Markup,
    Plant,
    PriceFile,
    SalesHistory,
    Step,
    appraise,
)
from bench.report import Figure
from bench.stats import best_us, percentile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bench.settings import Settings

_TARGET_MS: Final = 25.0
_LAG_TARGET_MS: Final = 5.0
_TICK_S: Final = 0.001
_FIRST_SLOT: Final = 990_000
_PLANT: Final = Plant(range_wh=10_800, discharge_w=5_000, charge_w=5_000, wear_e4=50_000)


def run(settings: Settings) -> list[Figure]:
    """Measure one appraisal, and how long the mark-up takes to be chosen."""
    rng = random.Random(4)
    prices = [rng.randint(-500, 4_000) * 100 for _ in range(HORIZON_SLOTS)]
    steps = [Step(sell_e4, sell_e4 + 60_000) for sell_e4 in prices]
    repeats = settings.count(20, 1)
    if list(appraise(_PLANT, steps).values) != _textbook(_PLANT, steps):
        raise RuntimeError("the programme and the textbook disagree")
    ours_ms = best_us(lambda: appraise(_PLANT, steps), times=1, repeats=repeats) / 1e3
    plain_ms = best_us(lambda: _textbook(_PLANT, steps), times=1, repeats=settings.count(3, 1)) / 1e3
    markup = _learnt(rng)
    choice_ms = best_us(lambda: Markup.from_json(markup.to_json()).markup_e4(), times=1, repeats=repeats) / 1e3
    note = f"{HORIZON_SLOTS} half hours, {_PLANT.states} states; the textbook programme takes {plain_ms:.0f} ms"
    idle_ms, lag_ms = asyncio.run(_lags_ms(_asked(markup), _file(prices), rounds=settings.count(20, 1)))
    aside = f"a tick each ms; without the work {idle_ms:.2f} ms"
    return [
        Figure(key="pricing.loop_lag_p99_ms", value=lag_ms, unit="ms", target=_LAG_TARGET_MS, note=aside),
        Figure(key="pricing.loop_lag_idle_p99_ms", value=idle_ms, unit="ms"),
        Figure(key="pricing.dp_ms", value=ours_ms, unit="ms", target=_TARGET_MS, note=note),
        Figure(key="pricing.ratio_to_textbook", value=plain_ms / ours_ms),
        Figure(key="pricing.markup_ms", value=choice_ms, unit="ms", note="after 300 lots of 2 to 5 buyers"),
    ]


def _learnt(rng: random.Random) -> Markup:
    markup = Markup(50_000)
    for _ in range(300):
        values = sorted((rng.randint(100_000, 200_000) for _ in range(rng.randint(2, 5))), reverse=True)
        bids = [value for value in values if value >= 120_000]
        markup = markup.learn(LotSeen(120_000, 120_000, len(values), *bids[:2]))
    return markup


def _asked(markup: Markup) -> Asked:
    terms = DynamicTerms(floor_e4=80_000, sell=PriceFile("prices.csv"))
    return Asked(terms, _PLANT, markup, SalesHistory(), _FIRST_SLOT * SLOT_MS)


def _file(prices: list[int]) -> FileRead:
    times = (datetime.fromtimestamp((_FIRST_SLOT + n) * SLOT_MS / 1_000, tz=UTC) for n in range(len(prices)))
    lines = [f"{at.isoformat()},{price / 10_000:.2f}" for at, price in zip(times, prices, strict=True)]
    data = "\n".join(lines).encode()
    return FileRead((_FIRST_SLOT * SLOT_MS * 1_000_000, len(data)), data)


async def _lags_ms(asked: Asked, file: FileRead, *, rounds: int) -> tuple[float, float]:
    """Return the 99th percentile of how late a tick is without and with the work, by turns so that both meet the same.

    Raises RuntimeError when the work fails.
    """

    async def nothing() -> None:
        await asyncio.sleep(0.02)

    async def work() -> None:
        fresh = asked._replace(markup=Markup.from_json(asked.markup.to_json()))
        found = await in_slices(appraised(fresh, [file]))
        if found.table is None:
            raise RuntimeError(found.trouble)

    idle: list[float] = []
    busy: list[float] = []
    for _ in range(rounds):
        await _ticked(nothing, idle)
        await _ticked(work, busy)
    return percentile(idle, 0.99), percentile(busy, 0.99)


async def _ticked(work: Callable[[], Awaitable[None]], late_ms: list[float]) -> None:
    """Do some work five times, and note how late each tick was meanwhile."""
    loop = asyncio.get_running_loop()

    is_over = False

    def tick(due_s: float) -> None:
        late_ms.append((loop.time() - due_s) * 1e3)
        if not is_over:
            set_next()

    def set_next() -> None:
        due_s = loop.time() + _TICK_S
        loop.call_at(due_s, tick, due_s)

    set_next()
    for _ in range(5):
        await work()
    is_over = True


def _textbook(plant: Plant, steps: list[Step]) -> list[int]:
    """Return the values by trying every move of every level in every half hour."""
    scale_out, top = plant.discharge_permille * plant.charge_permille, plant.states - 1
    values = [0] * plant.states
    for sell_e4, buy_e4 in reversed(steps):
        sold = scale_out * ((sell_e4 or 0) - plant.wear_e4)
        bought = 1_000_000 * (buy_e4 or 0)
        values = [
            max(
                *(values[level - k] + k * sold for k in range(min(plant.levels_out, level) + 1)),
                *(values[level + k] - k * bought for k in range(1, min(plant.levels_in, top - level) + 1)),
            )
            for level in range(plant.states)
        ]
    return values
