"""The journal of cheques on a real disk: what goes in comes back, and a file that must not be used says so."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.cheque_file import KEPT_S, ChequeFile
from aggregator.entries import Entry, Key, State
from aggregator.errors import ChequeFileError
from aggregator.testing.seller import BATTERY_KEYS, BUYER_KEYS, TERMS
from settlement.cheque import Cheque, SignedReceipt
from settlement.contract import Contract
from settlement.keys import device_id
from settlement.receipt import Receipt
from settlement.signing import sign_contract, sign_receipt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STARTS_S = 1_700_000_000
SIGNATURE = bytes([1]) * 64


def contract(bid_id: int = 7, **changes: int) -> Contract:
    ends_at_s = STARTS_S + 4_560
    times = {"starts_at_s": STARTS_S, "ends_at_s": ends_at_s, "valid_until_s": ends_at_s + 259_200}
    fields: dict[str, Any] = {"contract_no": 0, "energy_wh": 5_000, **times, **changes}
    return Contract(
        venue=TERMS.venue,
        battery_wallet=BATTERY_KEYS.public_keys["wallet"],
        buyer_wallet=BUYER_KEYS.public_keys["wallet"],
        generation=431,
        battery_device_id=device_id(BATTERY_KEYS.public_keys["identity"]),
        buyer_device_id=device_id(BUYER_KEYS.public_keys["identity"]),
        message_id=bid_id,
        price_e4=50_000,
        base_units_per_cent=10_000,
        fee_bps=50,
        dispute_window_s=86_400,
        resolver=TERMS.resolver,
        **fields,
    )


def entry(bid_id: int = 7, **changes: int) -> Entry:
    terms = contract(bid_id, **changes)
    cheque = Cheque(
        role="buyer",
        contract=terms,
        battery_key=BATTERY_KEYS.public_keys["identity"],
        buyer_key=BUYER_KEYS.public_keys["identity"],
        battery_signature=sign_contract(terms, BATTERY_KEYS.identity),
        buyer_signature=sign_contract(terms, BUYER_KEYS.identity),
    )
    at_ms = STARTS_S * 1_000
    return Entry(cheque=cheque, power_w=5_000, agreed_at_ms=at_ms, seen_at_ms=at_ms)


def signed(terms: Contract, wh: int, *, final: bool, both: bool = True) -> SignedReceipt:
    receipt = Receipt(
        trade_id=terms.trade_id,
        final=final,
        delivered_wh=wh,
        started_at_s=STARTS_S,
        ended_at_s=STARTS_S + 60,
        evidence=bytes(32),
    )
    return SignedReceipt(
        receipt=receipt,
        battery_signature=sign_receipt(receipt, terms, BATTERY_KEYS.identity),
        buyer_signature=sign_receipt(receipt, terms, BUYER_KEYS.identity) if both else None,
    )


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Iterator[ChequeFile]:
    file = ChequeFile.open(tmp_path / "cheques.db")
    yield file
    file.close()


def states() -> list[Entry]:
    terms = contract()
    open_ = entry()
    interim = open_.with_interim(signed(terms, 700, final=False))
    refused, own = signed(terms, 4_000, final=True, both=False), signed(terms, 900, final=True)
    return [
        open_,
        replace(open_, is_void=True),
        replace(interim, seen_wh=701, seen_at_ms=STARTS_S * 1_000 + 5, figure_wh=800),
        interim.agreed(signed(terms, 1_000, final=True)),
        interim.disagreed(refused, own, 900),
        open_.disagreed(refused, None, 900),
    ]


@pytest.mark.parametrize("at", range(len(states())))
def test_an_entry_comes_back_as_it_was(file: ChequeFile, tmp_path: Path, at: int) -> None:
    kept = states()[at]
    file.write(entry())
    file.write(kept)
    assert file.read(kept.key) == kept
    assert file.read_open(STARTS_S, 10) == [kept]
    assert file.read(Key(kept.key.battery, 8)) is None
    file.close()
    again = ChequeFile.open(tmp_path / "cheques.db")
    assert again.read(kept.key) == kept
    again.close()


def test_states_are_told_apart() -> None:
    assert [kept.state for kept in states()] == [
        State.OPEN,
        State.VOID,
        State.OPEN,
        State.AGREED,
        State.DISPUTED,
        State.UNSIGNED,
    ]


@given(
    wh=st.integers(0, (1 << 62)),
    bid_id=st.integers(0, (1 << 63) - 1),
    power_w=st.integers(1, 1 << 31),
    figure_wh=st.none() | st.integers(0, 1 << 32),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
def test_any_entry_comes_back(file: ChequeFile, wh: int, bid_id: int, power_w: int, figure_wh: int | None) -> None:
    file._connection.execute("DELETE FROM cheques")
    kept = replace(entry(bid_id), power_w=power_w, figure_wh=figure_wh)
    kept = kept.with_interim(signed(kept.contract, wh, final=False))
    file.write(kept)
    assert file.read(kept.key) == kept


def test_only_trades_that_can_still_be_claimed_are_read_and_the_latest_of_too_many(file: ChequeFile) -> None:
    for bid_id in range(5):
        later_s = 1_000 * bid_id
        file.write(entry(bid_id, valid_until_s=STARTS_S + 4_560 + 86_400 + later_s))
    first_s = STARTS_S + 4_560 + 86_400
    assert [kept.key.bid_id for kept in file.read_open(first_s + 1_001, 10)] == [2, 3, 4]
    assert [kept.key.bid_id for kept in file.read_open(first_s, 2)] == [3, 4]
    assert file.prune(first_s + KEPT_S + 2_000) == 2
    assert [kept.key.bid_id for kept in file.read_open(0, 10)] == [2, 3, 4]


def test_the_file_is_private_and_belongs_to_one_process(file: ChequeFile) -> None:
    assert file.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ChequeFileError, match=r"cheques\.db: is in use by another process; end it"):
        ChequeFile.open(file.path)
    file.close()
    ChequeFile.open(file.path).close()


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE things (id INTEGER)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(ChequeFileError, match="holds something else; name another file"):
        ChequeFile.open(path)
    assert path.read_bytes() == before
    path = tmp_path / "text.db"
    path.write_text("no database at all" * 100)
    with pytest.raises(ChequeFileError, match="cannot be used"):
        ChequeFile.open(path)
    assert path.read_text().startswith("no database")


def test_a_file_of_a_newer_release_is_left_alone(file: ChequeFile) -> None:
    file.close()
    with sqlite3.connect(file.path) as newer:
        newer.execute("PRAGMA user_version = 2")
    newer.close()
    with pytest.raises(ChequeFileError, match="has schema 2, this release knows 1"):
        ChequeFile.open(file.path)


def test_a_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ChequeFileError, match="cannot be opened"):
        ChequeFile.open(tmp_path / "file" / "cheques.db")
    (tmp_path / "directory.db").mkdir()
    with pytest.raises(ChequeFileError, match=r"directory\.db: cannot be used"):
        ChequeFile.open(tmp_path / "directory.db")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("contract", b"x"),
        ("contract", contract(8).encoded),
        ("trade_id", bytes(32)),
        ("final", b"x"),
        ("final", bytes(234)),
        ("interim", bytes(233)),
    ],
)
def test_a_row_that_does_not_make_sense_is_never_acted_upon(file: ChequeFile, column: str, value: bytes) -> None:
    file.write(states()[3])
    file._connection.execute(f"UPDATE cheques SET {column} = ?", (value,))
    with pytest.raises(ChequeFileError, match=r"holds a trade that does not make sense \(bid 7: "):
        file.read(entry().key)
    with pytest.raises(ChequeFileError, match="does not make sense"):
        file.read_open(STARTS_S, 10)


def test_pages_that_were_overwritten_are_found_at_the_start(file: ChequeFile) -> None:
    for bid_id in range(200):
        file.write(entry(bid_id))
    file.close()
    data = bytearray(file.path.read_bytes())
    data[4_096 : len(data)] = os.urandom(len(data) - 4_096)
    file.path.write_bytes(data)
    with pytest.raises(ChequeFileError, match=r"is damaged|cannot be used"):
        ChequeFile.open(file.path)


def test_a_contract_is_never_replaced_by_another(file: ChequeFile) -> None:
    assert file.last_id() == 0
    file.write(entry())
    with pytest.raises(sqlite3.IntegrityError, match="another trade has the id 7"):
        file.write(entry(7, contract_no=1))
    assert file.read(entry().key) == entry()
    assert file.last_id() == 7


def test_a_probe_changes_nothing(file: ChequeFile) -> None:
    file.write(entry())
    file.probe()
    assert file.read(entry().key) == entry()
