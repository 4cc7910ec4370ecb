"""Family files: what is read, and the one clear line for everything that is wrong with one."""

from pathlib import Path

import pytest

from drivers.declaration import Group
from drivers.errors import DeclarationError
from drivers.loader import FAMILIES, family_names, load_family, load_file, parse_family

GOOD = """
format = 1
family = "plain"
title = "A battery with fixed addresses"
discovery = "fixed"
word_order = "lo-hi"
sources = ["made up for this test"]

[sentinels]
u16 = [0xFFFF]

[[section]]
name = "bat"
address = 100
length = 20
group = "live"
points = [
  { name = "soc", offset = 0, kind = "u16", scale = "0.1", range = [0, 1000] },
  { name = "power", offset = 2, kind = "s32", sign = -1 },
  { name = "state", offset = 4, kind = "enum16" },
  { name = "alarms", offset = 5, kind = "bits32" },
  { name = "mode", offset = 8, kind = "u16", write = true },
  { name = "setpoint", offset = 9, kind = "s16", sign = -1, write = true, budget_per_day = 500 },
  { name = "timer", offset = 10, kind = "u16", write = true },
  { name = "maker", offset = 12, kind = "string", words = 4, group = "once" },
]

[fields]
soc_permille = { points = ["bat.soc"] }

[facts]
rated_power_w = { points = ["bat.power"] }

[texts]
manufacturer = "bat.maker"

[[status]]
point = "bat.state"
ready = [1]

[[command]]
name = "set"
needs = ["bat"]
dispatch = "full"
target = "bat.setpoint"
own_control = { "bat.mode" = [0] }
dead_man = { point = "bat.timer", default_s = 30, min_s = 5, max_s = 60 }
take = [
  { point = "bat.timer", value = "dead_man" },
  { point = "bat.setpoint", value = "target" },
  { point = "bat.mode", value = 1 },
]
change = [{ point = "bat.timer", value = "dead_man" }, { point = "bat.setpoint", value = "target" }]
renew = [{ point = "bat.setpoint", value = "target" }]
release = [{ point = "bat.mode", value = 0 }]
"""


def test_the_families_of_the_product_load() -> None:
    assert family_names() == tuple(sorted(path.stem for path in FAMILIES.iterdir()))
    for name in family_names():
        assert load_family(name).name == name


def test_points_inherit_from_section_and_family() -> None:
    family = parse_family(GOOD, "good.toml")
    soc = family.points["bat.soc"]
    assert (soc.group, soc.order, soc.sentinels) == (Group.LIVE, "lo-hi", frozenset({0xFFFF}))
    assert (soc.low, soc.high) == (0, 1_000)
    assert soc.scale * 10 == 1
    assert family.points["bat.maker"].group is Group.ONCE
    assert family.points["bat.power"].sentinels == frozenset()


def test_every_sunspec_command_can_be_undone_and_names_its_dead_man() -> None:
    family = load_family("sunspec")
    assert [(command.name, command.dispatch) for command in family.file.command] == [
        ("704", "full"),
        ("124", "after-commissioning"),
    ]
    assert all(command.dead_man is not None for command in family.file.command)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("format = 1", "format = 2", "format"),
        ("format = 1", "format = [", "is not TOML"),
        ("format = 1", "format = 1\nwhen = 2026-01-01", "date or time"),
        ('family = "plain"', 'family = "Plain"', "family"),
        ('word_order = "lo-hi"', 'word_order = "middle"', "word_order"),
        ('sources = ["made up for this test"]', "sources = []", "sources"),
        ('name = "soc"', 'name = "soc", colour = 1', "colour"),
        ("offset = 0", "offset = 65536", "offset"),
        ("offset = 0", 'offset = "0"', "offset"),
        ('kind = "u16", scale = "0.1"', 'kind = "u17"', "kind"),
        ('scale = "0.1"', 'scale = "much"', "scale 'much' is not a number"),
        ('scale = "0.1"', "scale = -1", "above zero"),
        ("range = [0, 1000]", "range = [5, 1]", "range [5, 1] is empty"),
        ("sign = -1 },\n  { name", "sign = 2 },\n  { name", "sign"),
        ('kind = "string", words = 4', 'kind = "string"', "strings need it"),
        ('name = "power", offset = 2', 'name = "soc", offset = 2', "two points named soc"),
        ('name = "power", offset = 2', 'name = "power", offset = 0', "overlap at offset 0"),
        ("length = 20", "length = 9", "beyond the section's 9 registers"),
        ("address = 100", "address = 65530", "beyond address 65535"),
        ("length = 20\n", "", "go together"),
        ("address = 100", "models = [1]", "discovery"),
        ("address = 100\nlength = 20", 'find = "nothing"\ninside = "bat"', "hook 'nothing' does not exist"),
        ("address = 100\nlength = 20", 'find = "pv_port"\ninside = "gone"', "section 'gone' does not exist"),
        ("address = 100\nlength = 20", 'find = "pv_port"\ninside = "bat"', "not itself found"),
        ("address = 100\nlength = 20", 'find = "pv_port"', "`find` and `inside`"),
        ("address = 100\nlength = 20", "", "exactly one of"),
        ('kind = "enum16" }', 'kind = "enum16", scale = 10 }', "a enum16 has no scale"),
        (
            'name = "timer", offset = 10, kind = "u16"',
            'name = "timer", offset = 10, kind = "acc32"',
            "cannot be written",
        ),
        ('name = "bat"\n', 'name = "bat"\nspace = "input"\n', "only holding registers"),
        ('kind = "enum16" }', 'kind = "enum16", needs = ["x"] }', "section 'x' does not exist"),
        ('soc_permille = { points = ["bat.soc"] }', 'state_of_charge = { points = ["bat.soc"] }', "state_of_charge"),
        ('points = ["bat.soc"]', 'points = ["bat.gone"]', "point 'bat.gone' does not exist"),
        ('points = ["bat.soc"]', 'points = ["bat.state"]', "number 'bat.state' does not exist"),
        ("rated_power_w = {", "torque = {", "fact 'torque'"),
        ('manufacturer = "bat.maker"', 'manufacturer = "bat.soc"', "text point"),
        ('manufacturer = "bat.maker"', 'colour = "bat.maker"', "text 'colour'"),
        ('point = "bat.state"\nready = [1]', 'point = "bat.gone"\nready = [1]', "point 'bat.gone' does not exist"),
        ("ready = [1]", "fault_bits = { 1 = 'hot' }", "bit rules"),
        ("ready = [1]", "", "says nothing"),
        ('point = "bat.state"\nready', 'point = "bat.maker"\nready', "group live or status"),
        ('needs = ["bat"]', 'needs = ["gone"]', "section 'gone'"),
        ('{ point = "bat.mode", value = 1 },', "", "must end with the mode register"),
        ('target = "bat.setpoint"', 'target = "bat.timer"', "`target` belongs to bat.timer"),
        ('{ point = "bat.mode", value = 1 }', '{ point = "bat.mode", value = "dead_man" }', "not the dead-man's point"),
        ('{ point = "bat.mode", value = 1 }', '{ point = "bat.soc", value = 1 }', "writable point 'bat.soc'"),
        ("min_s = 5", "min_s = 0", "0 < min_s"),
        ("default_s = 30", "default_s = 300", "0 < min_s"),
        (
            'release = [{ point = "bat.mode", value = 0 }]',
            'release = [{ point = "bat.mode", value = 1 }]',
            "own control",
        ),
        (
            'release = [{ point = "bat.mode", value = 0 }]',
            'release = [{ point = "bat.setpoint", value = 0 }, { point = "bat.mode", value = 0 }]',
            "begin with a mode register",
        ),
        ('renew = [{ point = "bat.setpoint", value = "target" }]', "renew = []", "must write the target"),
        (
            'take = [\n  { point = "bat.timer", value = "dead_man" },\n  { point = "bat.setpoint", value = "target" },',
            'take = [\n  { point = "bat.setpoint", value = "target" },\n  { point = "bat.timer", value = "dead_man" },',
            "dead-man before the target",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(old: str, new: str, words: str) -> None:
    assert old in GOOD
    with pytest.raises(DeclarationError) as caught:
        parse_family(GOOD.replace(old, new, 1), "some.toml")
    text = str(caught.value)
    assert words in text
    assert text.startswith("some.toml: ")
    assert "\n" not in text


def test_doubled_names_are_refused() -> None:
    section = '[[section]]\nname = "bat"\naddress = 1\nlength = 2\n'
    with pytest.raises(DeclarationError, match="two sections"):
        parse_family(GOOD + section, "x")
    derived = '[[derived]]\nname = "limit"\nhook = "dc_charge_limit"\npoints = ["bat.soc", "bat.power"]\n'
    parse_family(GOOD + derived, "x")
    with pytest.raises(DeclarationError, match="two derived"):
        parse_family(GOOD + 2 * derived, "x")
    with pytest.raises(DeclarationError, match="hook 'none'"):
        parse_family(GOOD + derived.replace("dc_charge_limit", "none"), "x")


def test_many_errors_are_cut_short() -> None:
    with pytest.raises(DeclarationError, match="and 2 more"):
        parse_family(GOOD.replace("kind = ", "sort = ", 2).replace("format = 1", "format = 1\nread_max = 0"), "x")


def test_unreadable_files_and_names(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"unknown family 'acme', allowed: .*sunspec"):
        load_family("acme")
    with pytest.raises(DeclarationError, match="cannot be read"):
        load_file(tmp_path / "none.toml")
    big = tmp_path / "big.toml"
    big.write_text("#" * 300_000)
    with pytest.raises(DeclarationError, match="longer than"):
        load_file(big)
