#!/usr/bin/env bash
# Takes a backup now, of the database and of the workspaces; both are taken by themselves every 24 hours too.
#
#   scripts/backup-db.sh            take one, and compare it with its checksums
#   scripts/backup-db.sh --list     what there is, and which seconds can be restored
#
#   --compose   of docker-compose.yml: by Barman, in the service `backup`
#   --local     of the database that the service runs by itself: `flynn backup`
#
# Given neither, it is --compose where this checkout's containers are. docs/backup.md tells the rest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/compose.bash
source scripts/compose.bash

die() {
  echo "backup-db: $*" >&2
  exit 1
}

command=now
wanted=
for option in "$@"; do
  case "$option" in
    --list) command=list ;;
    --compose | --local) wanted="${option#--}" ;;
    -h | --help)
      sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *)
      echo "backup-db.sh: unknown option \"$option\"; known are --list, --compose and --local" >&2
      exit 2
      ;;
  esac
done

choose_mode "$wanted"
if [ "$mode" = local ]; then
  need_checkout
  case "$command" in
    now) exec .venv/bin/flynn backup ;;
    list) exec .venv/bin/flynn backups ;;
  esac
fi
if [ -z "$(docker compose ps --quiet backup)" ]; then
  die "the service \`backup\` does not run; start it with: scripts/start.sh --compose"
fi
docker compose exec -T backup flynn-backup "$command" </dev/null ||
  die "no backup was made; the line above says why, and \`docker compose logs backup\` what was before"
