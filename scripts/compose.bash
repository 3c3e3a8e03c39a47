#!/usr/bin/env bash
# Read by the scripts that work with Docker Compose and without: which of the two, and what Compose knows.
set -euo pipefail

has_compose() { command -v docker >/dev/null && docker compose version >/dev/null 2>&1; }

# Sets mode to compose or local. Given neither, it is compose where this checkout's containers are, running or not.
choose_mode() {
  case "$1" in
    compose | local) mode=$1 ;;
    *)
      mode=local
      if has_compose && [ -n "$(docker compose ps --all --quiet 2>/dev/null)" ]; then
        mode=compose
      fi
      ;;
  esac
  if [ "$mode" = compose ] && ! has_compose; then
    die "there is no Docker with Compose here (\`docker compose version\` fails)"
  fi
  if [ "$mode" = compose ] && ! docker compose config --quiet; then
    die "docker-compose.yml cannot be used; the lines above say why. scripts/setup.sh makes .env"
  fi
  if [ "$mode" = compose ]; then
    tell_of_restoring
  fi
}

# Whoever was killed while a restoring put workspaces back left .restoring, with the second in it.
tell_of_restoring() {
  if [ -f .restoring ]; then
    echo "A restoring was cut off while workspaces were put back: they may be of another time than the database." >&2
    echo "To finish it: scripts/restore-db.sh --compose --to $(cat .restoring). To leave it: rm .restoring" >&2
  fi
}

need_checkout() {
  [ -x .venv/bin/flynn ] || die "this checkout is not set up: run scripts/setup.sh, or name --compose"
}

project() { docker compose config | awk '$1 == "name:" && /^name:/ { print $2; exit }'; }

# The name that the engine has for the volume $1 of docker-compose.yml.
volume() {
  docker compose config | awk -v volume="$1" '
    /^[^ ]/ { within = ($1 == "volumes:"); next }
    within && /^  [^ ]/ { found = ($1 == volume ":"); next }
    within && found && $1 == "name:" { print $2; exit }'
}

# Those of the services $@ that docker-compose.yml has.
services_of() {
  local name known
  known="$(docker compose config --services)"
  for name in "$@"; do
    if grep -qx "$name" <<<"$known"; then
      echo "$name"
    fi
  done
}

# --scale options that keep as many containers of each service as there are.
scales() {
  local name count
  for name in $(services_of backend worker); do
    count="$(docker compose ps --all --quiet "$name" 2>/dev/null | wc -l)"
    if [ "$count" -gt 1 ]; then
      echo "--scale $name=$((count))"
    fi
  done
}
