"""What stands in the SunSpec models that only old devices show: 103, 120 and 124, as point name -> raw number."""

from __future__ import annotations

from typing import Final

from drivers.sim.readings import scaled
from drivers.sim.view import Values, View, charge_status, inverter_alarms, inverter_state

_PV_AND_STORAGE: Final = 82


def inverter(view: View) -> Values:
    """Model 103: a three-phase inverter as old devices show it; WH counts discharge only."""
    reading, amp = view.reading, abs(view.reading.ac_power_w) / 230.0
    phase, volts = scaled(amp / 3, view.scales.amp), scaled(reading.ac_volt, -1)
    return {
        "A": scaled(amp, view.scales.amp),
        "AphA": phase,
        "AphB": phase,
        "AphC": phase,
        "A_SF": view.scales.amp,
        "PhVphA": volts,
        "PhVphB": volts,
        "PhVphC": volts,
        "V_SF": -1,
        "W": view.power(reading.ac_power_w),
        "W_SF": view.scales.power,
        "Hz": scaled(reading.hertz, -2),
        "Hz_SF": -2,
        "WH": reading.discharged_wh & 0xFFFFFFFF,
        "WH_SF": 0,
        "DCV": scaled(reading.volt, view.scales.volt),
        "DCV_SF": view.scales.volt,
        "DCW": view.power(reading.dc_power_w),
        "DCW_SF": view.scales.power,
        "TmpCab": scaled(reading.cabinet_c, -1),
        "Tmp_SF": -1,
        "St": inverter_state(view) + 1,
        "Evt1": inverter_alarms(view.model),
        "Evt2": 0,
    }


def nameplate(view: View) -> Values:
    """Model 120: ratings of an old device."""
    config, power = view.model.config, view.power(view.model.config.rated_power_w)
    return {
        "DERTyp": _PV_AND_STORAGE,
        "WRtg": power,
        "WRtg_SF": view.scales.power,
        "VARtg": power,
        "VARtg_SF": view.scales.power,
        "WHRtg": scaled(config.capacity_wh, view.scales.energy),
        "WHRtg_SF": view.scales.energy,
        "AhrRtg": scaled(config.capacity_wh * 1_000 / config.nominal_voltage_mv, view.scales.charge),
        "AhrRtg_SF": view.scales.charge,
        "MaxChaRte": power,
        "MaxChaRte_SF": view.scales.power,
        "MaxDisChaRte": power,
        "MaxDisChaRte_SF": view.scales.power,
    }


def storage(view: View) -> Values:
    """Model 124: rates, reserve and state of charge of an old device."""
    config, settings = view.model.config, view.settings.values()
    above = max(0.0, view.reading.soc - view.model.reserve) * config.capacity_wh * 1_000 / config.nominal_voltage_mv
    return {
        "WChaMax": view.power(config.rated_power_w),
        "WChaGra": 100,
        "WDisChaGra": 100,
        **view.controls.values(view.now_ms),
        "MinRsvPct": settings["MinRsvPct"],
        "ChaState": scaled(view.reading.soc * 100, -2),
        "StorAval": scaled(above, view.scales.charge),
        "InBatV": scaled(view.reading.volt, view.scales.volt),
        "ChaSt": charge_status(view),
        "WChaMax_SF": view.scales.power,
        "WChaDisChaGra_SF": 0,
        "MinRsvPct_SF": -2,
        "ChaState_SF": -2,
        "StorAval_SF": view.scales.charge,
        "InBatV_SF": view.scales.volt,
        "InOutWRte_SF": -2,
    }
