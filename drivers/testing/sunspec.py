"""A scripted SunSpec battery: new models ("704"), old ones ("124"), or old ones beside PV ("124pv").

Offsets are written here from the public models, so that a family file is judged against something else than itself.
Nothing moves by itself but the revert timer: a test pokes values by name.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from drivers.testing.modbus import FakeModbus

BASE: Final = 40_000
_END: Final = 0xFFFF

# model id L | name offset:registers = what a 5 kW, 13.5 kWh battery at rest with 80 % shows | ...
_TABLE: Final = """
model 1 66 | Mn 2:16 = Test | Md 18:16 = Scripted | Vr 42:8 = v1.2 | SN 50:16 = SN-1
model 103 50 | I_W 14:1 = 0 | I_W_SF 15:1 = 0 | I_Hz 16:1 = 5000 | I_Hz_SF 17:1 = -2 | I_WH 24:2 = 100000
    I_WH_SF 26:1 = 0 | I_St 38:1 = 4 | I_Evt1 40:2 = 0
model 120 26 | WRtg 3:1 = 5000 | WRtg_SF 4:1 = 0 | N_WHRtg 19:1 = 1350 | N_WHRtg_SF 20:1 = 1
    MaxDisChaRte 25:1 = 5000 | MaxDisChaRte_SF 26:1 = 0
model 122 44 | PVConn 2:1 = 1 | StorConn 3:1 = 7 | ECPConn 4:1 = 1
model 124 24 | WChaMax 2:1 = 5000 | StorCtl_Mod 5:1 = 0 | MinRsvPct 7:1 = 500 | ChaState 8:1 = 8000
    InBatV 10:1 = 4000 | OutWRte 12:1 = 10000 | InWRte 13:1 = 10000 | RvrtTms 15:1 = 3600 | WChaMax_SF 18:1 = 0
    MinRsvPct_SF 21:1 = -2 | ChaState_SF 22:1 = -2 | InBatV_SF 24:1 = -1 | InOutWRte_SF 25:1 = -2
model 701 153 | St 3:1 = 1 | InvSt 4:1 = 3 | ConnSt 5:1 = 1 | Alrm 6:2 = 0 | DERMode 8:2 = 1 | W 10:1 = 0
    TotWhInj 19:4 = 100000 | TotWhAbs 23:4 = 120000 | W_SF 116:1 = 0 | TotWh_SF 120:1 = 0
model 702 50 | WMaxRtg 2:1 = 5000 | WChaRteMaxRtg 10:1 = 5000 | WDisChaRteMaxRtg 11:1 = 5000 | WMax 26:1 = 5000
    WChaRteMax 34:1 = 5000 | WDisChaRteMax 35:1 = 5000 | 702_SF 45:1 = 0
model 704 65 | WSetEna 22:1 = 0 | WSetMod 23:1 = 0 | WSet 24:2 = 0 | WSetRvrt 26:2 = 0 | WSetEnaRvrt 30:1 = 0
    WSetRvrtTms 31:2 = 0 | WSetRvrtRem 33:2 = 0 | WSet_SF 55:1 = 0
model 713 7 | WHRtg 2:1 = 13500 | SoC 4:1 = 8000 | SoH 5:1 = 9900 | Sta 6:1 = 0 | WH_SF 7:1 = 0
    Pct_SF 8:1 = -2
model 714 68 | NPrt 4:1 = 1 | DCA_SF 15:1 = -2 | DCV_SF 16:1 = -1 | DCW_SF 17:1 = 0 | DCWH_SF 18:1 = 0
    PrtTyp 20:1 = 1 | DCA 30:1 = 0 | DCV 31:1 = 4000 | DCW 32:1 = 0 | DCWhInj 33:4 = 110000
    DCWhAbs 37:4 = 115000 | PrtTyp2 45:1
model 802 62 | B_WHRtg 3:1 = 13500 | SoCMin 8:1 = 500 | SoCRsvMin 10:1 = 1000 | B_SoC 11:1 = 8000
    B_SoH 13:1 = 9900 | NCyc 14:2 = 120 | LocRemCtl 17:1 = 0 | State 22:1 = 3 | Evt1 26:2 = 0 | V 34:1 = 4000
    AChaMax 45:1 = 2000 | ADisChaMax 46:1 = 2000 | B_WHRtg_SF 53:1 = 0 | SoC_SF 56:1 = -2 | SoH_SF 58:1 = -2
    V_SF 59:1 = -1 | AMax_SF 62:1 = -2
model 803 58 | ModTmpMax 4:1 = 225 | ModTmpMin 7:1 = 205 | ModTmp_SF 23:1 = -1
"""


class _Point(NamedTuple):
    model: int
    offset: int
    words: int
    rest: int | str | None


def _read_table() -> tuple[dict[int, int], dict[str, _Point]]:
    lengths: dict[int, int] = {}
    points: dict[str, _Point] = {}
    model = 0
    for item in _TABLE.replace("\n", "|").split("|"):
        words = item.split()
        if words[:1] == ["model"]:
            model = int(words[1])
            lengths[model] = int(words[2])
        elif words:
            offset, size = words[1].split(":")
            rest = words[3] if len(words) > 2 else None
            number = rest if rest is None or rest[0].isalpha() else int(rest)
            points[words[0]] = _Point(model, int(offset), int(size), number)
    return lengths, points


_LENGTHS, _NAMES = _read_table()
_PROFILES: Final = {
    "704": (1, 701, 702, 704, 713, 714, 802, 803),
    "124": (1, 103, 120, 124, 802, 803),
    "124pv": (1, 103, 120, 122, 124),
}


class ScriptedBattery(FakeModbus):
    """The device; `timer` False makes the revert timer stand still at what was written."""

    def __init__(self, profile: str = "704", *, base: int = BASE, unit: int = 1) -> None:
        super().__init__(unit=unit)
        self.timer = True
        self.places: dict[int, int] = {}
        self._deadline_s: float | None = None
        self.hold(base, (0x5375, 0x6E53))
        address = base + 2
        for model in _PROFILES[profile]:
            self.places[model] = address
            self.hold(address, (model, _LENGTHS[model], *([0xFFFF] * _LENGTHS[model])))
            address += 2 + _LENGTHS[model]
        self.hold(address, (_END, 0))
        for name, point in _NAMES.items():
            if point.model in self.places and point.rest is not None:
                self.poke(name, point.rest)
        self.on_write = self._written
        self.before_read = self._run_timer

    def where(self, name: str) -> int:
        """Return the wire address of a point."""
        return self.places[_NAMES[name].model] + _NAMES[name].offset

    def has(self, name: str) -> bool:
        """Whether the device has a point."""
        return _NAMES[name].model in self.places

    def poke(self, name: str, value: int | str) -> None:
        """Set a point's raw registers; text is padded with NUL, negative numbers are two's complement."""
        words = _NAMES[name].words
        if isinstance(value, str):
            number = int.from_bytes(value.encode().ljust(2 * words, b"\0"), "big")
        else:
            number = value % (1 << 16 * words)
        self.hold(self.where(name), [number >> shift & 0xFFFF for shift in range(16 * words - 16, -1, -16)])

    def peek(self, name: str) -> int:
        """Return a point's raw registers as a signed number."""
        words = _NAMES[name].words
        number = 0
        for address in range(self.where(name), self.where(name) + words):
            number = number << 16 | self.registers[address]
        return number - (1 << 16 * words) if number >> (16 * words - 1) else number

    def named_writes(self) -> list[tuple[str, int]]:
        """Return the accepted writes in order as (name, signed raw number)."""
        names = {self.where(name): name for name, point in _NAMES.items() if point.model in self.places}
        out = []
        for address, values in self.writes:
            number = 0
            for value in values:
                number = number << 16 | value
            bits = 16 * len(values)
            out.append((names.get(address, str(address)), number - (1 << bits) if number >> (bits - 1) else number))
        return out

    @property
    def target_w(self) -> int | None:
        """Return the discharge target in W (<= 0) that the registers order, None under own control."""
        if 704 in self.places:
            return -self.peek("WSet") if self.peek("WSetEna") == 1 else None
        return self.peek("InWRte") * 5_000 // 10_000 if self.peek("StorCtl_Mod") == 1 else None

    def _written(self, address: int, _values: tuple[int, ...]) -> None:
        if 704 in self.places and address in (self.where("WSet"), self.where("WSetRvrtTms"), self.where("WSetEna")):
            self.poke("WSetRvrtRem", self.peek("WSetRvrtTms"))
            self._deadline_s = asyncio.get_running_loop().time() + self.peek("WSetRvrtTms")

    def _run_timer(self) -> None:
        if not self.timer or self._deadline_s is None or 704 not in self.places or not self.peek("WSetEna"):
            return
        left_s = self._deadline_s - asyncio.get_running_loop().time()
        self.poke("WSetRvrtRem", max(0, round(left_s + 0.499)))
        if left_s <= 0:
            self.poke("WSetEna", self.peek("WSetEnaRvrt"))
            self._deadline_s = None
