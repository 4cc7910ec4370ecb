"""docs/settling.md says what the settler really does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from settlement import actions, dispatch, flights, intake, outbox_file, progress, reading
from settlement.book import BACK_OFF_MAX_S, BACK_OFF_S
from settlement.lines import NUMBERS
from settlement.program.failures import TEXTS, Failure
from settlement.rpc import health
from settlement.rpc.client import BROADCAST, ENDPOINTS_MAX
from settlement.rpc.envelope import RETRY_AFTER_MAX_S
from settlement.settler_types import LOW_LAMPORTS, EventKind, Stage

PAGE = (Path(__file__).parents[3] / "docs" / "settling.md").read_text()


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_is_explained(stage: Stage) -> None:
    assert re.search(rf"^\| [`a-z, ]*`{stage.value}`", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("kind", EventKind)
def test_every_event_is_named(kind: EventKind) -> None:
    assert f"`{kind.value}`" in PAGE


@pytest.mark.parametrize(
    ("what", "number"),
    [
        ("cheques that may wait to be written", intake.WAITING_MAX),
        ("open trades of one settler", outbox_file.OPEN_MAX),
        ("trades that are over and stay on record", outbox_file.DONE_MAX),
        ("attempts kept of one trade", outbox_file.ATTEMPTS_MAX),
        ("Lines that are watched", reading.WATCHED_MAX),
        ("transactions under way at once", dispatch.FLIGHTS_MAX),
        ("trades that ended unpaid and are looked at again", outbox_file.GIVEN_UP_MAX),
    ],
)
def test_the_limits_are_those_of_the_code(what: str, number: int) -> None:
    assert f"| {what} | {number:,} |" in PAGE


def test_the_numbers_in_the_text_are_those_of_the_code() -> None:
    assert outbox_file.FILE_BYTES_MAX == 256 << 20
    assert (flights.RESEND_S, BROADCAST, ENDPOINTS_MAX) == (2.0, 2, 8)
    assert (health.FAILURES_MAX, health.BACK_OFF_S, health.BACK_OFF_MAX_S, health.FOREIGN_S) == (3, 1.0, 60.0, 300.0)
    assert (RETRY_AFTER_MAX_S, BACK_OFF_S, BACK_OFF_MAX_S) == (600.0, 5.0, 3_600.0)
    assert (progress.FINALIZE_LATE_S, progress.EXPIRE_MARGIN_S) == (3_600, 3_600)
    assert (reading.GIVEN_UP_S, reading.LOOK_AGAIN_S) == (8 * 86_400, 60)
    assert (progress.VOID_BEHIND, NUMBERS) == (128, 256)
    assert LOW_LAMPORTS == 10_000_000
    assert f"{actions.TRADE_RENT_LAMPORTS:,}" in PAGE
    assert max(actions.UNITS.values()) * dispatch.PRICE_MAX // 10**6 == 80_000
    assert TEXTS[Failure.NOT_ENOUGH] in PAGE
