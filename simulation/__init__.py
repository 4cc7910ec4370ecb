"""The production agent and aggregators in virtual time: hostile links, failing disks, crashes, drawn from one seed.

Lives here: a virtual-clock event loop, an in-memory network, a disk that loses power, a physics battery behind the
driver interface, the invariants that must hold after every step, and the trace that two runs of one seed share. Never
here: a second version of a trading rule; what is simulated is the production code. Only the command line imports it.
"""
