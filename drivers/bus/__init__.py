"""Lines: the wires that batteries share, one owner task each.

Lives here: the owner (`line`), its reconnect delays, and the Modbus TCP transport. Never here: what registers mean.
Only this room uses it; `drivers.open` hands out lines by address so that batteries behind one gateway share theirs.
"""
