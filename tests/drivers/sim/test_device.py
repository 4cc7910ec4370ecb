"""The simulated battery behind its registers, read the way a client reads it."""

from __future__ import annotations

import pytest

from drivers.sim.controls import IllegalValueError
from drivers.sim.device import SimulatedBattery
from drivers.sim.faults import parse_faults
from drivers.sim.image import IllegalAddressError
from drivers.sim.physics import BatteryConfig


class Client:
    """Reads and writes points by name, two's complement where asked."""

    def __init__(self, **changes: int) -> None:
        profile = str(changes.pop("profile", 704))
        self.device = SimulatedBattery(BatteryConfig(**changes), profile=profile, seed=7)
        self.now_ms = 0

    def get(self, model_id: int, name: str, *, signed: bool = False) -> int:
        address, size = self.device.address_of(model_id, name)
        number = 0
        for register in self.device.read(address, size, self.now_ms):
            number = number << 16 | register
        return number - (1 << 16 * size) if signed and number >> (16 * size - 1) else number

    def put(self, model_id: int, name: str, number: int) -> None:
        address, size = self.device.address_of(model_id, name)
        registers = [(number >> shift) & 0xFFFF for shift in range(16 * (size - 1), -16, -16)]
        self.device.write(address, registers, self.now_ms)

    def sell(self, watts: int, seconds: int = 60) -> None:
        for name, number in (("WSetMod", 1), ("WSetRvrtTms", seconds), ("WSet", watts), ("WSetEna", 1)):
            self.put(704, name, number)


def test_a_sale_shows_everywhere_and_ends_with_the_timer() -> None:
    client = Client(time_lapse=60)
    client.sell(3_000, seconds=60)
    before = client.get(701, "TotWhInj"), client.get(714, "DCWhInj"), client.get(802, "SoC")
    client.now_ms = 50_000
    assert client.get(701, "W", signed=True) == pytest.approx(3_000, rel=0.003)
    assert client.get(802, "W", signed=True) == pytest.approx(3_158, rel=0.003)
    assert client.get(714, "PrtDCW", signed=True) == client.get(714, "DCW", signed=True)
    assert client.get(802, "A", signed=True) > 0
    assert client.get(802, "ChaSt") == 3
    assert client.get(704, "WSetRvrtRem") == 10
    client.now_ms = 100_000
    truth = client.device.truth(client.now_ms)
    assert truth["released"]
    assert truth["revert_in_ms"] is None
    assert truth["at_ms"] == client.now_ms
    assert client.get(704, "WSetEna") == 0
    assert client.get(701, "W", signed=True) == 0
    delivered_wh = 3_000 * 60 * 60 / 3_600  # ramp up and ramp down cancel
    assert client.get(701, "TotWhInj") - before[0] == pytest.approx(delivered_wh, abs=2)
    assert client.get(714, "DCWhInj") - before[1] == pytest.approx(delivered_wh / 0.95, abs=2)
    assert before[2] - client.get(802, "SoC") == pytest.approx(delivered_wh / 0.95 / 13.5, abs=2)


def test_an_old_device_sells_by_negative_rate() -> None:
    client = Client(profile=124)
    counter = client.get(103, "WH")
    for name, number in (("InOutWRte_RvrtTms", 30), ("InWRte", -4_000), ("OutWRte", 10_000), ("StorCtl_Mod", 1)):
        client.put(124, name, number)
    client.now_ms = 29_000
    assert client.get(103, "W", signed=True) == pytest.approx(2_000, rel=0.003)
    assert client.get(103, "St") == 4
    assert client.get(124, "ChaSt") == 3
    assert client.get(803, "ModTmpMax", signed=True) == pytest.approx(215, abs=3)
    client.now_ms = 31_000
    assert client.get(124, "StorCtl_Mod") == 0
    client.now_ms = 40_000
    assert client.get(103, "WH") - counter == pytest.approx(2_000 * 30 / 3_600, abs=1)
    client.put(124, "MinRsvPct", 3_000)
    assert client.get(802, "SoCRsvMin") == 300


def test_large_batteries_use_coarser_registers() -> None:
    client = Client(capacity_wh=2_000_000, rated_power_w=600_000, nominal_voltage_mv=800_000)
    scale = 10 ** client.get(702, "W_SF", signed=True)
    assert client.get(702, "WMaxRtg") * scale == 600_000
    assert client.get(802, "WHRtg") * 10 ** client.get(802, "WHRtg_SF", signed=True) == 2_000_000
    client.sell(500_000)
    client.now_ms = 3_000
    assert client.get(701, "W", signed=True) * scale == pytest.approx(500_000, rel=0.003)
    volts = client.get(802, "V") * 10.0 ** client.get(802, "V_SF", signed=True)
    assert 780 < volts < 880


def test_settings_act() -> None:
    client = Client()
    client.sell(4_000)
    client.put(702, "WDisChaRteMax", 1_000)
    client.now_ms = 3_000
    assert client.get(701, "W", signed=True) == pytest.approx(1_000, rel=0.003)
    client.put(802, "SetOp", 2)
    assert client.get(802, "State") == 1
    assert client.get(701, "W", signed=True) == 0
    client.put(802, "SetOp", 1)
    client.put(802, "SetInvState", 2)
    assert client.get(802, "State") == 4
    assert client.get(701, "InvSt") == 7
    client.put(802, "AlmRst", 1)
    assert client.get(802, "AlmRst") == 0
    with pytest.raises(IllegalValueError):
        client.put(802, "SetOp", 3)


def test_states_of_charge_have_their_states() -> None:
    client = Client(soc_permille=0)
    assert (client.get(802, "State"), client.get(802, "ChaSt")) == (5, 2)
    assert client.get(802, "Evt1") == 1 << 14
    client = Client(soc_permille=1_000)
    assert (client.get(802, "State"), client.get(802, "ChaSt")) == (3, 5)
    assert client.get(802, "Evt1") == 1 << 16
    assert Client().get(802, "ChaSt") == 6


def test_faults_of_the_machine_show_and_stop_power() -> None:
    client = Client()
    client.sell(4_000)
    client.now_ms = 3_000
    client.device.set_fault("fault")
    assert (client.get(802, "State"), client.get(701, "InvSt"), client.get(713, "Sta")) == (99, 6, 2)
    assert client.get(701, "W", signed=True) == 0
    client.device.clear_fault("fault")
    client.device.set_fault("grid-lost")
    assert (client.get(701, "ConnSt"), client.get(701, "LNV"), client.get(701, "Alrm")) == (0, 0, 1 << 4)
    client.device.clear_fault()
    client.device.set_fault("over-temperature")
    assert client.get(803, "ModTmpMax", signed=True) == 635
    assert client.get(802, "Evt1") == 0b10
    client.device.set_fault("over-temperature", 49)
    assert client.get(802, "Evt1") == 0b100
    assert client.get(701, "InvSt") == 4
    client.device.clear_fault("over-temperature")
    assert client.get(803, "ModTmpMax", signed=True) == 215
    client.now_ms = 8_000
    assert client.get(701, "W", signed=True) == pytest.approx(4_000, rel=0.003)


def test_in_local_mode_commands_have_no_effect() -> None:
    client = Client()
    client.sell(4_000)
    client.now_ms = 3_000
    client.device.set_fault("local")
    client.now_ms = 6_000
    assert client.get(802, "LocRemCtl") == 1
    assert client.get(704, "WSetEna") == 1
    assert client.get(701, "W", signed=True) == 0


@pytest.mark.parametrize(
    ("kind", "soc", "watts"), [("impossible", 1_500, 32_000), ("zero", 0, 0), ("absent", 0xFFFF, 0x8000)]
)
def test_wrong_values(kind: str, soc: int, watts: int) -> None:
    client = Client()
    client.device.set_fault("wrong", kind)
    assert client.get(802, "SoC") == soc
    assert client.get(701, "W") == watts
    assert client.device.truth(0)["soc_permille"] == 800
    client.device.clear_fault()
    assert client.get(802, "SoC") == 800


def test_stuck_values_stay_while_commands_echo() -> None:
    client = Client(time_lapse=60)
    client.device.set_fault("stuck")
    frozen = {name: client.get(802, name) for name in ("SoC", "V", "Hb")}
    client.sell(4_000)
    client.now_ms = 40_000
    assert {name: client.get(802, name) for name in frozen} == frozen
    assert client.get(704, "WSet") == 4_000
    assert client.device.truth(client.now_ms)["soc_permille"] < 800
    client.device.clear_fault("stuck")
    assert client.get(802, "SoC") < frozen["SoC"]


def test_measurements_move_while_power_flows_and_repeat_with_the_seed() -> None:
    runs = []
    for _ in range(2):
        client = Client()
        client.sell(2_000)
        seen = []
        for client.now_ms in range(2_000, 22_000, 1_000):
            seen.append((client.get(701, "W"), client.get(802, "V"), client.get(802, "A")))
        runs.append(seen)
    assert runs[0] == runs[1]
    assert all(len({row[i] for row in runs[0]}) > 2 for i in range(3))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="no profile"):
        SimulatedBattery(BatteryConfig(), profile="999")
    with pytest.raises(ValueError, match="unit"):
        SimulatedBattery(BatteryConfig(), unit=0)
    client = Client()
    with pytest.raises(IllegalAddressError):
        client.put(802, "SoC", 1)
    with pytest.raises(KeyError):
        client.get(124, "InWRte")
    for name, value in (("wrong", "funny"), ("slow", 0), ("slow", "x"), ("silent", 5), ("unknown", None)):
        with pytest.raises(ValueError, match="fault"):
            client.device.set_fault(name, value)
    with pytest.raises(ValueError, match="no fault"):
        client.device.clear_fault("unknown")


def test_faults_are_read_from_a_command_line() -> None:
    assert parse_faults("silent, slow=500,wrong=zero,") == [("silent", None), ("slow", 500), ("wrong", "zero")]
    assert parse_faults("") == []


def test_a_day_of_idle_nights_alarms_nothing() -> None:
    client = Client(own_power_w=0)
    for client.now_ms in range(0, 86_400_000, 600_000):
        assert client.get(802, "Evt1") == 0
        assert client.get(701, "Alrm") == 0
        assert client.get(802, "State") == 3
    assert client.get(802, "SoC") == 800
