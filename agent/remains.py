"""What an earlier run left in an agent's storage, looked at before the start makes what is missing.

A journal or an identity that is gone is replaced by a new one, as at a first start; only what lies beside it tells that
this is not the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config_values import Site


class Remains(NamedTuple):
    """What was there, and what was not, when `look` looked."""

    journal: Path
    has_journal: bool
    others: tuple[Path, ...]
    missing_roots: tuple[tuple[str, Path], ...]

    def of_journal(self) -> str:
        """Return what to tell of a journal that is begun anew beside older files, "" when there is nothing to tell."""
        if self.has_journal or not self.others or not _is_there(self.journal):
            return ""
        names = ", ".join(path.name for path in self.others)
        return (
            f"{self.journal}: was missing and is begun anew, though there is {names}: what was promised, a reserve and "
            "a stop of the owner are forgotten; if that is not meant, stop the agent and restore a copy"
        )

    def of_identity(self, battery: str) -> str:
        """Return what to tell of a battery whose identity was made in this start, "" when there is nothing to tell."""
        path = dict(self.missing_roots).get(battery)
        if path is None or not self.has_journal or not _is_there(path):
            return ""
        return (
            f"{path}: was missing, so battery {battery!r} has a new identity; buyers that trust the old key find it no "
            "more; if that is not meant, stop the agent and restore a copy"
        )


def look(site: Site) -> Remains:
    """Return what is there before the start. Never raises for a file's sake."""
    roots = tuple((battery.name, battery.root_file) for battery in site.batteries if battery.keystore is None)
    paid = site.settlement
    outboxes = () if paid is None else tuple(paid.outbox_of(battery.name) for battery in site.batteries)
    beside = (site.storage.telemetry, *outboxes)  # a root may be there before the first start: for a registration
    return Remains(
        journal=site.storage.journal,
        has_journal=_is_there(site.storage.journal),
        others=tuple(path for path in beside if _is_there(path)),
        missing_roots=tuple((name, path) for name, path in roots if not _is_there(path)),
    )


def _is_there(path: Path) -> bool:
    """Whether there is a file; one behind a closed door counts, whoever opens it hears of that."""
    try:
        return path.exists()
    except OSError:
        return True
