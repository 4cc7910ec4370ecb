"""The whole program in pure Python: `execute` takes a world, the chain's clock and an instruction.

It returns the world after it and the events, or raises Refused. See model_world for what its values are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from settlement.program import instructions
from settlement.program.failures import Failure
from settlement.program.schema import CALLS, EVENTS
from tests.settlement.program import model_buyer, model_ends, model_operator, model_trades
from tests.settlement.program.model_world import Call, Clock, Done, Frame, Refused, World, derive

if TYPE_CHECKING:
    from collections.abc import Callable

    from settlement.program.codec import CallLayout, Record

MONEY_EVENTS: Final = frozenset(event.name for event in EVENTS if event.is_money)
SHAPES: Final = {shape.name: shape for shape in CALLS}
_BY_TAG: Final = {shape.discriminator: shape for shape in CALLS}


def _rules() -> dict[str, Callable[[Frame], None]]:
    found: dict[str, Callable[[Frame], None]] = {}
    for module in (model_operator, model_buyer, model_trades, model_ends):
        found |= {name: rule for name, rule in vars(module).items() if name in SHAPES}
    return found


RULES: Final = _rules()


def execute(world: World, clock: Clock, call: Call) -> Done:
    """Return what an instruction does. Raises Refused, with what may be said of it, when it does nothing."""
    shape = _BY_TAG.get(call.data[:8])
    if shape is None or len(call.data) != shape.size:
        raise Refused(Failure.UNKNOWN_INSTRUCTION)
    if len(call.metas) != len(shape.accounts):
        raise Refused(Failure.BAD_ACCOUNT)
    layout: CallLayout = getattr(instructions, shape.name.upper())
    slots = {slot.name: meta for slot, meta in zip(shape.accounts, call.metas, strict=False)}
    frame = Frame(world, clock, call, slots, layout.decode(call.data))
    if "program" in slots:
        frame.expect_by_then(frame.key("program") == world.program_id, Failure.BAD_ACCOUNT)
    try:
        RULES[shape.name](frame)
    except Refused as refused:
        _look_at_events(frame)
        raise Refused(*refused.failures, *frame.late) from None
    if any(is_money(event) for event in frame.events):
        _look_at_events(frame)
    if frame.late:
        raise Refused(*frame.late)
    return frame.done()


def _look_at_events(frame: Frame) -> None:
    """Look whether events can leave: a forged authority is good for nothing, because the program cannot sign for it."""
    if "event_authority" in frame.slots:
        is_ours = frame.key("event_authority") == derive(frame.world.program_id, b"__event_authority")[0]
        frame.expect_by_then(is_ours, Failure.WRONG_ADDRESS)


def is_money(event: Record) -> bool:
    """Whether an event goes by an instruction of its own, else by the log."""
    return type(event).__name__ in MONEY_EVENTS
