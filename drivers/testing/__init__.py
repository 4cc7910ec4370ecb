"""Parts for testing drivers: a scripted Modbus TCP device, a scripted SunSpec battery, and the suite any driver passes.

Lives here: typed fakes on real sockets, with a codec of their own (never pymodbus, never a family file). Never here:
physics, which `drivers.sim` has. Tests, benches and the rig import it; the agent never does.
"""

from drivers.testing.modbus import FakeModbus, Request
from drivers.testing.suite import Rig, check_driver, running, until
from drivers.testing.sunspec import ScriptedBattery

__all__ = ["FakeModbus", "Request", "Rig", "ScriptedBattery", "check_driver", "running", "until"]
