"""How fast the product is: every figure beside its target, measured as a ratio or a tail in one run.

Lives here: the rows of `make bench`, their load generators, and the report. Never here: a timed test (a figure is
reported, not asserted), or code that a room needs. It may import every room; no room may import it.
"""
