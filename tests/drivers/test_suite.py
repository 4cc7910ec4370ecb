"""The suite that every driver passes, over the scripted battery and over the independent simulated one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from drivers.battery import DeclaredBattery
from drivers.open import open_battery
from drivers.options import Options
from drivers.sim.device import SimulatedBattery
from drivers.sim.physics import BatteryConfig
from drivers.sim.server import ModbusServer
from drivers.testing import ScriptedBattery, check_driver

FAST = Options(poll_ms=50, status_ms=50, slow_ms=1_000, state_age_max_ms=400, timeout_ms=400)


class ScriptedRig:
    def __init__(self, device: ScriptedBattery) -> None:
        self.device = device

    async def lose_link(self) -> None:
        await self.device.stop()

    async def restore_link(self) -> None:
        await self.device.start()

    @property
    def target_w(self) -> int | None:
        return self.device.target_w


class SimulatedRig:
    """The simulated battery keeps its state while its server is away."""

    def __init__(self, device: SimulatedBattery, server: ModbusServer, port: int) -> None:
        self.device, self.server, self.port = device, server, port

    async def lose_link(self) -> None:
        await self.server.close()

    async def restore_link(self) -> None:
        self.server = ModbusServer(self.device)
        await self.server.start("127.0.0.1", self.port)

    @property
    def target_w(self) -> int | None:
        target_w = self.device.model.target_w
        return None if target_w is None else round(target_w)


@pytest.mark.parametrize("profile", ["704", "124"])
async def test_scripted(profile: str) -> None:
    @asynccontextmanager
    async def pair() -> AsyncIterator[tuple[DeclaredBattery, ScriptedRig]]:
        async with ScriptedBattery(profile) as device:
            yield open_battery(device.address, name="scripted", options=FAST), ScriptedRig(device)

    await check_driver(pair)


@pytest.mark.parametrize("profile", ["704", "124"])
async def test_simulated(profile: str) -> None:
    @asynccontextmanager
    async def pair() -> AsyncIterator[tuple[DeclaredBattery, SimulatedRig]]:
        device = SimulatedBattery(BatteryConfig(), profile=profile, unit=1, seed=3)
        rig = SimulatedRig(device, ModbusServer(device), 0)
        rig.port = await rig.server.start("127.0.0.1", 0)
        try:
            yield open_battery(f"127.0.0.1:{rig.port}", name="simulated", options=FAST), rig
        finally:
            await rig.server.close()

    await check_driver(pair)
