"""What is taken from which device: models present or not, sentinels, PV beside the battery."""

from typing import Any

import pytest

from drivers.bus.line import Reply
from drivers.declaration import Space
from drivers.discovery import CounterSource, Device, discover
from drivers.errors import BadReply, NotReady
from drivers.loader import load_family
from drivers.options import Options
from drivers.testing import ScriptedBattery


class Reader:
    def __init__(self, device: ScriptedBattery) -> None:
        self.registers = device.registers
        self.reads: list[tuple[int, int]] = []

    async def read(self, address: int, count: int, space: Space = "holding") -> Reply:
        assert 1 <= count <= 125
        self.reads.append((address, count))
        if any(a not in self.registers for a in range(address, address + count)):
            raise BadReply("no such address", exception_code=2)
        return Reply(tuple(self.registers[a] for a in range(address, address + count)), 1)


async def found(profile: str = "704", options: Options | None = None, **pokes: int) -> Device:
    device = ScriptedBattery(profile)
    for name, value in pokes.items():
        device.poke(name, value)
    return await discover(Reader(device), load_family("sunspec"), options or Options())


async def test_a_new_battery_inverter() -> None:
    device = await found()
    info = device.info
    assert (info.manufacturer, info.model, info.version, info.serial) == ("Test", "Scripted", "v1.2", "SN-1")
    assert (info.rated_power_w, info.capacity_wh, info.min_power_w, info.dead_man_ms) == (5_000, 13_500, 1, 30_000)
    assert (info.counter_point, info.counter_step_wh, info.soc_step_permille) == ("ac", 1, 1)
    assert (info.command, info.dispatch, info.settle_ms, info.release_ms) == ("704", "full", 10_000, 1_000)
    assert device.sources["power_w"] == ("ac.power",)
    assert device.counters["discharged_wh"] == CounterSource("ac.injected", 1_000, derived=False)
    assert device.rules.live == {"power_w", "soc_permille", "voltage_mv", "current_ma", "discharged_wh"}


async def test_an_old_storage_inverter() -> None:
    device = await found("124")
    info = device.info
    assert (info.command, info.dead_man_ms, info.min_power_w, info.capacity_wh) == ("124", 60_000, 1, 13_500)
    assert device.sources["power_w"] == ("inv.power",)
    assert device.sources["soc_permille"] == ("bat.soc",)
    assert device.counters == {"discharged_wh": CounterSource("inv.energy", 1_000, derived=False)}
    assert device.rules.rollover_wh == {"discharged_wh": 1 << 32}


async def test_beside_pv_only_the_storage_port_counts() -> None:
    device = await found(NPrt=2, PrtTyp2=0)
    assert device.sources["power_w"] == ("port.power",)
    assert device.counters["discharged_wh"] == CounterSource("port.injected", 950, derived=True)
    assert device.counters["charged_wh"].factor_permille == 1_052
    assert device.info.counter_point == "derived"


async def test_a_port_list_longer_than_its_model_is_cut() -> None:
    device = await found(NPrt=60_000, PrtTyp=3)
    assert device.sources["current_ma"] == ()
    assert device.sources["voltage_mv"] == ("bat.voltage",)


@pytest.mark.parametrize(
    ("pokes", "field", "sources"),
    [
        ({"SoC": 0xFFFF}, "soc_permille", ("bat.soc",)),
        ({"SoC": 0xFFFF, "B_SoC": 0xFFFF}, "soc_permille", ("storage.soc",)),
        ({"Pct_SF": 0x8000}, "soc_permille", ("bat.soc",)),
        ({"Pct_SF": 11}, "soc_permille", ("bat.soc",)),
        ({"ADisChaMax": 0xFFFF}, "max_discharge_w", ("rating.discharge_set", "rating.power_set")),
        ({"SoCRsvMin": 0xFFFF}, "device_floor_permille", ("bat.soc_min",)),
        ({"V": 0xFFFF}, "voltage_mv", ("port.voltage",)),
    ],
)
async def test_the_first_implemented_point_is_the_source(
    pokes: dict[str, Any], field: str, sources: tuple[str, ...]
) -> None:
    device = await found("704", None, **pokes)
    assert device.sources[field] == sources


async def test_the_model_length_on_the_wire_decides() -> None:
    device = ScriptedBattery()
    device.registers[device.places[713] + 1] = 6  # an old 713 without Pct_SF
    device.registers[device.places[713] + 8] = 802
    device.hold(
        device.places[713] + 9, (62, *(device.registers[device.places[802] + 2 + i] for i in range(62)), 0xFFFF, 0)
    )
    seen = await discover(Reader(device), load_family("sunspec"), Options())
    assert seen.sources["soc_permille"] == ("bat.soc",)


async def test_what_the_device_does_not_say_must_be_set() -> None:
    pokes = {"WHRtg": 0xFFFF, "B_WHRtg": 0xFFFF}
    with pytest.raises(NotReady, match="capacity_wh: set it"):
        await found("704", None, **pokes)
    assert (await found("704", Options(capacity_wh=9_000), **pokes)).info.capacity_wh == 9_000
    with pytest.raises(NotReady, match="rated_power_w: set it"):
        await found("124", None, WRtg=0xFFFF, MaxDisChaRte=0xFFFF)


async def test_options_over_the_nameplate() -> None:
    options = Options(rated_power_w=4_000, min_power_w=100, efficiency_permille=900, settle_ms=5_000, time_lapse=60)
    device = await found("704", options)
    info = device.info
    assert (info.rated_power_w, info.min_power_w, info.efficiency_permille, info.settle_ms) == (4_000, 100, 900, 5_000)
    assert device.rules.time_lapse == 60


async def test_a_coarse_device_says_so() -> None:
    info = (await found(Pct_SF=0, SoC=80, TotWh_SF=2, WSet_SF=2)).info
    assert (info.soc_step_permille, info.counter_step_wh, info.min_power_w) == (10, 100, 100)


async def test_a_device_without_controls_is_read_only() -> None:
    device = await found(WSet=0x80000000)
    info = device.info
    assert (device.command, info.command, info.dispatch, info.dead_man_ms) == (None, "", "never", None)


async def test_no_read_is_longer_than_the_protocol_allows() -> None:
    device = ScriptedBattery()
    reader = Reader(device)
    await discover(reader, load_family("sunspec"), Options())
    assert max(count for _, count in reader.reads) > 60


async def test_a_device_that_talks_nonsense_is_not_a_device() -> None:
    class Garbage(Reader):
        async def read(self, address: int, count: int, space: Space = "holding") -> Reply:
            if count > 2:
                raise BadReply("garbage")
            return await super().read(address, count, space)

    with pytest.raises(BadReply, match="garbage"):
        await discover(Garbage(ScriptedBattery()), load_family("sunspec"), Options())
