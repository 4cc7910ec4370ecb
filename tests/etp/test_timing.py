"""The table of priorities and limits, its short forms, and the page that documents it."""

from __future__ import annotations

from pathlib import Path

from etp.messages import MessageType
from etp.timing import HEARD_BY, LIMIT_MS, PRIORITY, SHORTEST_LIMIT_MS, TIMINGS, WHEN_LATE, Lateness, Role

PAGE = Path(__file__).parents[2] / "docs" / "etp.md"


def test_every_type_has_its_row_and_its_short_forms() -> None:
    assert list(TIMINGS) == list(MessageType)
    for kind, row in TIMINGS.items():
        assert (PRIORITY[kind], LIMIT_MS[kind], WHEN_LATE[kind]) == (row.priority, row.limit_ms, row.when_late)
    assert SHORTEST_LIMIT_MS == LIMIT_MS[MessageType.DEVICE_FAILURE] == 200


def test_only_an_accept_is_taken_back_when_late() -> None:
    assert [kind for kind in MessageType if WHEN_LATE[kind] is Lateness.REFUSE] == [MessageType.BID_ACCEPT]


def test_who_hears_what() -> None:
    assert HEARD_BY[Role.BATTERY] == {0, 1, 3, 5, 7, 9}
    assert HEARD_BY[Role.AGGREGATOR] == {0, 2, 4, 6, 7, 8, 9}


def test_the_page_has_the_same_table() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text().partition("\n## Messages\n")[2].partition("\n## ")[0].splitlines()
        if line.startswith("| ") and line[2].isdigit()
    ]
    table = [
        [
            str(int(kind)),
            row.name,
            "either" if len(row.senders) == 2 else next(iter(row.senders)).value,
            row.cast,
            str(row.priority),
            str(row.limit_ms),
            row.when_late.value,
        ]
        for kind, row in TIMINGS.items()
    ]
    assert rows == table
