"""The Python modules that follow from the schema, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from settlement.program import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from settlement.program.layout import Account, Call, Event, Field, Slot

_MADE: Final = "Made from the schema by `python -m settlement.program.generate`; not to be edited."


def accounts() -> str:
    """Return the module of the accounts."""
    body = "".join(_record(account, 8) for account in schema.ACCOUNTS)
    return _module("The accounts of the program.", ("Record",)) + body + _listing("ACCOUNTS", schema.ACCOUNTS)


def events() -> str:
    """Return the module of the events."""
    body = "".join(_record(event, 8) for event in schema.EVENTS)
    return _module("The events of the program.", ("Record",)) + body + _listing("EVENTS", schema.EVENTS)


def failures() -> str:
    """Return the module of the refusals."""
    lines = [
        f'"""The refusals of the program. {_MADE}"""\n\nfrom __future__ import annotations\n',
        "from enum import IntEnum\nfrom typing import Final\n\n",
        'class Failure(IntEnum):\n    """Custom error numbers; they never change."""\n',
    ]
    lines += [f"    {_screaming(failure.name)} = {failure.number}" for failure in schema.FAILURES]
    lines.append("\nTEXTS: Final = {")
    lines += [f'    Failure.{_screaming(failure.name)}: "{failure.text}",' for failure in schema.FAILURES]
    lines.append("}\n")
    return "\n".join(lines)


def instructions() -> str:
    """Return the module of the instructions."""
    head = (
        f'"""The instructions of the program. {_MADE}\n\nKeys of 32 bytes in arguments, addresses in accounts.\n"""\n\n'
        "from __future__ import annotations\n\nfrom typing import TYPE_CHECKING, Final\n\n"
        "from solders.pubkey import Pubkey\n\n"
        "from settlement.program.codec import CallLayout, instruction\n\n"
        "if TYPE_CHECKING:\n    from solders.instruction import Instruction\n\n"
    )
    fixed = {slot.address: slot.name for call in schema.CALLS for slot in call.accounts if slot.address}
    head += "".join(f'{name.upper()}: Final = Pubkey.from_string("{address}")\n' for address, name in fixed.items())
    return head + "".join(_call(call) for call in schema.CALLS) + _layouts()


def _module(text: str, names: tuple[str, ...]) -> str:
    return (
        f'"""{text} {_MADE}"""\n\nfrom __future__ import annotations\n\nimport struct\n'
        "from dataclasses import dataclass\nfrom typing import ClassVar, Final\n\n"
        f"from settlement.program.codec import {', '.join(names)}\n"
    )


def _record(what: Account | Event, head: int) -> str:
    fields = [field for field in what.fields if not field.is_padding]
    layout = "".join(field.kind.struct for field in what.fields)
    size = head + sum(field.kind.size for field in what.fields)
    lines = [
        "\n\n@dataclass(frozen=True, slots=True)",
        f"class {what.name}(Record):",
        f'    """{what.text}"""',
        "",
        f'    DISCRIMINATOR: ClassVar[bytes] = bytes.fromhex("{what.discriminator.hex()}")',
        f"    SIZE: ClassVar[int] = {size}",
        f'    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<{layout}")',
        "",
    ]
    for field in fields:
        lines.append(f"    {field.name}: {field.kind.python}")
        if field.text:
            lines.append(f'    """{field.text[0].upper()}{field.text[1:]}."""')
    return "\n".join(lines) + "\n"


def _listing(name: str, records: tuple[Account, ...] | tuple[Event, ...]) -> str:
    names = ", ".join(record.name for record in records)
    return f"\n\n{name}: Final[tuple[type[Record], ...]] = ({names},)\n"


def _call(call: Call) -> str:
    args = [field for field in call.args if not field.is_padding]
    free = [slot for slot in call.accounts if not slot.address and slot.name != "program"]
    layout = "".join(field.kind.struct for field in call.args)
    names = "".join(f'"{field.name}", ' for field in args)
    declared = (call.name, call.discriminator.hex(), layout, names)
    lines = [
        '\n\n{}: Final = CallLayout("{}", bytes.fromhex("{}"), "{}", ({}))\n\n'.format(call.name.upper(), *declared),
        f"def {call.name}(program_id: Pubkey{_parameters(free, args)}) -> Instruction:",
        f'    """{_wrapped(call.text)}"""',
        f"    data = {call.name.upper()}.encode({', '.join(field.name for field in args)})",
        "    return instruction(",
        "        program_id,",
        "        data,",
    ]
    lines += [f"        {_meta(slot)}," for slot in call.accounts]
    lines.append("    )")
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> str:
    """Return a docstring's text: its first sentence as summary, what follows as a paragraph."""
    summary, dot, more = text.partition(". ")
    return f"{summary}.\n\n    {more}\n    " if dot else text


def _parameters(slots: list[Slot], args: list[Field]) -> str:
    found: Iterator[str] = iter(
        [f"{slot.name}: Pubkey" for slot in slots if not slot.optional]
        + [f"{field.name}: {field.kind.python}" for field in args]
        + [f"{slot.name}: Pubkey | None = None" for slot in slots if slot.optional]
    )
    return ", *, " + ", ".join(found)


def _meta(slot: Slot) -> str:
    if slot.address:
        value = slot.name.upper()
    elif slot.name == "program":
        value = "program_id"
    else:
        value = slot.name
    return f"({value}, {slot.signer}, {slot.writable})"


def _layouts() -> str:
    names = ", ".join(call.name.upper() for call in schema.CALLS)
    return f"\n\nCALLS: Final[tuple[CallLayout, ...]] = ({names},)\n"


def _screaming(name: str) -> str:
    return "".join(f"_{letter}" if letter.isupper() and place else letter for place, letter in enumerate(name)).upper()
