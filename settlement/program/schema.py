"""The one description of the program, in the order in which things stand on the chain; `generate` writes from it."""

from __future__ import annotations

from settlement.program.schema_accounts import ACCOUNTS
from settlement.program.schema_calls import CALLS
from settlement.program.schema_events import EVENTS, FAILURES

__all__ = ["ACCOUNTS", "CALLS", "EVENTS", "FAILURES"]
