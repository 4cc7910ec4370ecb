"""What every driver must survive: `check_driver(make_pair)` runs the same checks on simulators and on hardware.

`make_pair` opens a fresh battery (not yet running) and a `Rig` that holds its other end. The battery must be idle,
ready and able to discharge 1 kW; after each check it is under its own control again.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

from drivers.errors import DeviceError, NotReady, RangeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from drivers.device import Battery, BatteryState

POWER_W: Final = -1_000
WAIT_S: Final = 20.0


class Rig(Protocol):
    """The other end of a driver under test."""

    async def lose_link(self) -> None:
        """Make the device unreachable."""
        ...

    async def restore_link(self) -> None:
        """Make it reachable again."""
        ...

    @property
    def target_w(self) -> int | None:
        """Return what the device is told to do (W, <= 0), None = under its own control."""
        ...


class CheckFailedError(AssertionError):
    """A driver does not keep the interface's promises; the text says which."""


async def until(battery: Battery, wanted: Callable[[BatteryState], bool], *, timeout_s: float = WAIT_S) -> BatteryState:
    """Return the first state that satisfies `wanted`. Raises TimeoutError."""
    seen = asyncio.Event()
    battery.on_change(lambda _: seen.set())
    async with asyncio.timeout(timeout_s):
        while not wanted(battery.state):
            seen.clear()
            await seen.wait()
    return battery.state


async def check_driver(make_pair: Callable[[], AbstractAsyncContextManager[tuple[Battery, Rig]]]) -> None:
    """Run every check on a fresh pair. Raises CheckFailedError, TimeoutError or the driver's own error."""
    for check in (_reads, _refuses, _commands, _loses_link, _releases_after_loss):
        async with make_pair() as (battery, rig), running(battery):
            await until(battery, _usable)
            await check(battery, rig)


def _usable(state: BatteryState) -> bool:
    return state.connected and state.ready is True and state.fault == "" and state.power_w is not None


@asynccontextmanager
async def running(battery: Battery) -> AsyncIterator[None]:
    """Run a battery's polling while the context is open."""
    task = asyncio.get_running_loop().create_task(battery.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _expect(holds: object, promise: str) -> None:
    if not holds:
        raise CheckFailedError(promise)


async def _reads(battery: Battery, rig: Rig) -> None:
    state, info = battery.state, battery.info
    _expect(info is not None and info.rated_power_w > 0 and info.capacity_wh > 0, "info is known once connected")
    for name in ("soc_permille", "power_w", "voltage_mv", "capacity_wh", "max_discharge_w"):
        _expect(getattr(state, name) is not None, f"{name} is read")
    _expect(rig.target_w is None, "reading commands nothing")


async def _refuses(battery: Battery, rig: Rig) -> None:
    _expect(battery.info is not None, "info is known once connected")
    await _raises(NotReady, battery.command(POWER_W), "a command without prepare is refused")
    await battery.prepare()
    rated_w = battery.info.rated_power_w if battery.info is not None else 0
    for power_w in (1, -rated_w - 1, -(2**31)):
        await _raises(RangeError, battery.command(power_w), f"{power_w} W is refused")
    _expect(rig.target_w is None, "a refused command writes nothing")
    await battery.release(None)


async def _raises(kind: type[DeviceError], coroutine: object, promise: str) -> None:
    try:
        await coroutine  # type: ignore[misc]
    except kind:
        return
    raise CheckFailedError(promise)


async def _commands(battery: Battery, rig: Rig) -> None:
    taken = await battery.prepare()
    _expect(taken.recipe, "the take-over record says how to let go")
    result = await battery.command(POWER_W)
    _expect(result.written_w == POWER_W, "the written power is reported")
    _expect(rig.target_w == POWER_W, "the device is told the power")
    await battery.refresh()
    await battery.command(POWER_W // 2)
    _expect(rig.target_w == POWER_W // 2, "the power can be changed")
    await battery.command(0)
    _expect(rig.target_w is None, "0 W lets go")
    await battery.release(None)
    await battery.release(taken)
    _expect(rig.target_w is None, "a release can be repeated")


async def _loses_link(battery: Battery, rig: Rig) -> None:
    await rig.lose_link()
    state = await until(battery, lambda state: not state.connected)
    state = await until(battery, lambda state: state.power_w is None and state.soc_permille is None)
    _expect(state.ready is None, "nothing is known of a lost device")
    await rig.restore_link()
    await until(battery, _usable)


async def _releases_after_loss(battery: Battery, rig: Rig) -> None:
    taken = await battery.prepare()
    await battery.command(POWER_W)
    await rig.lose_link()
    release = asyncio.get_running_loop().create_task(battery.release(taken))
    await until(battery, lambda state: not state.connected)
    _expect(not release.done(), "a release waits for a lost device")
    await rig.restore_link()
    async with asyncio.timeout(WAIT_S):
        await release
    _expect(rig.target_w is None, "a release is done as soon as the device answers")
