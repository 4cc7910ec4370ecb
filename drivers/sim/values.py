"""What stands in each SunSpec model of the simulated battery: point name -> raw number.

One function a model, named after what the model is. Points left out show "not implemented".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drivers.sim.readings import scaled
from drivers.sim.values_old import inverter, nameplate, storage
from drivers.sim.view import (
    Values,
    View,
    bank_events,
    bank_state,
    charge_status,
    inverter_alarms,
    inverter_state,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_STORAGE_PORT: Final = 1
_LITHIUM_ION: Final = 4
_CELL_V: Final = 3.2
_CELL_SPREAD_C: Final = 1.5
# 702.CtrlModes: maximum power and fixed power are supported.
_CONTROL_MODES: Final = 0b11


def common(view: View) -> Values:
    """Model 1: who this is."""
    return {
        "Mn": "Wattbid",
        "Md": "Simulated battery",
        "Opt": f"profile {view.controls.model_id}",
        "Vr": "1.0",
        "SN": view.serial,
        "DA": view.unit,
    }


def ac_measurement(view: View) -> Values:
    """Model 701: the AC side, generation positive."""
    reading, running = view.reading, not view.model.switches.blocked()
    amp = abs(reading.ac_power_w) / 230.0
    return {
        "ACType": 0,
        "St": int(running),
        "InvSt": inverter_state(view),
        "DERMode": 1,
        "ConnSt": int(not view.model.switches.grid_lost),
        "Alrm": inverter_alarms(view.model),
        "W": view.power(reading.ac_power_w),
        "VA": view.power(abs(reading.ac_power_w)),
        "Var": 0,
        "A": scaled(amp, view.scales.amp),
        "LNV": scaled(reading.ac_volt, -1),
        "Hz": scaled(reading.hertz, -2),
        "TotWhInj": reading.discharged_wh,
        "TotWhAbs": reading.charged_wh,
        "TmpAmb": scaled(reading.ambient_c, -1),
        "TmpCab": scaled(reading.cabinet_c, -1),
        "A_SF": view.scales.amp,
        "V_SF": -1,
        "Hz_SF": -2,
        "W_SF": view.scales.power,
        "VA_SF": view.scales.power,
        "Var_SF": view.scales.power,
        "TotWh_SF": 0,
        "Tmp_SF": -1,
    }


def capacity(view: View) -> Values:
    """Model 702: power ratings and the settings that lower them."""
    rated = view.power(view.model.config.rated_power_w)
    settings = view.settings.values()
    return {
        **dict.fromkeys(("WMaxRtg", "VAMaxRtg", "WChaRteMaxRtg", "WDisChaRteMaxRtg", "VAMax"), rated),
        **{name: settings[name] for name in ("WMax", "WChaRteMax", "WDisChaRteMax")},
        "CtrlModes": _CONTROL_MODES,
        "VNomRtg": 2_300,
        "W_SF": view.scales.power,
        "VA_SF": view.scales.power,
        "V_SF": -1,
    }


def ac_controls(view: View) -> Values:
    """Model 704: what is commanded, and the time left."""
    sf = {"WMaxLimPct_SF": -2, "WSet_SF": 0, "WSetPct_SF": -2}
    return {**view.controls.values(view.now_ms), **sf}


def storage_capacity(view: View) -> Values:
    """Model 713: energy and state of charge."""
    model, scale = view.model, view.scales.energy
    alarm = model.switches.fault or model.over_temperature
    return {
        "WHRtg": scaled(model.config.capacity_wh, scale),
        "WHAvail": scaled(model.stored_wh, scale),
        "SoC": scaled(view.reading.soc * 100, -1),
        "SoH": 1_000,
        "Sta": 2 if alarm else int(model.hot_warning),
        "WH_SF": scale,
        "Pct_SF": -1,
    }


def dc_measurement(view: View) -> Values:
    """Model 714: one storage port, injection (discharge) positive."""
    reading, model = view.reading, view.model
    amp, watt = scaled(reading.amp, view.scales.amp), view.power(reading.dc_power_w)
    charged, discharged = reading.dc_charged_wh, reading.dc_discharged_wh
    state = 3 if model.switches.fault else 2 if model.hot_warning else int(not model.switches.blocked())
    return {
        "PrtAlrms": 0,
        "NPrt": 1,
        "DCA": amp,
        "DCW": watt,
        "DCWhInj": discharged,
        "DCWhAbs": charged,
        "A_SF": view.scales.amp,
        "V_SF": view.scales.volt,
        "W_SF": view.scales.power,
        "WH_SF": 0,
        "Tmp_SF": -1,
        "PrtTyp": _STORAGE_PORT,
        "PrtID": 1,
        "PrtIDStr": "battery",
        "PrtDCA": amp,
        "PrtDCW": watt,
        "PrtDCV": scaled(reading.volt, view.scales.volt),
        "PrtDCWhInj": discharged,
        "PrtDCWhAbs": charged,
        "PrtTmp": scaled(reading.cell_c, -1),
        "PrtSta": state,
        "PrtAlrm": 0,
    }


def battery(view: View) -> Values:
    """Model 802: the battery bank; W and A positive while discharging."""
    model, reading, scales = view.model, view.reading, view.scales
    config, limits, settings = model.config, model.limits(), view.settings.values()
    nominal_v = config.nominal_voltage_mv / 1_000
    soc = scaled(reading.soc * 100, -1)
    cells = nominal_v / _CELL_V
    cell_mv = round(reading.volt / cells * 1_000)
    return {
        "AHRtg": scaled(config.capacity_wh / nominal_v, scales.charge),
        "WHRtg": scaled(config.capacity_wh, scales.energy),
        **dict.fromkeys(("WChaRteMax", "WDisChaRteMax"), view.power(config.rated_power_w)),
        "SoCMax": config.soc_max_permille,
        "SoCMin": config.soc_min_permille,
        **{name: settings[name] for name in ("SocRsvMax", "SoCRsvMin", "CtrlHb", "AlmRst", "SetOp", "SetInvState")},
        "SoC": soc,
        "DoD": 1_000 - soc,
        "SoH": 1_000,
        "NCyc": reading.cycles,
        "ChaSt": charge_status(view),
        "LocRemCtl": int(view.local),
        "Hb": reading.heartbeat,
        "Typ": _LITHIUM_ION,
        "State": bank_state(model),
        "Evt1": bank_events(model),
        "Evt2": 0,
        "EvtVnd1": 0,
        "EvtVnd2": 0,
        "V": scaled(reading.volt, scales.volt),
        "VMax": scaled(nominal_v * 1.15, scales.volt),
        "VMin": scaled(nominal_v * 0.85, scales.volt),
        "CellVMax": cell_mv + 4,
        "CellVMin": cell_mv - 4,
        "CellVAvg": cell_mv,
        "A": scaled(reading.amp, scales.amp),
        "AChaMax": scaled(limits.charge_w / nominal_v, scales.amp),
        "ADisChaMax": scaled(limits.discharge_w / config.discharge_efficiency / nominal_v, scales.amp),
        "W": view.power(reading.dc_power_w),
        "ReqInvState": 0,
        "AHRtg_SF": scales.charge,
        "WHRtg_SF": scales.energy,
        "WChaDisChaMax_SF": scales.power,
        "SoC_SF": -1,
        "DoD_SF": -1,
        "SoH_SF": -1,
        "V_SF": scales.volt,
        "CellV_SF": -3,
        "A_SF": scales.amp,
        "AMax_SF": scales.amp,
        "W_SF": scales.power,
    }


def lithium_ion(view: View) -> Values:
    """Model 803: one string with its module temperatures."""
    reading, scales = view.reading, view.scales
    warm, cold = scaled(reading.cell_c + _CELL_SPREAD_C, -1), scaled(reading.cell_c - _CELL_SPREAD_C, -1)
    volt, amp = scaled(reading.volt, scales.volt), scaled(reading.amp, scales.amp)
    cell_mv = round(reading.volt / (view.model.config.nominal_voltage_mv / 1_000 / _CELL_V) * 1_000)
    closed = int(not view.model.switches.disconnected)
    return {
        "NStr": 1,
        "NStrCon": closed,
        "ModTmpMax": warm,
        "ModTmpMin": cold,
        "ModTmpAvg": scaled(reading.cell_c, -1),
        "StrVMax": volt,
        "StrVMin": volt,
        "StrVAvg": volt,
        "StrAMax": amp,
        "StrAMin": amp,
        "StrAAvg": amp,
        "NCellBal": 0,
        "CellV_SF": -3,
        "ModTmp_SF": -1,
        "A_SF": scales.amp,
        "SoH_SF": -1,
        "SoC_SF": -1,
        "V_SF": scales.volt,
        "StrNMod": 4,
        "StrSt": 1 | closed << 1,
        "StrConFail": 0,
        "StrSoC": scaled(reading.soc * 100, -1),
        "StrSoH": 1_000,
        "StrA": amp,
        "StrCellVMax": cell_mv + 4,
        "StrCellVMin": cell_mv - 4,
        "StrCellVAvg": cell_mv,
        "StrModTmpMax": warm,
        "StrModTmpMin": cold,
        "StrModTmpAvg": scaled(reading.cell_c, -1),
        "StrDisRsn": 0,
        "StrConSt": closed,
        "StrEvt1": bank_events(view.model),
        "StrEvt2": 0,
        "StrEvtVnd1": 0,
        "StrEvtVnd2": 0,
    }


VALUES: Final[dict[int, Callable[[View], Values]]] = {
    1: common,
    103: inverter,
    120: nameplate,
    124: storage,
    701: ac_measurement,
    702: capacity,
    704: ac_controls,
    713: storage_capacity,
    714: dc_measurement,
    802: battery,
    803: lithium_ion,
}
