"""Where a system package is obligatory, its absence is a failure and not a skip."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

@pytest.fixture
def compiler():
    pytest.skip("no C compiler")

@pytest.fixture(params=[pytest.param("c", marks=pytest.mark.system), "python"])
def language(request):
    if request.param == "c":
        pytest.skip("no C at all")

@pytest.mark.system
def test_with_a_fixture_that_skips(compiler): ...

@pytest.mark.system
@pytest.mark.skipif(True, reason="no package here")
def test_that_is_skipped_by_a_mark(): ...

def test_by_language(language): ...

def test_that_needs_no_package():
    pytest.skip("no IPv6 here")

@pytest.mark.system
@pytest.mark.xfail(reason="known", strict=True)
def test_that_fails_as_it_should():
    raise AssertionError

@pytest.mark.system
def test_that_looks_first():
    pytest.skip("no compiler here")

@pytest.mark.system
def test_that_runs(): ...
"""


def results(directory: Path, required: str | None) -> str:
    """Run the tests above under this suite's own hooks."""
    (directory / "test_some.py").write_text(TESTS)
    (directory / "pytest.ini").write_text("[pytest]\nmarkers = system: needs a package\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("WATTBID_REQUIRE_SYSTEM", None)
    environment.pop("PYTEST_ADDOPTS", None)
    if required is not None:
        environment["WATTBID_REQUIRE_SYSTEM"] = required
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.conftest",
            "-p",
            "no:cacheprovider",
            "-rfs",
            "-q",
            str(directory),
        ],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    return done.stdout


@pytest.mark.parametrize("required", [None, ""])
def test_a_package_that_is_not_there_is_a_skip_for_people(tmp_path: Path, required: str | None) -> None:
    out = results(tmp_path, required)
    assert "2 passed, 5 skipped, 1 xfailed" in out, out
    assert "no C compiler" in out


def test_where_packages_are_obligatory_it_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    out = results(tmp_path, "1")
    assert "1 failed, 2 passed, 1 skipped, 1 xfailed, 3 errors" in out, out
    for reason in ("no C compiler", "no C at all", "no package here", "no compiler here"):
        assert f"WATTBID_REQUIRE_SYSTEM is set, and this did not run: Skipped: {reason}" in out


def test_continuous_integration_sets_it_and_names_debian_packages() -> None:
    assert "export WATTBID_REQUIRE_SYSTEM" in (ROOT / ".ci" / "run").read_text()
    lines = [line for line in (ROOT / ".ci" / "packages").read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert all(re.fullmatch(r"[a-z0-9.+-]+( [a-z0-9.+-]+)?", line) for line in lines)
