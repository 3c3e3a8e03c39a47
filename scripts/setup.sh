#!/usr/bin/env bash
# Makes this checkout ready to run: .venv with the pinned requirements, .env, the sandbox's program.
# Run it as often as you like; when nothing has changed it is done at once.
#
#   scripts/setup.sh             what the service needs
#   scripts/setup.sh --dev       and what scripts/test.sh needs
#   scripts/setup.sh --servers   and the servers that some tests start (as root, on Debian or Ubuntu)
#   scripts/setup.sh --compose   .env alone: what docker-compose.yml needs, and no Python
#
# PYTHON=/path/to/python3 names the Python to use; it must be 3.11 or newer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=runtime
servers=false
compose=false
for option in "$@"; do
  case "$option" in
    --dev) mode=dev ;;
    --servers) servers=true ;;
    --compose) compose=true ;;
    -h | --help)
      sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' scripts/setup.sh
      exit 0
      ;;
    *)
      echo "setup.sh: unknown option \"$option\"; known are --dev, --servers and --compose" >&2
      exit 2
      ;;
  esac
done

say() { echo "setup: $*"; }

die() {
  echo "setup: $*" >&2
  exit 1
}

# Runs $2 with the rest as its arguments, and says every 15 seconds that $1 goes on: what is run is quiet.
patiently() {
  local what="$1" status=0 ticker
  shift
  (
    ticks=0
    # Ends with this script, even if that is killed, and holds no pipe open for longer than a second.
    while sleep 1 >/dev/null 2>&1 && kill -0 "$$" 2>/dev/null; do
      ticks=$((ticks + 1))
      [ $((ticks % 15)) != 0 ] || say "still $what ($ticks s)"
    done
  ) &
  ticker=$!
  "$@" || status=$?
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  return "$status"
}

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

apt_updated=false
apt_install() {
  if [ "$apt_updated" = false ]; then
    apt-get update -qq >/dev/null
    apt_updated=true
  fi
  # RUNLEVEL=1: a server is installed here to be started by tests, not to run by itself.
  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

recent_enough() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
  if [ -n "${PYTHON:-}" ]; then
    recent_enough "$PYTHON" || die "PYTHON=$PYTHON is no Python 3.11 or newer"
    echo "$PYTHON"
    return
  fi
  local candidate
  for candidate in python3.12 python3.13 python3.11 python3 python3.14 /usr/bin/python3; do
    if recent_enough "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  die "Python 3.11 or newer is missing; install it (Debian 12, Ubuntu 24.04 and newer:" \
    "apt-get install python3 python3-venv), or name it: PYTHON=/path/to/python3 scripts/setup.sh"
}

make_venv() {
  local python
  python="$(find_python)"
  # Debian packs a part of venv apart, and venv then fails half-way.
  if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    local package
    package="$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    if can_install; then
      say "installing $package"
      apt_install "$package" || die "$package could not be installed"
    else
      die "$python cannot make virtual environments; install the missing part with:" \
        "sudo apt-get install $package"
    fi
  fi
  say "making .venv with $("$python" --version)"
  "$python" -m venv --clear .venv
}

digest() {
  { pwd && cat requirements*.txt pyproject.toml scripts/setup.sh; } |
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

install_packages() {
  # The checkout's path is part of the digest: programs in .venv/bin name it.
  local wanted present
  wanted="$(digest)"
  present="$(cat .venv/.set-up 2>/dev/null || true)"
  if [ -x .venv/bin/python ] && .venv/bin/python -c '' 2>/dev/null; then
    case "$present" in
      "$mode $wanted" | "dev $wanted") return ;;
    esac
    # A checkout that moved, or whose Python changed, starts anew.
    if ! .venv/bin/pip --version >/dev/null 2>&1; then
      make_venv
    fi
  else
    make_venv
  fi
  rm -f .venv/.set-up
  unset PIP_USER PIP_TARGET PIP_PREFIX
  local file=requirements.txt
  if [ "$mode" = dev ]; then
    file=requirements-dev.txt
  fi
  say "installing the $mode requirements: $(grep -c '^[A-Za-z0-9]' "$file") packages into .venv," \
    "a minute or two the first time"
  local pip=(.venv/bin/python -m pip --disable-pip-version-check -qq --no-input install)
  patiently "installing the requirements" \
    "${pip[@]}" --require-hashes -r "$file" -r requirements-build.txt ||
    die "the requirements could not be installed; the lines above say why"
  "${pip[@]}" --no-deps --no-build-isolation --editable . ||
    die "flynn itself could not be installed; the lines above say why"
  echo "$mode $wanted" >.venv/.set-up
}

make_env_file() {
  if [ ! -e .env ]; then
    local password
    password="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
    (
      umask 077
      sed "s/^POSTGRES_PASSWORD=\$/POSTGRES_PASSWORD=$password/" .env.example >.env.new
    )
    mv .env.new .env
    say "made .env, readable for you alone; put your ANTHROPIC_API_KEY in it"
  elif [ -n "$(find .env -perm -004)" ]; then
    say ".env can be read by everybody on this machine; better: chmod 600 .env"
  fi
}

install_sandbox() {
  if [ "$(uname -s)" != Linux ]; then
    say "there is no sandbox for $(uname -s): the service works, without Bash"
    return
  fi
  if command -v bwrap >/dev/null; then
    return
  fi
  if can_install; then
    say "installing bubblewrap"
    if apt_install bubblewrap; then
      return
    fi
  fi
  say "bubblewrap is missing; install it with: sudo apt-get install bubblewrap" \
    "(or dnf install, pacman -S, apk add). The service works meanwhile, without Bash unless the" \
    "kernel's Landlock is strong enough; .venv/bin/flynn doctor tells."
}

install_servers() {
  local server
  for server in redis-server haproxy chromium rsync file prometheus jq; do
    if command -v "$server" >/dev/null; then
      continue
    fi
    if can_install; then
      say "installing $server"
      if apt_install "$server"; then
        continue
      fi
    fi
    say "$server is missing; install it with: sudo apt-get install $server." \
      "Tests that need it are left out meanwhile."
  done
}

# Barman as the image of the compose service has it, in an environment of its own: it shares no package with us.
install_barman() {
  local wanted
  wanted="$(cat requirements-backup.txt .venv/.set-up | { sha256sum 2>/dev/null || shasum -a 256; })"
  if [ "$(cat .venv/backup/.set-up 2>/dev/null)" = "$wanted" ] && .venv/backup/bin/barman --version >/dev/null 2>&1; then
    return
  fi
  say "installing Barman"
  .venv/bin/python -m venv --clear .venv/backup
  .venv/backup/bin/python -m pip --disable-pip-version-check -qq --no-input install \
    --require-hashes --no-deps -r requirements-backup.txt ||
    die "Barman could not be installed; the lines above say why"
  echo "$wanted" >.venv/backup/.set-up
}

if [ "$compose" = true ]; then
  make_env_file
  # Containers read these as users of their own.
  chmod -R a+rX deploy
  exit 0
fi
install_packages
make_env_file
install_sandbox
if [ "$servers" = true ]; then
  install_servers
  install_barman
fi
