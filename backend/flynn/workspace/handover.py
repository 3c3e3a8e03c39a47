"""The hand-over: a checkout's commits come into the workspace's repository, onto one branch, forwards only.

It is done in two steps over the workspace's repository, in sandboxes that see that and the bundle, and of the
checkout nothing. First the bundle's one branch is fetched, its objects checked, to `refs/flynn/tasks/<task>`;
then the branch itself is moved there, if that takes nothing from it and if every new commit says by whom and
for which task it was made. Either may be done again after any crash.

A lock that our own killed git left behind is removed: that of `refs/flynn/tasks/<task>`, which only the
task's one run writes, and that of the branch only when a hand-over was cut off and the lock holds our commit
or nothing, and did not change while it was waited for. Everybody else's locks are waited for, and then named.
"""

from dataclasses import dataclass
from typing import Final, get_args

from flynn.domain.content import clean
from flynn.domain.report import HandOver, ReportedCommit
from flynn.telemetry.crash_point import reach
from flynn.telemetry.redaction import redact
from flynn.workspace.checkout import BUNDLE, TRAILER, Checkout, Identity, Note, Sealed
from flynn.workspace.git import Git, GitFailed, Script, why
from flynn.workspace.root import Workspace

MOST_TOLD: Final = 100
"""Commits that are told of one by one."""
_SUBJECT: Final = 200

_RECEIVE: Final = rf"""
set -eu
rm -f "$GIT_DIR/$KEEP.lock"
git fetch -q --no-tags --no-write-fetch-head --no-recurse-submodules --no-auto-maintenance --force \
  "$OUT/{BUNDLE}" "+refs/heads/$BRANCH:$KEEP"
[ "$(git rev-parse "$KEEP")" = "$TIP" ]
"""
_SETTLE: Final = rf"""
set -eu
branch="refs/heads/$BRANCH"
zero=$(echo "$TIP" | tr '0-9a-f' '0')
settle() {{
  old=$(git rev-parse -q --verify "$branch^{{commit}}" || echo "$zero")
  [ "$old" != "$TIP" ] || {{ outcome=updated; return; }}
  new="$TIP --not --exclude=refs/flynn/* --all"
  [ "$(git rev-list --count --invert-grep --grep="^$TRAILER: $TASK\$" $new)" -eq 0 ] \
    || {{ outcome=kept; reason=trailer; return; }}
  [ "$(git log --format='%cn <%ce>' $new | grep -Fxvc "$GIT_COMMITTER_NAME <$GIT_COMMITTER_EMAIL>")" -eq 0 ] \
    || {{ outcome=kept; reason=trailer; return; }}
  [ "$old" = "$zero" ] || git merge-base --is-ancestor "$old" "$TIP" || {{ outcome=diverged; return; }}
  in_use=$(git for-each-ref --format='%(worktreepath)' "$branch" | tr -d '\n')
  [ "$(git symbolic-ref -q HEAD || true)" != "$branch" ] || in_use=here
  [ -z "$in_use" ] || {{ outcome=kept; reason=in-use; return; }}
  ! git update-ref "$branch" "$TIP" "$old" 2>"$TMPDIR/said" || {{ outcome=updated; return; }}
  lock="$GIT_DIR/$branch.lock"
  if [ ! -f "$lock" ]; then outcome=kept; reason=blocked; return; fi
  outcome=kept; reason=locked
  if [ -n "$AGAIN" ] && {{ [ ! -s "$lock" ] || [ "$(cat "$lock")" = "$TIP" ]; }}; then
    AGAIN=
    held=$(stat -c '%i %Y %s' "$lock"); sleep 1
    if [ "$held" = "$(stat -c '%i %Y %s' "$lock" 2>/dev/null || echo)" ]; then rm -f "$lock"; fi
    settle
  fi
}}
outcome=failed; reason=
settle
[ "$outcome" != updated ] || rm -f "$GIT_DIR/$KEEP"
printf '%s %s\n' "$outcome" "$reason"
own="$TIP --not $SHARED"
git rev-list --count --grep="^$TRAILER: $TASK\$" $own
git log --reverse --no-renames --no-ext-diff --no-textconv --format='%x01%H %s' --name-only \
  --grep="^$TRAILER: $TASK\$" $own | awk '
    /^\001/ {{ if (line != "") print files + 0, line; line = substr($0, 2); files = 0; next }}
    NF {{ files++ }}
    END {{ if (line != "") print files + 0, line }}' | tail -n {MOST_TOLD}
"""
_REASONS: Final = {
    "trailer": "Not every new commit says by whom and for which task it was made.",
    "in-use": "The branch is checked out in the workspace now, and would be changed under people's feet.",
    "blocked": "git does not take the branch's name: another branch's stands in its way.",
    "locked": "Another git process holds the lock of the branch, or left it behind.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """What came of it. `commits` are the last of the new ones, oldest first, `more` how many others."""

    outcome: HandOver
    detail: str | None = None
    commits: tuple[ReportedCommit, ...] = ()
    more: int = 0


def kept_at(checkout: Checkout) -> str:
    """The reference under which the task's commits are kept where its branch cannot have them."""
    return f"refs/flynn/tasks/{checkout.task_id}"


async def hand_over(
    workspace: Workspace, checkout: Checkout, note: Note, sealed: Sealed, git: Git, *, identity: Identity
) -> HandedOver:
    """Bring the sealed commits into the repository of `workspace`.

    Raises GitFailed, SandboxUnavailable, QuotaExceeded; then nothing but objects, and perhaps the kept
    reference, is there.
    """
    size = _size(checkout)
    workspace.admit(".git", size)
    facts = {
        **identity.environment(),
        "BRANCH": note.branch,
        "KEEP": kept_at(checkout),
        "TIP": sealed.head,
        "OUT": str(checkout.out),
        "SHARED": note.known,
        "TRAILER": TRAILER,
        "TASK": str(checkout.task_id),
        "AGAIN": "yes" if note.handing else "",
    }
    quota = workspace.quota_bytes
    script = Script(facts=facts, writable=True, shown=(checkout.out,), quota_bytes=quota)
    try:
        await git.run(workspace.path, _RECEIVE, script)
        reach("handover.received")
        done = await git.run(workspace.path, _SETTLE, Script(facts=facts, writable=True, quota_bytes=quota))
    finally:
        workspace.worked_on()
    reach("handover.settled")
    return _read(done.output, kept_at(checkout), why(done))


def _size(checkout: Checkout) -> int:
    """Bytes of the bundle. Raises GitFailed when there is none."""
    checkout.look()
    with (
        Workspace.open(checkout.tree) as tree,
        tree.locate(f".git/{checkout.out.name}/{BUNDLE}", follow=False) as found,
    ):
        if not found.is_file:
            raise GitFailed("What was to be handed over is no file.")
        return found.status.st_size


def _read(output: bytes, kept: str, failure: str) -> HandedOver:
    lines = output.decode("utf-8", "replace").splitlines()
    if len(lines) < 2 or not lines[1].isdecimal():
        raise GitFailed(failure)
    word, _, reason = lines[0].partition(" ")
    outcome: HandOver | None = next((known for known in get_args(HandOver) if known == word), None)
    if outcome is None:
        raise GitFailed(failure)
    commits: list[ReportedCommit] = []
    for line in lines[2:]:
        files, _, rest = line.partition(" ")
        sha, _, subject = rest.partition(" ")
        if files.isdecimal() and len(files) < 10 and sha.isalnum():
            told = redact(clean("".join(c for c in subject if c.isprintable())))[:_SUBJECT]
            commits.append(ReportedCommit(sha=sha, subject=told, files=int(files)))
    detail = None
    if outcome == "diverged":
        detail = f"The branch has moved on meanwhile and was left as it is; the commits are kept at {kept}."
    elif outcome == "kept":
        detail = f"{_REASONS.get(reason, 'The branch could not be moved.')} The commits are kept at {kept}."
    return HandedOver(
        outcome=outcome, detail=detail, commits=tuple(commits), more=max(0, int(lines[1]) - len(commits))
    )
