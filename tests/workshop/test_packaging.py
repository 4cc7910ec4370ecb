"""What leaves the house: the wheel's rooms are the declared ones, and each imports from the wheel alone."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOMS = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    uv = ROOT / ".uv" / "bin" / "uv"
    subprocess.run([uv, "build", "--wheel", "--quiet", "--out-dir", out, ROOT], check=True, timeout=100)
    (built,) = out.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_the_declared_rooms_and_nothing_else(wheel: Path) -> None:
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == set(ROOMS)


@pytest.mark.slow
def test_the_wheel_holds_what_the_rooms_read_beside_their_code(wheel: Path) -> None:
    beside = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert {"market/data/spot-vic1.json", "drivers/families/sunspec.toml"} <= beside
    assert beside <= set(zipfile.ZipFile(wheel).namelist())
    elf = zipfile.ZipFile(wheel).read("settlement/program/settlement.so")
    assert elf == (ROOT / "programs" / "settlement" / "settlement.so").read_bytes()


@pytest.mark.slow
def test_every_room_imports_from_the_wheel_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    modules = sorted(
        path.relative_to(site).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        for room in ROOMS
        for path in (site / room).rglob("*.py")
        if path.name != "__main__.py"
    )
    code = (
        "import importlib, sys\n"
        f"sys.path[:0] = [{str(site)!r}, {sysconfig.get_path('purelib')!r}]\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print([m.__file__ for n, m in sys.modules.items() if n in {ROOMS!r}])\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(str(site)) == len(ROOMS), done.stdout


def test_no_room_takes_the_name_of_a_module_that_others_ship() -> None:
    assert not set(ROOMS) & set(sys.stdlib_module_names)
    purelib = Path(sysconfig.get_path("purelib"))
    shipped = {path.relative_to(purelib).parts[0] for room in ROOMS for path in (purelib / room).rglob("*.py")}
    assert not shipped | {room for room in ROOMS if (purelib / f"{room}.py").exists()}


def test_every_room_is_declared() -> None:
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"bench", "fuzz"}
    assert rooms == set(ROOMS)


def test_the_project_cannot_be_uploaded_by_accident() -> None:
    assert "Private :: Do Not Upload" in PROJECT["project"]["classifiers"]
