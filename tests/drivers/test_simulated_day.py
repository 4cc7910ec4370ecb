"""A normal day of the simulated battery, night included, read through its registers: nothing is found implausible."""

import pytest

from drivers.assemble import Assembler
from drivers.bus.line import Reply
from drivers.declaration import Space
from drivers.device import BatteryState
from drivers.discovery import Device, discover
from drivers.image import Image
from drivers.loader import load_family
from drivers.options import Options
from drivers.sim.device import SimulatedBattery
from drivers.sim.physics import BatteryConfig

DAY_MS = 86_400_000


class Day:
    """The device's registers at a moment that the test chooses."""

    def __init__(self, profile: str, time_lapse: int) -> None:
        self.device = SimulatedBattery(BatteryConfig(time_lapse=time_lapse), profile=profile, seed=11)
        self.now_ms = 0

    async def read(self, address: int, count: int, space: Space = "holding") -> Reply:
        return Reply(tuple(self.device.read(address, count, self.now_ms)), self.now_ms)

    def own_power(self, hour: float) -> int:
        """What the battery does by itself: nothing at night, charging by day, serving the house in the evening."""
        if 9 <= hour < 14:
            return 1_500
        return -900 if 17 <= hour < 22 else 0

    async def states(self, device: Device, time_lapse: int, poll_ms: int) -> list[BatteryState]:
        """Return the first state for each reason that was given, and the last state."""
        image = Image(device.placed.values(), read_max=125, gap_max=60)
        assembler = Assembler(device, [image], may_wake=False)
        seen: dict[str, BatteryState] = {}
        for self.now_ms in range(0, DAY_MS // time_lapse, poll_ms):
            self.device.model.own_power_w = float(self.own_power(self.now_ms * time_lapse / 3_600_000))
            for block in image.blocks:
                image.store(block, await self.read(block.address, block.words))
            assembler.judge(self.now_ms)
            state = assembler.state(connected=True, answered_at_ms=self.now_ms, problem="", trouble="")
            seen.setdefault(state.reason, state)
        return [*seen.values(), state]


async def spend(profile: str, time_lapse: int, poll_ms: int) -> None:
    day = Day(profile, time_lapse)
    device = await discover(day, load_family("sunspec"), Options(time_lapse=time_lapse))
    first, *others, last = await day.states(device, time_lapse, poll_ms)
    assert {state.reason for state in (first, *others, last)} == {""}
    assert first.soc_permille is not None
    assert last.soc_permille is not None
    assert first.soc_permille.value != last.soc_permille.value
    assert None not in (last.power_w, last.discharged_wh, last.voltage_mv)


@pytest.mark.no_cover
@pytest.mark.parametrize("profile", ["704", "124"])
async def test_a_fast_day(profile: str) -> None:
    await spend(profile, 60, 500)


@pytest.mark.slow
async def test_a_real_day() -> None:
    await spend("704", 1, 4_000)
