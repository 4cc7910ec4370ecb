"""A ledger's addresses go into the tables of files, and nothing else changes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from cli.filling import FillError, fill, filled

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
TOLD = {"rpc": "http://127.0.0.1:1", "program": "P1", "genesis": "G1", "mint": "M1"}


@pytest.mark.parametrize("name", ["site-settled.toml", "aggregator-settled.toml"])
def test_the_examples_are_filled_in_place(name: str, tmp_path: Path) -> None:
    before = (EXAMPLES / name).read_text()
    path = tmp_path / name
    path.write_text(before)
    fill(path, TOLD)
    after = path.read_text()
    changed = [(a, b) for a, b in zip(before.splitlines(), after.splitlines(), strict=True) if a != b]
    assert {b.split(" = ")[0] for _, b in changed} <= {"rpc", "program_id", "genesis", "mint"}
    wanted = {"rpc": [TOLD["rpc"]], "program_id": "P1", "genesis": "G1", "mint": "M1"}
    found = tomllib.loads(after)["settlement"]
    assert {key: found[key] for key in wanted} == wanted


def test_tables_around_it_stay() -> None:
    text = '[a]\nmint = "x"\n[settlement] # here\nmint = "y"\n[[battery]]\nmint = "z"\n'
    assert filled(text, {"mint": "\\1"}) == text.replace('"y"', '"\\\\1"')


@pytest.mark.parametrize(
    ("text", "complaint"), [("[a]\n", "no [settlement]"), ("[settlement]\n#mint = 1\n", "mint is not on a line")]
)
def test_what_cannot_be_filled_is_told(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(text)
    with pytest.raises(FillError) as caught:
        fill(path, TOLD)
    assert str(path) in str(caught.value)
    assert complaint in str(caught.value) or "rpc is not" in str(caught.value)
    assert path.read_text() == text
