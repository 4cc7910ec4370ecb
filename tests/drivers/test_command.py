"""Commanding a device, register by register, with time handed in."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from drivers.bus.line import Port, Reply
from drivers.command import Commander, Hold
from drivers.declaration import Family, Space
from drivers.device import TakeOver
from drivers.discovery import Device, discover
from drivers.errors import BadReply, EchoFailed, ForeignWrite, LinkLost, NotReady, RangeError
from drivers.loader import load_family, parse_family
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


async def test_704_is_taken_over_timer_first_and_enabled_last() -> None:
    b = await bench(WSetRvrt=700, WSetEnaRvrt=1, WSetRvrtTms=3_600, WSet=5)
    record = await b.commander.prepare(b.port)
    assert b.port.written == []
    assert record.found == {
        "ctl.w_set_mod": 0,
        "ctl.w_set_rvrt": 700,
        "ctl.w_set_ena_rvrt": 1,
        "ctl.w_set_rvrt_tms": 3_600,
        "ctl.w_set": 5,
        "ctl.w_set_ena": 0,
    }
    assert record.recipe == (("ctl.w_set_ena", 0), ("ctl.w_set", 0))
    assert record.addresses["ctl.w_set"] == (b.device.where("WSet"), 2)
    assert record.serial == "SN-1"
    result = await b.commander.command(b.port, -3_000)
    assert b.names() == ["WSetMod", "WSetRvrt", "WSetEnaRvrt", "WSetRvrtTms", "WSet", "WSetEna"]
    assert [b.device.peek(name) for name in b.names()] == [1, 0, 0, 30, 3_000, 1]
    assert result == (1_000, -3_000)


async def test_124_is_taken_over_with_a_negative_charge_rate() -> None:
    b = await bench("124", OutWRte=3_000)
    record = await b.commander.prepare(b.port)
    result = await b.commander.command(b.port, -1_999)
    assert b.names() == ["RvrtTms", "InWRte", "OutWRte", "StorCtl_Mod"]
    assert [b.device.peek(name) for name in b.names()] == [60, -3_998, 10_000, 1]
    assert result.written_w == -1_999
    b.port.written.clear()
    await b.commander.release(b.port, record)
    assert b.names() == ["StorCtl_Mod", "InWRte"]
    assert [b.device.peek(name) for name in ("StorCtl_Mod", "InWRte", "OutWRte")] == [0, 10_000, 10_000]


async def test_what_already_holds_is_not_written_again() -> None:
    b = await bench(WSetMod=1)
    await b.start()
    assert set(b.book.total) == {"ctl.w_set_rvrt_tms", "ctl.w_set", "ctl.w_set_ena"}
    await b.commander.command(b.port, -2_000)
    await b.commander.refresh(b.port)
    assert b.names() == ["WSetRvrtTms", "WSet", "WSet"]  # these feed the timer
    assert b.book.total["ctl.w_set"] == 3


async def test_release_disables_first_and_can_be_repeated() -> None:
    b = await bench()
    record = await b.start()
    await b.commander.release(b.port, None)
    assert b.names() == ["WSetEna", "WSet"]
    assert b.device.target_w is None
    assert b.commander.hold is Hold.IDLE
    await b.commander.release(b.port, None)
    await b.commander.release(b.port, record)
    assert b.names() == ["WSetEna", "WSet"]


async def test_zero_and_less_than_the_smallest_step_let_go() -> None:
    b = await bench(WSet_SF=1)
    assert b.found.info.min_power_w == 10
    await b.commander.prepare(b.port)
    assert (await b.commander.command(b.port, -9)).written_w == 0
    assert b.port.written == []
    assert (await b.commander.command(b.port, -1_999)).written_w == -1_990
    assert (await b.commander.command(b.port, -9)).written_w == 0
    assert b.device.target_w is None
    assert b.commander.hold is Hold.PREPARED
    assert (await b.commander.command(b.port, -500)).written_w == -500


@pytest.mark.parametrize("power_w", [1, -5_001, -(2**31), 2**40])
async def test_powers_nobody_may_ask_for(power_w: int) -> None:
    b = await bench()
    await b.commander.prepare(b.port)
    with pytest.raises(RangeError):
        await b.commander.command(b.port, power_w)
    assert b.port.written == []


@pytest.mark.parametrize(
    ("profile", "pokes", "words"),
    [
        ("704", {"WSet_SF": -10}, "30000000000000 does not fit s32"),
        ("124", {"InOutWRte_SF": -4}, "1000000 does not fit s16"),  # even 100 per cent
    ],
)
async def test_what_would_wrap_is_refused(profile: str, pokes: dict[str, int], words: str) -> None:
    b = await bench(profile, None, **pokes)
    with pytest.raises(RangeError, match=words):
        await take_over(b, -3_000)
    assert b.port.written == []


async def take_over(b: Bench, power_w: int) -> None:
    await b.commander.prepare(b.port)
    await b.commander.command(b.port, power_w)


async def test_a_percentage_command_cannot_exceed_its_reference() -> None:
    b = await bench("124", WChaMax=3_000)
    assert b.found.info.rated_power_w == 3_000


async def test_local_mode_stops_everything_and_nothing_is_written() -> None:
    b = await bench(LocRemCtl=1)
    with pytest.raises(NotReady, match="not under remote control"):
        await b.commander.prepare(b.port)
    b.device.poke("LocRemCtl", 0)
    await b.start()
    b.device.poke("LocRemCtl", 1)
    for act in (b.commander.command(b.port, -100), b.commander.refresh(b.port)):
        with pytest.raises(NotReady, match="not under remote control"):
            await act
    assert b.port.written == []


async def test_a_foreign_mode_is_not_taken_over() -> None:
    b = await bench(WSetEna=1)
    with pytest.raises(NotReady, match="foreign mode"):
        await b.commander.prepare(b.port)
    b.device.poke("WSetEna", 0)
    await b.commander.prepare(b.port)
    b.device.poke("WSetEna", 1)
    with pytest.raises(NotReady, match="foreign mode"):
        await b.commander.command(b.port, -100)
    assert b.port.written == []


async def test_commands_have_an_order() -> None:
    b = await bench()
    with pytest.raises(NotReady, match="prepare"):
        await b.commander.command(b.port, -100)
    with pytest.raises(NotReady, match="nothing is commanded"):
        await b.commander.refresh(b.port)
    await b.commander.prepare(b.port)
    with pytest.raises(NotReady, match="nothing is commanded"):
        await b.commander.refresh(b.port)
    await b.commander.release(b.port, None)
    assert b.commander.hold is Hold.IDLE
    assert b.port.written == []


async def test_what_was_only_prepared_is_released_without_a_write() -> None:
    b = await bench(WSet=77)
    record = await b.commander.prepare(b.port)
    await b.commander.release(b.port, record)
    assert (b.port.written, b.device.peek("WSet"), b.commander.hold) == ([], 77, Hold.IDLE)


async def test_prepare_while_commanding_is_the_same_record() -> None:
    b = await bench(WSet=77)
    record = await b.start()
    assert await b.commander.prepare(b.port) is record
    assert record.found["ctl.w_set"] == 77


@pytest.mark.parametrize(("name", "value"), [("WSet", 1_234), ("WSetRvrtTms", 9_999), ("WSetMod", 0)])
async def test_a_foreign_write_ends_all_writing(name: str, value: int) -> None:
    b = await bench()
    await b.start()
    b.device.poke(name, value)
    for act in (b.commander.refresh(b.port), b.commander.command(b.port, -100)):
        with pytest.raises(ForeignWrite) as caught:
            await act
        assert caught.value.found == value
    with pytest.raises(ForeignWrite):
        await b.commander.release(b.port, None)
    assert b.port.written == []
    assert b.device.peek(name) == value


async def test_a_device_that_somebody_else_released_is_let_go() -> None:
    b = await bench()
    await b.start()
    b.device.poke("WSetEna", 0)
    with pytest.raises(ForeignWrite):
        await b.commander.refresh(b.port)
    await b.commander.release(b.port, None)
    assert b.port.written == []
    assert b.commander.hold is Hold.IDLE


async def test_watching_notices_and_forgets_a_foreign_controller() -> None:
    b = await bench()
    await b.commander.watch(b.port)
    assert b.commander.trouble == ""
    b.device.poke("WSetEna", 1)
    await b.commander.watch(b.port)
    assert "foreign mode" in b.commander.trouble
    b.device.poke("WSetEna", 0)
    await b.commander.watch(b.port)
    assert b.commander.trouble == ""
    await b.start()
    b.device.poke("WSet", 1)
    await b.commander.watch(b.port)
    assert "another controller writes" in b.commander.trouble
    with pytest.raises(NotReady, match="foreign mode"):
        await b.commander.prepare(b.port)
    b.device.poke("WSetEna", 0)
    await b.commander.watch(b.port)
    assert b.commander.trouble == ""
    await b.start()


async def test_one_lost_write_is_repeated() -> None:
    b = await bench()
    await b.commander.prepare(b.port)
    b.port.ignore = lambda address: address == b.device.where("WSet") and b.names().count("WSet") == 1
    await b.commander.command(b.port, -2_000)
    assert b.names().count("WSet") == 2
    assert b.device.target_w == -2_000


@pytest.mark.parametrize("name", ["WSet", "WSetEna", "WSetMod", "WSetRvrtTms"])
async def test_a_register_that_does_not_take_a_write_fails_the_echo(name: str) -> None:
    b = await bench()
    await b.commander.prepare(b.port)
    b.port.ignore = lambda address: address == b.device.where(name)
    with pytest.raises(EchoFailed) as caught:
        await b.commander.command(b.port, -2_000)
    assert caught.value.register.split(".")[1].replace("_", "") == name.lower()
    assert b.device.target_w is None or name != "WSetEna"
    b.port.ignore = lambda _address: False
    await b.commander.release(b.port, None)
    assert b.device.target_w is None


async def test_a_wrong_setpoint_is_never_enabled() -> None:
    b = await bench(WSet=4_000)
    await b.commander.prepare(b.port)
    b.port.ignore = lambda address: address == b.device.where("WSet")
    with pytest.raises(EchoFailed):
        await b.commander.command(b.port, -100)
    assert "WSetEna" not in b.names()


async def test_a_release_that_does_not_hold_is_reported() -> None:
    b = await bench()
    await b.start()
    b.port.ignore = lambda address: address == b.device.where("WSetEna")
    with pytest.raises(EchoFailed) as caught:
        await b.commander.release(b.port, None)
    assert (caught.value.wanted, caught.value.found) == (0, 1)
    b.port.ignore = lambda _address: False
    await b.commander.release(b.port, None)
    assert b.device.target_w is None


async def test_a_timer_that_does_not_start_is_no_timer() -> None:
    b = await bench()
    b.device.on_write = lambda _address, _values: None
    await b.commander.prepare(b.port)
    with pytest.raises(EchoFailed, match="does not run"):
        await b.commander.command(b.port, -2_000)


async def test_a_timer_must_count_down() -> None:
    b = await bench()
    await b.start()
    b.clock_ms += 10_000
    b.device.poke("WSetRvrtRem", 21)
    await b.commander.refresh(b.port)
    b.clock_ms += 10_000
    with pytest.raises(EchoFailed, match="does not count down: 30 s left"):
        await b.commander.refresh(b.port)


async def test_a_dead_man_that_fired_is_not_a_foreign_write() -> None:
    b = await bench()
    await b.start()
    b.clock_ms += 31_000
    for name in ("WSetEna", "WSet"):
        b.device.poke(name, 0)
    await b.commander.watch(b.port)
    assert "stopped itself" in b.commander.trouble
    with pytest.raises(EchoFailed, match="stopped itself"):
        await b.commander.refresh(b.port)
    await b.commander.release(b.port, None)
    assert b.port.written == []


@pytest.mark.parametrize("lose_after", range(7))
async def test_after_a_link_lost_at_any_write_a_release_lets_go(lose_after: int) -> None:
    b = await bench(WSetRvrt=5, WSetEnaRvrt=1)
    record = await b.commander.prepare(b.port)
    b.port.lose_after = lose_after
    if lose_after < 6:
        with pytest.raises(LinkLost):
            await b.commander.command(b.port, -2_000)
    else:
        await b.commander.command(b.port, -2_000)
    b.port.lose_after = None
    restarted = Bench(b.device, b.found)
    await restarted.commander.release(restarted.port, TakeOver.from_json(record.to_json()))
    assert b.device.target_w is None
    assert b.device.peek("WSet") == 0
    await b.commander.release(b.port, record)
    assert b.device.target_w is None


async def test_a_record_of_another_device_releases_nothing() -> None:
    b = await bench(WSetEna=1)
    record = TakeOver({}, (("ctl.w_set_ena", 0),), {}, 1, "SN-2")
    with pytest.raises(NotReady, match="SN-2"):
        await b.commander.release(b.port, record)
    assert b.port.written == []


async def test_a_mode_that_is_neither_ours_nor_the_devices_own_is_left_alone() -> None:
    b = await bench("124")
    record = await b.commander.prepare(b.port)
    await b.commander.release(b.port, None)
    b.device.poke("StorCtl_Mod", 3)
    with pytest.raises(ForeignWrite):
        await b.commander.release(b.port, record)
    assert b.port.written == []


async def test_unimplemented_optional_registers_are_left_out() -> None:
    b = await bench(WSetRvrt=0x80000000, WSetEnaRvrt=0xFFFF)
    await b.commander.prepare(b.port)
    await b.commander.command(b.port, -2_000)
    assert b.names() == ["WSetMod", "WSetRvrtTms", "WSet", "WSetEna"]


async def test_without_a_timer_register_there_is_no_dead_man() -> None:
    b = await bench("124", RvrtTms=0xFFFF)
    assert b.found.info.dead_man_ms is None
    await b.commander.prepare(b.port)
    await b.commander.command(b.port, -2_000)
    assert b.names() == ["InWRte", "StorCtl_Mod"]


async def test_a_dead_man_time_can_be_chosen() -> None:
    b = await bench(options=Options(dead_man_s=5))
    assert b.found.info.dead_man_ms == 5_000
    await b.start()
    assert b.device.peek("WSetRvrtTms") == 5


async def test_without_a_usable_scale_nothing_is_written() -> None:
    b = await bench()
    await b.commander.prepare(b.port)
    b.device.poke("WSet_SF", 0x8000)
    with pytest.raises(NotReady, match="scale factor"):
        await b.commander.command(b.port, -2_000)
    b = await bench("124")
    await b.commander.prepare(b.port)
    b.device.poke("WChaMax", 0)
    with pytest.raises(NotReady, match="not usable"):
        await b.commander.command(b.port, -2_000)
    assert b.port.written == []


STORED: Family = parse_family(
    """
format = 1
family = "stored"
title = "Stored setpoints, single writes, no timer"
discovery = "fixed"
word_order = "hi-lo"
single_write = 6
sources = ["made up for this test"]
[sentinels]
u16 = [0xFFFF, 123]
[[section]]
name = "bat"
address = 0
length = 10
group = "command"
points = [
  { name = "mode", offset = 0, kind = "u16", write = true, budget_per_day = 6 },
  { name = "power", offset = 1, kind = "u16", scale = 10, sign = -1, write = true, budget_per_day = 6 },
]
[fields]
[facts]
[[command]]
name = "forced"
needs = ["bat"]
dispatch = "after-commissioning"
target = "bat.power"
own_control = { "bat.mode" = [0] }
take = [{ point = "bat.power", value = "target" }, { point = "bat.mode", value = 2 }]
change = [{ point = "bat.power", value = "target" }]
renew = [{ point = "bat.power", value = "target" }]
release = [{ point = "bat.mode", value = 0 }, { point = "bat.power", value = 0 }]
""",
    "stored",
)


async def test_a_spent_write_budget_stops_new_commands_but_never_a_release() -> None:
    port = MemoryPort(FakeModbus(dict.fromkeys(range(10), 0)))
    options = Options(capacity_wh=10_000, rated_power_w=5_000)
    found = await discover(UnitReader(port), STORED, options)
    assert found.command is not None
    assert (found.info.min_power_w, found.info.dead_man_ms) == (10, None)
    clock = iter(range(0, 10**9, 100))
    commander = Commander(found.command, found.info, 1, WriteBook(), now_ms=lambda: next(clock))
    await commander.prepare(port)
    with pytest.raises(RangeError, match="means 'no value'"):
        await commander.command(port, -1_230)
    for power_w in (-1_000, -2_000, -3_000, -4_000):
        assert (await commander.command(port, power_w)).written_w == power_w
    await commander.refresh(port)  # nothing changes, nothing is written
    with pytest.raises(NotReady, match=r"write budget of bat\.power is spent"):
        await commander.command(port, -4_500)
    assert port.device.registers[1] == 400
    await commander.release(port, None)
    assert (port.device.registers[0], port.device.registers[1]) == (0, 0)
    with pytest.raises(NotReady, match="write budget"):
        await commander.prepare(port)


async def test_a_device_that_cannot_be_read_stops_a_command() -> None:
    b = await bench()
    await b.start()
    del b.device.registers[b.device.where("WSet")]
    with pytest.raises(BadReply):
        await b.commander.refresh(b.port)
    await asyncio.sleep(0)
    assert b.port.written == []
