#!/usr/bin/env bash
# Checks everything: format, lint, import contracts, types, the page, tests and their coverage.
#
#   scripts/test.sh                    the checks, and the tests that are not marked slow: about four minutes
#                                      on two processors
#   scripts/test.sh --all              with coverage, then the slow ones too (what CI runs): under an hour
#   scripts/test.sh --lint             the checks alone
#   scripts/test.sh -k NAME            the tests that match NAME, and nothing else
#   scripts/test.sh tests/store …      these tests, and nothing else; further options go to pytest
#
# Tests whose prerequisite this machine lacks (redis-server, bubblewrap, …) are left out and counted at the
# end, and so are the page's checks where no Node can be had; with CI=true or FLYNN_REQUIRE_ALL=1 they fail. JOBS=4 sets the number of parallel test processes;
# more than there are processors, since many tests wait for something. The slow ones start processes of
# their own, so fewer of them run at a time; tracing those processes would cost more than it tells.
#
# FLYNN_TEST_DATABASE_URL and FLYNN_TEST_REDIS_URL name servers that are there, for tests that need no server
# of their own; what that Redis holds is lost.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

checks=true
coverage=false
selection=()
case "${1:-}" in
  "") selection=(-m "not slow") ;;
  --all)
    shift
    coverage=true
    selection=(-m "not slow")
    ;;
  --lint)
    shift
    selection=(none)
    ;;
  -h | --help)
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  *)
    checks=false
    selection=("$@")
    set --
    ;;
esac
if [ $# -gt 0 ]; then
  echo "test.sh: --all and --lint stand alone; \"$1\" is one too many" >&2
  exit 2
fi

scripts/setup.sh --dev
export PATH="$PWD/.venv/bin:$PATH"

# No test may meet a real model, a real database or the settings of the person who runs it.
unset ANTHROPIC_API_KEY ANTHROPIC_BASE_URL DATABASE_URL REDIS_URL POSTGRES_PASSWORD LOG_LEVEL

# Compiled modules and rewritten asserts are kept, whatever the environment says: each of many processes
# would make them anew.
unset PYTHONDONTWRITEBYTECODE

output="$(mktemp)"
trap 'rm -f "$output"' EXIT
summary=()
failed=0

stage() {
  local name=$1 began=$SECONDS result=ok
  shift
  printf '\n== %s\n' "$name"
  if ! "$@"; then
    result=FAILED
    failed=1
  fi
  summary+=("$(printf '%-7s %-9s %4d s' "$result" "$name" "$((SECONDS - began))")")
}

processors="$(getconf _NPROCESSORS_ONLN)"

# shellcheck disable=SC2329 # stage calls it
run_tests() {
  local jobs=$1
  shift
  local options=(-n "$jobs" --dist loadgroup --no-header)
  if [ -t 1 ]; then
    options+=(--color=yes)
  fi
  if [ "$coverage" = true ]; then
    options+=(--cov --cov-report=term:skip-covered --cov-report=xml)
  fi
  # pipefail: the status is that of pytest.
  python -m pytest "${options[@]}" "$@" | tee -a "$output"
}

# shellcheck disable=SC2329 # stage calls it
run_slow_tests() {
  local coverage=false
  run_tests "${JOBS:-$((processors + 1))}" -m slow
}

# shellcheck disable=SC2329 # stage calls it
check_page() {
  local status=0
  scripts/build-page.sh --check || status=$?
  if [ "$status" != 3 ]; then
    return "$status"
  fi
  # As for tests that need something (tests/conftest.py).
  if [ "${CI:-}" = true ] || [ "${FLYNN_REQUIRE_ALL:-}" = 1 ]; then
    case ",${FLYNN_MAY_SKIP:-}," in
      *,node,*) ;;
      *) return 1 ;;
    esac
  fi
  echo "left out for want of node: the page's checks" | tee -a "$output"
}

# Test processes that start together would each compile all tests; checks leave a processor free for that.
compiling=
if [ "$checks" = true ] && [ "${selection[0]}" != none ]; then
  if [ "$coverage" = true ]; then
    python -m pytest --collect-only -q >/dev/null 2>&1 &
  else
    python -m pytest --collect-only -q "${selection[@]}" >/dev/null 2>&1 &
  fi
  compiling=$!
fi

# The types take as long as the other checks together, which need one processor: they are checked meanwhile.
types="$(mktemp)"
typing=
trap 'rm -f "$output" "$types"; [ -z "$typing" ] || kill "$typing"' EXIT

# shellcheck disable=SC2329 # stage calls it
told_types() {
  local status=0
  wait "$typing" || status=$?
  typing=
  cat "$types"
  return "$status"
}

if [ "$checks" = true ]; then
  typed=(backend/flynn scripts tests deploy/backup)
  if compgen -G 'bench/*.py' >/dev/null; then
    typed+=(bench)
  fi
  mypy "${typed[@]}" >"$types" 2>&1 &
  typing=$!
  stage format ruff format --check .
  stage lint ruff check .
  stage imports lint-imports --no-cache --no-logo
  stage security bandit --quiet --configfile pyproject.toml --recursive backend -ll
  stage page check_page
  stage types told_types
fi
if [ -n "$compiling" ]; then
  wait "$compiling" || true # what is wrong with a test, the stage that runs it says
fi
if [ "${selection[0]:-}" != none ]; then
  stage tests run_tests "${JOBS:-$((processors * 2 + 1))}" "${selection[@]}"
  if [ "$coverage" = true ]; then
    stage slow run_slow_tests
  fi
fi

printf '\n== summary\n'
printf '%s\n' "${summary[@]}"
grep -o "left out for want of [^:]*: \([0-9]* tests\{0,1\}\|the page's checks\)" "$output" || true
exit "$failed"
