"""What energy is worth later: the programme over 96 half hours and 100 states of charge, and the mark-up's choice.

The yardstick is the textbook programme in plain Python that tries every move of every level. Both must find the same.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from agent.pricing import HORIZON_SLOTS, LotSeen, Markup, Plant, Step, appraise
from bench.report import Figure
from bench.stats import best_us

if TYPE_CHECKING:
    from bench.settings import Settings

_TARGET_MS: Final = 25.0
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
    return [
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
