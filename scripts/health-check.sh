#!/usr/bin/env bash
# How everything is, as a table: containers, Postgres, Redis, the API with its parts, its MCP server, backups.
#
#   scripts/health-check.sh             0 when nothing is down, 1 otherwise
#   scripts/health-check.sh --compose   the containers of docker-compose.yml
#   scripts/health-check.sh --local     the service of this checkout
#
# Given neither, it is --compose where this checkout's containers are. What is degraded works, with less than
# it should; it is shown, and does not count as down.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/compose.bash
source scripts/compose.bash

die() {
  echo "health-check: $*" >&2
  exit 1
}

wanted=
for option in "$@"; do
  case "$option" in
    --compose | --local) wanted="${option#--}" ;;
    -h | --help)
      sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *)
      echo "health-check.sh: unknown option \"$option\"; known are --compose and --local" >&2
      exit 2
      ;;
  esac
done

row() { printf '%s\t%s\t%s\n' "$@"; }

# Each service's containers, and services that should have one.
containers() {
  local name ids id state health
  for name in $(docker compose config --services | sort); do
    mapfile -t ids < <(docker compose ps --all --quiet "$name")
    if [ "${#ids[@]}" = 0 ]; then
      row "container $name" down "there is none; scripts/start.sh --compose makes it"
      continue
    fi
    for id in "${ids[@]}"; do
      read -r state health < <(docker inspect --format \
        '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}unchecked{{end}}' "$id")
      case "$state $health" in
        "running healthy" | "running unchecked") row "container $name" ok "$state, $health" ;;
        "running starting") row "container $name" degraded "$state, $health" ;;
        *) row "container $name" down "$state, $health; docker compose logs $name" ;;
      esac
    done
  done
}

# The service $1 asked by the command that follows; the last line of what it says.
inside() {
  local what=$1 service=$2 said
  shift 2
  if said="$(docker compose exec -T "$service" "$@" </dev/null 2>&1)"; then
    row "$what" ok "$(tail -n 1 <<<"$said")"
  else
    row "$what" down "$(tail -n 1 <<<"$said")"
  fi
}

in_compose() {
  local said
  containers
  inside Postgres postgres pg_isready -U postgres -d reznetai_local
  inside Redis redis redis-cli ping
  if ! said="$(docker compose exec -T backend python - http://127.0.0.1:8000 /data/owner.key \
    <scripts/probe.py 2>&1)" && ! grep -q $'\t' <<<"$said"; then
    row API down "$(tail -n 1 <<<"$said")"
    return
  fi
  echo "$said"
}

choose_mode "$wanted"
if [ "$mode" = compose ]; then
  found="$(in_compose)"
else
  need_checkout
  found="$(.venv/bin/python -m scripts.health || true)"
fi
[ -n "$found" ] || die "nothing could be asked; the lines above say why"

printf '%-22s %-9s %s\n' WHAT STATE DETAIL
while IFS=$'\t' read -r what state words; do
  printf '%-22s %-9s %s\n' "$what" "$state" "$words"
done <<<"$found"
if cut -f 2 <<<"$found" | grep -qx down; then
  echo "health-check: something is down" >&2
  exit 1
fi
