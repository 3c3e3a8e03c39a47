#!/usr/bin/env bash
# Prepares a machine for development. Safe to run again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

need() {
  command -v "$1" >/dev/null || {
    echo "setup: $1 is missing: $2" >&2
    exit 1
  }
}

wait_for() {
  local what=$1
  shift
  for _ in $(seq 30); do
    if "$@" >/dev/null 2>&1; then
      echo "$what is ready"
      return
    fi
    sleep 2
  done
  echo "setup: $what was not ready within 60 seconds; see: docker compose logs" >&2
  exit 1
}

need docker "install Docker with the compose plugin"
need python3 "install Python 3.11 or newer"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "setup: python3 is older than 3.11" >&2
  exit 1
}

if [[ ! -f .env ]]; then
  cp .env.example .env
  echo "Made .env; put your ANTHROPIC_API_KEY into it"
fi

docker compose up -d postgres redis
wait_for Postgres docker compose exec -T postgres pg_isready -U postgres
wait_for Redis docker compose exec -T redis redis-cli ping

python3 -m venv .venv
.venv/bin/pip install -q -r backend/requirements.txt -r backend/requirements-dev.txt

echo "Done. Next: ./scripts/start.sh, then open http://localhost:8000/docs"
