"""docs/program.md names all there is: accounts, instructions, events and refusals, as the schema says them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from settlement.program import schema

if TYPE_CHECKING:
    from settlement.program.layout import Account, Call, Event

PAGE = (Path(__file__).parents[3] / "docs" / "program.md").read_text()
BY = {True: "instruction", False: "log line"}
ROWS = {
    **{account.name: f"| `{account.name}` | {account.size} |" for account in schema.ACCOUNTS},
    **{call.name: f"| `{call.name}` |" for call in schema.CALLS},
    **{
        event.name: f"| `{event.name}` | {'instruction' if event.is_money else 'log line'} |" for event in schema.EVENTS
    },
    **{failure.name: f"| {failure.number} | `{failure.name}` | {failure.text} |" for failure in schema.FAILURES},
}


@pytest.mark.parametrize("name", ROWS)
def test_the_page_has_a_row_for_it(name: str) -> None:
    assert ROWS[name] in PAGE


@pytest.mark.parametrize("one", [*schema.ACCOUNTS, *schema.CALLS, *schema.EVENTS], ids=lambda one: one.name)
def test_the_page_says_what_the_schema_says(one: Account | Call | Event) -> None:
    assert one.text in PAGE
