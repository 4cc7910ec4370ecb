"""ETP, the Energy Trading Protocol: bytes, limits and auction rules as plain values.

Lives here: the body codec, frames, extensions, signatures, the sans-IO `Connection`, priorities and delay limits, the
auction rules, and discovery. Never here: a clock, a socket or randomness outside `etp.io`, or anything that knows a
battery, a journal or a ledger. Every other room may import it; it imports none of them.
"""
