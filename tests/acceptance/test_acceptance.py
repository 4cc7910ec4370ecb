"""The acceptance suite on every ledger there is: the embedded one, a real validator, and where the environment points.

What a run told is in build/acceptance-<ledger>.txt, and on the terminal with `pytest -s`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.acceptance.cluster import Cluster, elsewhere, embedded, validator
from tests.acceptance.suite import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

REPORTS: Final = Path(__file__).parents[2] / "build"
SCALE: Final = 8
"""The embedded ledger's clock in this test: its blockhashes then last 7.5 seconds."""
CLUSTERS: Final[dict[str, Callable[[], AbstractContextManager[Cluster]]]] = {
    "embedded": lambda: embedded(SCALE),
    "validator": validator,
    "elsewhere": elsewhere,
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", CLUSTERS)
async def test_money_goes_its_way(name: str, tmp_path: Path) -> None:
    REPORTS.mkdir(exist_ok=True)
    with CLUSTERS[name]() as cluster, (REPORTS / f"acceptance-{name}.txt").open("w", buffering=1) as report:

        def tell(line: str) -> None:
            report.write(f"{line}\n")
            sys.stdout.write(f"{line}\n")

        await run(cluster, tmp_path, tell)
