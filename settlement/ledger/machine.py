"""The machine that executes: LiteSVM, told which block it is in, and asked only for what one transaction did.

What a cluster does around a transaction and LiteSVM does not, is done here: the fee of a transaction whose programs
cannot be loaded, and a nonce that a failure uses up. LiteSVM takes the blockhash in a transaction for the newest one,
from which nonces get their values, so it is shown the ledger's newest in its place; signatures it never looks at. Which
transactions may be executed at all (blockhash, nonce, duplicates, signatures) is decided by who calls.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from solders.account import Account
from solders.clock import Clock
from solders.hash import Hash
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.transaction_metadata import FailedTransactionMetadata, SimulatedTransactionInfo, TransactionMetadata

from settlement.ledger.blocks import SLOTS_PER_EPOCH
from settlement.ledger.fees import fee_of
from settlement.ledger.nonce import value_after, with_value
from settlement.ledger.sysvars import epoch_started_s
from settlement.ledger.tables import loaded_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from solders.transaction_metadata import InnerInstruction

    from settlement.ledger.wire import Received

_CHARGED: Final = ("ProgramAccountNotFound", "InvalidProgramForExecution", "MaxLoadedAccountsDataSizeExceeded")
"""Failures before execution for which a cluster takes the fee all the same."""
_NOT_LOADED: Final = ("AccountNotFound", "InsufficientFundsForFee", "InvalidAccountForFee")
"""Failures at the payer, before anything else is loaded."""
_ACCOUNT_BYTES: Final = 64
_LOADER: Final = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
_GONE: Final = Account(0, b"", SYSTEM_PROGRAM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """One instruction that a program called, with indexes into the transaction's accounts."""

    program: int
    accounts: bytes
    data: bytes
    stack_height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What one transaction did, or would do. Money in lamports."""

    err: Any
    """None, or the error as JSON-RPC has it."""
    landed: bool
    """Whether it is part of the block: it was executed, or failed and paid its fee."""
    fee: int
    units: int
    logs: list[str]
    inner: list[list[Inner]]
    """For each instruction those it called."""
    loaded_bytes: int
    """Of account data, with what clusters count for each account beside it."""
    returned: tuple[bytes, bytes] | None
    """The program that returned data last, and what."""
    keys: list[Pubkey]
    """The listed accounts, then those from lookup tables: first writable, then read-only ones."""
    loaded: tuple[int, int]
    """How many writable and read-only ones come from lookup tables."""
    before: list[Account | None]
    after: list[Account | None]

    @classmethod
    def none(cls, err: Any) -> Execution:
        """Return what a transaction did that was not looked at, for this reason."""
        return cls(
            err=err,
            landed=False,
            fee=0,
            units=0,
            logs=[],
            inner=[],
            loaded_bytes=0,
            returned=None,
            keys=[],
            loaded=(0, 0),
            before=[],
            after=[],
        )


class Machine:
    """Every account as the newest transaction left it."""

    def __init__(self, accounts: Iterable[tuple[Pubkey, Account]] = ()) -> None:
        """Start with what a cluster has from its first block on, and these accounts."""
        self._svm = LiteSVM().with_sigverify(False).with_blockhash_check(False).with_transaction_history(0)
        self._blockhash = b""
        self._slot = 0
        programs = []
        for key, account in accounts:
            if account.executable:
                programs.append((key, account))
            else:
                self._svm.set_account(key, account)
        for key, account in programs:  # their code lies in other accounts, which had to be there first
            self._svm.set_account(key, account)

    def begin_block(self, slot: int, time_s: int, hashes: list[tuple[int, bytes]]) -> None:
        """Be in a block: its slot, the time of its Clock in UTC seconds, and the slots and blockhashes before it.

        The newest comes first, and there is at least one.
        """
        self._blockhash = hashes[0][1]
        self._svm.set_slot_hashes([(slot, Hash.from_bytes(value)) for slot, value in hashes])
        self.set_clock(slot, time_s)

    def set_clock(self, slot: int, time_s: int) -> None:
        """Set what programs read as the present."""
        self._slot = slot
        epoch = slot // SLOTS_PER_EPOCH
        self._svm.set_clock(
            Clock(
                slot=slot,
                epoch_start_timestamp=epoch_started_s(slot, time_s),
                epoch=epoch,
                leader_schedule_epoch=epoch + 1,
                unix_timestamp=time_s,
            )
        )

    def account(self, key: Pubkey) -> Account | None:
        """Return an account, None when there is none."""
        return self._svm.get_account(key)

    def accounts_of(self, owner: Pubkey) -> list[tuple[Pubkey, Account]]:
        """Return every account of a program."""
        return self._svm.get_program_accounts(owner)

    def put(self, key: Pubkey, account: Account | None) -> None:
        """Let an account be this, whatever it was."""
        self._svm.set_account(key, _GONE if account is None else account)

    def rent(self, size: int) -> int:
        """Return the lamports that an account of so many bytes must hold."""
        return self._svm.minimum_balance_for_rent_exemption(size)

    def execute(self, received: Received, *, durable: Pubkey | None = None) -> Execution:
        """Execute, and keep what came of it; `durable` is the account whose nonce stood in place of a blockhash."""
        execution = self._run(received, commit=True)
        if execution.err is not None and not execution.landed and _is_charged(execution.err):
            execution = self._charged(received, execution)
        if execution.err is not None and execution.landed and durable is not None:
            self._use_up(durable, execution)
        return execution

    def simulate(self, received: Received) -> Execution:
        """Execute, and keep nothing."""
        return self._run(received, commit=False)

    def _run(self, received: Received, *, commit: bool) -> Execution:
        tables = loaded_keys(received, self.account)
        if isinstance(tables, str):
            return _refused(received, tables)
        keys = received.keys + tables.writable + tables.readonly
        before = [self._svm.get_account(key) for key in keys]
        too_new = self._too_new(received, before)
        if too_new is not None:
            return replace(too_new, keys=keys, before=before, after=list(before))
        transaction = received.on_blockhash(self._blockhash)
        result: Any
        if commit:
            result = self._svm.send_transaction(transaction)
            after = [self._svm.get_account(key) for key in keys]
        else:
            result = self._svm.simulate_transaction(transaction)
            after = _simulated(result, keys, before)
        err = _error(result, received, before)
        if not commit and before[0] is not None and _is_charged(err):
            after = [_poorer(before[0], fee_of(received.message)), *after[1:]]
        meta = result if isinstance(result, TransactionMetadata) else result.meta()
        returned = meta.return_data()
        return Execution(
            err=err,
            landed=err is None or _lamports(before[0]) != _lamports(after[0]),
            fee=meta.fee(),
            units=meta.compute_units_consumed(),
            logs=meta.logs(),
            inner=[[_inner(called) for called in group] for group in meta.inner_instructions()],
            loaded_bytes=0 if err in _NOT_LOADED else self._loaded_bytes(before),
            returned=(bytes(returned.program_id), returned.data) if returned.data else None,
            keys=keys,
            loaded=(len(tables.writable), len(tables.readonly)),
            before=before,
            after=after,
        )

    def _too_new(self, received: Received, before: list[Account | None]) -> Execution | None:
        """Return how a transaction fails that calls a program of this very slot; None for any other.

        Of its instructions that one alone is looked at, and not what programs call in turn.
        """
        for number, instruction in enumerate(received.instructions):
            program = before[instruction.program_id_index]
            if program is None or not program.executable or program.owner != _LOADER:
                continue
            code = self._svm.get_account(Pubkey.from_bytes(program.data[4:36]))
            if code is not None and int.from_bytes(code.data[4:12], "little") == self._slot:
                name = received.keys[instruction.program_id_index]
                told = [f"Program {name} invoke [1]", "Program is not deployed"]
                failed = Execution.none({"InstructionError": [number, "UnsupportedProgramId"]})
                return replace(failed, logs=[*told, f"Program {name} failed: Unsupported program id"])
        return None

    def _loaded_bytes(self, accounts: list[Account | None]) -> int:
        """Return what clusters count of these accounts; a program brings its code along."""
        found = [account for account in accounts if account is not None]
        for account in list(found):
            if account.executable and account.owner == _LOADER:
                code = self._svm.get_account(Pubkey.from_bytes(account.data[4:36]))
                found += [] if code is None else [code]
        return sum(_ACCOUNT_BYTES + len(account.data) for account in found)

    def _charged(self, received: Received, execution: Execution) -> Execution:
        """Take the fee of a transaction that LiteSVM would let go for nothing."""
        payer, fee = execution.before[0], fee_of(received.message)
        if payer is None or payer.lamports < fee:
            return execution
        poorer = _poorer(payer, fee)
        self.put(execution.keys[0], poorer)
        return replace(execution, landed=True, fee=fee, after=[poorer, *execution.after[1:]])

    def _use_up(self, durable: Pubkey, execution: Execution) -> None:
        """Move the nonce of a failed transaction on, as a cluster does: it cannot be sent again."""
        index = execution.keys.index(durable)
        account = execution.after[index]
        if account is not None:
            execution.after[index] = with_value(account, value_after(self._blockhash))
            self.put(durable, execution.after[index])


def _simulated(result: Any, keys: list[Pubkey], before: list[Account | None]) -> list[Account | None]:
    """Return what accounts would hold."""
    if not isinstance(result, SimulatedTransactionInfo):
        return before
    changed = dict(result.post_accounts())
    after = [changed.get(key, account) for key, account in zip(keys, before, strict=True)]
    return [account if account is not None and account.lamports else None for account in after]


def _error(result: Any, received: Received, before: list[Account | None]) -> Any:
    """Return what went wrong as JSON-RPC has it, None for nothing."""
    if not isinstance(result, FailedTransactionMetadata):
        return None
    err = json.loads(result.to_json())["err"]
    if err == "InvalidProgramForExecution" and any(
        before[instruction.program_id_index] is None for instruction in received.instructions
    ):
        return "ProgramAccountNotFound"
    return err


def _inner(called: InnerInstruction) -> Inner:
    instruction = called.instruction()
    return Inner(
        program=instruction.program_id_index,
        accounts=instruction.accounts,
        data=instruction.data,
        stack_height=called.stack_height() or 2,
    )


def _is_charged(err: Any) -> bool:
    """Whether a cluster takes the fee all the same."""
    return isinstance(err, dict) or err in _CHARGED


def _poorer(payer: Account, fee: int) -> Account:
    lamports = max(0, payer.lamports - fee)
    return Account(lamports, payer.data, payer.owner, payer.executable, payer.rent_epoch)


def _lamports(account: Account | None) -> int:
    return 0 if account is None else account.lamports


def _refused(received: Received, err: str) -> Execution:
    keys = received.keys
    nothing: list[Account | None] = [None] * len(keys)
    return replace(Execution.none(err), keys=keys, before=nothing, after=list(nothing))
