"""The driver against the simulated battery's fault switches: nothing is believed that should not be."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from drivers.battery import DeclaredBattery
from drivers.device import BatteryState
from drivers.errors import DeviceError, NotReady
from drivers.open import open_battery
from drivers.options import Options
from drivers.sim.device import SimulatedBattery
from drivers.sim.physics import BatteryConfig
from drivers.sim.server import ModbusServer
from drivers.testing import until
from drivers.testing.suite import running

FAST = Options(poll_ms=50, status_ms=50, state_age_max_ms=500, timeout_ms=200)


class Switched(SimulatedBattery):
    """Drops open connections with the switch, as the control port does."""

    server: ModbusServer

    def set_fault(self, name: str, value: int | str | None = None) -> None:
        super().set_fault(name, value)
        if name == "disconnect":
            self.server.drop_connections()


@asynccontextmanager
async def simulated(profile: str = "704") -> AsyncIterator[tuple[Switched, DeclaredBattery]]:
    device = Switched(BatteryConfig(), profile=profile, unit=1, seed=5)
    device.server = server = ModbusServer(device)
    port = await server.start("127.0.0.1", 0)
    try:
        battery = open_battery(f"127.0.0.1:{port}", name="sim", options=FAST)
        async with running(battery):
            await until(battery, sellable)
            yield device, battery
    finally:
        await server.close()


def sellable(state: BatteryState) -> bool:
    values = (state.soc_permille, state.power_w, state.voltage_mv, state.temp_max_dc, state.max_discharge_w)
    return (
        state.connected and state.ready is True and state.fault == "" and state.grid_ok is True and None not in values
    )


def lost(state: BatteryState) -> bool:
    return not state.connected and state.soc_permille is None and state.power_w is None and state.ready is None


FAULTS: list[tuple[str, int | str | None, Callable[[BatteryState], bool]]] = [
    ("silent", None, lost),
    ("slow", 800, lost),
    ("half", None, lost),
    ("busy", None, lost),
    ("disconnect", None, lost),
    ("wrong", "impossible", lambda s: s.connected and s.soc_permille is None and s.power_w is None),
    ("wrong", "zero", lambda s: s.connected and s.soc_permille is None and s.voltage_mv is None),
    ("wrong", "absent", lambda s: s.connected and s.soc_permille is None and s.power_w is None),
    ("over-temperature", 62, lambda s: bool(s.fault) and s.temp_max_dc is not None and s.temp_max_dc.value > 600),
    ("fault", None, lambda s: bool(s.fault)),
    ("grid-lost", None, lambda s: s.grid_ok is False),
    ("local", None, lambda s: s.ready is False),
]


@pytest.mark.parametrize(("name", "value", "seen"), FAULTS)
@pytest.mark.parametrize("profile", ["704", "124"])
async def test_a_fault_is_seen_and_its_end_too(
    profile: str, name: str, value: int | str | None, seen: Callable[[BatteryState], bool]
) -> None:
    async with simulated(profile) as (device, battery):
        device.set_fault(name, value)
        state = await until(battery, seen)
        assert not sellable(state)
        device.clear_fault(name)
        await until(battery, sellable)


@pytest.mark.parametrize("profile", ["704", "124"])
async def test_local_control_takes_no_commands(profile: str) -> None:
    async with simulated(profile) as (device, battery):
        device.set_fault("local", None)
        with pytest.raises(NotReady):
            await battery.prepare()
        assert device.model.target_w is None


@pytest.mark.parametrize("profile", ["704", "124"])
@pytest.mark.parametrize("name", ["silent", "half", "busy", "disconnect"])
async def test_a_fault_during_a_discharge_ends_in_a_release(profile: str, name: str) -> None:
    async with simulated(profile) as (device, battery):
        record = await battery.prepare()
        await battery.command(-2_000)
        await until(battery, lambda state: state.power_w is not None and state.power_w.value < -1_500)
        device.set_fault(name, None)
        with pytest.raises(DeviceError):
            await battery.refresh()
        device.clear_fault(name)
        await battery.release(record)
        assert device.model.target_w is None
        await until(battery, lambda state: state.power_w is not None and abs(state.power_w.value) < 50)


async def test_a_slow_device_is_still_a_device() -> None:
    async with simulated() as (device, battery):
        device.set_fault("slow", 20)
        await battery.prepare()
        await battery.command(-1_000)
        await until(battery, lambda state: state.power_w is not None and state.power_w.value < -500)
        assert sellable(battery.state)
        await battery.release(None)
