"""Every row runs, from its processes to its figures; what it measures in so short a time means nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench.__main__ import main
from bench.rows import ALL

if TYPE_CHECKING:
    from pathlib import Path

KEYS = {
    "codec": {"codec.round_trip_us", "codec.ratio_to_struct"},
    "pricing": {
        "pricing.loop_lag_p99_ms",
        "pricing.loop_lag_idle_p99_ms",
        "pricing.dp_ms",
        "pricing.ratio_to_textbook",
        "pricing.markup_ms",
    },
    "auction": {
        "auction.sealed_n2_per_s",
        "auction.sealed_n10_per_s",
        "auction.sealed_n2_ratio",
        "auction.sealed_first_n2_per_s",
        "auction.clock_n10_per_s",
        "auction.standing_displace_us",
        "auction.standing_wave_us",
    },
    "mechanism": {
        "mechanism.bid_events_n2_per_s",
        "mechanism.auctions_n10_per_s",
        "mechanism.sealed_n2_per_s",
        "mechanism.sealed_n10_per_s",
    },
    "winner": {"winner.worth_ms", "winner.best_subset_ms", "winner.step_ms", "winner.ratio_to_textbook"},
    "journal": {"journal.commitments_per_s", "journal.fdatasync_p99_ms", "journal.ratio_to_fdatasync"},
    "settlement": {
        "settlement.sign_contract_us",
        "settlement.sign_ratio_to_bare",
        "settlement.intents_per_s",
        "settlement.ledger_settles_per_s",
        "settlement.ledger_settles_http_per_s",
        "settlement.loop_lag_p99_ms",
    },
    "etp_server": {
        "etp_server.echo.cpu_us",
        "etp_server.refuse.ratio_to_echo",
        "etp_server.displace.ratio_to_echo",
        "etp_server.signed.messages_per_s",
        "etp_server.signed.late",
    },
    "open_loop": {
        "open_loop.unanswered_or_late",
        "open_loop.award_overhead_p99_ms",
        "open_loop.refusal_p99_ms",
        "open_loop.fdatasync_p99_ms",
    },
    "fan_out": {"fan_out.p50_ms", "fan_out.p99_ms"},
    "aggregator": {"aggregator.late_confirms", "aggregator.confirms_per_s"},
    "setpoint": {"setpoint.worst_ms"},
    "start": {"agent.start_s", "agent.idle_rss_mb", "agent.rss_ratio_to_imports"},
    "program": {
        *(f"program.{name}.cu_p99" for name in ("settle", "claim", "claim_prefunded", "dispute", "resolve", "deposit")),
        "program.settle.bytes",
        "program.claim.bytes",
        "program.elf_bytes",
    },
    "simulation": {"simulation.hours_per_minute"},
}


def test_every_row_is_tried_here() -> None:
    assert set(KEYS) == set(ALL)


@pytest.mark.slow
@pytest.mark.parametrize("row", ALL)
def test_a_row_gives_its_figures(row: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bench.json"
    main(["--quick", row, "--json", str(path)])
    flat = json.loads(path.read_text())
    assert KEYS[row] <= set(flat)
    shown = capsys.readouterr().out
    assert all(key in shown for key in KEYS[row])
    for key in flat:
        if key.endswith(".ok"):
            assert {key.removesuffix(".ok"), key.removesuffix(".ok") + ".target"} <= set(flat)


def test_an_unknown_row_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fast"])
    assert "unknown row fast" in capsys.readouterr().err
