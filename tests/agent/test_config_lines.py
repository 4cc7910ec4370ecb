"""Finding the line of a key in TOML text."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config_lines import KeyPath, key_lines, line_of

TEXT = '''# a comment with [brackets] and "quotes"
top = 1 # x = 2
[site]
name = "a [b] # c"   # comment
"quoted key" = 1
a.b . c = 2

[[battery]]
name = """
not = a key
[not.a.table]
"""""
text = \'\'\'
[no] "
\'\'\'
list = [ # one
  "]", # two
  { x = 1 },
]
after = 1
[[battery.reserve.tiers]]
from = 1
[[battery.reserve.tiers]]
from = 2
[[battery]]
[battery.reserve]
tiers = [{from = 1}, {from = 2}]
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("site",), 3),
        (("site", "name"), 4),
        (("site", "quoted key"), 5),
        (("site", "a"), 6),
        (("site", "a", "b", "c"), 6),
        (("site", "missing"), 3),
        (("battery",), 8),
        (("battery", 0), 8),
        (("battery", 0, "name"), 9),
        (("battery", 0, "text"), 13),
        (("battery", 0, "list"), 16),
        (("battery", 0, "list", 2, "x"), 16),
        (("battery", 0, "after"), 20),
        (("battery", 0, "reserve", "tiers", 0, "from"), 22),
        (("battery", 0, "reserve", "tiers", 1, "from"), 24),
        (("battery", 1), 25),
        (("battery", 1, "reserve"), 26),
        (("battery", 1, "reserve", "tiers", 1, "from"), 27),
        (("nowhere",), 0),
        ((), 0),
    ],
)
def test_lines(path: KeyPath, line: int) -> None:
    tomllib.loads(TEXT)
    assert line_of(key_lines(TEXT), path) == line


def leaves(value: Any, path: KeyPath = ()) -> dict[KeyPath, Any]:
    if not isinstance(value, dict):
        return {path: value}
    return {inner: leaf for name, one in value.items() for inner, leaf in leaves(one, (*path, name)).items()}


fillers = st.sampled_from(
    [
        '""',
        '"]"',
        "'[['",
        '"""\n] = 1\n[x]\n"""',
        "'''\na = '1'\n'''",
        "[\n]",
        "[ # ]\n '[', [], {x = 1}\n]",
        '"\\\\"',
        '"\\""',
    ]
)


@given(st.lists(fillers, min_size=1, max_size=8), st.lists(st.booleans(), min_size=8, max_size=8))
def test_no_value_hides_the_keys_after_it(values: list[str], tables: list[bool]) -> None:
    text, expected = "", {}
    table: KeyPath = ()
    for number, (value, new_table) in enumerate(zip(values, tables, strict=False)):
        if new_table:
            table = (f"t{number}",)
            text += f"[t{number}]\n"
        expected[(*table, f"k{number}")] = text.count("\n") + 1
        text += f"k{number} = {value}\n"
    assert {path for path in leaves(tomllib.loads(text)) if len(path) <= 2} == set(expected)
    lines = key_lines(text)
    assert {path: lines[path] for path in expected} == expected
