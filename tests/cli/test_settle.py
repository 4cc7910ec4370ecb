"""`wattbid trades` and `wattbid settle`: read beside whoever runs, in words and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from agent.journal_file import JournalFile, row_of
from agent.records import Kind
from settlement import to_base58
from settlement.bundle import Bundle
from settlement.evidence import Recorder, Sample
from settlement.outbox_file import OutboxFile
from settlement.outbox_records import Attempt, Outcome, TradeRecord
from settlement.settler_types import Stage
from tests.settlement.settler.cheques import numbered, with_final

if TYPE_CHECKING:
    from pathlib import Path

WATTBID = [sys.executable, "-c", "from cli.main import main; main()"]
ADDRESS = to_base58(bytes([4]) * 32)
SETTLEMENT = f"""
[settlement]
rpc = ["http://127.0.0.1:1"]
program_id = "{ADDRESS}"
genesis = "{to_base58(bytes([5]) * 32)}"
mint = "{to_base58(bytes([6]) * 32)}"
resolver = "{to_base58(bytes([9]) * 32)}"
"""
CONFIG = f"""
name = "buyer"
root_file = "root"
[network]
peers = "signed"
trusted_peers = "any"
[buy]
need_kwh = 1
[value]
forecast_c = {[30] * 24}
[strategy]
name = "truthful"
"""
SIGNATURE = bytes(range(64))


def ran(*arguments: str | Path, status: int = 0) -> str:
    """Run a command; return what it said on the stream that its status calls for."""
    done = subprocess.run([*WATTBID, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == status, done.stderr
    return done.stderr if status else done.stdout


def rows(*arguments: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran(*arguments, "--json").splitlines()]


class Place:
    """A buyer's file, with a settled trade, one that waits, and one on its way."""

    def __init__(self, directory: Path) -> None:
        self.config = directory / "buyer.toml"
        self.config.write_text(CONFIG + SETTLEMENT)
        self.outbox = directory / "outbox.db"
        cheques = [with_final(numbered(number, "buyer"), 2_000, cosigned=True) for number in (1, 2, 3)]
        split = cheques[0].contract.split(2_000)
        outcome = Outcome(
            delivered_wh=2_000,
            payout=split.payout,
            fee=split.fee,
            returned=split.returned,
            unpaid=0,
            how="co-signed",
            signature=SIGNATURE,
        )
        self.settled = TradeRecord(cheque=cheques[0], stage=Stage.SETTLED, outcome=outcome)
        self.stuck = TradeRecord(cheque=cheques[1], problem="settle: the escrow holds less than this needs (6016)")
        self.sent = TradeRecord(cheque=cheques[2], stage=Stage.SETTLING, signature=SIGNATURE)
        attempt = Attempt(
            seq=1,
            subject=self.sent.trade_id,
            action="settle",
            number=1,
            transaction=b"bytes",
            signature=SIGNATURE,
            blockhash=bytes(32),
            last_valid_block_height=900,
            slot=700,
            price=0,
        )
        self.file = OutboxFile.open(self.outbox)
        self.file.write([self.stuck, self.sent, attempt, self.settled])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_trades_are_listed_while_their_settler_runs(place: Place) -> None:
    found = rows("trades", "--config", place.config)
    assert [row["trade_id"] for row in found] == [
        one.trade_id.hex() for one in (place.settled, place.sent, place.stuck)
    ]
    first = found[0]
    split = place.settled.cheque.contract.split(2_000)
    assert (first["payout"], first["fee"], first["returned"]) == tuple(split)
    assert first["payout"] + first["fee"] + first["returned"] == first["reserve"]
    assert (first["stage"], first["how"], first["signature"]) == ("settled", "co-signed", to_base58(SIGNATURE))
    told = ran("trades", "--config", place.config, "--limit", "1")
    assert told == (
        f"{place.settled.trade_id.hex()[:16]} buyer: settled (co-signed), 2000 of 2500 Wh at 25.13 c/kWh, "
        f"paid 50.26 c, {to_base58(SIGNATURE)}\n"
    )


def test_status_says_how_many_are_how_far_and_what_is_in_the_way(place: Place) -> None:
    (found,) = rows("settle", "status", "--config", place.config)
    assert found["stages"] == {"settled": 1, "settling": 1, "waiting": 1}
    split = place.stuck.cheque.contract.split(2_000)
    assert (found["open_cheques"], found["open_units"]) == (2, 2 * (split.payout + split.fee))
    assert found["uncashed"] == 2 * place.stuck.cheque.contract.reserve
    assert (found["ledger"]["reached"], found["ledger"]["state"]) == (False, None)
    assert [one["url"] for one in found["ledger"]["endpoints"]] == ["http://127.0.0.1:1"]
    assert [one["signature"] for one in found["in_flight"]] == [to_base58(SIGNATURE)]
    told = ran("settle", "status", "--config", place.config)
    assert "buyer: 1 settled, 1 settling, 1 waiting; 2 open cheques up to 101.02 c" in told
    assert f"{place.stuck.trade_id.hex()[:16]} waiting: settle: the escrow holds less" in told
    assert "the ledger cannot be reached: http://127.0.0.1:1 (" in told
    assert f"cheques wait in {place.outbox}" in told
    assert f"{place.sent.trade_id.hex()[:16]} settle sent, not final yet: {to_base58(SIGNATURE)}" in told


def test_trades_of_another_ledger_than_the_files_are_said_to_wait_for_it(place: Place) -> None:
    place.config.write_text(CONFIG + SETTLEMENT.replace(to_base58(bytes([5]) * 32), to_base58(bytes([7]) * 32)))
    told = ran("settle", "status", "--config", place.config)
    assert told.count("for another program, cluster or mint than the file names now") == 2
    found = {row["trade_id"]: row["problem"] for row in rows("trades", "--config", place.config)}
    assert found[place.settled.trade_id.hex()] is None
    assert "another program, cluster or mint" in found[place.sent.trade_id.hex()]


def test_a_retry_is_a_wish_that_the_settler_finds(place: Place) -> None:
    ran("settle", "retry", place.stuck.trade_id.hex()[:8], "--config", place.config)
    assert place.file.take_wishes() == (place.stuck.trade_id,)
    said = ran("settle", "retry", place.settled.trade_id.hex(), "--config", place.config, status=2)
    assert "is settled: there is nothing to try again" in said
    assert place.file.take_wishes() == ()


def test_an_export_holds_all_that_was_signed(place: Place, tmp_path: Path) -> None:
    bundle = Bundle.from_json(ran("settle", "export", place.settled.trade_id.hex(), "--config", place.config))
    assert bundle == Bundle(cheque=place.settled.cheque, stage="settled", signature=SIGNATURE)
    bundle.cheque.check()
    out = tmp_path / "bundle.json"
    ran("settle", "export", place.stuck.trade_id.hex(), "--config", place.config, "--out", out)
    assert Bundle.from_json(out.read_text()).signature is None
    assert "is there already" in ran(
        "settle", "export", place.stuck.trade_id.hex(), "--config", place.config, "--out", out, status=2
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["trades"], "name one file"),
        (["settle", "status"], "name one file"),
        (["settle", "retry", "xyz", "--config", "CONFIG"], "'xyz' is no beginning of a trade's id"),
        (["settle", "retry", "ab", "--config", "CONFIG"], "'ab' is no beginning of a trade's id"),
        (["settle", "export", "abcd", "--config", "CONFIG"], "no trade begins with abcd"),
        (["trades", "--config", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_what_cannot_be_meant_is_said_with_what_to_do(place: Place, arguments: list[str], problem: str) -> None:
    words = [str(place.config) if word == "CONFIG" else word for word in arguments]
    assert problem in ran(*words, status=2)


def test_without_an_outbox_nothing_was_settled_yet(tmp_path: Path) -> None:
    config = tmp_path / "buyer.toml"
    config.write_text(CONFIG + SETTLEMENT)
    assert ran("trades", "--config", config) == ""
    assert "no trade was settled yet" in ran("settle", "status", "--config", config)
    plain = tmp_path / "plain.toml"
    plain.write_text(CONFIG)
    assert "has no [settlement], so nothing is settled" in ran("trades", "--config", plain, status=2)


def test_a_damaged_outbox_is_said(place: Place) -> None:
    place.file.close()
    content = bytearray(place.outbox.read_bytes())
    at = content.index(b'"stage":"settled"')
    content[at + 9 : at + 16] = b"expired"
    place.outbox.write_bytes(bytes(content))
    assert "fails its checksum; move it away" in ran("trades", "--config", place.config, status=1)


def test_a_batterys_papers_come_with_its_samples(tmp_path: Path) -> None:
    """The site file names journal and outboxes; the samples are those of the journal, wherever they lie there."""
    site = tmp_path / "site.toml"
    site.write_text(
        f"""
[site]
name = "here"
lab = true
clock = "system"
[network]
peers = "signed"
trusted_peers = "any"
[storage]
directory = "data"
[[battery]]
name = "b1"
address = "127.0.0.1:5020"
unit = 1
port = 4084
reserve_c_per_kwh = 30.00
{SETTLEMENT}
"""
    )
    data = tmp_path / "data"
    record = TradeRecord(cheque=with_final(numbered(1), 2_000, cosigned=True), stage=Stage.SETTLED)
    file = OutboxFile.open(data / "b1-outbox.db")
    file.write([record])
    file.close()
    trade_id = record.trade_id.hex()
    recorder = Recorder(trade_id)
    recorder.add(Sample(power_w=-1_000, power_at_ms=5), ["other"])
    portion = recorder.take()
    body = {"trade_id": trade_id, "samples": b64encode(portion.samples).decode(), "shared": list(portion.shared)}
    journal = JournalFile.open(data / "journal.db", max_bytes=1 << 22)
    journal.write([row_of(1, "b1", Kind.EVIDENCE.value, 5, body)])
    journal.close()
    bundle = Bundle.from_json(ran("settle", "export", trade_id, "--site", site))
    assert bundle.evidence is not None
    assert bundle.evidence.portions == (portion.samples,)
    assert bundle.evidence.shared == ("other",)
    assert "holds nothing of trade" in ran("settle", "evidence", trade_id, "--site", site, status=2)
    assert rows("trades", "--site", site)[0]["party"] == "b1"
