"""Commands that a device loses, changes or refuses, and what is left of the battery then."""

import asyncio

import pytest

from drivers.command import Commander
from drivers.declaration import Family
from drivers.device import TakeOver
from drivers.discovery import discover
from drivers.errors import BadReply, EchoFailed, ForeignWrite, LinkLost, NotReady, RangeError
from drivers.loader import parse_family
from drivers.options import Options
from drivers.testing import FakeModbus
from drivers.writes import WriteBook
from tests.drivers.command_bench import Bench, MemoryPort, UnitReader, bench


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
