#!/usr/bin/env bash
# Sets this checkout up and starts the service; options go to `flynn serve`.
#
# Without a key for the model and without options it starts `flynn demo`: the same service, with a
# scripted model in the place of Claude. scripts/stop.sh ends either.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh

# Behind the service, which starts meanwhile and shows the page when it is there.
if [ -d console ]; then
  nohup scripts/build-page.sh >console/build.log 2>&1 </dev/null &
fi

# A server of one's own (ANTHROPIC_BASE_URL) may need no key; one that was given on the page is in the data
# directory.
names='ANTHROPIC_(API_KEY|BASE_URL)'
if [ $# = 0 ] && [ -z "${ANTHROPIC_API_KEY:-}${ANTHROPIC_BASE_URL:-}" ] &&
  [ ! -s "${FLYNN_DATA_DIR:-data}/anthropic.key" ] &&
  ! grep -Eqs "^[[:space:]]*(export[[:space:]]+)?$names=[\"']?[^\"'[:space:]#]" .env; then
  echo "start: there is no ANTHROPIC_API_KEY in the environment or in .env, so this is the demo:"
  echo "start: its answers are scripted, everything else is real. Put a key in .env for Claude's."
  exec .venv/bin/flynn demo
fi
exec .venv/bin/flynn serve "$@"
