"""How a battery's trades are paid, for `wattbid status`: what is open, what the wallet has, and who covers how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

_LAMPORTS: Final = 1_000_000_000
_SHOWN: Final = 8
"""Lines of buyers that are shown, the ones with most promised on them first."""


def settlement_lines(battery: Mapping[str, Any]) -> list[str]:
    """Return the lines that tell of a battery's cheques, none where no trade is paid on a ledger."""
    look = battery.get("settlement")
    if not look:
        return []
    name = str(battery.get("name", "?"))
    indent = " " * len(name)
    lines = [f"{name}: {_ledger(look)}; {_cheques(look)}", f"{indent}  wallet {_wallet(look)}"]
    held = sorted(look.get("lines") or (), key=lambda line: -(line.get("promised_units") or 0))
    return [*lines, *(f"{indent}  buyer {_line(line, look)}" for line in held[:_SHOWN])]


def _ledger(look: Mapping[str, Any]) -> str:
    state, problem, age_s = look.get("state", "?"), look.get("problem"), look.get("read_age_s")
    read = "never read" if age_s is None else f"read {_age(age_s)} ago"
    return f"ledger {state}{f' ({problem})' if problem else ''}, {read}"


def _cheques(look: Mapping[str, Any]) -> str:
    words = [counted(look.get("open_cheques", 0), "open cheque")]
    words[0] += f" up to {_money(look.get('open_units'), look)}"
    for key, what in (("unanswered", "without an answer"), ("disputed_by_buyer", "disputed by the buyer")):
        if look.get(key):
            words.append(f"{look[key]} {what}")
    stages = look.get("stages") or {}
    words += [
        f"{count} {stage}" for stage in ("settled", "claimed", "disputed", "lost") if (count := stages.get(stage))
    ]
    return ", ".join(words)


def _wallet(look: Mapping[str, Any]) -> str:
    lamports = look.get("lamports")
    sol = "-" if lamports is None else f"{lamports / _LAMPORTS:.4f}"
    return f"{look.get('wallet', '?')}: {sol} SOL, {_money(look.get('tokens'), look)}"


def _line(line: Mapping[str, Any], look: Mapping[str, Any]) -> str:
    cover, age_s = line.get("cover_units"), line.get("age_s")
    if cover is None:
        why = (
            "its line was not read yet: its bids are refused until then" if age_s is None else "no line of it was seen"
        )
        return f"{line.get('buyer_wallet', '?')}: {why}"
    read = "" if age_s is None else f", read {_age(age_s)} ago"
    promised = f"{_money(line.get('promised_units'), look)} of {_money(cover, look)} promised"
    return f"{line.get('buyer_wallet', '?')}: {promised}{read}"


def _money(units: int | None, look: Mapping[str, Any]) -> str:
    if units is None:
        return "-"
    return f"{units / (look.get('base_units_per_cent') or 1):.2f} c"


def _age(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"
