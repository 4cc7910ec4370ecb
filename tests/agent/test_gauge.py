"""Whatever the gauge, the counter and the flow: what it is corrected to is never more than what is there."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import energy
from agent.gauge import HIDDEN_PERMILLE, Gauge
from agent.guardrails import Guardrails
from agent.offer import Offer, Promises, SellingLimits, offer_of
from drivers.device import BatteryInfo, BatteryState, Value

FLOOR = 200
COUNTER_START_WH = 1_000


def info(*, soc_step: int = 10, counter_step_wh: int = 1, capacity_wh: int = 100_000) -> BatteryInfo:
    return BatteryInfo(
        family="test",
        rated_power_w=50_000,
        capacity_wh=capacity_wh,
        min_power_w=500,
        dead_man_ms=10_000,
        counter_step_wh=counter_step_wh,
        soc_step_permille=soc_step,
    )


def reading(soc: int | None = 500, *, power_w: int | None = 0, counter_wh: int | None = 1_000) -> BatteryState:
    def value(number: int | None) -> Value | None:
        return None if number is None else Value(number, 1_000)

    return BatteryState(
        soc_permille=value(soc),
        power_w=value(power_w),
        discharged_wh=value(counter_wh),
        max_discharge_w=value(50_000),
        temp_min_dc=value(250),
        temp_max_dc=value(250),
        connected=True,
        fault="",
        ready=True,
        grid_ok=True,
        status_at_ms=1_000,
        answered_at_ms=1_000,
    )


def unseen(gauge: Gauge, of: BatteryInfo | None = None) -> int:
    of = of or info()
    return gauge.unseen_wh(of, capacity_wh=of.capacity_wh, efficiency_permille=950)


def shown(*readings: BatteryState) -> Gauge:
    gauge = Gauge()
    for each in readings:
        gauge.observe(each)
    return gauge


FINE = info(soc_step=1)
LEAD_WH = 855  # 9 permille of 95 kWh


def test_an_idle_or_charging_battery_has_what_a_fine_gauge_shows() -> None:
    assert unseen(Gauge(), FINE) == 0
    assert unseen(shown(reading()), FINE) == 0
    assert unseen(shown(reading(), reading(power_w=3_000), reading(501, power_w=3_000), reading(501)), FINE) == 0
    assert unseen(shown(reading(counter_wh=None), reading(counter_wh=None, power_w=3_000)), FINE) == 0


def test_a_coarse_gauge_may_be_ahead_until_it_falls() -> None:
    gauge = shown(reading())
    assert unseen(gauge) == LEAD_WH
    gauge.observe(reading(490))
    assert unseen(gauge) == 0
    gauge.observe(reading(500, power_w=3_000))
    assert unseen(gauge) == LEAD_WH


def test_what_the_counter_says_has_left_is_taken_off_until_the_gauge_moves() -> None:
    gauge = shown(reading(510), reading(), reading(power_w=-20_000, counter_wh=1_400))
    assert unseen(gauge) == 401  # and the step of the counter, of which it may be short
    gauge.observe(reading(power_w=-20_000, counter_wh=1_940))
    assert unseen(gauge) == 941
    gauge.observe(reading(490, power_w=-20_000, counter_wh=1_955))
    assert unseen(gauge) == 16  # what left since the reading before the step
    gauge.observe(reading(490, power_w=0, counter_wh=1_955))
    assert unseen(gauge) == 16


@pytest.mark.parametrize("soc_step", [1, 10, 50])
def test_without_a_counter_it_is_one_step_of_the_gauge(soc_step: int) -> None:
    gauge = shown(reading(510, counter_wh=None), reading(counter_wh=None), reading(power_w=-9, counter_wh=None))
    of = info(soc_step=soc_step, counter_step_wh=0)
    assert unseen(gauge, of) == 95 * soc_step
    gauge.observe(reading(500 - soc_step, power_w=9, counter_wh=None))
    assert unseen(gauge, of) == 0


def test_a_counter_coarser_than_the_gauge_is_no_better_than_none() -> None:
    gauge = shown(reading(510), reading(), reading(power_w=-9))
    assert unseen(gauge, info(counter_step_wh=10_000)) == 950


@pytest.mark.parametrize(
    "readings",
    [
        (reading(power_w=-9),),
        (reading(power_w=-9, counter_wh=None), reading()),
        (reading(), reading(power_w=-9, counter_wh=None)),
        (reading(counter_wh=1_000), reading(counter_wh=0), reading(counter_wh=2)),
    ],
    ids=["flowed before", "comes late", "is absent", "began anew"],
)
def test_a_counter_that_has_missed_something_is_not_enough(readings: tuple[BatteryState, ...]) -> None:
    assert unseen(shown(*readings)) == 950


def test_an_earlier_process_may_have_left_the_gauge_behind() -> None:
    gauge = Gauge()
    gauge.doubt()
    assert unseen(gauge) == 950
    gauge.observe(reading())
    assert unseen(gauge) == 950
    gauge.observe(reading(490))
    assert unseen(gauge) == 0


def test_charging_and_discharging_in_turns_does_not_empty_a_battery() -> None:
    gauge = shown(reading())
    for turn in range(1_000):
        gauge.observe(reading(power_w=-9_000, counter_wh=1_000 + 100 * turn))
        gauge.observe(reading(power_w=9_000, counter_wh=1_000 + 100 * turn))
    assert unseen(gauge) == 950
    assert unseen(gauge, FINE) == 950


# against a battery that is known


class Flow(NamedTuple):
    """What flows until the next reading (AC, discharge is positive, mWh), and what is absent from it."""

    mwh: int
    for_buyers: bool
    no_counter: bool
    no_soc: bool


class Truth:
    """A battery of which everything is known, and a counter that rounds down.

    Its gauge adds `bias_permille` before it cuts down to its step; or (None) it moves after a whole step only.
    """

    def __init__(self, of: BatteryInfo, soc_permille: Fraction, *, step: int, bias_permille: int | None) -> None:
        self.of = of
        self.stored_wh = soc_permille * of.capacity_wh / 1_000
        self.discharged_wh = Fraction(0)
        self.step = step
        self.bias_permille = bias_permille
        self.shown = int((soc_permille + (bias_permille or 0)) // step) * step

    def flow(self, wh: Fraction) -> None:
        self.discharged_wh += max(Fraction(0), wh)
        self.stored_wh -= wh * 1_000 / 950 if wh > 0 else wh * 950 / 1_000
        soc = self.soc_permille
        if self.bias_permille is not None:
            self.shown = int((soc + self.bias_permille) // self.step) * self.step
            return
        while soc <= self.shown - self.step:
            self.shown -= self.step
        while soc >= self.shown + self.step:
            self.shown += self.step

    @property
    def soc_permille(self) -> Fraction:
        return self.stored_wh * 1_000 / self.of.capacity_wh

    @property
    def usable_wh(self) -> Fraction:
        return max(Fraction(0), self.soc_permille - FLOOR) * self.of.capacity_wh * 950 / 1_000_000

    @property
    def counter_wh(self) -> int:
        step_wh = max(1, self.of.counter_step_wh)
        return COUNTER_START_WH + int(self.discharged_wh // step_wh) * step_wh


def offered(state: BatteryState, of: BatteryInfo, gauge: Gauge, undelivered_wh: int) -> Offer:
    return offer_of(
        state,
        of,
        limits=SellingLimits(floor_permille=FLOOR, share_permille=1_000, lot_wh=50_000),
        rules=Guardrails(),
        promises=Promises(energy_wh=undelivered_wh),
        stopped="",
        trouble=None,
        smallest_need_wh=None,
        now_ms=1_001,
        unseen_wh=unseen(gauge, of),
    )


flows = st.lists(
    st.builds(
        Flow,
        mwh=st.one_of(st.integers(-900_000, 900_000), st.integers(-2_000, 2_000), st.just(0)),
        for_buyers=st.booleans(),
        no_counter=st.sampled_from([False, False, False, True]),
        no_soc=st.sampled_from([False, False, False, True]),
    ),
    max_size=40,
)


@given(
    flows=flows,
    start=st.fractions(min_value=250, max_value=900, max_denominator=8),
    step=st.sampled_from([1, 5, 10, 25, 50]),
    said=st.booleans(),
    rounding=st.none() | st.sampled_from([0, 50, 100]),
    counter_step_wh=st.sampled_from([0, 1, 10, 1_000]),
    capacity_wh=st.sampled_from([5_000, 13_500, 100_000]),
    promised_wh=st.integers(0, 20_000),
)
def test_what_is_for_sale_and_what_is_owed_never_exceed_what_is_there(
    *,
    flows: list[Flow],
    start: Fraction,
    step: int,
    said: bool,
    rounding: int | None,
    counter_step_wh: int,
    capacity_wh: int,
    promised_wh: int,
) -> None:
    bias_permille = None if rounding is None else (step - 1) * rounding // 100
    # A gauge that is coarser than it says is caught where the counter sees every Wh and it is never ahead.
    says_less = not said and step <= HIDDEN_PERMILLE and counter_step_wh == 1 and not bias_permille
    of = info(soc_step=1 if says_less else step, counter_step_wh=counter_step_wh, capacity_wh=capacity_wh)
    truth = Truth(of, start, step=step, bias_permille=bias_permille)
    gauge, delivered_wh = Gauge(), Fraction(0)
    for flow in (Flow(0, for_buyers=False, no_counter=False, no_soc=False), *flows):
        truth.flow(Fraction(flow.mwh, 1_000) * capacity_wh / 100_000)
        counted = counter_step_wh and (says_less or not flow.no_counter)
        state = reading(
            None if flow.no_soc else truth.shown,
            power_w=-flow.mwh,
            counter_wh=truth.counter_wh if counted else None,
        )
        gauge.observe(state)
        if flow.for_buyers and flow.mwh > 0:
            delivered_wh += Fraction(flow.mwh, 1_000) * capacity_wh / 100_000
        undelivered_wh = max(0, promised_wh - int(delivered_wh))
        made = offered(state, of, gauge, undelivered_wh)
        assert made.usable_wh <= truth.usable_wh
        if made.sellable_wh:
            assert made.sellable_wh + undelivered_wh <= truth.usable_wh
        if not flow.no_soc:
            most = max(of.soc_step_permille, HIDDEN_PERMILLE)
            least_wh = energy.usable_wh(truth.shown - most, FLOOR, capacity_wh, 950)
            assert made.usable_wh >= least_wh - 2
