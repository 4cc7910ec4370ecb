"""The SunSpec models that the simulated battery serves, copied from the standard's model definitions.

Sources: SunSpec models 1, 103, 120, 124 (2012 information models), 701, 702, 704, 713, 714 (DER models, 2021/2022),
802, 803 (storage models). Offsets count from the model's id register (id = 0, L = 1). Only points whose writing has an
effect here are marked `rw`.
"""

from __future__ import annotations

from typing import Final

from drivers.sim.layout import Model, model

COMMON: Final = model(
    1,
    66,
    "2 Mn string:16 | 18 Md string:16 | 34 Opt string:8 | 42 Vr string:8 | 50 SN string:16 | 66 DA uint16 | 67 Pad pad",
)

INVERTER: Final = model(
    103,
    50,
    """2 A uint16 | 3 AphA uint16 | 4 AphB uint16 | 5 AphC uint16 | 6 A_SF sunssf
    7 PPVphAB uint16 | 8 PPVphBC uint16 | 9 PPVphCA uint16 | 10 PhVphA uint16 | 11 PhVphB uint16 | 12 PhVphC uint16
    13 V_SF sunssf | 14 W int16 | 15 W_SF sunssf | 16 Hz uint16 | 17 Hz_SF sunssf | 18 VA int16 | 19 VA_SF sunssf
    20 VAr int16 | 21 VAr_SF sunssf | 22 PF int16 | 23 PF_SF sunssf | 24 WH acc32 | 26 WH_SF sunssf
    27 DCA uint16 | 28 DCA_SF sunssf | 29 DCV uint16 | 30 DCV_SF sunssf | 31 DCW int16 | 32 DCW_SF sunssf
    33 TmpCab int16 | 34 TmpSnk int16 | 35 TmpTrns int16 | 36 TmpOt int16 | 37 Tmp_SF sunssf
    38 St enum16 | 39 StVnd enum16 | 40 Evt1 bitfield32 | 42 Evt2 bitfield32
    44 EvtVnd1 bitfield32 | 46 EvtVnd2 bitfield32 | 48 EvtVnd3 bitfield32 | 50 EvtVnd4 bitfield32""",
)

NAMEPLATE: Final = model(
    120,
    26,
    """2 DERTyp enum16 | 3 WRtg uint16 | 4 WRtg_SF sunssf | 5 VARtg uint16 | 6 VARtg_SF sunssf
    7 VArRtgQ1 int16 | 8 VArRtgQ2 int16 | 9 VArRtgQ3 int16 | 10 VArRtgQ4 int16 | 11 VArRtg_SF sunssf
    12 ARtg uint16 | 13 ARtg_SF sunssf | 14 PFRtgQ1 int16 | 15 PFRtgQ2 int16 | 16 PFRtgQ3 int16 | 17 PFRtgQ4 int16
    18 PFRtg_SF sunssf | 19 WHRtg uint16 | 20 WHRtg_SF sunssf | 21 AhrRtg uint16 | 22 AhrRtg_SF sunssf
    23 MaxChaRte uint16 | 24 MaxChaRte_SF sunssf | 25 MaxDisChaRte uint16 | 26 MaxDisChaRte_SF sunssf | 27 Pad pad""",
)

STORAGE: Final = model(
    124,
    24,
    """2 WChaMax uint16 | 3 WChaGra uint16 | 4 WDisChaGra uint16 | 5 StorCtl_Mod bitfield16 rw | 6 VAChaMax uint16
    7 MinRsvPct uint16 rw | 8 ChaState uint16 | 9 StorAval uint16 | 10 InBatV uint16 | 11 ChaSt enum16
    12 OutWRte int16 rw | 13 InWRte int16 rw | 14 InOutWRte_WinTms uint16 | 15 InOutWRte_RvrtTms uint16 rw
    16 InOutWRte_RmpTms uint16 | 17 ChaGriSet enum16 rw | 18 WChaMax_SF sunssf | 19 WChaDisChaGra_SF sunssf
    20 VAChaMax_SF sunssf | 21 MinRsvPct_SF sunssf | 22 ChaState_SF sunssf | 23 StorAval_SF sunssf
    24 InBatV_SF sunssf | 25 InOutWRte_SF sunssf""",
)


def _phase(number: int, first: int) -> str:
    names = (
        *(("W", "int16"), ("VA", "int16"), ("Var", "int16"), ("PF", "uint16"), ("A", "int16")),
        *(("VLL", "uint16"), ("V", "uint16")),
        *(("TotWhInj", "uint64"), ("TotWhAbs", "uint64"), ("TotVarhInj", "uint64"), ("TotVarhAbs", "uint64")),
    )
    items, offset = [], first
    for name, type_name in names:
        items.append(f"{offset} {name}L{number} {type_name}")
        offset += 4 if type_name == "uint64" else 1
    return " | ".join(items)


AC_MEASUREMENT: Final = model(
    701,
    153,
    f"""2 ACType enum16 | 3 St enum16 | 4 InvSt enum16 | 5 ConnSt enum16 | 6 Alrm bitfield32 | 8 DERMode bitfield32
    10 W int16 | 11 VA int16 | 12 Var int16 | 13 PF uint16 | 14 A int16 | 15 LLV uint16 | 16 LNV uint16 | 17 Hz uint32
    19 TotWhInj uint64 | 23 TotWhAbs uint64 | 27 TotVarhInj uint64 | 31 TotVarhAbs uint64
    35 TmpAmb int16 | 36 TmpCab int16 | 37 TmpSnk int16 | 38 TmpTrns int16 | 39 TmpSw int16 | 40 TmpOt int16
    {_phase(1, 41)}
    {_phase(2, 64)}
    {_phase(3, 87)}
    110 ThrotPct uint16 | 111 ThrotSrc bitfield32 | 113 A_SF sunssf | 114 V_SF sunssf | 115 Hz_SF sunssf
    116 W_SF sunssf | 117 PF_SF sunssf | 118 VA_SF sunssf | 119 Var_SF sunssf | 120 TotWh_SF sunssf
    121 TotVarh_SF sunssf | 122 Tmp_SF sunssf | 123 MnAlrmInfo string:32""",
)

CAPACITY: Final = model(
    702,
    50,
    """2 WMaxRtg uint16 | 3 WOvrExtRtg uint16 | 4 WOvrExtRtgPF uint16 | 5 WUndExtRtg uint16 | 6 WUndExtRtgPF uint16
    7 VAMaxRtg uint16 | 8 VarMaxInjRtg uint16 | 9 VarMaxAbsRtg uint16 | 10 WChaRteMaxRtg uint16
    11 WDisChaRteMaxRtg uint16 | 12 VAChaRteMaxRtg uint16 | 13 VADisChaRteMaxRtg uint16 | 14 VNomRtg uint16
    15 VMaxRtg uint16 | 16 VMinRtg uint16 | 17 AMaxRtg uint16 | 18 PFOvrExtRtg uint16 | 19 PFUndExtRtg uint16
    20 ReactSusceptRtg uint16 | 21 NorOpCatRtg enum16 | 22 AbnOpCatRtg enum16 | 23 CtrlModes bitfield32
    25 IntIslandCatRtg bitfield16 | 26 WMax uint16 rw | 27 WMaxOvrExt uint16 | 28 WOvrExtPF uint16
    29 WMaxUndExt uint16 | 30 WUndExtPF uint16 | 31 VAMax uint16 | 32 VarMaxInj uint16 | 33 VarMaxAbs uint16
    34 WChaRteMax uint16 rw | 35 WDisChaRteMax uint16 rw | 36 VAChaRteMax uint16 | 37 VADisChaRteMax uint16
    38 VNom uint16 | 39 VMax uint16 | 40 VMin uint16 | 41 AMax uint16 | 42 PFOvrExt uint16 | 43 PFUndExt uint16
    44 IntIslandCat bitfield16 | 45 W_SF sunssf | 46 PF_SF sunssf | 47 VA_SF sunssf | 48 Var_SF sunssf
    49 V_SF sunssf | 50 A_SF sunssf | 51 S_SF sunssf""",
)

AC_CONTROLS: Final = model(
    704,
    65,
    """2 PFWInjEna enum16 | 3 PFWInjEnaRvrt enum16 | 4 PFWInjRvrtTms uint32 | 6 PFWInjRvrtRem uint32
    8 PFWAbsEna enum16 | 9 PFWAbsEnaRvrt enum16 | 10 PFWAbsRvrtTms uint32 | 12 PFWAbsRvrtRem uint32
    14 WMaxLimPctEna enum16 rw | 15 WMaxLimPct uint16 rw | 16 WMaxLimPctRvrt uint16 rw
    17 WMaxLimPctEnaRvrt enum16 rw | 18 WMaxLimPctRvrtTms uint32 rw | 20 WMaxLimPctRvrtRem uint32
    22 WSetEna enum16 rw | 23 WSetMod enum16 rw | 24 WSet int32 rw | 26 WSetRvrt int32 rw | 28 WSetPct int16 rw
    29 WSetPctRvrt int16 rw | 30 WSetEnaRvrt enum16 rw | 31 WSetRvrtTms uint32 rw | 33 WSetRvrtRem uint32
    35 VarSetEna enum16 | 36 VarSetMod enum16 | 37 VarSetPri enum16 | 38 VarSet int32 | 40 VarSetRvrt int32
    42 VarSetPct int16 | 43 VarSetPctRvrt int16 | 44 VarSetEnaRvrt enum16 | 45 VarSetRvrtTms uint32
    47 VarSetRvrtRem uint32 | 49 WRmp uint16 | 50 WRmpRef enum16 | 51 VarRmp uint16 | 52 AntiIslEna enum16
    53 PF_SF sunssf | 54 WMaxLimPct_SF sunssf | 55 WSet_SF sunssf | 56 WSetPct_SF sunssf | 57 VarSet_SF sunssf
    58 VarSetPct_SF sunssf | 59 PFWInj_PF uint16 | 60 PFWInj_Ext enum16 | 61 PFWInjRvrt_PF uint16
    62 PFWInjRvrt_Ext enum16 | 63 PFWAbs_PF uint16 | 64 PFWAbs_Ext enum16 | 65 PFWAbsRvrt_PF uint16
    66 PFWAbsRvrt_Ext enum16""",
)

STORAGE_CAPACITY: Final = model(
    713,
    7,
    """2 WHRtg uint16 | 3 WHAvail uint16 | 4 SoC uint16 | 5 SoH uint16 | 6 Sta enum16 | 7 WH_SF sunssf
    8 Pct_SF sunssf""",
)

DC_MEASUREMENT: Final = model(
    714,
    43,
    """2 PrtAlrms bitfield32 | 4 NPrt uint16 | 5 DCA int16 | 6 DCW int16 | 7 DCWhInj uint64 | 11 DCWhAbs uint64
    15 A_SF sunssf | 16 V_SF sunssf | 17 W_SF sunssf | 18 WH_SF sunssf | 19 Tmp_SF sunssf
    20 PrtTyp enum16 | 21 PrtID uint16 | 22 PrtIDStr string:8 | 30 PrtDCA int16 | 31 PrtDCV uint16 | 32 PrtDCW int16
    33 PrtDCWhInj uint64 | 37 PrtDCWhAbs uint64 | 41 PrtTmp int16 | 42 PrtSta enum16 | 43 PrtAlrm bitfield32""",
)

BATTERY: Final = model(
    802,
    62,
    """2 AHRtg uint16 | 3 WHRtg uint16 | 4 WChaRteMax uint16 | 5 WDisChaRteMax uint16 | 6 DisChaRte uint16
    7 SoCMax uint16 | 8 SoCMin uint16 | 9 SocRsvMax uint16 rw | 10 SoCRsvMin uint16 rw | 11 SoC uint16 | 12 DoD uint16
    13 SoH uint16 | 14 NCyc uint32 | 16 ChaSt enum16 | 17 LocRemCtl enum16 | 18 Hb uint16 | 19 CtrlHb uint16 rw
    20 AlmRst uint16 rw | 21 Typ enum16 | 22 State enum16 | 23 StateVnd enum16 | 24 WarrDt uint32
    26 Evt1 bitfield32 | 28 Evt2 bitfield32 | 30 EvtVnd1 bitfield32 | 32 EvtVnd2 bitfield32
    34 V uint16 | 35 VMax uint16 | 36 VMin uint16 | 37 CellVMax uint16 | 38 CellVMaxStr uint16 | 39 CellVMaxMod uint16
    40 CellVMin uint16 | 41 CellVMinStr uint16 | 42 CellVMinMod uint16 | 43 CellVAvg uint16 | 44 A int16
    45 AChaMax uint16 | 46 ADisChaMax uint16 | 47 W int16 | 48 ReqInvState enum16 | 49 ReqW int16
    50 SetOp enum16 rw | 51 SetInvState enum16 rw | 52 AHRtg_SF sunssf | 53 WHRtg_SF sunssf
    54 WChaDisChaMax_SF sunssf | 55 DisChaRte_SF sunssf | 56 SoC_SF sunssf | 57 DoD_SF sunssf | 58 SoH_SF sunssf
    59 V_SF sunssf | 60 CellV_SF sunssf | 61 A_SF sunssf | 62 AMax_SF sunssf | 63 W_SF sunssf""",
)

LITHIUM_ION: Final = model(
    803,
    58,
    """2 NStr uint16 | 3 NStrCon uint16 | 4 ModTmpMax int16 | 5 ModTmpMaxStr uint16 | 6 ModTmpMaxMod uint16
    7 ModTmpMin int16 | 8 ModTmpMinStr uint16 | 9 ModTmpMinMod uint16 | 10 ModTmpAvg int16 | 11 StrVMax uint16
    12 StrVMaxStr uint16 | 13 StrVMin uint16 | 14 StrVMinStr uint16 | 15 StrVAvg uint16 | 16 StrAMax int16
    17 StrAMaxStr uint16 | 18 StrAMin int16 | 19 StrAMinStr uint16 | 20 StrAAvg int16 | 21 NCellBal uint16
    22 CellV_SF sunssf | 23 ModTmp_SF sunssf | 24 A_SF sunssf | 25 SoH_SF sunssf | 26 SoC_SF sunssf | 27 V_SF sunssf
    28 StrNMod uint16 | 29 StrSt bitfield32 | 31 StrConFail enum16 | 32 StrSoC uint16 | 33 StrSoH uint16
    34 StrA int16 | 35 StrCellVMax uint16 | 36 StrCellVMaxMod uint16 | 37 StrCellVMin uint16 | 38 StrCellVMinMod uint16
    39 StrCellVAvg uint16 | 40 StrModTmpMax int16 | 41 StrModTmpMaxMod uint16 | 42 StrModTmpMin int16
    43 StrModTmpMinMod uint16 | 44 StrModTmpAvg int16 | 45 StrDisRsn enum16 | 46 StrConSt bitfield32
    48 StrEvt1 bitfield32 | 50 StrEvt2 bitfield32 | 52 StrEvtVnd1 bitfield32 | 54 StrEvtVnd2 bitfield32
    56 StrSetEna enum16 | 57 StrSetCon enum16 | 58 Pad1 pad | 59 Pad2 pad""",
)

PROFILES: Final[dict[str, tuple[Model, ...]]] = {
    "704": (
        *(COMMON, AC_MEASUREMENT, CAPACITY, AC_CONTROLS, STORAGE_CAPACITY, DC_MEASUREMENT),
        *(BATTERY, LITHIUM_ION),
    ),
    "124": (COMMON, INVERTER, NAMEPLATE, STORAGE, BATTERY, LITHIUM_ION),
}
