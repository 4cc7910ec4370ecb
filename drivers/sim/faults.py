"""What can be switched wrong with a simulated battery while it runs, and what wrong values look like.

Switches are named words with an optional value. Those of the wire (`silent`, `slow`, `half`, `unanswered`, `busy`,
`disconnect`) are obeyed by the server, those of the values (`wrong`, `stuck`) by the register image, those of the
machine (`over-temperature`, `fault`, `grid-lost`, `local`) by the physics.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Numbers(NamedTuple):
    """The whole numbers that a switch takes."""

    low: int
    high: int


class Fault(NamedTuple):
    """One switch: what it does, the value it takes when none is given, and what is allowed."""

    meaning: str
    default: int | str | bool
    allowed: Numbers | frozenset[str] | None = None


WRONG: Final = frozenset({"impossible", "zero", "absent"})
FAULTS: Final[dict[str, Fault]] = {
    "silent": Fault("no request is answered", default=True),
    "slow": Fault("every answer waits this many milliseconds", 1_500, Numbers(1, 60_000)),
    "unanswered": Fault("this share of requests is not answered, in per cent", 50, Numbers(1, 99)),
    "half": Fault("every answer breaks off in the middle", default=True),
    "busy": Fault("every request gets exception 6", default=True),
    "disconnect": Fault("connections are closed, also new ones", default=True),
    "wrong": Fault(
        "measured values are impossible, all zero, or not implemented",
        "impossible",
        frozenset({"impossible", "zero", "absent"}),
    ),
    "stuck": Fault("measured values stay as they are", default=True),
    "over-temperature": Fault("the cells are this warm, in degrees Celsius", 62, Numbers(46, 120)),
    "fault": Fault("the battery is in fault state and stops", default=True),
    "grid-lost": Fault("the grid is gone and the inverter stops", default=True),
    "local": Fault("somebody at the battery has taken control; commands have no effect", default=True),
}
# Points that carry a measurement, and an impossible value for each; zero and absent are the same for all.
_IMPOSSIBLE: Final = {
    **dict.fromkeys(("SoC", "StrSoC"), 1_500),
    **dict.fromkeys(("ChaState",), 15_000),
    **dict.fromkeys(("W", "DCW", "PrtDCW"), 32_000),
    **dict.fromkeys(("V", "PrtDCV", "DCV", "InBatV"), 65_000),
    **dict.fromkeys(("A", "DCA", "PrtDCA"), 32_000),
    **dict.fromkeys(("ModTmpMax", "ModTmpMin", "ModTmpAvg", "PrtTmp"), 4_000),
    **dict.fromkeys(("TotWhInj", "TotWhAbs", "DCWhInj", "DCWhAbs", "PrtDCWhInj", "PrtDCWhAbs", "WH"), 1),
}


class FaultSwitches:
    """The switches of one battery."""

    def __init__(self) -> None:
        self._active: dict[str, int | str | bool] = {}

    def set(self, name: str, value: int | str | None = None) -> None:
        """Switch a fault on. Raises ValueError with what is allowed."""
        if name not in FAULTS:
            raise ValueError(f"no fault {name!r}; known: {', '.join(FAULTS)}")
        fault = FAULTS[name]
        wanted = fault.default if value is None or value is True else value
        if not _fits(wanted, fault):
            raise ValueError(f"fault {name}: {wanted!r} is not allowed; {_allowed(fault)}")
        self._active[name] = wanted

    def clear(self, name: str | None = None) -> None:
        """Switch one fault off, or all. Raises ValueError for an unknown name."""
        if name is None:
            self._active.clear()
        elif name in FAULTS:
            self._active.pop(name, None)
        else:
            raise ValueError(f"no fault {name!r}; known: {', '.join(FAULTS)}")

    def on(self, name: str) -> bool:
        """Whether a fault is switched on."""
        return name in self._active

    def number(self, name: str) -> int:
        """Return a switch's number, 0 while it is off."""
        return int(self._active.get(name, 0))

    def active(self) -> dict[str, int | str | bool]:
        """Every switch that is on, with its value."""
        return dict(self._active)

    def distort(self, values: dict[str, int | str | None]) -> dict[str, int | str | None]:
        """Return a model's values as the `wrong` switch shows them."""
        kind = self._active.get("wrong")
        if kind is None:
            return values
        wrong: dict[str, int | str | None] = dict(values)
        for name in values.keys() & _IMPOSSIBLE.keys():
            wrong[name] = {"zero": 0, "absent": None}.get(str(kind), _IMPOSSIBLE[name])
        return wrong


def parse_faults(text: str) -> list[tuple[str, int | str | None]]:
    """Read `silent,slow=500` as a command line has it. Raises ValueError for an empty name."""
    found: list[tuple[str, int | str | None]] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, raw = item.partition("=")
        found.append((name, int(raw) if raw.isdigit() else raw or None))
    return found


def _fits(value: int | str | bool, fault: Fault) -> bool:
    match fault.allowed:
        case None:
            return value is True
        case Numbers(low, high):
            return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        case words:
            return value in words


def _allowed(fault: Fault) -> str:
    match fault.allowed:
        case None:
            return "it takes no value"
        case Numbers(low, high):
            return f"a whole number of {low}..{high}"
        case words:
            return "one of " + ", ".join(sorted(words))
