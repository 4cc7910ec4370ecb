"""What must be so after every transaction, whatever it was: said once more, without the rules that make it so."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from settlement.program import constants
from settlement.program.accounts import Config, Escrow, Line, MintRule, Participant, Trade, Unpaid
from settlement.program.codec import Record
from settlement.program.events import Settled
from tests.settlement.program.model_world import Token

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.settlement.program.model_world import World
    from tests.settlement.program.steps import Agreed

_COUNTERS: Final = (
    "trades_settled",
    "trades_claimed",
    "trades_disputed",
    "disputes_lost",
    "contracted_wh",
    "delivered_wh",
)
_SETTLES: Final = {
    Participant: {"sequence", *_COUNTERS},
    Escrow: {"available", "allotted", "bonds", "fees_due", "unpaid"},
    Line: {"amount", "locked", "base_no", "used", "open_trades", "trades_settled", "paid"},
    Unpaid: {"amount"},
}
_PAYS: Final = {
    Participant: {"sequence"},
    Escrow: {"available", "allotted", "bonds", "unpaid"},
    Line: {"amount", "locked", "paid"},
    Unpaid: {"amount"},
}
MAY_CHANGE: Final[dict[str, dict[type[Record], set[str]]]] = {
    "set_config": {Config: {"treasury", "fee_bps", "min_bond"}},
    "propose_admin": {Config: {"pending_admin"}},
    "accept_admin": {Config: {"admin", "pending_admin"}},
    "set_pause": {Config: {"paused"}},
    "set_mint_rule": {MintRule: {"allowed", "base_units_per_cent"}},
    "rotate_key": {Participant: {"signing_key", "previous_key", "previous_until"}},
    "deposit": {Participant: {"sequence"}, Escrow: {"available"}},
    "withdraw": {Participant: {"sequence"}, Escrow: {"available"}},
    "allot": {Participant: {"sequence"}, Escrow: {"available", "allotted"}, Line: {"amount"}},
    "request_release": {Participant: {"sequence"}, Line: {"release_amount", "release_at"}},
    "release": {
        Participant: {"sequence"},
        Escrow: {"available", "allotted"},
        Line: {"amount", "release_amount", "release_at"},
    },
    "settle": _SETTLES,
    "claim": {Participant: {"sequence"}, Line: {"locked", "base_no", "used", "open_trades"}},
    "attest": {**_PAYS, Trade: {"attested_wh", "safe_wh", "paid"}},
    "dispute": {
        **_PAYS,
        Trade: {"state", "buyer_wh", "safe_wh", "paid", "bond", "held", "times_out_at"},
    },
    **dict.fromkeys(("finalize", "resolve", "timeout"), _SETTLES),
    "void": {Line: {"base_no", "used"}},
    "collect": {Participant: {"sequence"}, Escrow: {"unpaid"}, Unpaid: {"amount"}},
    "sweep_fees": {Participant: {"sequence"}, Escrow: {"fees_due"}},
}
"""Of accounts that were there before, what each instruction may touch; what is not named, nothing touches."""


class Used(NamedTuple):
    """A contract number of one Line of one time."""

    line: bytes
    generation: int
    number: int


class History:
    """What has to be remembered to see that nothing happens twice."""

    def __init__(self) -> None:
        self.paid: set[Used] = set()
        self.spent: dict[tuple[bytes, int], int] = {}
        self._sums: Counter[bytes] | None = None

    def forget_sums(self) -> None:
        """Say that somebody has changed token accounts beside the token program."""
        self._sums = None

    def check(
        self,
        old: World,
        new: World,
        names: Sequence[str],
        events: Iterable[Record],
        book: Iterable[Agreed],
    ) -> None:
        """Raise AssertionError for whatever must never be."""
        if new is old:
            return
        settled = [event for event in events if isinstance(event, Settled)]
        self._tokens_stay(old, new)
        _books_balance(new)
        _only_what_may(old, new, names)
        _counters_move_with_ends(old, new, settled)
        self._numbers_pay_once(old, new, settled)
        for event in settled:
            _is_split(event, {agreed.contract.trade_id: agreed for agreed in book})

    def _tokens_stay(self, old: World, new: World) -> None:
        before = self._sums or _tokens(old)
        self._sums = _tokens(new)
        assert before == self._sums, "tokens came or went"

    def _numbers_pay_once(self, old: World, new: World, settled: list[Settled]) -> None:
        for event in settled:
            line = _record(old, event.line, Line)  # which the same transaction may have closed
            use = Used(event.line, line.generation, event.contract_no)
            assert use not in self.paid, f"{use} is paid twice"
            self.paid.add(use)
            after = new.at(event.line).data
            if isinstance(after, Line) and after.generation == line.generation:
                assert _is_spent(after, event.contract_no)
        for address, account in new.accounts.items():
            if isinstance(account.data, Line):
                spent = _spent_numbers(account.data)
                earlier = self.spent.get((address, account.data.generation), 0)
                assert spent & earlier == earlier, "a number that was spent is free again"
                self.spent[address, account.data.generation] = spent


def _record(world: World, address: bytes, kind: Any) -> Any:
    found = world.at(address).data
    assert isinstance(found, kind)
    return found


def _spent_numbers(line: Line) -> int:
    return (1 << line.base_no) - 1 | int.from_bytes(line.used, "little") << line.base_no


def _is_spent(line: Line, number: int) -> bool:
    return bool(_spent_numbers(line) >> number & 1)


def _tokens(world: World) -> Counter[bytes]:
    sums: Counter[bytes] = Counter()
    for account in world.accounts.values():
        if isinstance(account.data, Token):
            sums[account.data.mint] += account.data.amount
    return sums


def _books_balance(world: World) -> None:
    """Compare each escrow with its vault, Lines, Trades and what it owes."""
    lines = {key: a.data for key, a in world.accounts.items() if isinstance(a.data, Line)}
    trades = [a.data for a in world.accounts.values() if isinstance(a.data, Trade)]
    owed = [a.data for a in world.accounts.values() if isinstance(a.data, Unpaid)]
    for key, line in lines.items():
        ours = [trade for trade in trades if trade.line == key]
        assert line.locked == sum(trade.reserved - trade.paid - trade.held for trade in ours)
        assert line.open_trades == len(ours)
        assert line.locked <= line.amount
        assert not int.from_bytes(line.used, "little") & 1
    for key, account in world.accounts.items():
        if not isinstance(account.data, Escrow):
            continue
        escrow, vault = account.data, world.at(account.data.vault).data
        assert isinstance(vault, Token)
        assert vault.amount >= escrow.available + escrow.allotted + escrow.bonds + escrow.fees_due + escrow.unpaid
        ours_of = {line_key for line_key, line in lines.items() if line.escrow == key}
        assert escrow.allotted == sum(lines[line_key].amount for line_key in ours_of)
        assert escrow.bonds == sum(trade.bond + trade.held for trade in trades if trade.line in ours_of)
        assert escrow.unpaid == sum(unpaid.amount for unpaid in owed if unpaid.escrow == key)
        assert min(escrow.available, escrow.allotted, escrow.bonds, escrow.fees_due, escrow.unpaid) >= 0


def _only_what_may(old: World, new: World, names: Sequence[str]) -> None:
    for key, account in new.accounts.items():
        was, now = old.at(key).data, account.data
        if was is now or not isinstance(was, Record) or type(was) is not type(now):
            continue
        if isinstance(was, Line) and isinstance(now, Line) and was.generation != now.generation:
            assert names.index("close") < names.index("open_line")  # another Line, in the place of the one before
            continue
        slots: tuple[str, ...] = tuple(was.__slots__)
        changed = {name for name in slots if getattr(was, name) != getattr(now, name)}
        allowed: set[str] = set().union(*(MAY_CHANGE.get(name, {}).get(type(was), set()) for name in names))
        assert changed <= allowed, f"{names} changed {changed - allowed} of {type(was).__name__}"


def _counters_move_with_ends(old: World, new: World, settled: list[Settled]) -> None:
    for key, account in new.accounts.items():
        was, now = old.at(key).data, account.data
        if not isinstance(was, Participant) or not isinstance(now, Participant) or was is now:
            continue
        ends = sum(now.wallet in (event.battery_wallet, event.buyer_wallet) for event in settled)
        assert now.trades_settled - was.trades_settled == ends
        if not ends:
            assert [getattr(was, name) for name in _COUNTERS] == [getattr(now, name) for name in _COUNTERS]
        assert now.trades_claimed <= now.trades_settled
        assert now.disputes_lost <= now.trades_disputed <= now.trades_claimed
        assert now.delivered_wh <= now.contracted_wh


def _is_split(event: Settled, book: dict[bytes, Agreed]) -> None:
    """Hold a trade's money against the contract that both have signed."""
    assert event.payout + event.fee + event.returned == event.reserved
    if event.trade_id not in book:  # arguments that nobody signed but two wallets, by the transaction itself
        assert event.how == constants.HOW_COSIGNED
        return
    contract = book[event.trade_id].contract
    assert (event.reserved, event.contract_no) == (contract.reserve, contract.contract_no)
    whole = contract.split(contract.energy_wh)
    assert event.payout <= whole.payout
    assert event.fee == event.payout * contract.fee_bps // 10_000
    if event.payout != contract.split(event.delivered_wh).payout:  # a dispute had paid more before both agreed on less
        assert event.how == constants.HOW_COSIGNED
        assert event.payout > contract.split(event.delivered_wh).payout
