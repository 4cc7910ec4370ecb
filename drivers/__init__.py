"""Batteries: what they say, whether to believe it, and how to command them.

Lives here: the device interface (`drivers.device`), declarations of device families and their loader, the poll planner,
plausibility rules, bus owners, SunSpec discovery, commands with dead-man and read-back; simulated devices in
`drivers.sim`. Never here: trading, journals, prices, or anything of `agent`. It imports nothing of ours; agent,
simulation and cli may import it. The agent never loads `drivers.sim`, `drivers.testing` or `pymodbus.server`.

Sign everywhere: positive power and current = charging.
"""
