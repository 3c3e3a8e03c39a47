#!/usr/bin/env bash
# Pins every requirement by version and hash, from pyproject.toml.
#
#   scripts/lock.sh             add what pyproject.toml newly asks for, keep every other pin
#   scripts/lock.sh --upgrade   move every pin to the newest release that pyproject.toml allows
#
# requirements.txt        what the service needs
# requirements-dev.txt    that, and what scripts/test.sh needs
# requirements-build.txt  what builds the wheel and the editable install
# requirements-audit.txt  what the security job of CI needs
# requirements-node.txt   Node, for machines that have none
# requirements-backup.txt what the image of the compose service `backup` needs; install it with --no-deps
#
# The files name no package index: each machine uses its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

upgrade=()
case "${1:-}" in
  "") ;;
  --upgrade) upgrade=(--upgrade) ;;
  *)
    echo "lock.sh: unknown option \"$1\"; the only one is --upgrade" >&2
    exit 2
    ;;
esac

uv=.venv/bin/uv
if [ ! -x "$uv" ]; then
  uv="$(command -v uv || true)"
fi
if [ -z "$uv" ]; then
  echo "lock.sh: uv is missing; install it with: .venv/bin/python -m pip install uv" >&2
  exit 1
fi

# A directory of wheels or a second index on this machine must not decide what others install.
unset PIP_FIND_LINKS PIP_EXTRA_INDEX_URL UV_FIND_LINKS UV_EXTRA_INDEX_URL UV_INDEX

# With the extras in the pin, pip takes a package that others want with an extra at the pinned version too.
pin() {
  local output=$1
  shift
  "$uv" pip compile "$@" "${upgrade[@]}" --quiet \
    --universal --python-version 3.11 --generate-hashes --no-strip-extras \
    --no-emit-index-url --no-emit-find-links \
    --custom-compile-command scripts/lock.sh --output-file "$output"
  echo "$output: $(grep -c '==' "$output") packages"
}

# The development set first: the others take its versions, so that they can be installed together.
pin requirements-dev.txt pyproject.toml --extra dev
pin requirements.txt pyproject.toml --constraints requirements-dev.txt
pin requirements-build.txt --group build --constraints requirements-dev.txt
pin requirements-audit.txt --group audit --constraints requirements-dev.txt
pin requirements-node.txt --group node --constraints requirements-dev.txt
pin requirements-backup.txt --group backup --constraints requirements-dev.txt
