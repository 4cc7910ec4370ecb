"""Models as tables, values as registers, and the chain that a client walks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sim.image import BASE, IllegalAddressError, RegisterImage, TornPointError
from drivers.sim.layout import TYPES, Point, decode, encode, model
from drivers.sim.models import PROFILES

# Offsets of a few points, typed here from the reference tables a second time.
KNOWN = {
    1: {"Mn": 2, "SN": 50, "DA": 66},
    103: {"W": 14, "WH": 24, "DCW": 31, "TmpCab": 33, "St": 38, "Evt1": 40},
    120: {"WRtg": 3, "WHRtg": 19, "MaxDisChaRte": 25, "MaxDisChaRte_SF": 26},
    124: {"WChaMax": 2, "StorCtl_Mod": 5, "ChaState": 8, "OutWRte": 12, "InWRte": 13, "InOutWRte_RvrtTms": 15},
    701: {"W": 10, "Hz": 17, "TotWhInj": 19, "TmpCab": 36, "A_SF": 113, "W_SF": 116, "TotWh_SF": 120, "Tmp_SF": 122},
    702: {"WMaxRtg": 2, "WDisChaRteMaxRtg": 11, "CtrlModes": 23, "WMax": 26, "WDisChaRteMax": 35, "W_SF": 45},
    704: {"WMaxLimPctEna": 14, "WSetEna": 22, "WSet": 24, "WSetRvrtTms": 31, "WSetRvrtRem": 33, "WSet_SF": 55},
    713: {"WHRtg": 2, "SoC": 4, "Sta": 6, "Pct_SF": 8},
    714: {"DCW": 6, "DCWhInj": 7, "W_SF": 17, "PrtTyp": 20, "PrtDCW": 32, "PrtTmp": 41},
    802: {"WHRtg": 3, "SoC": 11, "SoH": 13, "State": 22, "Evt1": 26, "V": 34, "A": 44, "W": 47, "W_SF": 63},
    803: {"NStr": 2, "ModTmpMax": 4, "ModTmpMin": 7, "ModTmp_SF": 23, "StrSoC": 32, "StrEvt1": 48, "StrSetCon": 57},
}
LENGTHS = {1: 66, 103: 50, 120: 26, 124: 24, 701: 153, 702: 50, 704: 65, 713: 7, 714: 43, 802: 62, 803: 58}


def test_models_stand_where_the_standard_has_them() -> None:
    found = {m.id: m for models in PROFILES.values() for m in models}
    assert {i: m.length for i, m in found.items()} == LENGTHS
    for model_id, names in KNOWN.items():
        offsets = {point.name: point.offset for point in found[model_id].points}
        assert {name: offsets[name] for name in names} == names


def test_a_table_with_a_hole_or_a_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="stands at 4"):
        model(9, 3, "2 A uint16 | 4 B uint16")
    with pytest.raises(ValueError, match="ends at 3"):
        model(9, 3, "2 A uint16")


@given(st.data())
def test_numbers_survive_the_registers(data: st.DataObject) -> None:
    type_name = data.draw(st.sampled_from(sorted(TYPES)))
    size = TYPES[type_name][0]
    signed = type_name in ("int16", "int32", "sunssf")
    low, high = (-(1 << 16 * size - 1), (1 << 16 * size - 1) - 1) if signed else (0, (1 << 16 * size) - 1)
    number = data.draw(st.integers(low, high))
    point = Point(0, "x", type_name, size, writable=False)
    assert decode(point, encode(point, number)) == number


def test_what_does_not_fit_is_refused_and_what_is_missing_is_marked() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode(Point(0, "x", "uint16", 1, writable=False), 65_536)
    assert encode(Point(0, "x", "int32", 2, writable=False), None) == [0x8000, 0]
    assert encode(Point(0, "x", "acc32", 2, writable=False), None) == [0, 0]
    assert encode(Point(0, "x", "string:2", 2, writable=False), "abc") == [0x6162, 0x6300]


def image(profile: str = "704") -> RegisterImage:
    return RegisterImage(PROFILES[profile], lambda model_id: {"SoC": 801} if model_id == 802 else {})


@pytest.mark.parametrize("profile", ["704", "124"])
def test_a_client_can_walk_the_chain_to_its_end(profile: str) -> None:
    registers = image(profile)
    assert registers.read(BASE, 2) == [0x5375, 0x6E53]
    at, found = BASE + 2, []
    while (header := registers.read(at, 2))[0] != 0xFFFF:
        found.append(header[0])
        at += header[1] + 2
    assert found == [m.id for m in PROFILES[profile]]
    assert registers.read(at, 2) == [0xFFFF, 0]
    with pytest.raises(IllegalAddressError):
        registers.read(at + 1, 2)


def test_reading_fills_what_is_asked_for() -> None:
    registers = image()
    address, size = registers.address_of(802, "SoC")
    assert registers.read(address, size) == [801]
    assert registers.read(address + 1, 1) == [0xFFFF]
    for bad in (BASE - 1, 0, 65_500):
        with pytest.raises(IllegalAddressError):
            registers.read(bad, 1)
    with pytest.raises(KeyError):
        registers.address_of(802, "Nothing")


def test_writes_become_named_points() -> None:
    registers = image()
    ena, _ = registers.address_of(704, "WSetEna")
    assert registers.resolve(ena, [1, 1, 0xFFFF, 0xFF38]) == {"WSetEna": 1, "WSetMod": 1, "WSet": -200}
    wset, _ = registers.address_of(704, "WSet")
    for torn in ((wset, [0]), (wset + 1, [0]), (ena, [1, 1, 0])):
        with pytest.raises(TornPointError):
            registers.resolve(*torn)
    soc, _ = registers.address_of(802, "SoC")
    with pytest.raises(IllegalAddressError):
        registers.resolve(soc, [1])
