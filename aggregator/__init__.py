"""The buyer: decides what energy is worth, bids for it on many batteries at once, and confirms what it won.

Lives here: the forecast and what a kWh is worth, need and budget, strategies, the market view, the reputation of
batteries, the session with one battery (pure), the circuit breaker (pure), and in `pool`, `service` and `output` the
shell that dials, registers and writes events. Never here: anything that knows a battery's registers, a journal or the
agent. Time is handed in (`now_ms` monotonic, `wall_ms` since the epoch), chance is handed in (`Draws`). The simulator,
the market studies and the command line may import it; it imports `etp` and `settlement`.
"""
