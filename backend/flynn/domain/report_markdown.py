"""A report in Markdown, for people and for pull requests.

Every word that is not ours is hostile here: names of files, commands, findings, and all that the agent says.
It becomes a span of code, or text in which nothing is markup, so that none of it can pass for a heading, a
link, or a line of the evidence. What the agent says is a quotation, behind the evidence.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

from flynn.domain.checklist import Verdict
from flynn.domain.claim import Claim
from flynn.domain.diff_checks import DiffFinding
from flynn.domain.report import Delivered, Report, ReportedCommand, ReportedCommit, ReportedFile

T = TypeVar("T")

_LONGEST: Final = 500
"""Characters of a command or a message that are shown."""
_CLAIM: Final = 300
"""Characters of a claim that are shown."""
_MOST: Final = 200
"""Files, commands and findings that are listed, each."""
_UNSEEN: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
_MARKUP: Final = re.compile(r"([#$&*<>@\[\\\]^_`|~]|:(?=\S)|-(?=-))")
"""What can be markup within a line; a colon before a word can make a picture of it."""
_BEGINNING: Final = re.compile(r"(\d+(?=[.)])|)([-+=:.)])")
"""What can be markup where a text begins: a mark of a list, or of a line."""
_LINK: Final = re.compile(r"(\S*(?:://|www\.|@)\S*)", re.IGNORECASE)
"""What programs that show Markdown make a link of, without any markup."""
_TICKS: Final = re.compile(r"`+")


_HANDED: Final[dict[Delivered, str]] = {
    "updated": "the branch in the workspace's repository has these commits",
    "unchanged": "nothing was committed, and the branch is where it was",
    "diverged": "somebody else moved the branch meanwhile; the commits are at {kept}",
    "kept": "the branch could not be moved; the commits are at {kept}",
    "failed": "the commits are in the task's checkout only",
    "left": "not all was handed over before the task ended",
}


def markdown(report: Report, *, asked: str = "") -> str:
    """`report` as one Markdown document; `asked` says in a line what the task was."""
    return "\n".join(_lines(report, asked)) + "\n"


def _lines(report: Report, asked: str) -> Iterator[str]:
    yield f"# Report of a task: {report.state}"
    yield ""
    yield f"Task `{report.task_id}`" + (f": {_plain(_shortened(asked, _LONGEST))}" if asked.strip() else "")
    if report.detail:
        yield ""
        yield _plain(report.detail)
    yield from _section("Contradicted by the evidence", (_claim(c) for c in report.contradicted))
    yield from _section("Acceptance criteria", _criteria(report))
    evidence = report.evidence
    yield from _section("Changed files", _files(report), nothing="None.")
    yield from _section("Branch and commits", _branch(report))
    yield from _section("Commands", _listed(evidence.commands, _command), nothing="None.")
    yield from _section("Checks", _checks(report))
    yield from _section("Deployment checklist", _checklist(report))
    yield from _section("Effort", _effort(report))
    yield from _account(report)


def _section(title: str, lines: Iterable[str], *, nothing: str | None = None) -> Iterator[str]:
    found = list(lines) or ([nothing] if nothing else [])
    if found:
        yield from ("", f"## {title}", "", *found)


def _listed(items: Sequence[T], line: Callable[[T], str], *, more: int = 0) -> Iterator[str]:
    """A line for each, as far as they are shown, and how many are not; `more` are known by number only."""
    yield from (line(item) for item in items[:_MOST])
    unseen = max(0, len(items) - _MOST) + more
    if unseen:
        yield f"- and {unseen:,} more"


def _files(report: Report) -> Iterator[str]:
    yield from _listed(report.evidence.files, _file)
    if report.evidence.files:
        yield from ("", "Lines are counted call by call; the task's diff has what is left of them.")


def _file(file: ReportedFile) -> str:
    what = "new, " if file.before is None else ""
    left = f"sha256 `{file.after}`" if file.after is not None else "gone"
    return f"- {_code(file.path)}: {what}+{file.lines_added} -{file.lines_removed} ({left})"


def _branch(report: Report) -> Iterator[str]:
    found = report.evidence
    why = f" {_plain(found.hand_over_detail)}" if found.hand_over_detail else ""
    if found.branch is None:
        if why:
            yield f"- no branch of its own: it worked in the workspace's files.{why}"
        return
    began = f", from commit {_code(found.base)}" if found.base else ""
    yield f"- branch {_code(found.branch)}{began}"
    if found.handed_over is not None:
        kept = _code(f"refs/flynn/tasks/{report.task_id}")
        yield f"- {found.handed_over}: {_HANDED[found.handed_over].format(kept=kept)}.{why}"
    yield from _listed(found.commits, _commit, more=found.more_commits)


def _commit(commit: ReportedCommit) -> str:
    files = "1 file" if commit.files == 1 else f"{commit.files:,} files"
    return f"- commit {_code(commit.sha)}: {_plain(commit.subject)} ({files})"


def _command(command: ReportedCommand) -> str:
    ended = f"exit {command.exit_code}" if command.exit_code is not None else command.outcome
    why = f" ({_plain(command.description)})" if command.description else ""
    return f"- {ended}: {_code(command.command)}{why}, event {command.seq}"


def _criteria(report: Report) -> Iterator[str]:
    for item in report.criteria:
        said = {"met": "said to be met", "not_met": "said not to be met"}.get(
            item.said, "nothing is said" if item.said == "unsaid" else "said to be unknown"
        )
        why = f". {_plain(item.why)}" if item.why else ""
        how = f" The agent: {_plain(item.how)}" if item.how else ""
        judged = f", **{item.judgement}**" if item.said == "met" else ""
        yield f"- {_plain(item.criterion)}: {said}{judged}{why}{how}"


def _claim(claim: Claim) -> str:
    at = f" (event {claim.seq})" if claim.seq is not None else ""
    return f"- **{claim.judgement}**: {_plain(_without_middle(claim.said))}. {_plain(claim.why)}{at}"


def _without_middle(said: str) -> str:
    """A claim about a long command: how that begins, and what is said to have come of it."""
    words = " ".join(said.split())
    return words if len(words) <= _CLAIM else f"{words[: _CLAIM - 60]} … {words[-50:]}"


def _checks(report: Report) -> Iterator[str]:
    checks = report.evidence.checks
    if checks is None:
        yield _plain(report.evidence.checks_missing or "Nobody looked.")
        return
    yield from _listed(checks.findings, _finding)
    if checks.more:
        yield f"- and {checks.more:,} more"
    for gap in checks.not_run:
        where = f" over {_code(gap.path)}" if gap.path else ""
        yield f"- not run: {_plain(gap.tool)}{where}: {_plain(gap.reason)}"
    yield from (f"- {_plain(note)}" for note in checks.notes)
    ran = ", ".join(_plain(item.tool) for item in checks.ran)
    if not checks.findings:
        yield f"- no findings ({ran})" if ran else "- no linter takes any of the changed files"


def _finding(item: DiffFinding) -> str:
    new = {True: "new", False: "there before", None: "not known whether new"}[item.new]
    where = f"{item.path}:{item.line}" if item.line else item.path
    said = f"{_plain(item.tool)} {_plain(item.rule)}: {_plain(item.message)}"
    return f"- {new}, {item.severity}: {_code(where)} {said}"


def _checklist(report: Report) -> Iterator[str]:
    for item in report.evidence.checks.checklist if report.evidence.checks else ():
        proof = next((p for p in item.proofs if p.verdict is item.verdict), None)
        where = f" ({_code(proof.path)})" if proof and proof.path and item.verdict is Verdict.FAILED else ""
        why = f": {_plain(proof.why)}{where}" if proof else ""
        yield f"- {item.verdict}: {_plain(item.title)}{why}"


def _effort(report: Report) -> Iterator[str]:
    found = report.evidence
    yield f"- {found.steps} model calls, {found.tool_calls} tool calls, {found.duration_ms / 1000:.1f} s"
    yield f"- {found.usage.prompt:,} tokens in, {found.usage.output:,} out, ${found.cost_dollars:.4f}"
    yield f"- it ended with {_plain(found.stop_reason)}; the log has {found.last_seq} events"


def _account(report: Report) -> Iterator[str]:
    yield from ("", "## In the agent's own words, which prove nothing", "")
    account = report.account
    if account is None:
        yield f"There is no account of the task. {_plain(report.account_missing or '')}".rstrip()
        if report.prose:
            yield from ("", *_quoted(report.prose))
        return
    yield from _quoted(account.summary or "(no summary)")
    others = [claim for claim in report.claims if claim not in report.contradicted]
    yield from _list("What it claims, and what the evidence says", (_claim(claim) for claim in others))
    yield from _list("Changed files that it does not name", (f"- {_code(p)}" for p in report.unmentioned))
    steps = (f"> - {_plain(step.who)}: {_plain(step.what)}" for step in account.next_steps)
    yield from _list("Next steps", steps)
    yield from _list("Left undone", (f"> - {_plain(item)}" for item in account.left_undone))
    yield from _list("Risks", (f"> - {_plain(item)}" for item in account.risks))


def _list(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield from ("", f"### {title}", "", *found)


def _quoted(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield f"> {_plain(line)}".rstrip()


def _plain(text: str) -> str:
    """`text` on one line, in which nothing is markup; addresses are code, so that no link comes of them."""
    line = _shortened(" ".join(_visible(text).split()), 10 * _LONGEST)
    return "".join(
        _code(piece) if place % 2 else _escaped(piece, begins=place == 0)
        for place, piece in enumerate(_LINK.split(line))
    )


def _escaped(text: str, *, begins: bool) -> str:
    """`text` with a backslash before what would be markup, and before nothing else: it is read raw, too."""
    head = _BEGINNING.match(text) if begins else None
    if head is None:
        return _MARKUP.sub(r"\\\1", text)
    return f"{head[1]}\\{head[2]}" + _MARKUP.sub(r"\\\1", text[head.end() :])


def _code(text: str) -> str:
    """`text` on one line as a span of code, whatever ticks it holds."""
    line = _shortened(" ".join(_visible(text).split()), _LONGEST) or "(empty)"
    fence = "`" * (max((len(run) for run in _TICKS.findall(line)), default=0) + 1)
    pad = " " if "`" in (line[0], line[-1]) else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def _visible(text: str) -> str:
    """`text` with what cannot be seen, or turns other words around, shown by its number."""
    return _UNSEEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text.replace("\r\n", "\n"))


def _shortened(line: str, most: int) -> str:
    return line if len(line) <= most else f"{line[: most - 1]}…"
