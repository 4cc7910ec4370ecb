#!/bin/sh
# The checks and the tests. usage: deploy/test.sh quick|full
# `quick` leaves out the tests marked slow; `full` runs them all and holds the branch coverage of the rooms that trade.
set -eu
cd "$(dirname "$0")/.."
bin=.venv/bin
mode=${1:-full}
gated="etp agent drivers aggregator"

step() { printf '\n== %s\n' "$*"; }

step "format and lint"
$bin/ruff format --check .
$bin/ruff check .
step "types"
$bin/mypy
step "import walls"
$bin/lint-imports --no-cache
if [ "$mode" = quick ]; then
    step "unit tests"
    exec $bin/python -m pytest -q -n 3 -m "not slow"
fi
step "simulated hours (without coverage: it would double their time)"
$bin/python -m pytest -q -n 2 -m hours
step "studies (without coverage, which their millions of calls would wait for)"
$bin/python -m pytest -q -n 3 tests/market
step "tests"
status=0
$bin/python -m pytest -q -n 3 -m "not hours" --ignore=tests/market --cache-clear --cov --cov-report= || status=$?
if [ "$status" = 1 ]; then
    # Real processes with real time limits share two cores with other tests here: what failed is judged by itself.
    step "what failed, by itself"
    status=0
    $bin/python -m pytest -q --last-failed --last-failed-no-failures=none -m "not hours" --ignore=tests/market --cov --cov-append \
        --cov-report= || status=$?
fi
[ "$status" = 0 ] || exit "$status"
for room in $gated; do
    step "branch coverage of $room (at least 90 %)"
    $bin/coverage report --include="$room/*" --fail-under=90 --skip-covered | tail -n 12
done
