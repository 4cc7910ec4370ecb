"""The real program in LiteSVM with people in it: everything that a test of one instruction needs, a call away.

`Bench.ready()` is a world in which a battery may be settled with: the program is initialized, a mint is taken, both are
registered, the buyer has an escrow, a Line to the battery, and money on it. Each test has its own, in 20 ms.
"""

from __future__ import annotations

import base64
import inspect
import struct
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import pytest
from solders.account import Account
from solders.hash import Hash
from solders.litesvm import LiteSVM
from solders.message import MessageV0
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

from settlement import Contract, IdentityKey, Receipt, Venue
from settlement.program import instructions as calls
from settlement.program.accounts import Config, Escrow, Line, MintRule, Participant, Trade, Unpaid
from settlement.program.addresses import Addresses, token_account
from settlement.program.codec import Record
from settlement.program.elf import program_elf
from settlement.program.events import EVENTS
from settlement.program.failures import Failure
from settlement.program.layout import EVENT_TAG
from settlement.signing import SignatureKind
from settlement.statements import Registration
from tests.settlement.program.pieces import (
    DEPOSITED,
    GENESIS,
    INSTRUCTIONS,
    LOADER,
    MIN_BOND,
    NOW,
    ON_LINE,
    SLOT,
    TIMEOUT_S,
    TOKEN,
    UNITS_PER_CENT,
    Party,
    delivery_of,
    ed25519,
    entry,
    keypair,
    mint_bytes,
    party,
    terms_of,
    token_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from solders.instruction import Instruction
    from solders.keypair import Keypair
    from solders.pubkey import Pubkey

_BY_TAG: Final = {event.DISCRIMINATOR: event for event in EVENTS}
R = TypeVar("R", bound=Record)


class RefusedError(Exception):
    """A transaction that failed. `failure` is the program's refusal, None when something else refused with `number`."""

    def __init__(self, number: int | None, said: str, logs: Sequence[str]) -> None:
        is_ours = number is not None and number >= Failure.UNKNOWN_INSTRUCTION
        self.number = number
        self.failure = Failure(number or 0) if is_ours else None
        super().__init__("\n".join([self.failure.name if self.failure else said, *logs]))


@contextmanager
def refused(failure: Failure | None) -> Iterator[None]:
    """Expect the program's refusal; None: that of something else, of the token program or the runtime."""
    with pytest.raises(RefusedError) as caught:
        yield
    assert caught.value.failure is failure, str(caught.value)


class Sent(NamedTuple):
    """A transaction that went through: compute units in all, events in their order, bytes on the wire."""

    units: int
    events: tuple[Record, ...]
    size: int
    logs: tuple[str, ...]


@dataclass
class Bench:
    """One ledger with the program on it."""

    program: Pubkey = field(default_factory=lambda: keypair("program").pubkey())
    battery: Party = field(default_factory=lambda: party("battery"))
    buyer: Party = field(default_factory=lambda: party("buyer"))
    mint: Pubkey = field(default_factory=lambda: keypair("mint").pubkey())

    def __post_init__(self) -> None:
        self.svm = LiteSVM().with_transaction_history(0).with_blockhash_check(False)
        self.svm.add_program(self.program, program_elf())
        self.at = Addresses(self.program)
        self.admin, self.treasury = keypair("admin"), keypair("treasury").pubkey()
        self.resolver, self.relay, self.stranger = keypair("resolver"), keypair("relay"), keypair("stranger")
        self.set_upgrade_authority(self.admin.pubkey())
        people = (self.admin, self.resolver, self.relay, self.stranger, self.battery.wallet, self.buyer.wallet)
        for person in people:
            self.svm.airdrop(person.pubkey(), 10**12)
        self.set(self.mint, TOKEN, mint_bytes(), 1_461_600)
        self._unique = count(1)
        self.set_time(NOW, SLOT)

    # The world

    def set(self, address: Pubkey, owner: Pubkey, data: bytes, lamports: int = 10**9) -> None:
        """Put an account there."""
        self.svm.set_account(address, Account(lamports, data, owner))

    def set_upgrade_authority(self, authority: Pubkey | None) -> None:
        """Let the loader's account of the program name this authority."""
        named = bytes((1,)) + bytes(authority) if authority else bytes(33)
        self.set(self.at.program_data(), LOADER, struct.pack("<IQ", 3, 0) + named + program_elf())

    def set_token(self, address: Pubkey, owner: Pubkey, amount: int = 0, **more: Any) -> Pubkey:
        """Put a token account of the mint there, or of `mint`, and return its address."""
        mint, state = more.get("mint", self.mint), more.get("state", 1)
        self.set(address, TOKEN, token_bytes(mint, owner, amount, state), 2_039_280)
        return address

    @property
    def now(self) -> int:
        """The ledger's clock, seconds."""
        return self.svm.get_clock().unix_timestamp

    def set_time(self, now: int, slot: int) -> None:
        clock = self.svm.get_clock()
        clock.unix_timestamp, clock.slot = now, slot
        self.svm.set_clock(clock)

    def wait(self, seconds: int, slots: int = 1) -> None:
        """Let time pass."""
        self.set_time(self.now + seconds, self.svm.get_clock().slot + slots)

    def send(self, *instructions: Instruction, signers: Sequence[Keypair] = (), payer: Keypair | None = None) -> Sent:
        """Run a transaction that the relay pays for. Raises RefusedError."""
        payer = payer or self.relay
        blockhash = Hash.from_bytes(next(self._unique).to_bytes(32, "little"))
        message = MessageV0.try_compile(payer.pubkey(), list(instructions), [], blockhash)
        others = [each for each in dict.fromkeys(signers) if each != payer]
        transaction = VersionedTransaction(message, [payer, *others])
        result = self.svm.send_transaction(transaction)
        if isinstance(result, FailedTransactionMetadata):
            error = result.err()
            raise RefusedError(getattr(getattr(error, "err", None), "code", None), str(error), result.meta().logs())
        inner = [bytes(each.instruction().data) for group in result.inner_instructions() for each in group]
        told = [data[8:] for data in inner if data.startswith(EVENT_TAG)]
        logs = result.logs()
        told += [base64.b64decode(line[14:]) for line in logs if line.startswith("Program data: ")]
        events = tuple(_BY_TAG[data[:8]].decode(data) for data in told)
        return Sent(result.compute_units_consumed(), events, len(bytes(transaction)), tuple(logs))

    def data(self, address: Pubkey) -> bytes | None:
        """Return an account's bytes, None when it is not there."""
        account = self.svm.get_account(address)
        return None if account is None or not account.lamports else account.data

    def tokens(self, address: Pubkey) -> int:
        """Return what a token account holds."""
        data = self.data(address)
        assert data is not None
        return int.from_bytes(data[64:72], "little")

    def read(self, kind: type[R], address: Pubkey) -> R:
        """Return an account of the program."""
        data = self.data(address)
        assert data is not None, f"no {kind.__name__} at {address}"
        return kind.decode(data)

    # Where everything is

    @property
    def escrow(self) -> Pubkey:
        return self.at.escrow(self.buyer.key, self.mint)

    @property
    def vault(self) -> Pubkey:
        return self.at.vault(self.escrow)

    @property
    def line(self) -> Pubkey:
        return self.at.line(self.escrow, self.battery.key)

    @property
    def payee(self) -> Pubkey:
        return token_account(self.battery.key, self.mint)

    @property
    def unpaid(self) -> Pubkey:
        return self.at.unpaid(self.battery.key, self.escrow)

    @property
    def purse(self) -> Pubkey:
        """The buyer's own token account."""
        return token_account(self.buyer.key, self.mint)

    def config_account(self) -> Config:
        return self.read(Config, self.at.config())

    def rule_account(self) -> MintRule:
        return self.read(MintRule, self.at.mint_rule(self.mint))

    def participant(self, who: Party) -> Participant:
        return self.read(Participant, self.at.participant(who.key))

    def escrow_account(self) -> Escrow:
        return self.read(Escrow, self.escrow)

    def line_account(self) -> Line:
        return self.read(Line, self.line)

    def unpaid_account(self) -> Unpaid:
        return self.read(Unpaid, self.unpaid)

    def trade_account(self, contract: Contract) -> Trade:
        return self.read(Trade, self.at.trade(contract.trade_id))

    # Instructions, each with what a friendly caller would pass; keyword arguments replace accounts and values

    def call(self, name: str, **given: Any) -> Instruction:
        """Return an instruction; what is not given is what this bench's buyer and battery would pass."""
        function = getattr(calls, name)
        known = self._known()
        passed = {
            key: given.get(key, known.get(key))
            for key, parameter in inspect.signature(function).parameters.items()
            if key != "program_id" and (key in given or parameter.default is inspect.Parameter.empty)
        }
        missing = [key for key, value in passed.items() if value is None and key not in given]
        assert not missing, f"{name} needs {missing}"
        assert set(given) <= set(passed), f"{name} does not take {set(given) - set(passed)}"
        made: Instruction = function(self.program, **passed)
        return made

    def _known(self) -> dict[str, Any]:
        at = self.at
        return {
            "authority": self.admin.pubkey(),
            "admin": self.admin.pubkey(),
            "config": at.config(),
            "program_data": at.program_data(),
            "mint": self.mint,
            "mint_rule": at.mint_rule(self.mint),
            "battery": at.participant(self.battery.key),
            "buyer": at.participant(self.buyer.key),
            "buyer_wallet": self.buyer.key,
            "battery_wallet": self.battery.key,
            "escrow": self.escrow,
            "vault": self.vault,
            "line": self.line,
            "payee": self.payee,
            "unpaid": self.unpaid,
            "source": self.purse,
            "payer": self.relay.pubkey(),
            "event_authority": at.event_authority(),
            "resolver": self.resolver.pubkey(),
        }

    # A contract and its receipts

    def contract(self, **changes: Any) -> Contract:
        """Return the terms of one trade on the bench's Line: 2.5 kWh in an hour from now."""
        line = self.line_account()
        starts_at_s = changes.pop("starts_at_s", self.now)
        ends_at_s = changes.pop("ends_at_s", starts_at_s + 3_600)
        terms: dict[str, Any] = {
            "venue": Venue(program_id=bytes(self.program), genesis_hash=GENESIS, mint=bytes(self.mint)),
            "battery_wallet": bytes(self.battery.key),
            "buyer_wallet": bytes(self.buyer.key),
            "generation": line.generation,
            "contract_no": line.base_no,
            "battery_device_id": self.battery.identity.device_id,
            "buyer_device_id": self.buyer.identity.device_id,
            "message_id": 4_711,
            "price_e4": 251_300,
            "energy_wh": 2_500,
            "base_units_per_cent": UNITS_PER_CENT,
            "starts_at_s": starts_at_s,
            "ends_at_s": ends_at_s,
            "valid_until_s": ends_at_s + 259_200,
            "fee_bps": 50,
            "dispute_window_s": 86_400,
            "resolver": bytes(self.resolver.pubkey()),
        }
        return Contract(**{**terms, **changes})

    def receipt(self, contract: Contract, delivered_wh: int | None = None, *, final: bool = True) -> Receipt:
        """Return the receipt of a delivery, of the whole energy unless told otherwise."""
        return Receipt(
            trade_id=contract.trade_id,
            final=final,
            delivered_wh=contract.energy_wh if delivered_wh is None else delivered_wh,
            started_at_s=contract.starts_at_s,
            ended_at_s=contract.ends_at_s,
            evidence=bytes([10]) * 32,
        )

    def parties(self, names: Sequence[str]) -> list[Party]:
        return [{"battery": self.battery, "buyer": self.buyer}[name] for name in names]

    def consent(self, receipt: Receipt, present: Sequence[str]) -> list[Instruction]:
        """Return the precompile's instruction for the parties whose wallets do not sign, if there are any."""
        absent = self.parties([name for name in ("battery", "buyer") if name not in present])
        entries = [entry(SignatureKind.RECEIPT, receipt.digest, each.identity) for each in absent]
        return [ed25519(*entries)] if entries else []

    def settle_call(
        self, contract: Contract, receipt: Receipt, present: Sequence[str] = (), **given: Any
    ) -> Instruction:
        """Return settle; `present` names the parties whose wallets sign the transaction."""
        wallets = {f"{name}_wallet": each.key for name, each in zip(present, self.parties(present), strict=True)}
        if len(present) < 2:
            wallets["instructions"] = INSTRUCTIONS
        passed = {"trade": self.at.trade(contract.trade_id), **terms_of(contract), **delivery_of(receipt), **wallets}
        return self.call("settle", **{**passed, **given})

    def settle(self, contract: Contract, receipt: Receipt, present: Sequence[str] = (), **given: Any) -> Sent:
        """Settle a trade that both signed."""
        instruction = self.settle_call(contract, receipt, present, **given)
        signers = [each.wallet for each in self.parties(present)]
        return self.send(*self.consent(receipt, present), instruction, signers=signers)

    def claim_call(
        self, contract: Contract, receipt: Receipt, present: Sequence[str] = (), **given: Any
    ) -> Instruction:
        """Return claim; `present` may name the battery."""
        wallets = {"battery_wallet": self.battery.key if "battery" in present else None}
        passed = {"trade": self.at.trade(contract.trade_id), **terms_of(contract), **delivery_of(receipt), **wallets}
        return self.call("claim", **{**passed, **given})

    def claim_consent(self, contract: Contract, receipt: Receipt, present: Sequence[str] = ()) -> Instruction:
        """Return the precompile's instruction of a claim."""
        said = entry(SignatureKind.RECEIPT, receipt.digest, self.battery.identity)
        agreed = entry(SignatureKind.CONTRACT, contract.trade_id, self.buyer.identity)
        return ed25519(agreed) if "battery" in present else ed25519(said, agreed)

    def claim(self, contract: Contract, receipt: Receipt, present: Sequence[str] = (), **given: Any) -> Sent:
        """Claim a trade that the buyer has not signed as delivered."""
        consent = self.claim_consent(contract, receipt, present)
        signers = [each.wallet for each in self.parties(present)]
        return self.send(consent, self.claim_call(contract, receipt, present, **given), signers=signers)

    def attest(self, contract: Contract, receipt: Receipt, present: Sequence[str] = (), **given: Any) -> Sent:
        """Show an interim receipt that both signed."""
        wallets = {f"{name}_wallet": each.key for name, each in zip(present, self.parties(present), strict=True)}
        if len(present) < 2:
            wallets["instructions"] = INSTRUCTIONS
        passed = {"trade": self.at.trade(contract.trade_id), **delivery_of(receipt), **wallets}
        instruction = self.call("attest", **{**passed, **given})
        signers = [each.wallet for each in self.parties(present)]
        return self.send(*self.consent(receipt, present), instruction, signers=signers)

    def finalize(self, contract: Contract, **given: Any) -> Sent:
        """Pay an undisputed claim."""
        return self.send(self.call("finalize", **{**self._of_trade(contract), **given}))

    def dispute(self, contract: Contract, buyer_wh: int, **given: Any) -> Sent:
        """Say that less was delivered."""
        passed = {"trade": self.at.trade(contract.trade_id), "buyer_wh": buyer_wh}
        return self.send(self.call("dispute", **{**passed, **given}), signers=[self.buyer.wallet])

    def resolve(self, contract: Contract, ruling_wh: int, **given: Any) -> Sent:
        """Rule on a dispute."""
        passed = {**self._of_trade(contract), "ruling_wh": ruling_wh}
        return self.send(self.call("resolve", **{**passed, **given}), signers=[self.resolver])

    def timeout(self, contract: Contract, **given: Any) -> Sent:
        """End a dispute that nobody ruled on."""
        return self.send(self.call("timeout", **{**self._of_trade(contract), **given}))

    def _of_trade(self, contract: Contract) -> dict[str, Any]:
        return {"trade": self.at.trade(contract.trade_id), "rent_payer": self.relay.pubkey()}

    # Steps to a world in which trades are settled

    def initialize(self, **given: Any) -> Sent:
        """Write the Config."""
        passed = {
            "treasury": bytes(self.treasury),
            "fee_bps": 50,
            "min_bond": MIN_BOND,
            "genesis": GENESIS,
            "timeout_s": TIMEOUT_S,
        }
        return self.send(self.call("initialize", **{**passed, **given}), signers=[self.admin])

    def set_mint_rule(self, **given: Any) -> Sent:
        """Take the mint."""
        passed = {"allowed": True, "base_units_per_cent": UNITS_PER_CENT, **given}
        return self.send(self.call("set_mint_rule", **passed), signers=[self.admin])

    def registration(self, who: Party, key: IdentityKey | None = None) -> Instruction:
        """Return the precompile's instruction by which a signing key proves itself."""
        key = key or who.identity
        statement = Registration(
            program_id=bytes(self.program), genesis_hash=GENESIS, wallet=bytes(who.key), key=key.public_key
        )
        return ed25519(entry(SignatureKind.REGISTRATION, statement.digest, key))

    def register(self, who: Party, role: int = 3, **given: Any) -> Sent:
        """Make a Participant."""
        passed = {
            "wallet": who.key,
            "participant": self.at.participant(who.key),
            "role": role,
            "signing_key": who.identity.public_key,
            **given,
        }
        return self.send(self.registration(who), self.call("register", **passed), signers=[who.wallet])

    def rotate_key(self, who: Party, key: IdentityKey, **given: Any) -> Party:
        """Sign with another key from now on; return the party with it."""
        passed = {"wallet": who.key, "participant": self.at.participant(who.key), "new_key": key.public_key, **given}
        self.send(self.registration(who, key), self.call("rotate_key", **passed), signers=[who.wallet])
        return replace(who, identity=key)

    def by_buyer(self, name: str, **given: Any) -> Sent:
        """Run an instruction that the buyer's wallet signs."""
        return self.send(self.call(name, **given), signers=[self.buyer.wallet])

    @classmethod
    def initialized(cls, **given: Any) -> Bench:
        """Return a bench with Config and mint rule, and nobody registered."""
        bench = cls(**given)
        bench.initialize()
        bench.set_mint_rule()
        return bench

    @classmethod
    def ready(cls, **given: Any) -> Bench:
        """Return a bench on which a trade can be settled."""
        bench = cls.initialized(**given)
        bench.register(bench.battery, 1)
        bench.register(bench.buyer, 2)
        bench.set_token(bench.purse, bench.buyer.key, DEPOSITED * 2)
        bench.set_token(bench.payee, bench.battery.key)
        bench.by_buyer("open_escrow")
        bench.by_buyer("deposit", amount=DEPOSITED)
        bench.by_buyer("open_line")
        bench.by_buyer("allot", amount=ON_LINE)
        bench.wait(60)
        return bench

    def claimed(self, delivered_wh: int | None = None, **changes: Any) -> Contract:
        """Return a contract that the battery has claimed after its end."""
        contract = self.contract(**changes)
        self.wait(contract.ends_at_s - self.now)
        self.claim(contract, self.receipt(contract, delivered_wh))
        return contract

    def disputed(self, buyer_wh: int = 1_000, **changes: Any) -> Contract:
        """Return a contract that was claimed in whole and disputed."""
        contract = self.claimed(**changes)
        self.dispute(contract, buyer_wh)
        return contract
