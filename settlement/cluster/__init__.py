"""What anybody may do on any cluster: land transactions, deploy the program, make it and its parties ready.

Lives here: the lander of single transactions, the client of the upgradeable loader, Config, mints, Participants and
Lines as an operator makes them, and how a validator writes token accounts and errors. Never here: trades and their
outbox, or the embedded ledger, which is one more cluster to all of this. `settlement`, `cli`, `simulation` and tests
may import it.
"""
