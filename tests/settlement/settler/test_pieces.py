"""The settler's smaller parts: what nodes may say, what settings may be, how it keeps its patience."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement import Cheque, TermsError
from settlement.book import BACK_OFF_MAX_S, BACK_OFF_S, Book
from settlement.chain import COUNTERPARTS_MAX, Map
from settlement.errors import OutboxFullError
from settlement.failures import Cause, explain
from settlement.intake import WAITING_MAX
from settlement.keys import SeedKey
from settlement.lookup import outcome_in
from settlement.outbox_file import GIVEN_UP_MAX, RECENT_MAX
from settlement.outbox_records import TradeRecord
from settlement.program.failures import TEXTS, Failure
from settlement.reading import WATCHED_MAX
from settlement.rpc import Account
from settlement.rpc.answers import accounts_in, blockhash_in, fees_in, signatures_in, slot_in, statuses_in
from settlement.settler import open_settler
from settlement.settler_types import EndpointView, SettlerSettings, SettlerSnapshot, Stage
from tests.settlement.settler.cheques import numbered, with_final
from tests.settlement.terms import VENUE

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
GOOD: dict[str, Any] = {"role": "battery", "rpc": ("http://127.0.0.1:8899",), "venue": VENUE, "outbox": Path("o.db")}


@given(error=JSON, message=st.text(max_size=20))
def test_any_error_has_words(error: object, message: str) -> None:
    assert explain(error, message).text is not None


@pytest.mark.parametrize("failure", Failure)
def test_every_refusal_of_the_program_has_its_words(failure: Failure) -> None:
    found = explain({"InstructionError": [1, {"Custom": int(failure)}]})
    assert (found.cause, found.number) == (Cause.PROGRAM, failure)
    assert found.text == f"{TEXTS[failure]} ({int(failure)})"


@pytest.mark.parametrize(
    ("error", "cause", "text"),
    [
        ("AlreadyProcessed", Cause.DONE_ALREADY, "processed already"),
        ("BlockhashNotFound", Cause.OLD_HASH, "too old"),
        ("InsufficientFundsForFee", Cause.NO_SOL, "too little SOL"),
        ({"InsufficientFundsForRent": {"account_index": 0}}, Cause.NO_SOL, "less SOL than an account must hold"),
        ({"InstructionError": [1, {"Custom": 1}]}, Cause.OTHER, "too little money in a token account"),
        ({"InstructionError": [1, {"Custom": 99}]}, Cause.OTHER, "custom error 99"),
        ({"InstructionError": [1, {"Custom": True}]}, Cause.OTHER, "Custom"),
        ({"InstructionError": [1, "InvalidAccountData"]}, Cause.OTHER, "InvalidAccountData"),
        (None, Cause.OTHER, "the node does not say why"),
    ],
)
def test_other_errors_say_what_they_are(error: object, cause: Cause, text: str) -> None:
    found = explain(error)
    assert found.cause is cause
    assert text in found.text


@given(value=JSON)
def test_any_answer_is_read_or_refused(value: object) -> None:
    readers = (
        blockhash_in,
        fees_in,
        signatures_in,
        slot_in,
        lambda v: accounts_in(v, 1),
        lambda v: statuses_in(v, 1),
    )
    for read in readers:
        try:
            read(value)
        except ValueError:
            continue


@given(record=st.none() | st.dictionaries(st.sampled_from(["meta", "transaction", "slot"]), JSON))
def test_any_record_of_a_transaction_shows_an_end_or_none(record: dict[str, Any] | None) -> None:
    assert outcome_in(record, bytes(32), bytes(32), bytes(64)) is None


@given(meta=JSON)
def test_any_inner_instructions_show_an_end_or_none(meta: object) -> None:
    inner = {"err": None, "innerInstructions": [{"index": 0, "instructions": [meta]}, meta]}
    transaction = ["AQ" + "A" * 120, "base64"]
    assert outcome_in({"meta": inner, "transaction": transaction}, bytes(32), bytes(32), bytes(64)) is None


def test_an_account_is_exact_or_refused() -> None:
    good = {"lamports": 5, "owner": "1" * 32, "data": ["AAEC", "base64"], "executable": False, "rentEpoch": 0}
    found = accounts_in({"context": {"slot": 7}, "value": [good]}, 1)
    assert found.values == (Account(5, bytes(32), b"\0\1\2"),)
    for name, value in (
        ("lamports", -1),
        ("lamports", True),
        ("owner", "1" * 31),
        ("data", "AAEC"),
        ("data", ["AAEC", "base58"]),
        ("data", ["A*EC", "base64"]),
        ("data", ["A" * 100_000, "base64"]),
    ):
        with pytest.raises(ValueError, match=r".+"):
            accounts_in({"context": {"slot": 7}, "value": [{**good, name: value}]}, 1)
    with pytest.raises(ValueError, match="no list of 2"):
        accounts_in({"context": {"slot": 7}, "value": [good]}, 2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rpc", ()),
        ("rpc", tuple(f"http://{n}" for n in range(9))),
        ("rpc", ("http://a", "http://a")),
        ("rpc", ("ftp://a",)),
        ("rpc", ("http://",)),
        ("rpc", ("http://[::1",)),
        ("rpc", ("http://a:99999",)),
        ("role", "seller"),
        ("cosign_wait_s", -1),
        ("poll_s", -0.5),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(field: str, value: object) -> None:
    SettlerSettings(**GOOD)
    with pytest.raises(TermsError) as caught:
        SettlerSettings(**{**GOOD, field: value})
    assert caught.value.field == field


def test_a_snapshot_is_json() -> None:
    endpoint = EndpointView(url="http://a", is_ready=True, failures=0, latency_ms=5, slot=7)
    snapshot = SettlerSnapshot(
        state="connected",
        problem=None,
        endpoints=(endpoint,),
        wallet="w",
        lamports=5,
        tokens=None,
        low_sol=False,
        can_pay_claim=True,
        slot=7,
        chain_now_s=9,
        read_age_s=0.5,
        open_trades=0,
        in_flight=0,
        stages={"settled": 1},
    )
    assert json.loads(json.dumps(snapshot.as_json()))["endpoints"][0]["url"] == "http://a"


def test_the_book_counts_and_forgets_in_order() -> None:
    book = Book()
    for number in range(RECENT_MAX + 5):
        record = TradeRecord(cheque=_numbered(number))
        book.put(record, None)
        assert book.uncashed == record.cheque.contract.reserve
        book.put(replace(record, stage=Stage.SETTLED), record)
    assert book.stages == {"waiting": 0, "settled": RECENT_MAX + 5}
    assert len(book.recent) == RECENT_MAX
    assert book.uncashed == 0
    assert book.wallets() == []


def test_addresses_of_the_parties_asked_for_lately_are_remembered() -> None:
    atlas = Map("battery", bytes([1]) * 32, VENUE)
    first = atlas.counterpart(bytes([2]) * 32)
    for number in range(COUNTERPARTS_MAX - 1):
        atlas._counterparts[number.to_bytes(32, "big")] = first  # 4,096 searches would take half a second
    assert atlas.counterpart(bytes([2]) * 32) is first
    atlas.counterpart(bytes([3]) * 32)
    assert len(atlas._counterparts) == COUNTERPARTS_MAX
    assert atlas.counterpart(bytes([2]) * 32) is first
    assert bytes(32) not in atlas._counterparts


def test_the_book_keeps_the_newest_of_what_was_given_up() -> None:
    book = Book()
    for number in range(GIVEN_UP_MAX + 5):
        record = TradeRecord(cheque=_numbered(number))
        book.put(replace(record, stage=Stage.EXPIRED), None)
    assert len(book.given_up) == GIVEN_UP_MAX
    last = book.given_up[_numbered(GIVEN_UP_MAX + 4).trade_id]
    book.put(replace(last, stage=Stage.WAITING), last)
    assert last.trade_id not in book.given_up
    for number in range(RECENT_MAX):
        record = TradeRecord(cheque=_numbered(GIVEN_UP_MAX + 5 + number))
        book.put(replace(record, stage=Stage.SETTLED), None)
    unpaid = book.given_up[_numbered(GIVEN_UP_MAX + 3).trade_id]
    assert book.get(unpaid.trade_id) is unpaid
    assert book.has_open(last.cheque.contract.buyer_wallet)


@given(jitters=st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_patience_grows_to_an_hour_and_ends_with_success(jitters: list[float]) -> None:
    book, subject = Book(), bytes(32)
    for failures, jitter in enumerate(jitters, 1):
        wait_s = book.failed(subject, 100.0, jitter)
        assert 0.75 * min(BACK_OFF_MAX_S, BACK_OFF_S * 2.0 ** (failures - 1)) <= wait_s <= BACK_OFF_MAX_S
        assert not book.may_try(subject, 100.0)
        assert book.may_try(subject, 100.0 + wait_s)
    book.succeeded([subject])
    assert book.may_try(subject, 0.0)
    assert book.failures(subject) == 0


def test_only_so_many_cheques_wait_to_be_written(tmp_path: Path) -> None:
    settings = SettlerSettings(**{**GOOD, "outbox": tmp_path / "outbox.db"})
    settler = open_settler(settings, wallet=SeedKey(bytes([1]) * 32))
    for number in range(WAITING_MAX):
        settler.put(_numbered(number))
    settler.put(_numbered(5))
    with pytest.raises(OutboxFullError, match=r"10000 cheques wait for it; see why the disk does not take them"):
        settler.put(_numbered(WAITING_MAX))


def test_what_contradicts_what_was_just_handed_in_is_refused(tmp_path: Path) -> None:
    settings = SettlerSettings(**{**GOOD, "outbox": tmp_path / "outbox.db"})
    settler = open_settler(settings, wallet=SeedKey(bytes([1]) * 32))
    settler.put(with_final(_FIRST, 2_000, cosigned=False))
    with pytest.raises(TermsError, match="two different ones"):
        settler.put(with_final(_FIRST, 2_100, cosigned=False))


def test_only_so_many_lines_are_watched_and_only_wallets(tmp_path: Path) -> None:
    settings = SettlerSettings(**{**GOOD, "outbox": tmp_path / "outbox.db"})
    settler = open_settler(settings, wallet=SeedKey(bytes([1]) * 32))
    with pytest.raises(TermsError, match="3 bytes, not 32"):
        settler.watch(b"abc")
    for number in range(WATCHED_MAX):
        settler.watch(number.to_bytes(32, "little"))
    settler.watch(bytes(32))
    with pytest.raises(TermsError, match="1024 are watched already"):
        settler.watch(b"\xff" * 32)
    settler.unwatch(bytes(32))
    settler.watch(b"\xff" * 32)


_FIRST = numbered(1)


def _numbered(number: int) -> Cheque:
    """A cheque of another contract; its signatures are not looked at by a book."""
    return replace(_FIRST, contract=replace(_FIRST.contract, contract_no=number))
