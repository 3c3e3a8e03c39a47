#!/usr/bin/env bash
# The compose stack on a real engine: built, scaled, used, broken and brought back, each step with its result.
#
#   scripts/drill-compose.sh             all of it; ends with what failed, and takes everything away again
#   scripts/drill-compose.sh --no-build  with images that are there (reznet-backend, reznet-backup)
#   scripts/drill-compose.sh --keep      leave the stack as it is in the end
#
# It works on a copy of this checkout, in a project and on volumes of its own, with a scripted model. It needs
# the ports and container names of docker-compose.yml, so it refuses to begin while that runs. TMPDIR has to be
# a directory that the engine sees too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=true
keep=false
for option in "$@"; do
  case "$option" in
    --no-build) build=false ;;
    --keep) keep=true ;;
    -h | --help)
      sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *)
      echo "drill-compose.sh: unknown option \"$option\"; known are --no-build and --keep" >&2
      exit 2
      ;;
  esac
done

die() {
  echo "drill: $*" >&2
  exit 1
}

docker info >/dev/null 2>&1 || die "no Docker engine answers (docker info)"
docker compose version >/dev/null 2>&1 || die "docker compose is missing"
taken="$(docker ps --all --quiet --filter name='^reznet-(postgres|redis|backup|drill-client)$')"
[ -z "$taken" ] || die "the stack of docker-compose.yml is there already; docker compose down first"

export COMPOSE_PROJECT_NAME=reznet-drill
export COMPOSE_FILE=docker-compose.yml:deploy/docker-compose.simulator.yml
unset POSTGRES_VOLUME POSTGRES_PASSWORD

work="$(mktemp -d)"
began=$SECONDS
failures=()

# shellcheck disable=SC2329 # the trap calls it
end() {
  local status=$?
  if [ "$status" != 0 ] && [ -f "$work/docker-compose.yml" ]; then
    echo "---- what the containers said last" >&2
    docker compose --ansi never logs --no-color --tail 10 >&2 || true
  fi
  if [ "$keep" = true ]; then
    echo "left as it is: the project $COMPOSE_PROJECT_NAME in $work"
    return
  fi
  docker rm --force reznet-drill-client >/dev/null 2>&1 || true
  if [ -f "$work/docker-compose.yml" ]; then
    docker compose --profile monitoring down --volumes --remove-orphans --timeout 20 >/dev/null 2>&1 || true
    docker volume ls --quiet --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" |
      xargs -r docker volume rm >/dev/null 2>&1 || true
  fi
  rm -rf "$work"
}
trap end EXIT

# step WORDS COMMAND…: do it, and print the time, how long it took, and what it said. Within it no failure ends
# anything by itself (bash forgoes that where a status is asked for), so each command says what follows.
step() {
  local words=$1 from=$SECONDS status=0
  shift
  "$@" >"$work/stdout" 2>"$work/stderr" || status=$?
  if [ "$status" = 0 ]; then
    printf '%s  %4d s  ok      %s\n' "$(date -u +%H:%M:%S)" "$((SECONDS - from))" "$words"
  else
    printf '%s  %4d s  FAILED  %s\n' "$(date -u +%H:%M:%S)" "$((SECONDS - from))" "$words"
    tail -n 20 "$work/stderr" | sed 's/^/                             /'
    failures+=("$words")
  fi
  tail -n 12 "$work/stdout" | sed 's/^/                             /'
  return "$status"
}

# A client beside the proxy. It has nothing of the service but its address and a key.
client() { docker exec --interactive reznet-drill-client python scripts/drill_client.py "$@" <<<"$key"; }

start_client() {
  docker run --detach --rm --init --name reznet-drill-client --network "${COMPOSE_PROJECT_NAME}_edge" \
    --volume "$work/client:/checkout:ro" --workdir /checkout --env PYTHONPATH=/checkout --entrypoint sleep \
    reznet-backend infinity >&2
}

sql() {
  docker compose exec -T postgres psql -U postgres -d reznetai_local -v ON_ERROR_STOP=1 -Atc "$1" </dev/null
}

containers_of() { docker compose ps --quiet "$1"; }

healthy() {
  local id
  for id in $(containers_of "$1"); do
    [ "$(docker inspect --format '{{.State.Health.Status}}' "$id")" = healthy ] || return 1
  done
}

# until_true SECONDS COMMAND…: until it succeeds.
until_true() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || {
      echo "not within its time: $*" >&2
      return 1
    }
    sleep 1
  done
}

copy() {
  git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- --create |
    tar --extract --directory "$work"
  sed "s/^POSTGRES_PASSWORD=\$/POSTGRES_PASSWORD=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')/" .env.example \
    >"$work/.env"
  chmod 600 "$work/.env"
  # What the client needs, for a user who may see nothing else of this.
  mkdir -p "$work/client/scripts" "$work/client/tests/drills"
  cp "$work/scripts/drill_client.py" "$work/client/scripts"
  cp "$work/tests/drills/__init__.py" "$work/tests/drills/follower.py" "$work/client/tests/drills"
  chmod -R a+rX "$work/client"
}

build_images() {
  docker compose build >&2 &&
    sizes
}

sizes() {
  local image bytes
  for image in reznet-backend reznet-backup; do
    bytes="$(docker image inspect --format '{{.Size}}' "$image")" || return 1
    echo "$image: $((bytes / 1000000)) MB"
  done
  [ "$(docker image inspect --format '{{.Size}}' reznet-backend)" -lt 450000000 ]
}

refuse_default_password() {
  local said
  if said="$(docker compose run --rm --no-deps -T --env POSTGRES_PASSWORD=postgres backend serve --no-worker 2>&1 </dev/null)"; then
    return 1
  fi
  tail -n 1 <<<"$said"
  grep -q "one that everybody knows" <<<"$said"
}

up() {
  docker compose up --detach --no-build --scale backend=3 --wait --wait-timeout 600 >&2 || return 1
  docker compose ps --format '{{.Service}} {{.Status}}' | sort | uniq -c | sed 's/^ *//'
  [ "$(containers_of backend | wc -l)" = 3 ]
}

hardened() {
  local service id options
  for service in $(docker compose ps --services); do
    for id in $(containers_of "$service"); do
      options="$(docker inspect --format '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}' "$id")"
      [ "$options" = "true [ALL] [no-new-privileges:true]" ] || {
        echo "$service has $options" >&2
        return 1
      }
      [ "$(docker compose exec -T "$service" id -u </dev/null)" != 0 ] || {
        echo "$service is root" >&2
        return 1
      }
    done
  done
  docker ps --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --format '{{.Ports}}' |
    grep -oE '[0-9.:]+->[0-9]+' | sort -u
  ! docker ps --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --format '{{.Ports}}' |
    grep -oE '[^ ]+->' | grep -qv '^127\.0\.0\.1:'
}

owner_key() {
  key="$(docker compose exec -T --index 1 backend cat /data/owner.key </dev/null)"
  [ -n "$key" ]
}

delegate() {
  local made
  made="$(client delegate "$1")" || return 1
  read -r task conversation <<<"$made"
  [ -n "$conversation" ]
}

# Sockets of each server, while the clients are connected.
spread() {
  local index found=""
  for index in 1 2 3; do
    found+="$(docker compose exec -T --index "$index" backend python -ISc "import urllib.request as u, re; print(int(float(re.search(r'^flynn_sockets (\S+)', u.urlopen('http://127.0.0.1:8000/metrics').read().decode(), re.M)[1])))" </dev/null) " || return 1
  done
  echo "$found"
  ! grep -qw 0 <<<"$found"
}

until_spread() {
  until_true 120 spread &&
    spread
}

accompany_in_background() {
  client accompany "$1" 6 >"$work/followed" 2>"$work/followed.err" &
  following=$!
}

followed() {
  wait "$following" || {
    cat "$work/followed.err" >&2
    return 1
  }
  cat "$work/followed"
}

kill_postgres() {
  docker kill --signal KILL reznet-postgres >&2 &&
    until_true 60 refused &&
    echo "while it is away, the proxy answers /ready with 503" &&
    docker start reznet-postgres >&2 &&
    until_true 120 ready
}

refused() { [ "$(client status /ready)" = 503 ]; }

ready() { [ "$(client status /ready)" = 200 ]; }

stop_redis() {
  docker compose stop --timeout 5 redis >&2 &&
    until_true 30 ready &&
    echo "while it is away, the proxy answers /ready with 200" &&
    docker compose start redis >&2 &&
    until_true 60 healthy redis
}

kill_backend() {
  local id
  id="$(containers_of backend | head -n 1)"
  docker kill --signal KILL "$id" >&2 &&
    sleep 5 &&
    ready &&
    echo "five seconds later the other two answer" &&
    docker start "$id" >&2 &&
    until_true 180 healthy backend
}

rows() {
  sql "SELECT 'conversations ' || count(*) || ', events ' ||
         (SELECT count(*) || ' ' || md5(string_agg(concat_ws('|', conversation_id, seq, type, at, data), E'\n'
            ORDER BY conversation_id, seq)) FROM events) || ', runs ' ||
         (SELECT count(*) || ' ' || md5(string_agg(concat_ws('|', id, state), E'\n' ORDER BY id)) FROM runs)
       FROM conversations"
}

take_backup() {
  scripts/backup-db.sh --compose >&2 &&
    scripts/backup-db.sh --compose --list
}

note_the_second() {
  sleep 2
  rows >"$work/before" || return 1
  second="$(sql "SELECT to_char(clock_timestamp() AT TIME ZONE 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")" || return 1
  sleep 2
  echo "$second: $(cat "$work/before")"
}

more_work() {
  delegate "Please look around once more." &&
    client follow "$conversation" 1 >&2 &&
    rows >"$work/after" || return 1
  cat "$work/after"
  ! cmp -s "$work/before" "$work/after"
}

# What the backup service knows to have; it notes that every few seconds.
covered() {
  docker compose exec -T backup flynn-backup plan --to "$second" </dev/null
}

until_covered() {
  until_true 180 covered &&
    scripts/backup-db.sh --compose --list | tail -n 1
}

destroy() {
  # Killed, so that it hands nothing over in its end: what the backup has is what was streamed.
  docker compose stop --timeout 20 proxy backend worker simulator >&2 &&
    docker kill --signal KILL reznet-postgres >&2 &&
    docker rm --force reznet-postgres >&2 &&
    docker volume rm "${COMPOSE_PROJECT_NAME}_postgres" >&2 || return 1
  ! docker volume inspect "${COMPOSE_PROJECT_NAME}_postgres" >/dev/null 2>&1
}

restore() {
  scripts/restore-db.sh --compose --to "$second" --yes >"$work/restored" 2>&1 || {
    cat "$work/restored" >&2
    return 1
  }
  tail -n 8 "$work/restored"
}

compare() {
  rows >"$work/now" || return 1
  cat "$work/now"
  cmp "$work/before" "$work/now"
}

say_summary() {
  echo
  if [ ${#failures[@]} = 0 ]; then
    echo "all steps in $((SECONDS - began)) s"
  else
    echo "${#failures[@]} failed: ${failures[*]}"
  fi
}

echo "Docker $(docker version --format '{{.Server.Version}}'), Compose $(docker compose version --short), Linux $(uname -r | cut -d - -f 1), $(date -u +%Y-%m-%d)"
copy
cd "$work"
key=
# What comes after these has no ground without them.
if [ "$build" = true ]; then
  step "build both images, the service's below 450 MB" build_images
else
  step "both images are there, the service's below 450 MB" sizes
fi
step "a password that everybody knows is refused in production" refuse_default_password
step "up with three servers, everything healthy" up
step "nobody is root or may write its root, everything is published on the loopback alone" hardened || true
step "the owner's key" owner_key
step "a client beside the proxy" start_client

step "delegate a task with Bash" delegate "Please look around."
step "six Socket.IO clients follow it through the proxy" client follow "$conversation" 6
step "its command ran in the sandbox" client report "$task"

accompany_in_background "Take a while."
step "six clients are spread over the three servers" until_spread || true
step "kill the database's container, start it again" kill_postgres || true
step "the work went on, and no client missed anything" followed || true

accompany_in_background "Take a while."
step "six clients are spread over the three servers" until_spread || true
step "stop Redis, start it again" stop_redis || true
step "the work went on, and no client missed anything" followed || true

accompany_in_background "Take a while."
step "six clients are spread over the three servers" until_spread || true
step "kill one of the servers, start it again" kill_backend || true
step "the work went on, and no client missed anything" followed || true

step "take a backup" take_backup
step "note the rows at one second" note_the_second
step "work on" more_work
step "the backup service has received the log of that second" until_covered
step "destroy the database's volume" destroy
step "restore that second" restore
step "the rows are exactly those" compare
step "everything is healthy" up
step "the service works: delegate a task with Bash" delegate "Please look around."
step "its clients see it" client follow "$conversation" 3
step "its command ran in the sandbox" client report "$task"
say_summary
[ ${#failures[@]} = 0 ]
