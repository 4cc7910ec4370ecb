"""A battery over a real socket: what is read, what is absent, what happens when things go away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from drivers.battery import DeclaredBattery
from drivers.device import BatteryState, Value
from drivers.errors import ForeignWrite, LinkLost, NotReady
from drivers.open import Lines, open_battery
from drivers.options import Options
from drivers.testing import Request, ScriptedBattery, running, until
from drivers.testing.modbus import exception

Send = Callable[[bytes], Awaitable[None]]
FAST = Options(poll_ms=50, status_ms=50, slow_ms=1_000, state_age_max_ms=500, timeout_ms=200)


@asynccontextmanager
async def on_line(
    profile: str = "704", options: Options = FAST, **pokes: int | str
) -> AsyncIterator[tuple[ScriptedBattery, DeclaredBattery]]:
    async with ScriptedBattery(profile) as device:
        for name, value in pokes.items():
            device.poke(name, value)
        battery = open_battery(device.address, name="b1", options=options)
        async with running(battery):
            yield device, battery


def ready(state: BatteryState) -> bool:
    return state.connected and state.ready is True


def plain(value: Value | None) -> int | None:
    return None if value is None else value.value


async def silent(_request: Request, _answer: bytes, _send: Send) -> None:
    pass


async def test_every_field_of_a_704_battery() -> None:
    async with on_line(W=1_234, DCA=-310, TotWhInj=7, TotWhAbs=(1 << 40) // 2) as (_, battery):
        state = await until(battery, ready)
    assert {name: plain(getattr(state, name)) for name in BatteryState.__slots__ if name.endswith(UNITS)} == {
        "soc_permille": 800,
        "power_w": -1_234,
        "voltage_mv": 400_000,
        "current_ma": 3_100,
        "temp_min_dc": 205,
        "temp_max_dc": 225,
        "soh_permille": 990,
        "capacity_wh": 13_500,
        "max_charge_w": 5_000,
        "max_discharge_w": 5_000,
        "charged_wh": 549_755_813_888,
        "discharged_wh": 7,
        "cycles": 120,
        "device_floor_permille": 100,
    }
    assert (state.fault, state.ready, state.grid_ok, state.reason) == ("", True, True, "")


UNITS = ("_permille", "_w", "_mv", "_ma", "_dc", "_wh", "cycles")


async def test_every_field_of_a_124_battery() -> None:
    async with on_line("124", I_W=-900, MinRsvPct=2_500) as (_, battery):
        state = await until(battery, ready)
    assert (plain(state.power_w), plain(state.soc_permille), plain(state.discharged_wh)) == (900, 800, 100_000)
    assert (plain(state.device_floor_permille), plain(state.max_discharge_w)) == (250, 5_000)
    assert (state.current_ma, state.charged_wh, state.grid_ok) == (None, None, True)


async def test_beside_pv_the_storage_port_is_the_battery() -> None:
    async with on_line(NPrt=2, PrtTyp2=0, W=4_000, DCW=950, DCWhInj=1_000, DCWhAbs=1_000) as (_, battery):
        state = await until(battery, ready)
    assert (plain(state.power_w), plain(state.discharged_wh), plain(state.charged_wh)) == (-950, 950, 1_052)


async def test_an_inverter_with_pv_and_no_storage_port_has_no_battery_power() -> None:
    async with on_line("124pv", I_W=3_000) as (_, battery):
        state = await until(battery, ready)
        assert (state.power_w, state.discharged_wh, state.grid_ok) == (None, None, True)
        assert (plain(state.soc_permille), plain(state.max_discharge_w)) == (800, 5_000)


async def test_a_limit_that_cannot_be_read_is_no_limit_to_rely_on() -> None:
    async with on_line() as (device, battery):
        await until(battery, ready)
        device.poke("ADisChaMax", 0xFFFF)
        await until(battery, lambda state: state.max_discharge_w is None)


async def test_the_bms_limits_discharge() -> None:
    async with on_line(ADisChaMax=500) as (_, battery):  # 5 A x 400 V x 0.95
        assert plain((await until(battery, ready)).max_discharge_w) == 1_900


async def test_sentinels_and_impossible_values_are_absent() -> None:
    async with on_line() as (device, battery):
        await until(battery, ready)
        device.poke("W", 0x8000)
        device.poke("ModTmpMax", 2_000)
        device.poke("SoC", 10_100)
        device.poke("V_SF", 0x8000)
        state = await until(battery, lambda s: s.power_w is None and s.voltage_mv is None and s.temp_max_dc is None)
        assert (state.soc_permille, state.max_discharge_w) == (None, None)
        assert state.temp_min_dc is not None
        device.poke("SoC", 10_000)
        assert plain((await until(battery, lambda s: s.soc_permille is not None)).soc_permille) == 1_000


async def test_a_scale_factor_that_changes_is_followed() -> None:
    async with on_line(W=100) as (device, battery):
        await until(battery, ready)
        device.poke("W_SF", 1)
        await until(battery, lambda state: plain(state.power_w) == -1_000)


async def test_all_zero_means_gone() -> None:
    async with on_line() as (device, battery):
        await until(battery, ready)
        for name in ("SoC", "V", "W"):
            device.poke(name, 0)
        state = await until(battery, lambda state: state.soc_permille is None)
        assert (state.power_w, state.voltage_mv) == (None, None)
        assert "gone" in state.reason


async def test_local_mode_is_not_ready_and_nothing_is_written() -> None:
    async with on_line(LocRemCtl=1) as (device, battery):
        state = await until(battery, lambda state: state.ready is False)
        assert "local mode" in state.reason
        with pytest.raises(NotReady):
            await battery.prepare()
        assert device.writes == []


async def test_standby_is_ready_only_where_waking_is_declared() -> None:
    async with on_line(InvSt=7) as (_, battery):
        assert "standby" in (await until(battery, lambda state: state.ready is False)).reason
    async with on_line("704", Options(poll_ms=50, status_ms=50, wake_s=5), InvSt=7) as (_, battery):
        await until(battery, ready)


async def test_a_silent_device_goes_stale_by_a_timer_and_comes_back() -> None:
    async with on_line() as (device, battery):
        await until(battery, ready)
        seen: list[BatteryState] = []
        battery.on_change(seen.append)
        device.behave = silent
        lost = await until(battery, lambda state: not state.connected and state.power_w is None)
        assert (lost.ready, lost.fault, lost.grid_ok, lost.soc_permille) == (None, None, None, None)
        await until(battery, lambda _: any(not state.connected for state in seen))
        device.behave = device.honest
        await until(battery, ready)
        assert battery.line.timeouts >= 1


async def test_one_lost_answer_makes_nothing_stale() -> None:
    options = Options(poll_ms=500, status_ms=1_000, state_age_max_ms=2_500, timeout_ms=1_000)
    async with on_line("704", options) as (device, battery):
        await until(battery, ready)
        seen: list[BatteryState] = []
        lost: list[Request] = []

        async def lose_one(request: Request, answer: bytes, send: Send) -> None:
            if lost:
                await send(answer)
            else:
                lost.append(request)

        device.behave = lose_one
        battery.on_change(seen.append)
        await until(battery, lambda state: bool(lost) and battery.line.timeouts == 1 and state.reason == "")
        assert all(ready(state) and state.power_w is not None for state in seen)


async def test_the_stale_state_is_published_although_no_poll_ends() -> None:
    options = Options(poll_ms=50, status_ms=50, state_age_max_ms=300, timeout_ms=30_000)
    async with on_line("704", options) as (device, battery):
        await until(battery, ready)
        device.behave = silent
        state = await until(battery, lambda state: not state.connected, timeout_s=2)
        assert state.reason == "no answer"


async def test_a_refused_connection_is_a_lost_link_at_once() -> None:
    options = Options(poll_ms=50, status_ms=50, state_age_max_ms=60_000, timeout_ms=200)
    async with on_line("704", options) as (device, battery):
        await until(battery, ready)
        await device.stop()
        state = await until(battery, lambda state: not state.connected, timeout_s=5)
        assert "connection" in state.reason


async def test_a_device_that_appears_later_is_found() -> None:
    async with ScriptedBattery() as device:
        await device.stop()
        battery = open_battery(device.address, name="b1", options=FAST)
        async with running(battery):
            await until(battery, lambda state: "no connection" in state.reason)
            assert battery.info is None
            with pytest.raises(NotReady, match="not identified yet"):
                await battery.prepare()
            await device.start()
            await until(battery, ready)
            assert battery.info is not None


async def test_a_refused_block_takes_only_its_own_values_away() -> None:
    async with on_line() as (device, battery):
        await until(battery, ready)
        bank = range(device.places[803], device.places[803] + 60)

        async def refuse_bank(request: Request, answer: bytes, send: Send) -> None:
            await send(exception(request, 4) if request.address in bank else answer)

        device.behave = refuse_bank
        state = await until(battery, lambda state: state.temp_max_dc is None)
        assert (state.connected, plain(state.soc_permille)) == (True, 800)


async def test_another_device_behind_the_address_is_not_touched() -> None:
    async with on_line() as (device, battery):
        await until(battery, ready)
        await battery.prepare()
        device.poke("SN", "SN-2")
        device.drop()
        await until(battery, lambda state: "another device answers" in state.reason)
        with pytest.raises(NotReady, match="another device answers"):
            await battery.command(-1_000)
        assert device.writes == []
        device.poke("SN", "SN-1")
        await until(battery, lambda state: ready(state) and state.reason == "")


async def test_another_layout_behind_the_address_is_not_touched() -> None:
    async with on_line() as (device, battery):
        await until(battery, ready)
        device.hold(device.places[704], (64_900,))
        device.drop()
        await until(battery, lambda state: "another device answers" in state.reason)
        with pytest.raises(NotReady):
            await battery.prepare()


async def test_a_wrong_unit_or_another_kind_of_device_is_said() -> None:
    async with ScriptedBattery(unit=7) as device:
        battery = open_battery(device.address, name="b1", options=FAST)
        async with running(battery):
            await until(battery, lambda state: "not a SunSpec device" in state.reason)


async def test_a_foreign_controller_stops_the_sale() -> None:
    async with on_line() as (device, battery):
        await until(battery, ready)
        device.poke("WSetEna", 1)
        state = await until(battery, lambda state: state.ready is False)
        assert "foreign mode" in state.reason
        device.poke("WSetEna", 0)
        await until(battery, ready)
        await battery.prepare()
        await battery.command(-1_000)
        device.poke("WSet", 55)
        state = await until(battery, lambda state: state.ready is False)
        assert "another controller" in state.reason
        with pytest.raises(ForeignWrite):
            await battery.refresh()
        assert device.peek("WSet") == 55


async def test_a_counter_that_jumps_is_away_until_the_delivery_ends() -> None:
    async with on_line() as (device, battery):
        await until(battery, ready)
        await battery.prepare()
        await battery.command(-1_000)
        device.poke("TotWhInj", 200_000)
        assert "discharged_wh" in (await until(battery, lambda state: state.discharged_wh is None)).reason
        await battery.release(None)
        await until(battery, lambda state: plain(state.discharged_wh) == 200_000)


async def test_a_device_without_a_dead_man_needs_consent() -> None:
    async with on_line("124", RvrtTms=0xFFFF) as (device, battery):
        await until(battery, ready)
        with pytest.raises(NotReady, match="accept_no_deadman"):
            await battery.prepare()
        assert device.writes == []
    consent = Options(poll_ms=50, status_ms=50, accept_no_deadman=True)
    async with on_line("124", consent, RvrtTms=0xFFFF) as (device, battery):
        await until(battery, ready)
        await battery.prepare()
        await battery.command(-1_000)
        assert device.target_w == -1_000
        await battery.release(None)


async def test_a_read_only_device_says_so() -> None:
    async with on_line(WSet=0x80000000) as (_, battery):
        await until(battery, ready)
        with pytest.raises(NotReady, match="cannot be commanded"):
            await battery.prepare()
        await battery.release(None)


async def test_the_revert_timer_ends_what_nobody_renews() -> None:
    async with on_line("704", Options(poll_ms=50, status_ms=50, dead_man_s=2)) as (device, battery):
        await until(battery, ready)
        await battery.prepare()
        await battery.command(-1_000)
        await until(battery, lambda _: device.target_w is None, timeout_s=5)
        state = await until(battery, lambda state: state.ready is False)
        assert "dead-man" in state.reason or "another controller" in state.reason
        await battery.release(None)
        await until(battery, ready)


async def test_a_restart_releases_what_the_record_says_before_anything_is_polled() -> None:
    async with on_line() as (device, battery):
        await until(battery, ready)
        record = await battery.prepare()
        await battery.command(-1_000)
        later = open_battery(device.address, name="b1", options=FAST)
        await later.release(record)
        assert device.target_w is None


async def test_two_batteries_share_one_connection() -> None:
    async with ScriptedBattery() as device:
        lines = Lines()
        batteries = [open_battery(device.address, name=name, options=FAST, lines=lines) for name in "ab"]
        async with running(batteries[0]), running(batteries[1]):
            for battery in batteries:
                await until(battery, ready)
        assert device.accepted == 1


async def test_a_command_on_a_lost_link_fails_and_says_so() -> None:
    async with on_line() as (device, battery):
        await until(battery, ready)
        await battery.prepare()
        await device.stop()
        with pytest.raises(LinkLost):
            await battery.command(-1_000)
        await device.start()


async def test_the_state_forgets_by_itself() -> None:
    async with on_line() as (_, battery):
        await until(battery, ready)
    kept = battery.state
    await asyncio.sleep(FAST.state_age_max_ms / 1_000 + 0.05)
    assert kept.power_w is not None
    assert battery.state.power_w is None
    assert not battery.state.connected
