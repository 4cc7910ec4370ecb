"""What is believed: every rule fires when it must, and none does in 24 hours of normal operation."""

import math
import random
from dataclasses import replace

import pytest

from drivers.device import Value
from drivers.plausibility import FROZEN_MS, SIGN_SAMPLES, Plausibility, Rules, Verdict

RULES = Rules(
    rated_power_w=5_000,
    capacity_wh=10_000,
    soc_step_permille=1,
    counter_step_wh={"discharged_wh": 1, "charged_wh": 1},
    live=frozenset({"power_w", "soc_permille", "voltage_mv", "discharged_wh"}),
)
POLL_MS = 500


class Feed:
    """Hands samples to the rules, one poll apart."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.subject = Plausibility(rules)
        self.now_ms = 1_000_000

    def __call__(self, *, after_ms: int = POLL_MS, **fields: int | None) -> Verdict:
        self.now_ms += after_ms
        sample = {name: None if value is None else Value(value, self.now_ms) for name, value in fields.items()}
        return self.subject.judge(sample, self.now_ms)


def test_all_zero_means_gone() -> None:
    feed = Feed()
    verdict = feed(soc_permille=0, voltage_mv=0, power_w=0, temp_max_dc=200)
    assert set(verdict.values) == {"temp_max_dc"}
    assert "gone" in verdict.reasons[0]


def test_an_empty_battery_at_rest_is_not_gone() -> None:
    assert set(Feed()(soc_permille=0, voltage_mv=48_000, power_w=0).values) == {"soc_permille", "voltage_mv", "power_w"}


def test_zero_volts_alone_is_no_voltage() -> None:
    verdict = Feed()(soc_permille=500, voltage_mv=0, power_w=-100)
    assert set(verdict.values) == {"soc_permille", "power_w"}


def test_absent_stays_absent_and_nothing_is_corrected() -> None:
    verdict = Feed()(soc_permille=None, power_w=-9_999)
    assert verdict.values == {"power_w": Value(-9_999, 1_000_500)}


def test_power_beyond_twice_the_rating_is_absent() -> None:
    verdict = Feed()(power_w=-10_001, soc_permille=500)
    assert set(verdict.values) == {"soc_permille"}
    assert "twice the rating" in verdict.reasons[0]


def test_a_frozen_device_is_noticed_after_a_minute_of_power() -> None:
    feed = Feed()
    fields = {"power_w": -1_000, "soc_permille": 500, "voltage_mv": 50_000, "discharged_wh": 100}
    for _ in range(FROZEN_MS // POLL_MS):
        assert len(feed(**fields).values) == 4
    verdict = feed(**fields)
    assert verdict.values == {}
    assert "frozen" in verdict.reasons[-1]
    assert set(feed(**{**fields, "discharged_wh": 101}).values) >= {"discharged_wh"}


def test_a_frozen_device_at_rest_is_normal() -> None:
    feed = Feed()
    for power_w in (0, -250, 250):  # 5 % of rated
        for _ in range(400):
            assert feed(power_w=power_w, soc_permille=500, voltage_mv=50_000, discharged_wh=9).reasons == ()


def test_steady_power_and_voltage_are_normal_while_energy_moves() -> None:
    feed = Feed()
    for i in range(1_000):
        wh = i * POLL_MS * 1_000 // 3_600_000
        verdict = feed(power_w=-1_000, soc_permille=500 - wh // 10, voltage_mv=50_000, discharged_wh=100 + wh)
        assert verdict.reasons == ()


def test_a_counter_that_stands_still_under_power_is_absent() -> None:
    feed = Feed()
    for i in range(200):
        wh = i * POLL_MS * 3_000 // 3_600_000
        verdict = feed(power_w=-3_000, soc_permille=500 - wh // 10, voltage_mv=50_000 - i, discharged_wh=100)
    assert set(verdict.values) == {"power_w", "soc_permille", "voltage_mv"}


def test_a_discharge_counter_may_stand_still_while_charging() -> None:
    feed = Feed()
    for i in range(400):
        wh = i * POLL_MS * 3_000 // 3_600_000
        assert feed(power_w=3_000, soc_permille=500 + wh // 10, voltage_mv=50_000 + i, discharged_wh=9).reasons == ()


def discharge(feed: Feed, soc_permille: list[int], power_w: int = -3_600) -> list[Verdict]:
    """36 s at 3,600 W, 36 Wh, for each state of charge: 3.6 steps of it."""
    return [
        feed(after_ms=POLL_MS, power_w=power_w, soc_permille=soc, voltage_mv=50_000 + i)
        for soc in soc_permille
        for i in range(72)
    ]


def test_power_against_state_of_charge_is_noticed_after_three_steps() -> None:
    verdicts = discharge(Feed(), [500, 501])
    assert verdicts[71].reasons == ()
    assert "contradict" in verdicts[80].reasons[0]
    assert not {"power_w", "soc_permille"} & set(verdicts[-1].values)


def test_before_three_steps_worth_nothing_is_said() -> None:
    verdicts = discharge(Feed(), [500, 500, 504], power_w=-300)[:200]
    assert all(verdict.reasons == () for verdict in verdicts)


def test_agreement_clears_a_contradiction() -> None:
    feed = Feed()
    discharge(feed, [500, 501])
    verdicts = discharge(feed, [498, 495, 492])
    assert verdicts[-1].reasons == ()


def test_a_minute_of_rest_clears_a_contradiction() -> None:
    feed = Feed()
    discharge(feed, [500, 501])
    for _ in range(FROZEN_MS // POLL_MS + 1):
        verdict = feed(power_w=0, soc_permille=501, voltage_mv=50_000)
    assert verdict.reasons == ()


def test_energy_over_a_gap_is_not_counted() -> None:
    feed = Feed()
    for soc in range(500, 520):
        verdict = feed(after_ms=60_000, power_w=-3_600, soc_permille=soc, voltage_mv=50_000 + soc)
    assert verdict.reasons == ()


def test_time_lapse_multiplies_energy() -> None:
    feed = Feed(replace(RULES, time_lapse=60))
    verdicts = [feed(power_w=-3_600, soc_permille=500 + i, voltage_mv=50_000 + i) for i in range(SIGN_SAMPLES + 1)]
    assert verdicts[-2].reasons == ()
    assert "contradict" in verdicts[-1].reasons[0]


def test_charging_unseen_between_two_samples_is_no_contradiction() -> None:
    """Two deliveries with a moment of sun between them, short enough to fall between two polls of a lapsed battery."""
    feed = Feed(replace(RULES, time_lapse=60))
    socs = [500, 495, 490, 496, 491, 486, 481]
    verdicts = [feed(power_w=-3_600, soc_permille=soc, voltage_mv=50_000 + soc) for soc in socs]
    assert [verdict.reasons for verdict in verdicts] == [()] * len(socs)


def counted(feed: Feed, wh: int, after_ms: int = POLL_MS) -> int | None:
    value = feed(after_ms=after_ms, power_w=-5_000, discharged_wh=wh).values.get("discharged_wh")
    return None if value is None else value.value


def test_a_counter_jump_keeps_it_away_for_the_delivery() -> None:
    feed = Feed()
    feed.subject.delivery(active=True)
    assert counted(feed, 1_000) == 1_000
    assert counted(feed, 1_001) == 1_001
    assert counted(feed, 1_500) is None
    assert counted(feed, 1_500) is None
    assert counted(feed, 1_001) is None
    feed.subject.delivery(active=False)
    assert counted(feed, 1_501) == 1_501


def test_a_counter_running_backwards_is_not_believed() -> None:
    feed = Feed()
    feed.subject.delivery(active=True)
    counted(feed, 1_000)
    assert counted(feed, 999) is None


def test_outside_a_delivery_a_jump_is_a_new_start() -> None:
    feed = Feed()
    counted(feed, 1_000)
    verdict = feed(power_w=0, discharged_wh=20)
    assert "stepped by -980 Wh" in verdict.reasons[0]
    assert counted(feed, 21) == 21


def test_a_declared_rollover_counts_on() -> None:
    feed = Feed(replace(RULES, rollover_wh={"discharged_wh": 65_536}))
    feed.subject.delivery(active=True)
    assert counted(feed, 65_535) == 65_535
    assert counted(feed, 0) == 65_536
    assert counted(feed, 2) == 65_538


def test_a_coarse_counter_may_jump_one_step() -> None:
    feed = Feed(replace(RULES, counter_step_wh={"discharged_wh": 100}))
    assert counted(feed, 1_000) == 1_000
    assert counted(feed, 1_100) == 1_100


def test_a_counter_may_catch_up_after_a_long_pause() -> None:
    feed = Feed()
    counted(feed, 1_000)
    assert counted(feed, 5_000, after_ms=3_600_000) == 5_000


@pytest.mark.no_cover
@pytest.mark.parametrize(("soc_step", "counter_step", "lapse"), [(1, 1, 1), (10, 100, 1), (1, 1, 60), (10, 1, 60)])
def test_no_alarm_in_a_day_of_normal_operation(soc_step: int, counter_step: int, lapse: int) -> None:
    """An idle night with standby losses, a sunny day, an evening sale; noise on power, losses both ways."""
    rules = replace(
        RULES,
        soc_step_permille=soc_step,
        counter_step_wh={"discharged_wh": counter_step, "charged_wh": counter_step},
        time_lapse=lapse,
    )
    feed, rng = Feed(rules), random.Random(7)
    stored_wh, charged_wh, discharged_wh = 5_000.0, 40_000.0, 30_000.0
    poll_ms = 1_000
    for i in range(86_400_000 // lapse // poll_ms):
        hour = i * poll_ms * lapse / 3_600_000
        power_w = 0.0
        if 9 <= hour < 15 and stored_wh < 9_950:
            power_w = 1_600 * math.sin((hour - 9) / 6 * math.pi)
        elif 18 <= hour < 21 and stored_wh > 2_000:
            power_w = -2_400.0
        wh = power_w * poll_ms * lapse / 3_600_000
        stored_wh += wh * 0.95 if wh > 0 else wh / 0.95
        stored_wh -= 12 * poll_ms * lapse / 3_600_000  # standby
        charged_wh += max(0.0, wh)
        discharged_wh += max(0.0, -wh)
        verdict = feed(
            after_ms=poll_ms,
            power_w=round(power_w * rng.uniform(0.998, 1.002)),
            soc_permille=int(stored_wh / 10) // soc_step * soc_step,
            voltage_mv=50_000 + int(stored_wh / 10 + power_w / 10) // 100 * 100,
            charged_wh=int(charged_wh) // counter_step * counter_step,
            discharged_wh=int(discharged_wh) // counter_step * counter_step,
        )
        assert verdict.reasons == (), f"at {hour:.3f} h"
