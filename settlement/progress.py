"""The life of a cheque as a table: who it belongs to, where it is on the ledger, what is signed -> what is due.

Pure: `next_step` takes what is known, what the ledger says (its clock included) and the rules, and returns one step.
The table lists for every situation the moves that may be made in it, the first that is due wins; a situation without a
move waits. No clock but the ledger's decides anything.

    buyer    free, co-signed            settle at once
    battery  free, co-signed            settle when the buyer has not within cosign_wait_s of the end
    battery  free, its own receipt      claim after that, from the contract's end until valid_until; never for nothing
    both     claimed, co-signed         settle: it pays sooner, and returns the rent
    battery  claimed                    finalize when the window is over; the buyer does an hour later
    buyer    claimed                    dispute what is more than it saw, inside the window
    battery  disputed                   attest the highest co-signed interim receipt, where it says more than is safe
    both     disputed                   settle with a co-signature; time out after the resolver's time
    any      spent                      look for the money
    buyer    claimed, nothing seen      tell its owner, in the second half of the window
    any      free or ahead              expire when no claim is possible any more; co-signed it never expires
    battery  free, expired              void its number, once the Line has gone on by 128
    any      no Line                    expire then, co-signed or not: there is nothing that could pay it

That `claim` needs its own receipt and `settle` both is why the same place has three rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from settlement.lines import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from settlement.cheque import Cheque
    from settlement.signing import Party

FINALIZE_LATE_S: Final = 3_600
"""When the battery has not, the buyer finalizes: the rest of the reserve goes back to its Line."""
EXPIRE_MARGIN_S: Final = 3_600
"""A claim may have landed in the last second of the contract, and be seen later."""
VOID_BEHIND: Final = NUMBERS // 2
"""A Line takes no number 256 beyond an unused one: half of the way there what has expired is voided, not before."""


class Place(Enum):
    """Where a contract number is on the ledger."""

    NO_LINE = "no line"
    """There is none, or it is of another generation."""
    AHEAD = "ahead"
    """The number is beyond the 256 that the Line has open."""
    FREE = "free"
    CLAIMED = "claimed"
    DISPUTED = "disputed"
    SPENT = "spent"


class Paper(Enum):
    """What is signed about the end of the delivery."""

    NONE = "none"
    OWN = "own"
    """The battery's signature alone."""
    BOTH = "both"


class Action(Enum):
    """What to do."""

    WAIT = "wait"
    SETTLE = "settle"
    CLAIM = "claim"
    ATTEST = "attest"
    FINALIZE = "finalize"
    DISPUTE = "dispute"
    TIMEOUT = "timeout"
    LOOK = "look"
    """The number is spent: find out what was paid."""
    EXPIRE = "expire"
    VOID = "void"
    """Spend a number that nothing was paid for, so that the Line goes on."""
    TELL = "tell"
    """A claim is about to be paid that nobody can judge: tell the owner."""


class Rules(NamedTuple):
    """What the owner's file says about it."""

    cosign_wait_s: int
    tolerance_wh: int
    tolerance_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claimed or disputed trade as the ledger holds it."""

    claimed_wh: int
    safe_wh: int
    """Undisputed: the buyer's figure, or a co-signed interim receipt that says more; once it is disputed."""
    disputable_until_s: int
    times_out_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a cheque stands on the ledger, and what time it is there."""

    place: Place
    now_s: int
    claim: Claim | None = None
    """While it is claimed or disputed."""
    behind: int = 0
    """Of a free number: how far beyond it the highest one is that was given."""


class Step(NamedTuple):
    """What is due now, or when to look again."""

    action: Action
    wh: int = 0
    """What a dispute concedes; of a TELL what is claimed."""
    due_at_s: int | None = None
    """Of a WAIT: when one of the moves becomes possible; None: when something happens. Of a TELL: until when."""


class _Case(NamedTuple):
    """All that a move may look at."""

    cheque: Cheque
    seen_wh: int | None
    standing: Standing
    rules: Rules


_Move: TypeAlias = "Callable[[_Case], tuple[Step, int] | None]"
"""Returns a step and the time from which it is possible, None when it never will be."""


def plausible_wh(seen_wh: int, rules: Rules) -> int:
    """Return the most that a battery may say of a delivery of which the buyer saw `seen_wh`, in Wh."""
    return seen_wh + max(rules.tolerance_wh, seen_wh * rules.tolerance_percent // 100)


def paper_of(cheque: Cheque) -> Paper:
    """Return what is signed about the end of this delivery."""
    final = cheque.final
    if final is None or final.battery_signature is None:
        return Paper.NONE
    return Paper.BOTH if final.is_cosigned else Paper.OWN


def next_step(cheque: Cheque, seen_wh: int | None, standing: Standing, rules: Rules) -> Step:
    """Return what is due for a cheque; `seen_wh` is the buyer's own figure, None where it has none."""
    case = _Case(cheque, seen_wh, standing, rules)
    upcoming: list[int] = []
    for move in _TABLE[cheque.role, standing.place, paper_of(cheque)]:
        found = move(case)
        if found is None:
            continue
        step, from_s = found
        if from_s <= standing.now_s:
            return step
        upcoming.append(from_s)
    return Step(Action.WAIT, due_at_s=min(upcoming, default=None))


def is_open_again(cheque: Cheque, standing: Standing, *, expired: bool) -> bool:
    """Whether something is to be done about a cheque that was given up, as the ledger stands now.

    It can be paid: who said otherwise was wrong. Or its number stops the Line. One that had `expired` and whose number
    is spent since was paid after all, or voided.
    """
    if standing.place is Place.FREE:
        may_be_paid = paper_of(cheque) is Paper.BOTH or standing.now_s < cheque.contract.valid_until_s
        return may_be_paid or is_in_the_way(cheque, standing)
    return standing.place in (Place.CLAIMED, Place.DISPUTED) or (expired and standing.place is Place.SPENT)


def is_in_the_way(cheque: Cheque, standing: Standing) -> bool:
    """Whether a battery should void the number of a cheque: no claim can come any more, and its Line has gone on.

    Never that of a co-signed one, which can be settled at any time.
    """
    if cheque.role != "battery" or standing.place is not Place.FREE or paper_of(cheque) is Paper.BOTH:
        return False
    is_over = standing.now_s >= cheque.contract.valid_until_s + EXPIRE_MARGIN_S
    return is_over and standing.behind >= VOID_BEHIND


def _settle(_case: _Case) -> tuple[Step, int]:
    return Step(Action.SETTLE), 0


def _settle_late(case: _Case) -> tuple[Step, int]:
    return Step(Action.SETTLE), _alone_from_s(case)


def _claim(case: _Case) -> tuple[Step, int] | None:
    contract = case.cheque.contract
    if not case.cheque.most_units:
        return None
    from_s = max(contract.ends_at_s, _alone_from_s(case))
    from_s = min(from_s, max(contract.ends_at_s, contract.valid_until_s - EXPIRE_MARGIN_S))
    return None if case.standing.now_s >= contract.valid_until_s else (Step(Action.CLAIM), from_s)


def _attest(case: _Case) -> tuple[Step, int] | None:
    interim, claim = case.cheque.interim, case.standing.claim
    if interim is None or not interim.is_cosigned or claim is None:
        return None
    said_wh = min(interim.receipt.delivered_wh, claim.claimed_wh)
    return (Step(Action.ATTEST), 0) if said_wh > claim.safe_wh else None


def _dispute(case: _Case) -> tuple[Step, int] | None:
    claim = case.standing.claim
    if case.seen_wh is None or claim is None or case.standing.now_s >= claim.disputable_until_s:
        return None
    if claim.claimed_wh <= plausible_wh(case.seen_wh, case.rules):
        return None
    return Step(Action.DISPUTE, wh=case.seen_wh), 0


def _tell(case: _Case) -> tuple[Step, int] | None:
    """Without a figure nothing is disputed: it is the buyer's records that fail, and an honest battery would pay."""
    claim = case.standing.claim
    if case.seen_wh is not None or claim is None or case.standing.now_s >= claim.disputable_until_s:
        return None
    from_s = claim.disputable_until_s - case.cheque.contract.dispute_window_s // 2
    return Step(Action.TELL, wh=claim.claimed_wh, due_at_s=claim.disputable_until_s), from_s


def _finalize(case: _Case) -> tuple[Step, int] | None:
    claim = case.standing.claim
    return None if claim is None else (Step(Action.FINALIZE), claim.disputable_until_s + 1)


def _finalize_late(case: _Case) -> tuple[Step, int] | None:
    claim = case.standing.claim
    return None if claim is None else (Step(Action.FINALIZE), claim.disputable_until_s + FINALIZE_LATE_S)


def _timeout(case: _Case) -> tuple[Step, int] | None:
    claim = case.standing.claim
    return None if claim is None else (Step(Action.TIMEOUT), claim.times_out_at_s + 1)


def _look(_case: _Case) -> tuple[Step, int]:
    return Step(Action.LOOK), 0


def _expire(case: _Case) -> tuple[Step, int]:
    return Step(Action.EXPIRE), case.cheque.contract.valid_until_s + EXPIRE_MARGIN_S


def _void(case: _Case) -> tuple[Step, int] | None:
    return (Step(Action.VOID), 0) if is_in_the_way(case.cheque, case.standing) else None


def _alone_from_s(case: _Case) -> int:
    final = case.cheque.final
    ended_at_s = 0 if final is None else final.receipt.ended_at_s
    return ended_at_s + case.rules.cosign_wait_s


_MOVES: Final[Mapping[tuple[Party, Place], tuple[tuple[_Move, ...], tuple[_Move, ...], tuple[_Move, ...]]]] = {
    # who, where               nothing signed        the battery's receipt     co-signed
    ("battery", Place.NO_LINE): ((_expire,), (_expire,), (_expire,)),
    ("battery", Place.AHEAD): ((_expire,), (_expire,), ()),
    ("battery", Place.FREE): ((_void, _expire), (_claim, _void, _expire), (_settle_late,)),
    ("battery", Place.CLAIMED): ((_finalize,), (_finalize,), (_settle,)),
    ("battery", Place.DISPUTED): ((_attest, _timeout), (_attest, _timeout), (_settle,)),
    ("battery", Place.SPENT): ((_look,), (_look,), (_look,)),
    ("buyer", Place.NO_LINE): ((_expire,), (_expire,), (_expire,)),
    ("buyer", Place.AHEAD): ((_expire,), (_expire,), ()),
    ("buyer", Place.FREE): ((_expire,), (_expire,), (_settle,)),
    ("buyer", Place.CLAIMED): ((_dispute, _finalize_late, _tell), (_dispute, _finalize_late, _tell), (_settle,)),
    ("buyer", Place.DISPUTED): ((_timeout,), (_timeout,), (_settle,)),
    ("buyer", Place.SPENT): ((_look,), (_look,), (_look,)),
}
_TABLE: Final = {
    (role, place, paper): moves
    for (role, place), row in _MOVES.items()
    for paper, moves in zip((Paper.NONE, Paper.OWN, Paper.BOTH), row, strict=True)
}
