#!/usr/bin/env bash
# Sets this checkout up and starts the service; options go to `flynn serve`.
#
# Without a key for the model and without options it starts `flynn demo`: the same service, with a
# scripted model in the place of Claude, whose task is played the first time. scripts/stop.sh ends either.
#
#   scripts/start.sh --compose   the containers of docker-compose.yml instead, until all are healthy; further
#                                options go to `docker compose up`, such as --scale backend=3
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "${1:-}" in
  --compose)
    shift
    # shellcheck source=scripts/compose.bash
    source scripts/compose.bash
    die() {
      echo "start: $*" >&2
      exit 1
    }
    scripts/setup.sh --compose
    choose_mode compose
    docker compose up --build --detach --wait --wait-timeout 600 "$@" ||
      die "not everything started; scripts/health-check.sh --compose tells what, docker compose logs why"
    echo "start: the service is at http://127.0.0.1:8000; its key: docker compose exec backend cat /data/owner.key"
    exit
    ;;
  -h | --help)
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"
    exit 0
    ;;
esac

# On standard error: what the service prints is what a program reads.
starting() {
  echo "start: the service starts, which takes some seconds, more the first time, when the database is made" >&2
}

scripts/setup.sh

# Behind the service, which starts meanwhile and shows the page when it is there.
if [ -d console ]; then
  nohup scripts/build-page.sh >console/build.log 2>&1 </dev/null &
fi

# The setting $1 of the environment, else of .env: quotes, a comment behind it and ~ as the service reads them.
setting() {
  local value="${!1:-}"
  if [ -z "$value" ]; then
    value="$(sed -nE "s/^[[:space:]]*(export[[:space:]]+)?$1[[:space:]]*=[[:space:]]*//p" .env | tail -n 1)"
    case "$value" in
      \"*) value="${value#\"}" && value="${value%%\"*}" ;;
      \'*) value="${value#\'}" && value="${value%%\'*}" ;;
      "#"*) value="" ;;
      *) value="${value%%[[:space:]]#*}" && value="${value%"${value##*[![:space:]]}"}" ;;
    esac
  fi
  case "$value" in
    \~ | \~/*) value="$HOME${value#\~}" ;;
  esac
  printf '%s' "$value"
}

# A server of one's own (ANTHROPIC_BASE_URL) may need no key; one that was given on the page is in the data
# directory.
data="$(setting FLYNN_DATA_DIR)"
if [ $# = 0 ] && [ -z "$(setting ANTHROPIC_API_KEY)$(setting ANTHROPIC_BASE_URL)" ] &&
  [ ! -s "${data:-data}/anthropic.key" ]; then
  echo "start: there is no key of Claude's API: none was given on the page, and no ANTHROPIC_API_KEY is in"
  echo "start: the environment or in .env. So this is the demo: its answers are scripted, everything else is"
  echo "start: real. For Claude's own answers give a key in the page's field, or put it in .env and start again."
  starting
  exec .venv/bin/flynn demo --no-again
fi
starting
exec .venv/bin/flynn serve "$@"
