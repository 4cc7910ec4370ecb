"""What `wattbid demo` is made of: a market of processes on this machine, the book of what happens, and its proofs.

Lives here: the scene (files for sites and buyers), the processes that play it, the collector that follows them, and in
pure modules the book, the metering, the invariants, the report and the view. Never here: a rule of trading, or a short
cut into a process that plays: everything is seen through the sockets and lines that anybody may use. Only `cli.demo`
and tests may import it.
"""
