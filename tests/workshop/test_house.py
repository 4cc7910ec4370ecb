"""The house itself: files and functions stay small, lines short, and no room is empty."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MADE = {"build", "dist"}
"""What the make targets make beside hidden directories; not ours to judge, and git need not be there to say so."""
GENERATED = "Made from the schema"
"""In the first line of what a program wrote: its length is its table's."""
FILES = sorted(
    path
    for top in ROOT.iterdir()
    if not top.name.startswith(".") and top.name not in MADE
    for path in ([top] if top.suffix == ".py" else top.rglob("*.py"))
)


def is_generated(path: Path) -> bool:
    return GENERATED in path.read_text().partition("\n")[0]


def test_files_stay_small() -> None:
    sizes = {path: len(path.read_text().splitlines()) for path in FILES if not is_generated(path)}
    assert statistics.median(sizes.values()) <= 200
    assert {str(path): size for path, size in sizes.items() if size > 500} == {}


@pytest.mark.parametrize(
    "path", [path for path in FILES if not is_generated(path)], ids=lambda path: str(path.relative_to(ROOT))
)
def test_functions_stay_small(path: Path) -> None:
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {f.name: f.end_lineno - f.lineno + 1 for f in functions if f.end_lineno and f.end_lineno - f.lineno >= 70}
    assert long == {}
