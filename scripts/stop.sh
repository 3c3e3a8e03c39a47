#!/usr/bin/env bash
# Ends the service of this checkout, as its own record (serve.json in the data directory) names it.
#
#   scripts/stop.sh           asks it to end, and waits up to 15 seconds
#   scripts/stop.sh --force   kills it if it has not ended by then
#
# A process that is not the recorded one, of the same number or not, is never touched.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ $# -gt 1 ] || { [ $# = 1 ] && [ "$1" != --force ]; }; then
  echo "stop.sh: the only option is --force" >&2
  exit 2
fi
if [ ! -x .venv/bin/python ]; then
  echo "stop: this checkout is not set up, so it runs no service"
  exit 0
fi
exec .venv/bin/python scripts/stop.py "$@"
