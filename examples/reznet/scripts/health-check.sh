#!/usr/bin/env bash
# Asks each part whether it is well. Exits 1 if one is not.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

failed=0

check() {
  local what=$1
  shift
  if "$@" >/dev/null 2>&1; then
    echo "ok      $what"
  else
    echo "failed  $what"
    failed=1
  fi
}

docker ps --filter name=reznet --format 'table {{.Names}}\t{{.Status}}\t{{.Ports}}'
check "Postgres" docker exec reznet-postgres pg_isready -U postgres
check "Redis" docker exec reznet-redis redis-cli ping
check "Backend" curl --fail --silent --max-time 5 http://localhost:8000/health

exit "$failed"
