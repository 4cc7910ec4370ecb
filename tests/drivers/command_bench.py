"""A scripted battery, its commander and a clock that the test moves."""

from collections.abc import Callable, Sequence

from drivers.bus.line import Port, Reply
from drivers.command import Commander
from drivers.declaration import Space
from drivers.device import TakeOver
from drivers.discovery import Device, discover
from drivers.errors import BadReply, LinkLost
from drivers.loader import load_family
from drivers.options import Options
from drivers.testing import FakeModbus, ScriptedBattery
from drivers.writes import WriteBook


class MemoryPort(Port):
    """A port straight into a scripted device's registers."""

    generation = 1

    def __init__(self, device: FakeModbus) -> None:
        self.device = device
        self.written: list[int] = []
        self.ignore: Callable[[int], bool] = lambda _address: False
        self.lose_after: int | None = None

    async def read(self, unit: int, address: int, count: int, space: Space = "holding") -> Reply:
        self.device.before_read()
        registers = self.device.registers
        if any(a not in registers for a in range(address, address + count)):
            raise BadReply("no such address", exception_code=2)
        return Reply(tuple(registers[a] for a in range(address, address + count)), 1)

    async def write(self, unit: int, address: int, values: Sequence[int], *, single: bool = False) -> int:
        if self.lose_after is not None and len(self.written) >= self.lose_after:
            raise LinkLost("gone")
        self.written.append(address)
        if not self.ignore(address):
            self.device.hold(address, values)
            self.device.on_write(address, tuple(values))
        return 1_000 * len(self.written)


class UnitReader:
    def __init__(self, port: MemoryPort) -> None:
        self.port = port

    async def read(self, address: int, count: int, space: Space = "holding") -> Reply:
        return await self.port.read(1, address, count, space)


class Bench:
    """A scripted battery, its commander, and a clock that the test moves."""

    def __init__(self, device: ScriptedBattery, found: Device) -> None:
        self.device, self.found = device, found
        self.port = MemoryPort(device)
        self.clock_ms = 0
        self.book = WriteBook()
        assert found.command is not None
        self.commander = Commander(found.command, found.info, 1, self.book, now_ms=self.now_ms)

    def now_ms(self) -> int:
        self.clock_ms += 100  # each look at the clock costs some, so that waits end
        return self.clock_ms

    def names(self) -> list[str]:
        known = {self.device.where(name): name for name in NAMES if self.device.has(name)}
        return [known[address] for address in self.port.written]

    async def start(self, power_w: int = -2_000) -> TakeOver:
        record = await self.commander.prepare(self.port)
        await self.commander.command(self.port, power_w)
        self.port.written.clear()
        return record


NAMES = (
    *("WSetMod", "WSetRvrt", "WSetEnaRvrt", "WSetRvrtTms", "WSet", "WSetEna"),
    *("RvrtTms", "InWRte", "OutWRte", "StorCtl_Mod"),
)


async def bench(profile: str = "704", options: Options | None = None, **pokes: int) -> Bench:
    device = ScriptedBattery(profile)
    device.before_read = lambda: None  # the test moves the timer
    for name, value in pokes.items():
        device.poke(name, value)
    found = await discover(UnitReader(MemoryPort(device)), load_family("sunspec"), options or Options())
    return Bench(device, found)
