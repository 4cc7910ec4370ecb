"""`[settlement]` and the keystore in the site file: what they mean, and what is refused with the line and the key."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from agent.config import SiteError, parse_site
from agent.config_build import site_of
from agent.config_doubts import doubts_of
from settlement import Venue, to_base58
from settlement.terms import MarketTerms

PATH: Final = Path("/site/site.toml")
PROGRAM, GENESIS, MINT, RESOLVER = (to_base58(bytes([number]) * 32) for number in (4, 5, 6, 9))
SETTLEMENT: Final = f"""
[settlement]
rpc = ["http://127.0.0.1:8899", "https://rpc.example/key"]
program_id = "{PROGRAM}"
genesis = "{GENESIS}"
mint = "{MINT}"
resolver = "{RESOLVER}"
"""
BATTERY: Final = '[[battery]]\nname = "home"\nreserve_c_per_kwh = 1.0\n'
HEAD: Final = '[site]\nname = "test"\nlab = true\n'


def refused(text: str) -> str:
    with pytest.raises(SiteError) as caught:
        parse_site(text.encode(), PATH)
    return str(caught.value)


def test_unsigned_buyers_beside_settlement_are_a_doubt() -> None:
    told = 'network.peers: "open" beside [settlement]: whoever does not sign is delivered to unpaid'
    assert told in doubts_of(parse_site((HEAD + SETTLEMENT + BATTERY).encode(), PATH))
    signed = '[network]\npeers = "signed"\ntrusted_peers = "any"\n'
    assert told not in doubts_of(parse_site((HEAD + signed + SETTLEMENT + BATTERY).encode(), PATH))
    assert told not in doubts_of(parse_site((HEAD + BATTERY).encode(), PATH))


def test_without_the_table_nothing_is_paid() -> None:
    assert site_of(PATH, parse_site((HEAD + BATTERY).encode(), PATH)).settlement is None


def test_the_table_becomes_the_terms_of_the_market() -> None:
    site = site_of(PATH, parse_site((HEAD + SETTLEMENT + BATTERY).encode(), PATH))
    paid = site.settlement
    assert paid is not None
    assert paid.rpc == ("http://127.0.0.1:8899", "https://rpc.example/key")
    venue = Venue(program_id=bytes([4]) * 32, genesis_hash=bytes([5]) * 32, mint=bytes([6]) * 32)
    assert paid.terms == MarketTerms(
        venue=venue, base_units_per_cent=10_000, fee_bps=50, dispute_window_s=86_400, resolver=bytes([9]) * 32
    )
    assert (paid.cosign_wait_s, paid.uncashable_limit_units) == (600, 0)
    assert paid.outbox_of("home") == Path("/site/wattbid-data/home-outbox.db")
    assert [paid.unsigned_limit_of(energy_wh) for energy_wh in (1_000, 3)] == [250, 1]


def test_limits_are_taken_in_the_mints_units() -> None:
    text = SETTLEMENT + "uncashable_limit_c = 30\nbase_units_per_cent = 7\nunsigned_limit_wh = 11\n"
    paid = site_of(PATH, parse_site((HEAD + text + BATTERY).encode(), PATH)).settlement
    assert paid is not None
    assert paid.uncashable_limit_units == 210
    assert paid.unsigned_limit_of(1_000_000) == 11


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("program_id =", "#"), "settlement.program_id: missing"),
        (("resolver =", "#"), "settlement.resolver: missing"),
        ((PROGRAM, PROGRAM[:-1]), "settlement.program_id: base58 of"),
        ((MINT, "0" * 43), "is no letter of base58"),
        ((GENESIS, "1" * 32), "all zero, which is nobody"),
        (("https://rpc.example/key", "http://127.0.0.1:8899"), "an endpoint stands there twice"),
        (("https://rpc.example/key", "ftp://rpc.example"), "is no http or https URL"),
        (("https://rpc.example/key", "http://a:b@rpc.example"), "is no http or https URL"),
        (("rpc = [", "rpc = [] #"), "settlement.rpc: 0 of them"),
        (("resolver =", "fee_bps = 501\nresolver ="), "settlement.fee_bps: 501 is too large"),
        (("resolver =", "base_units_per_cent = 0\nresolver ="), "base_units_per_cent: 0 is too small"),
        (("resolver =", 'outbox = "a/b"\nresolver ='), "settlement.outbox"),
        (("resolver =", "cosign_wait = 3\nresolver ="), 'did you mean "cosign_wait_s"'),
    ],
)
def test_what_no_ledger_could_be_meant_by_is_refused(change: tuple[str, str], told: str) -> None:
    assert told in refused(HEAD + SETTLEMENT.replace(*change) + BATTERY)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ('keystore = "k"\n', "battery #1 password_file: missing while keystore is set"),
        ('password_file = "p"\n', "battery #1 password_file: set without keystore"),
    ],
)
def test_a_keystore_needs_its_password_and_the_reverse(keys: str, told: str) -> None:
    assert told in refused(HEAD + BATTERY + keys)


def test_two_batteries_cannot_share_a_keystore() -> None:
    other = BATTERY.replace("home", "shed") + "unit = 2\n"
    keys = 'keystore = "k"\npassword_file = "p"\n'
    assert "is already battery #1's" in refused(HEAD + BATTERY + keys + other + keys)
