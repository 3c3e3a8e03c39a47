#!/usr/bin/env bash
# Brings back any second of the last seven days. Nothing is overwritten: what is there is kept beside it.
#
#   scripts/restore-db.sh --list                                   what can be restored
#   scripts/restore-db.sh --to 2026-01-31T14:05:00Z --dry-run      what would be done
#   scripts/restore-db.sh --to 2026-01-31T14:05:00Z                asks first
#   scripts/restore-db.sh --to latest --yes                        does not ask
#
#   --keep-workspaces   the database alone
#   --compose           of docker-compose.yml, from Barman's backups
#   --local             of the database that the service runs by itself: `flynn restore`; stop it before
#
# Given neither of the two, it is --compose where this checkout's containers are.
#
# In Compose the second is restored into a new volume while the service goes on, and there replayed, read and
# checked. Only then the service stops, .env names the new volume (POSTGRES_VOLUME), and it starts again. The
# old volume stays; workspaces of before are moved to before-restore-… in the data volume.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/compose.bash
source scripts/compose.bash

say() { echo "restore-db: $*"; }

die() {
  echo "restore-db: $*" >&2
  exit 1
}

to=
list=false
dry=false
yes=false
keep=false
wanted=
while [ $# -gt 0 ]; do
  case "$1" in
    --to)
      [ $# -gt 1 ] || {
        echo "restore-db.sh: --to needs a time with its zone, such as 2026-01-31T14:05:00Z, or latest" >&2
        exit 2
      }
      to=$2
      shift
      ;;
    --list) list=true ;;
    --dry-run) dry=true ;;
    --yes) yes=true ;;
    --keep-workspaces) keep=true ;;
    --compose | --local) wanted="${1#--}" ;;
    -h | --help)
      sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *)
      echo "restore-db.sh: unknown option \"$1\"; --help tells those that there are" >&2
      exit 2
      ;;
  esac
  shift
done
if [ "$list" = false ] && [ -z "$to" ]; then
  echo "restore-db.sh: name the second: --to 2026-01-31T14:05:00Z, --to latest, or --list" >&2
  exit 2
fi

choose_mode "$wanted"
if [ "$mode" = local ]; then
  need_checkout
  if [ "$list" = true ]; then
    exec .venv/bin/flynn backups
  fi
  options=(--to "$to")
  if [ "$dry" = true ]; then options+=(--dry-run); fi
  if [ "$yes" = true ]; then options+=(--yes); fi
  if [ "$keep" = true ]; then options+=(--keep-workspaces); fi
  exec .venv/bin/flynn restore "${options[@]}"
fi

# A container for one command: the service itself may be down, and its database gone.
once() {
  docker compose run --rm --no-deps -T "$@" </dev/null
}

if [ "$list" = true ]; then
  once backup list
  exit
fi
if [ -n "${POSTGRES_VOLUME:-}" ]; then
  die "POSTGRES_VOLUME is set in the environment, where it wins over .env: unset it"
fi
[ -f .env ] || die "there is no .env; scripts/setup.sh makes it"

plan="$(once backup plan --to "$to")" || die "nothing was done; the line above says why"
echo "$plan"
base="$(sed -n 's/^  from the base \([0-9A-Za-z]*\) .*/\1/p' <<<"$plan")"
[ -n "$base" ] || die "the plan names no base; nothing was done"
if [ "$keep" = true ]; then
  say "workspaces stay as they are (--keep-workspaces)"
elif grep -q "none were archived" <<<"$plan"; then
  die "the base $base has no workspaces beside it; with --keep-workspaces the database alone is restored"
fi
old="$(volume postgres)"
new="$(project)_postgres_$(date -u +%Y%m%dT%H%M%SZ)"
say "the database goes into the new volume $new; $old is kept as it is"
if [ "$dry" = true ]; then
  say "nothing was done (--dry-run)"
  exit 0
fi
if [ "$yes" = false ]; then
  read -r -p "restore-db: the service will be stopped for a moment. Go on? [y/N] " answer || answer=
  case "$answer" in
    y | Y | yes) ;;
    *)
      say "nothing was done"
      exit 1
      ;;
  esac
fi

mapfile -t doors < <(services_of proxy backend worker)
mapfile -t stores < <(services_of backup postgres)
read -r -a scale <<<"$(scales | tr '\n' ' ')"

start_all() {
  docker compose up --detach --wait --wait-timeout 300 "${scale[@]}"
}

failed() {
  docker volume rm "$new" >/dev/null 2>&1 || true
  if [ "$to" = latest ]; then
    say "starting the service again, as it was"
    start_all || true
  fi
  die "$*; nothing was replaced"
}

if [ "$to" = latest ]; then
  # A database that ends in order first hands over the last of its log.
  say "stopping the service"
  docker compose stop "${doors[@]}"
  docker compose stop postgres
fi

docker volume create --label "com.docker.compose.project=$(project)" --label com.docker.compose.volume=postgres \
  "$new" >/dev/null || die "the volume $new cannot be made; nothing was done"
once --volume "$new:/restored" backup recover --to "$to" --into /restored ||
  failed "the second could not be restored; the line above says why"
# It was made by the user of the backups; from here on it is the database server's. Nothing else in Compose may
# give files away, so this one command has that right, over that one volume, and no network.
docker run --rm --user 0:0 --network none --read-only --cap-drop ALL --cap-add CHOWN --cap-add DAC_READ_SEARCH \
  --security-opt no-new-privileges --volume "$new:/restored" --entrypoint chown reznet-backup \
  --recursive postgres:postgres /restored || failed "the new volume cannot be given to the database's user"

say "stopping the service"
docker compose stop "${doors[@]}" "${stores[@]}"
if [ "$keep" = false ]; then
  # Until .env names the new volume, the workspaces are of the second and the database is not.
  echo "$to" >.restoring
  once --volume "$(volume data):/writable" backup files --base "$base" --into /writable ||
    {
      say "starting the service again, with the database as it was"
      start_all || true
      die "workspaces could not be put back; the line above says why. $new has the restored database; the" \
        "same command again begins anew"
    }
fi

(
  umask 077
  { grep -v '^POSTGRES_VOLUME=' .env || true; } >.env.new
  printf 'POSTGRES_VOLUME=%s\n' "$new" >>.env.new
  mv .env.new .env
)
rm -f .restoring
say "starting the service on $new"
start_all || die "the database was restored, but not everything started; docker compose ps tells what"
say "done. A new base is taken at once, on a line of its own."
say "the database of before is in the volume $old:"
say "  to go back to it: POSTGRES_VOLUME=$old in .env, then docker compose up --detach"
say "  to give it up:    docker volume rm $old"
