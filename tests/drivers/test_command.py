"""Commanding a device, register by register, with time handed in."""

import pytest

from drivers.command import Hold
from drivers.errors import ForeignWrite, NotReady, RangeError
from tests.drivers.command_bench import Bench, bench


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
