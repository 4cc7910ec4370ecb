"""The buyer: decides what energy is worth, bids for it on many batteries at once, and confirms what it won.

Lives here: the forecast and what a kWh is worth, need and budget, strategies, the market view, the reputation of
batteries, the session with one battery (pure), the circuit breaker (pure), and in `pool`, `service` and `output` the
shell that dials, registers and writes events. Of settlement: who is paid and what a Line covers (`payer`), which
contracts and receipts are signed (`settling`, `consent`, `sight`), and in `cashier`, `cheque_file` and `till` the hands
that keep them and pass them on. Never here: anything that knows a battery's registers, its journal or the agent, or
that speaks to a ledger. Time is handed in (`now_ms` monotonic, `wall_ms` since the epoch), chance is handed in
(`Draws`). The simulator, the market studies and the command line may import it; it imports `etp` and `settlement`.
"""
