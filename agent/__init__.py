"""The gateway process: sells the energy of 1..32 batteries, delivers it, and remembers what it promised.

Lives here: the site file, the trading desk, the journal, delivery and metering, pricing, supervision, logs, metrics and
the control socket. Never here: protocol rules (`etp`), registers (`drivers`), or anything that draws on a terminal.
Imports `etp`, `drivers` (never `drivers.sim`) and `settlement`; `cli`, `simulation` and the benchmarks import it.
"""
