"""The proof: does competition pay the owner more, and what does the auction rule itself do.

Lives here: the auction as a mechanism (values in, outcome out, on the production engine), draws and distributions of
values, the generator of spot prices, statistics and reports. Never here: a socket, a journal, a battery. It may import
`etp`, `uplink`, `agent.pricing`, `aggregator.strategies` and `simulation`; only the command line imports it.
"""
