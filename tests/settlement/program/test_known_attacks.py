"""The known ways in which programs lose money, continued from `test_vulnerabilities`: what happens over time.

A test's name or docstring says which line of the list it is.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from settlement.program.addresses import token_account
from settlement.program.failures import Failure
from tests.settlement.program.bench import Bench, refused
from tests.settlement.program.pieces import (
    DEPOSITED,
    GENESIS,
    LOADER,
    ON_LINE,
    RELEASE_DELAY_S,
    SYSTEM,
    TOKEN,
    TOKEN_2022,
    keypair,
    mint_bytes,
    party,
    token_bytes,
)
from tests.settlement.program.rehearsal import NEW, Scene, index_of


@pytest.fixture
def bench() -> Bench:
    return Bench.ready()


@pytest.mark.parametrize("name", ["initialize", "register", "open_escrow", "open_line"])
def test_re_initialisation(name: str) -> None:
    scene = Scene(name)
    scene.send(scene.call)
    with refused(Failure.BAD_STATE):
        scene.send(scene.call)


@pytest.mark.parametrize(("name", "slot"), NEW)
@pytest.mark.parametrize("lamports", [1, 890_880, 10**9])
def test_pre_funded_pda_and_rent_below_exemption(name: str, slot: str, lamports: int) -> None:
    """Lamports sent ahead block nothing, and the account is exempt from rent afterwards."""
    scene = Scene(name)
    bench = scene.bench
    place = scene.call.accounts[index_of(name, slot)].pubkey
    bench.svm.set_account(place, Account(lamports, b"", SYSTEM))
    scene.send(scene.call)
    account = bench.svm.get_account(place)
    assert account is not None
    assert account.owner == (TOKEN if slot == "vault" else bench.program)
    rent = bench.svm.minimum_balance_for_rent_exemption(len(account.data))
    assert account.lamports == max(rent, lamports)


def test_close_and_revive_inside_one_transaction(bench: Bench) -> None:
    """A trade that was paid is gone, also when its address is given lamports before the transaction ends."""
    contract = bench.claimed()
    bench.wait(86_400)
    place = bench.at.trade(contract.trade_id)
    given = {"trade": place, "rent_payer": bench.relay.pubkey()}
    revive = transfer(TransferParams(from_pubkey=bench.relay.pubkey(), to_pubkey=place, lamports=10**7))
    finalize = bench.call("finalize", **given)
    with refused(Failure.WRONG_OWNER):
        bench.send(finalize, revive, finalize)
    bench.send(finalize, revive)
    account = bench.svm.get_account(place)
    assert account is not None
    assert (account.owner, account.data) == (SYSTEM, b"")
    with refused(Failure.WRONG_OWNER):
        bench.finalize(contract)


def test_revive_later(bench: Bench) -> None:
    """A number that was spent stays spent: neither claimed nor settled again, whatever stands at the address."""
    contract = bench.claimed()
    bench.wait(86_400)
    bench.finalize(contract)
    paid = bench.tokens(bench.payee)
    bench.svm.set_account(bench.at.trade(contract.trade_id), Account(10**7, b"", SYSTEM))
    with refused(Failure.NUMBER_USED):
        bench.claim(contract, bench.receipt(contract))
    assert bench.settle(contract, bench.receipt(contract)).events == ()
    assert bench.tokens(bench.payee) == paid


def test_a_line_closed_and_opened_again_is_another_one(bench: Bench) -> None:
    """Replay across generations: a cheque of the closed Line is worth nothing on the new one."""
    contract = bench.contract()
    receipt = bench.receipt(contract)
    bench.settle(contract, receipt)
    bench.by_buyer("request_release", amount=bench.line_account().amount)
    bench.wait(RELEASE_DELAY_S)
    bench.by_buyer("release")
    bench.send(bench.call("close"), bench.call("open_line"), signers=[bench.buyer.wallet])
    with refused(Failure.NOT_EMPTY):
        bench.by_buyer("close")
    bench.by_buyer("allot", amount=100_000_000)
    with refused(Failure.DIGEST_MISMATCH):
        bench.settle(contract, receipt)


def test_arithmetic_overflow_truncation_and_rounding(bench: Bench) -> None:
    """The largest contract that fits pays to the unit; rounding is down, for the payer of price and fee alike."""
    top: dict[str, Any] = {"price_e4": 4_294_967_200, "energy_wh": 4_294_967_200}
    top |= {"base_units_per_cent": 9_500_000, "fee_bps": 500}
    contract = bench.contract(**top)
    for wh in (1, 3, 1_000_003):
        assert contract.split(wh).payout <= contract.amount
    escrow, line = bench.escrow_account(), bench.line_account()
    most = (1 << 64) - 1
    bench.set(bench.line, bench.program, replace(line, amount=most).encode())
    bench.set(bench.escrow, bench.program, replace(escrow, allotted=most, available=0).encode())
    bench.set_token(bench.vault, bench.escrow, most)
    bench.settle(contract, bench.receipt(contract))
    assert bench.tokens(bench.payee) == contract.amount
    assert bench.escrow_account().fees_due == contract.reserve - contract.amount
    tiny = bench.contract(price_e4=100, energy_wh=100, base_units_per_cent=999, fee_bps=500)
    assert tiny.amount == 0 == tiny.reserve
    bench.settle(tiny, bench.receipt(tiny))


def test_token_mint_and_owner_confusion(bench: Bench) -> None:
    """Deposits of worthless tokens, and withdrawals into accounts of another mint, fail in the token program."""
    other = keypair("worthless").pubkey()
    bench.set(other, TOKEN, mint_bytes())
    purse = bench.set_token(keypair("purse").pubkey(), bench.buyer.key, 10**6, mint=other)
    with refused(None):
        bench.by_buyer("deposit", amount=10**6, source=purse)
    with refused(None):
        bench.by_buyer("withdraw", amount=1, destination=purse)
    bench.set_mint_rule(mint=other, mint_rule=bench.at.mint_rule(other))
    with refused(Failure.BAD_ACCOUNT):
        bench.by_buyer("deposit", amount=1, source=purse, mint_rule=bench.at.mint_rule(other))


def test_token_delegate_and_close_authority_confusion(bench: Bench) -> None:
    """The vault has neither: it is made so, and nothing of ours sets one."""
    data = bench.data(bench.vault)
    assert data == token_bytes(bench.mint, bench.escrow, DEPOSITED)
    delegate_and_close = data[72:108] + data[129:165]
    assert not any(delegate_and_close)


def test_vault_of_another_escrow(bench: Bench) -> None:
    """Source = destination, and money out of another buyer's vault."""
    other = party("other buyer")
    bench.svm.airdrop(other.key, 10**10)
    bench.register(other, 2)
    mine, bench.buyer = bench.buyer, other
    bench.by_buyer("open_escrow")
    theirs, bench.buyer = bench.vault, mine
    for name, place in (("deposit", "source"), ("withdraw", "destination")):
        with refused(Failure.DUPLICATE_ACCOUNT):
            bench.by_buyer(name, **{"amount": 1, place: bench.vault})
        with refused(Failure.BAD_ACCOUNT):
            bench.by_buyer(name, **{"amount": 1, place: bench.purse, "vault": theirs})
    with refused(None):
        bench.by_buyer("deposit", amount=1, source=theirs)


@pytest.mark.parametrize("where", ["rule", "escrow", "payee", "source", "program"])
def test_token_2022(bench: Bench, where: str) -> None:
    """Transfer fee, hook, permanent delegate, pausable, default-frozen: nothing of that program gets anywhere."""
    mint = keypair("mint of 2022").pubkey()
    bench.set(mint, TOKEN_2022, mint_bytes())
    if where == "rule":
        with refused(Failure.MINT_NOT_ALLOWED):
            bench.set_mint_rule(mint=mint, mint_rule=bench.at.mint_rule(mint))
    elif where == "escrow":
        bench.mint = mint
        with refused(Failure.MINT_NOT_ALLOWED):
            bench.by_buyer("open_escrow")
    elif where == "payee":
        bench.set(bench.payee, TOKEN_2022, token_bytes(bench.mint, bench.battery.key))
        contract = bench.contract()
        bench.settle(contract, bench.receipt(contract))
        assert bench.unpaid_account().amount == contract.amount
    elif where == "source":
        purse = keypair("purse").pubkey()
        bench.set(purse, TOKEN_2022, token_bytes(bench.mint, bench.buyer.key, 10))
        with refused(None):
            bench.by_buyer("deposit", amount=1, source=purse)
    else:
        call = bench.call("deposit", amount=1)
        metas = [
            m if m.pubkey != TOKEN else AccountMeta(TOKEN_2022, is_signer=False, is_writable=False)
            for m in call.accounts
        ]
        with refused(Failure.BAD_ACCOUNT):
            bench.send(Instruction(bench.program, bytes(call.data), metas), signers=[bench.buyer.wallet])


def test_native_sol_and_wrapped_sol_confusion(bench: Bench) -> None:
    """Lamports are no money here: the mint of wrapped ones is refused, and those sent to an escrow change nothing."""
    native = Pubkey.from_string("So11111111111111111111111111111111111111112")
    bench.set(native, TOKEN, mint_bytes(9))
    with refused(Failure.MINT_NOT_ALLOWED):
        bench.set_mint_rule(mint=native, mint_rule=bench.at.mint_rule(native))
    bench.mint = native
    with refused(Failure.MINT_NOT_ALLOWED):
        bench.by_buyer("open_escrow")
    bench.mint = keypair("mint").pubkey()
    before = bench.escrow_account()
    gift = TransferParams(from_pubkey=bench.relay.pubkey(), to_pubkey=bench.escrow, lamports=10**9)
    bench.send(transfer(gift))
    assert bench.escrow_account() == before


def test_a_gift_to_the_vault_is_nobodys(bench: Bench) -> None:
    """More in the vault than is owed neither blocks nor enriches."""
    bench.set_token(bench.vault, bench.escrow, DEPOSITED + 1_000)
    with refused(Failure.NOT_ENOUGH):
        bench.by_buyer("withdraw", amount=DEPOSITED - ON_LINE + 1, destination=bench.purse)


def test_front_run_of_initialisation() -> None:
    """Whoever sees the program first does not become its admin."""
    bench = Bench()
    thief = bench.stranger
    with refused(Failure.NOT_ADMIN):
        bench.send(
            bench.call(
                "initialize",
                authority=thief.pubkey(),
                treasury=bytes(32),
                fee_bps=500,
                min_bond=0,
                genesis=GENESIS,
                timeout_s=1,
            ),
            signers=[thief],
        )
    fake = keypair("fake program data").pubkey()
    bench.set(fake, LOADER, struct.pack("<IQB", 3, 0, 1) + bytes(thief.pubkey()))
    with refused(Failure.WRONG_ADDRESS):
        bench.send(
            bench.call(
                "initialize",
                authority=thief.pubkey(),
                program_data=fake,
                treasury=bytes(thief.pubkey()),
                fee_bps=500,
                min_bond=0,
                genesis=GENESIS,
                timeout_s=1,
            ),
            signers=[thief],
        )


def test_front_run_of_a_registration(bench: Bench) -> None:
    """Another wallet cannot register somebody's key, nor somebody's wallet: both have to sign."""
    who = party("newcomer")
    call = bench.call(
        "register",
        wallet=bench.stranger.pubkey(),
        participant=bench.at.participant(bench.stranger.pubkey()),
        role=3,
        signing_key=who.identity.public_key,
    )
    with refused(Failure.DIGEST_MISMATCH):
        bench.send(bench.registration(who), call, signers=[bench.stranger])


def test_stale_config_after_authority_change(bench: Bench) -> None:
    """The old admin is nobody at once, and open trades keep the terms that were signed."""
    contract = bench.claimed()
    heir = bench.stranger
    bench.send(bench.call("propose_admin", new_admin=bytes(heir.pubkey())), signers=[bench.admin])
    bench.send(bench.call("accept_admin", new_admin=heir.pubkey()), signers=[heir])
    with refused(Failure.NOT_ADMIN):
        bench.send(bench.call("set_pause", paused=True), signers=[bench.admin])
    values = {"treasury": bytes(heir.pubkey()), "fee_bps": 500, "min_bond": 10**18}
    bench.send(bench.call("set_config", admin=heir.pubkey(), **values), signers=[heir])
    bench.send(bench.call("set_pause", admin=heir.pubkey(), paused=True), signers=[heir])
    bench.wait(86_400)
    bench.finalize(contract)
    assert bench.tokens(bench.payee) == contract.amount
    assert bench.escrow_account().fees_due == contract.reserve - contract.amount


def test_the_admin_takes_nothing(bench: Bench) -> None:
    """Its worst treasury gets the fees that were agreed, and nothing else of the vault."""
    contract = bench.contract()
    bench.settle(contract, bench.receipt(contract))
    fees = contract.reserve - contract.amount
    place = bench.set_token(token_account(bench.admin.pubkey(), bench.mint), bench.admin.pubkey())
    values = {"treasury": bytes(bench.admin.pubkey()), "fee_bps": 500, "min_bond": 0}
    bench.send(bench.call("set_config", **values), signers=[bench.admin])
    bench.send(bench.call("sweep_fees", destination=place))
    assert bench.tokens(place) == fees
    assert bench.tokens(bench.vault) == DEPOSITED - contract.reserve


def test_unbounded_loop() -> None:
    """The dearest move of the window, and the search for a forged event authority, end within a transaction's units."""
    bench = Bench.ready()
    line = bench.line_account()
    full = replace(line, used=bytes([0b10101010]) + bytes([0xFF]) * 31)
    bench.set(bench.line, bench.program, full.encode())
    sent = bench.send(bench.call("void", contract_no=0), signers=[bench.battery.wallet])
    assert bench.line_account().base_no == 2
    assert sent.units < 2_000
    worst = replace(line, used=bytes([0xAA]) * 31 + bytes([0x2A]))
    for number in range(0, 254, 2):
        worst = replace(worst, used=(int.from_bytes(worst.used, "little") | 1 << number).to_bytes(32, "little"))
    worst = replace(worst, used=(int.from_bytes(worst.used, "little") & ~1).to_bytes(32, "little"))
    bench.set(bench.line, bench.program, worst.encode())
    sent = bench.send(bench.call("void", contract_no=0), signers=[bench.battery.wallet])
    assert bench.line_account().base_no == 254
    assert sent.units < 2_000


def test_unbounded_log(bench: Bench) -> None:
    """Money is told by instructions, which no limit on logs cuts."""
    noise = Instruction(Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"), b"x" * 500, [])
    contract = bench.contract()
    receipt = bench.receipt(contract)
    call = bench.settle_call(contract, receipt, ["battery", "buyer"])
    sent = bench.send(noise, call, signers=[bench.battery.wallet, bench.buyer.wallet])
    assert [type(event).__name__ for event in sent.events] == ["Settled"]


def test_upgrade_authority_left_alive() -> None:
    """initialize asks for the authority while there is one; once it is given up nobody can initialize any more."""
    bench = Bench()
    bench.set_upgrade_authority(None)
    with refused(Failure.NOT_ADMIN):
        bench.initialize()
