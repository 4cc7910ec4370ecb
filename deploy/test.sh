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
    exec $bin/python -m pytest -q -n 2 -m "not slow"
fi
step "simulated hours (without coverage: it would double their time)"
$bin/python -m pytest -q -n 2 -m hours
step "tests"
if ! $bin/python -m pytest -q -n 3 -m "not hours" --cov --cov-report=; then
    # Real processes and sockets beside each other on two cores: what failed is looked at once more, by itself.
    step "what failed, by itself"
    $bin/python -m pytest -q --last-failed -m "not hours" --cov --cov-append --cov-report=
fi
for room in $gated; do
    step "branch coverage of $room (at least 90 %)"
    $bin/coverage report --include="$room/*" --fail-under=90 --skip-covered | tail -n 12
done
