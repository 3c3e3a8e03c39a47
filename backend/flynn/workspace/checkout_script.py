"""What git does in a checkout, as texts of sh: fill it, read its history from elsewhere, go on, make ready.

They see the checkout and the workspace's objects and nothing else (see flynn.workspace.git), and each may be
cut off anywhere and run again. What they are given are variables of their environment.
"""

from typing import Final

OUT: Final = "flynn-out"
"""The directory in .git in which what is handed over lies for a moment."""
BUNDLE: Final = "handover.bundle"
MOST_COMMITS: Final = 500
"""New commits up to which those without the trailer are given it."""

_UNLOCK = r"""
find "$GIT_DIR" -name '*.lock' ! -type d -exec rm -f {} +
"""
"""Whoever held a lock is gone: one run at a time works here, and its commands are dead when it is over."""

MAKE: Final = r"""
set -eu
git init -q --object-format="$FORMAT" --template= "$GIT_WORK_TREE"
mkdir -p "$GIT_DIR/hooks" "$GIT_DIR/info" "$GIT_DIR/objects/info"
printf '%s\n' "$OBJECTS" >"$GIT_DIR/objects/info/alternates"
[ -z "$SHALLOW" ] || printf '%s\n' $SHALLOW >"$GIT_DIR/shallow"
{ printf '#!/bin/sh\nexec git interpret-trailers --in-place --no-divider --if-exists addIfDifferent '
  printf -- '--trailer "%s" "$1"\n' "$TRAILER: $TASK"; } >"$GIT_DIR/hooks/prepare-commit-msg"
chmod 755 "$GIT_DIR/hooks/prepare-commit-msg"
git update-ref "refs/heads/$BRANCH" "$START"
git symbolic-ref HEAD "refs/heads/$BRANCH"
[ -z "$DEFAULT" ] || git update-ref "refs/remotes/origin/$DEFAULT" "$HEAD"
git reset -q --hard
"""
ATTACH: Final = r"""
set -eu
mkdir -p "$GIT_DIR/objects/info"
rm -rf "$GIT_DIR/objects/info/alternates"
printf '%s\n' "$OBJECTS" >"$GIT_DIR/objects/info/alternates"
"""
REFRESH: Final = rf"""
set -eu
{_UNLOCK}
[ "$(git symbolic-ref -q HEAD)" = "refs/heads/$BRANCH" ] || exit 0
[ "$(git rev-parse HEAD)" = "$SHARED" ] || exit 0
[ -z "$(git status --porcelain --ignore-submodules=all | head -c 1)" ] || exit 0
git merge-base --is-ancestor "$SHARED" "$START" || exit 0
git merge -q --ff-only "$START"
echo "moved $START"
"""
SEAL: Final = rf"""
set -eu
{_UNLOCK}
out="$GIT_DIR/{OUT}"
rm -rf "$out"; mkdir "$out"
[ -z "$(git ls-files --unmerged | head -c 1)" ] || echo "conflict yes"
git add -A --ignore-errors 2>"$TMPDIR/add" || echo "partial yes"
nested=$(git diff --cached --raw --no-renames --no-abbrev | awk '$2 == "160000" && $1 != ":160000"' | wc -l)
echo "nested $nested"
if ! git diff --cached --quiet --no-ext-diff --ignore-submodules=none; then
  {{ printf '%s\n\n' "$SUBJECT"
    git diff --cached --name-status --no-renames --no-ext-diff | head -n 20
    printf '\n%s: %s\n' "$TRAILER" "$TASK"
  }} | git commit -q --no-verify --cleanup=verbatim -F -
fi
tip=$(git rev-parse -q --verify 'HEAD^{{commit}}' || echo)
branch="refs/heads/$BRANCH"
own=$(git rev-parse -q --verify "$branch^{{commit}}" || echo)
if [ -z "$tip" ]; then
  [ -n "$own" ] || {{ echo "fatal: the branch has no commit any more" >&2; exit 1; }}
  tip=$own; echo "elsewhere yes"
elif [ "$(git symbolic-ref -q HEAD)" != "$branch" ]; then
  if [ -z "$own" ] || git merge-base --is-ancestor "$own" "$tip"; then
    git update-ref "$branch" "$tip"; git symbolic-ref HEAD "$branch"
  else tip=$own; echo "elsewhere yes"; fi
fi
new=$(git rev-list --count "$tip" --not $SHARED)
me="$GIT_COMMITTER_NAME <$GIT_COMMITTER_EMAIL>"
lacking=$(git rev-list --count --invert-grep --grep="^$TRAILER: $TASK\$" "$tip" --not $SHARED)
others=$(git log --format='%cn <%ce>' "$tip" --not $SHARED | grep -Fxvc "$me" || true)
if [ "$new" -gt 0 ] && [ "$new" -le {MOST_COMMITS} ] && [ $((lacking + others)) -gt 0 ]; then
  map=$(mktemp -d)
  last=$tip
  for old in $(git rev-list --topo-order --reverse "$tip" --not $SHARED); do
    parents=
    for parent in $(git log -1 --format=%P "$old"); do
      [ ! -f "$map/$parent" ] || parent=$(cat "$map/$parent")
      parents="$parents -p $parent"
    done
    last=$(git log -1 --format=%B "$old" \
      | git interpret-trailers --no-divider --if-exists addIfDifferent --trailer "$TRAILER: $TASK" \
      | GIT_AUTHOR_NAME=$(git log -1 --format=%an "$old") GIT_AUTHOR_EMAIL=$(git log -1 --format=%ae "$old") \
        GIT_AUTHOR_DATE=$(git log -1 --format=%ad --date=raw "$old") \
        GIT_COMMITTER_DATE=$(git log -1 --format=%cd --date=raw "$old") \
        git commit-tree $parents -F - "$old^{{tree}}")
    echo "$last" >"$map/$old"
  done
  rm -rf "$map"
  git update-ref "$branch" "$last" "$tip"
  tip=$last
fi
echo "head $tip"
echo "new $new"
[ "$new" -eq 0 ] || git bundle create -q "$out/{BUNDLE}" "$branch" $(printf '^%s ' $SHARED)
"""
