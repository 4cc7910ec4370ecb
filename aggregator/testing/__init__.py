"""Stand-ins for tests and benchmarks of this room: a battery on real sockets, and a bench for one session.

Never here: anything that production code needs. Tests, benchmarks and the simulation may import it.
"""

from aggregator.testing.session_bench import SessionBench, make_buyer
from aggregator.testing.settled_battery import SettledBattery
from aggregator.testing.settler import StandInSettler
from aggregator.testing.stand_in import StandInBattery

__all__ = ["SessionBench", "SettledBattery", "StandInBattery", "StandInSettler", "make_buyer"]
