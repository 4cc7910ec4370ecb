"""The demo's bookkeeping of the ledger: what its transactions say becomes a trade's payment, sums, and words."""

from __future__ import annotations

from cli.demo_stage.lines import follow
from cli.demo_stage.payments import money
from settlement.program import events
from tests.cli.demo_market import BID, balances, deliver, happened, new_book, pay, sell, settled
from tests.cli.test_demo_view import drawn

TRADE_ID = BID.to_bytes(32, "big")
CLAIMED = events.Claimed(TRADE_ID, bytes(32), 0, 500, 192_457, 1_700_000_000, 1, 1)
DISPUTED = events.Disputed(TRADE_ID, bytes(32), 0, 500, 100, 100, 38_300, 10_000, 10_000, 1_700_000_000, 2, 2)


def test_a_cosigned_trade_is_paid_in_one_transaction() -> None:
    book = new_book()
    said: list[str] = []
    follow(book, said.append)
    sell(book)
    deliver(book)
    pay(book)
    assert book.is_paid
    payment = book.payments.known[TRADE_ID.hex()]
    assert payment.as_json() == {
        "trade_id": TRADE_ID.hex(),
        "stage": "settled",
        "how": "co-signed",
        "delivered_wh": 500,
        "reserved": 192_457,
        "payout": 191_500,
        "fee": 957,
        "returned": 0,
        "unpaid": 0,
        "units": 5_350,
        "signatures": ["5igna"],
    }
    assert said[-1] == "  home   of amber  0.1915 USDC + 0.0010 fee paid (co-signed, 5350 CU, 5igna..)"
    assert (book.payments.settled, book.payments.claimed, book.payments.payout) == (1, 0, 191_500)
    assert "0.1915" in "\n".join(drawn(book))


def test_a_claim_is_told_before_it_is_paid() -> None:
    book = new_book()
    said: list[str] = []
    follow(book, said.append)
    sell(book)
    deliver(book)
    book.ledger_event(happened(CLAIMED, signature="claim", units=8_000))
    assert said[-1] == "  home   of amber  claimed on the ledger without a co-signature, claim.."
    assert "claimed" in "\n".join(drawn(book))
    assert not book.is_paid
    book.ledger_event(happened(DISPUTED, signature="dispu", units=5_000))
    book.ledger_event(happened(settled(how=2), signature="final", units=6_000))
    payment = book.payments.known[TRADE_ID.hex()]
    assert (payment.how, payment.units, payment.signatures) == ("resolved", 19_000, ["claim", "dispu", "final"])
    assert (book.payments.claimed, book.payments.disputed, book.payments.settled) == (1, 1, 1)
    assert "resolved 0.1915" in "\n".join(drawn(book))


def test_what_failed_on_the_ledger_moves_nothing() -> None:
    book = new_book()
    sell(book)
    deliver(book)
    book.ledger_event(happened(settled(), error={"InstructionError": [0, {"Custom": 6016}]}))
    assert not book.is_paid
    assert book.payments.settled == 0


def test_balances_are_on_the_screen() -> None:
    book = new_book()
    book.ledger_balances(balances(book, home=1_234_500))
    shown = "\n".join(drawn(book))
    assert "home 1.2345 USDC" in shown
    assert "15.00" in shown
    assert money(957) == "0.0010"
