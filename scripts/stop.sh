#!/usr/bin/env bash
# Ends the service of this checkout, as its own record (serve.json in the data directory) names it.
#
#   scripts/stop.sh           asks it to end, and waits up to 15 seconds
#   scripts/stop.sh --force   kills it if it has not ended by then
#   scripts/stop.sh --compose stops the containers of docker-compose.yml; what they keep stays
#
# A process that is not the recorded one, of the same number or not, is never touched.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "$#:${1:-}" in
  0: | 1:--force) ;;
  1:--compose)
    # shellcheck source=scripts/compose.bash
    source scripts/compose.bash
    die() {
      echo "stop: $*" >&2
      exit 1
    }
    choose_mode compose
    exec docker compose stop
    ;;
  1:-h | 1:--help)
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  *)
    echo "stop.sh: known options are --force and --compose, one of them" >&2
    exit 2
    ;;
esac
if [ ! -x .venv/bin/python ]; then
  echo "stop: this checkout is not set up, so it runs no service"
  exit 0
fi
exec .venv/bin/python scripts/stop.py "$@"
