"""The accounts that judge bills: what nobody could know over a crash is allowed for, and nothing else."""

from __future__ import annotations

import pytest

from agent.books_types import BookedTakeOver, BookedTrade, Books
from agent.records import Deal
from drivers.sim.physics import BatteryConfig, BatteryModel
from simulation.battery import Device
from simulation.billing import MS_PER_H, SERVED_MS, Billing
from simulation.invariants import Breach
from simulation.scene import DEVICES, TIME_LAPSE

WALL_MS = 1_790_000_000_000
POWER_W = 4_000
GIVEN_WH = POWER_W * SERVED_MS * TIME_LAPSE // MS_PER_H
SLACK_WH = 2
"""A step of the counter, and what is cut down to whole watt-hours."""
KEY = ("alice", 1)
NAMES = {"battery": "b", "peer": "alice", "bid_id": 1, "power_w": POWER_W, "energy_wh": 2_000}
NOT_ALL = {"end_code": 2, "reason": "not all of it"}


class Scene:
    """One battery, read every second, and the account of one trade of it."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.device = Device("b", BatteryModel(BatteryConfig(soc_permille=900, **{**DEVICES, "own_power_w": 0})))
        self.billing = Billing({"b": self.device}, lambda: self.now_ms)
        self.device.read(0, is_first=True)

    def pass_s(self, seconds: int, *, is_read: bool = True) -> None:
        for _ in range(seconds):
            self.now_ms += 1_000
            if is_read:
                self.device.read(self.now_ms, is_first=False)

    def serve(self, seconds: int) -> None:
        """Confirm the trade and serve it; its energy and the counter then go on record."""
        self.billing.heard("trade_confirmed", NAMES)
        self.began_wh = self.device.sold_wh
        self.device.hold(-POWER_W, self.now_ms)
        for _ in range(seconds):
            self.pass_s(1)
            self.device.renew(self.now_ms)
        self.recorded_ms = self.now_ms
        self.recorded_wh = int(self.device.sold_wh - self.began_wh)

    def boot(self, *, baseline_w: int = 0) -> None:
        """A process starts on what is on record and reads the battery."""
        deal = Deal(peer="alice", bid_id=1, price_e4=1, energy_wh=2_000, power_w=POWER_W, lot_id=1)
        trade = BookedTrade(
            seq=2,
            award_seq=1,
            deal=deal,
            confirmed_wall_ms=WALL_MS,
            started_wall_ms=WALL_MS,
            delivered_wh=self.recorded_wh,
            counter_wh=0,
            counter_wall_ms=WALL_MS + self.recorded_ms,
        )
        take_over = BookedTakeOver({}, (), {"baseline_w": baseline_w})
        books = Books(battery="b", trades={KEY: trade}, take_over=take_over)
        self.billing.booted("b", books, {}, now_wall_ms=WALL_MS + self.now_ms)
        self.device.read(self.now_ms, is_first=True)

    def bill(self, since_record_wh: int) -> None:
        self.billing.heard("delivery_ended", {**NAMES, **NOT_ALL, "delivered_wh": self.recorded_wh + since_record_wh})


def test_what_flowed_may_be_billed_and_no_more() -> None:
    for too_much_wh in (0, SLACK_WH + 1):
        scene = Scene()
        scene.serve(10)
        if not too_much_wh:
            scene.bill(0)
            continue
        with pytest.raises(Breach, match="payouts equal receipts"):
            scene.bill(too_much_wh)


def test_over_a_crash_the_house_may_be_billed_up_to_what_the_power_can_have_given() -> None:
    for too_much_wh in (0, SLACK_WH + 1):
        scene = Scene()
        scene.serve(10)
        scene.device.live(-500, scene.now_ms)
        scene.pass_s(120, is_read=False)
        scene.boot()
        if not too_much_wh:
            assert scene.device.sold_wh - scene.began_wh < scene.recorded_wh + GIVEN_WH - 50
            scene.bill(GIVEN_WH)
            assert scene.billing.unmetered_wh["b"] > 50
            continue
        with pytest.raises(Breach, match="payouts equal receipts"):
            scene.bill(GIVEN_WH + too_much_wh)


def test_a_house_that_drew_as_much_before_is_known_over_a_crash_too() -> None:
    scene = Scene()
    scene.device.live(-500, 0)
    scene.pass_s(20)
    scene.serve(10)
    scene.pass_s(120, is_read=False)
    scene.boot(baseline_w=500)
    flowed_wh = int(scene.device.sold_wh - scene.began_wh) - scene.recorded_wh
    assert flowed_wh < GIVEN_WH - 50
    with pytest.raises(Breach, match="payouts equal receipts"):
        scene.bill(flowed_wh + SLACK_WH + 1)


def test_nothing_is_allowed_for_where_nobody_commanded_the_battery() -> None:
    scene = Scene()
    scene.serve(10)
    scene.device.let_go(scene.now_ms)
    scene.pass_s(20)
    scene.recorded_ms, scene.recorded_wh = scene.now_ms, int(scene.device.sold_wh - scene.began_wh)
    scene.device.live(-1_000, scene.now_ms)
    scene.pass_s(120, is_read=False)
    scene.boot()
    assert scene.billing.unmetered_wh["b"] == 0
    flowed_wh = int(scene.device.sold_wh - scene.began_wh) - scene.recorded_wh
    with pytest.raises(Breach, match="payouts equal receipts"):
        scene.bill(flowed_wh + SLACK_WH + 1)


def test_an_end_that_is_told_although_the_disk_has_failed_is_judged_too() -> None:
    scene = Scene()
    scene.serve(10)
    told = {**NAMES, "delivered_wh": scene.recorded_wh}
    scene.billing.heard_unsaved(told)
    scene.billing.heard_unsaved(told)  # of one trade: the last word counts
    with pytest.raises(Breach, match="payouts equal receipts"):
        scene.billing.heard_unsaved({**told, "delivered_wh": scene.recorded_wh + SLACK_WH + 1})


@pytest.mark.parametrize(("part", "is_disturbed"), [(1.0, False), (0.5, False), (0.5, True)])
def test_what_flowed_is_billed_unless_something_went_wrong(part: float, *, is_disturbed: bool) -> None:
    scene = Scene()
    scene.serve(20)
    if is_disturbed:
        scene.billing.disturb(1_000)
    if part == 1.0 or is_disturbed:
        scene.bill(int((part - 1) * scene.recorded_wh))
        assert scene.billing.settled == (not is_disturbed)
        return
    with pytest.raises(Breach, match="what flowed is billed"):
        scene.bill(int((part - 1) * scene.recorded_wh))


@pytest.mark.parametrize(("short_wh", "is_caught"), [(1, False), (2, True)])
def test_a_complete_trade_got_its_energy(short_wh: int, *, is_caught: bool) -> None:
    scene = Scene()
    scene.serve(20)
    agreed_wh = scene.recorded_wh + short_wh
    end = {**NAMES, "energy_wh": agreed_wh, "end_code": 0, "reason": "", "delivered_wh": scene.recorded_wh}
    if not is_caught:
        scene.billing.heard("delivery_ended", end)
        return
    with pytest.raises(Breach, match="got its energy"):
        scene.billing.heard("delivery_ended", end)
