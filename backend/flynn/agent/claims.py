"""Claims: what a task's account says, held against what the log proves.

Careful on both sides. A claim is supported only by what shows exactly that, and contradicted only by what
cannot be true beside it; whatever is left is unverified, and is said to be. Prose is not judged.
"""

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flynn.domain.account import Account, CriterionClaim, Verification
from flynn.domain.claim import Claim, Judgement
from flynn.domain.diff_checks import DiffChecks
from flynn.domain.report import ReportedCommand, ReportedCriterion
from flynn.tools.shell_outcome import End, Part, Words, ends, parts

_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """What claims are held against.

    `changed` are the paths whose content differs from when the task began, each with the seq of its last
    change; `touched` those that were changed on the way, `modes` those whose mode was. `untouched` are paths
    of which the workspace itself says that they hold what they held then, `absent` those that are not in it.
    """

    commands: Sequence[ReportedCommand]
    changed: dict[str, int]
    touched: dict[str, int]
    modes: frozenset[str]
    untouched: frozenset[str]
    absent: frozenset[str]
    checks: DiffChecks | None

    @property
    def last_change(self) -> int:
        """The seq of the last change of a file; 0 when there was none."""
        return max(self.touched.values(), default=0)


@dataclass(frozen=True, slots=True)
class _Seen:
    judgement: Judgement
    why: str
    seq: int | None = None


def judge(account: Account, proofs: Proofs) -> list[Claim]:
    """Every claim of `account` with its judgement, the contradicted ones first."""
    found = [
        *(_verification(item, proofs) for item in account.verification),
        *(_file(path, proofs) for path in dict.fromkeys(account.files_changed)),
        *(_criterion(item, proofs) for item in account.criteria if item.verdict == "met"),
        *_findings(account, proofs),
    ]
    return sorted(found, key=lambda claim: claim.judgement.place)


def unmentioned(account: Account, proofs: Proofs) -> list[str]:
    """Files that were changed and that `account` does not name. A gap, and no contradiction."""
    named = {_path(path, proofs) for path in account.files_changed}
    return [path for path in proofs.changed if path not in named]


def criteria_of(wanted: Sequence[str], account: Account | None, proofs: Proofs) -> list[ReportedCriterion]:
    """What is said of each acceptance criterion, found by its words, and else by its place."""
    said = list(account.criteria) if account else []
    by_words = {_folded(item.criterion): item for item in said}
    in_order = len(said) == len(wanted)
    known = {_folded(criterion) for criterion in wanted}
    found: list[ReportedCriterion] = []
    for place, criterion in enumerate(wanted):
        item = by_words.get(_folded(criterion))
        if item is None and in_order and _folded(said[place].criterion) not in known:
            item = said[place]
        if item is None:
            found.append(ReportedCriterion(criterion=criterion, said="unsaid"))
            continue
        claim = _criterion(item, proofs)
        met = item.verdict == "met"
        found.append(
            ReportedCriterion(
                criterion=criterion,
                said=item.verdict,
                how=item.how,
                judgement=claim.judgement if met else Judgement.UNVERIFIED,
                why=claim.why if met else "",
            )
        )
    return found


def _verification(item: Verification, proofs: Proofs) -> Claim:
    words = {"passed": "passed", "failed": "failed", "not_run": "was not run"}[item.result]
    shown = item.command.strip()
    said = f"{item.what.strip() or 'A command'}: {shown} {words}" if shown else f"{item.what} {words}"
    seen = _ran(item.command, item.result, proofs)
    return Claim(kind="verification", said=said, judgement=seen.judgement, why=seen.why, seq=seen.seq)


def _criterion(item: CriterionClaim, proofs: Proofs) -> Claim:
    said = f"It is met: {item.criterion}"
    if not item.command.strip():
        seen = _Seen(Judgement.UNVERIFIED, "No command is named that would show it.")
    else:
        seen = _ran(item.command, "passed", proofs)
    return Claim(kind="criterion", said=said, judgement=seen.judgement, why=seen.why, seq=seen.seq)


def _file(path: str, proofs: Proofs) -> Claim:
    known = _path(path, proofs)
    if known in proofs.changed:
        seen = _Seen(Judgement.SUPPORTED, "Its content differs.", proofs.changed[known])
    elif inner := next((name for name in proofs.changed if name.startswith(f"{known}/")), None):
        seen = _Seen(Judgement.SUPPORTED, "Files in it differ.", proofs.changed[inner])
    elif known in proofs.modes:
        why = "Its mode was changed; its content is what it was at the beginning."
        seen = _Seen(Judgement.UNVERIFIED, why, proofs.touched[known])
    elif known in proofs.touched:
        why = "It was changed and holds again what it held at the beginning."
        seen = _Seen(Judgement.CONTRADICTED, why, proofs.touched[known])
    elif known in proofs.untouched:
        seen = _Seen(Judgement.CONTRADICTED, "It holds what it held when the task began.")
    elif known in proofs.absent and not any(
        posixpath.basename(known) in command.command for command in proofs.commands
    ):
        seen = _Seen(Judgement.CONTRADICTED, "There is no such file.")
    elif not any(command.outcome != "denied" for command in proofs.commands):
        seen = _Seen(Judgement.CONTRADICTED, "No call changed it, and no command ran.")
    else:
        seen = _Seen(Judgement.UNVERIFIED, "No call changed it; whether a command did is not known.")
    return Claim(
        kind="file", said=f"It was changed: {path}", judgement=seen.judgement, why=seen.why, seq=seen.seq
    )


def _findings(account: Account, proofs: Proofs) -> Iterable[Claim]:
    if account.findings == "unknown":
        return
    new = proofs.checks.new if proofs.checks else []
    open_end = proofs.checks is None or any(f.new is None for f in proofs.checks.findings)
    nobody = proofs.checks is None or (not proofs.checks.ran and not new)
    if account.findings == "none":
        said = "The linters find nothing new in the changed files"
        if new:
            first = new[0]
            where = f"{first.path}:{first.line}" if first.line else first.path
            why = f"They find {len(new)}, first {first.tool} {first.rule} in {where}."
            seen = _Seen(Judgement.CONTRADICTED, why)
        elif nobody:
            seen = _Seen(Judgement.UNVERIFIED, "No linter looked at them.")
        elif open_end or (proofs.checks and proofs.checks.not_run):
            seen = _Seen(Judgement.UNVERIFIED, "Not everything was looked at, or is known to be new.")
        else:
            seen = _Seen(Judgement.SUPPORTED, "They looked at them and find nothing new.")
    else:
        said = "The linters find something new in the changed files"
        if new:
            seen = _Seen(Judgement.SUPPORTED, f"They find {len(new)}.")
        else:
            seen = _Seen(Judgement.UNVERIFIED, "They find nothing that is known to be new.")
    yield Claim(kind="findings", said=said, judgement=seen.judgement, why=seen.why, seq=seen.seq)


# -- commands -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Run:
    """The last run of what was asked for. `similar`: a command that is much like it, but another one."""

    command: ReportedCommand
    end: End
    similar: bool = False


def _ran(command: str, result: str, proofs: Proofs) -> _Seen:
    """Whether `command` ended as `result` says ("passed", "failed", "not_run"), by its last run."""
    if not command.strip():
        return _Seen(Judgement.UNVERIFIED, "No command is named that would show it.")
    runs = _last_runs(command, proofs.commands)
    if runs is None:
        return _Seen(Judgement.UNVERIFIED, "What ran cannot be told apart well enough to say.")
    missing = [run for run in runs if run is None]
    found = [run for run in runs if run is not None]
    if missing and not any(run.similar for run in found):
        if result == "not_run":
            return _Seen(Judgement.SUPPORTED, "No such command ran.")
        return _Seen(Judgement.CONTRADICTED, "No such command ran.")
    similar = next((run for run in found if run.similar), None)
    if similar is not None:
        why = f"Only a similar command ran: {_shown(similar.command.command)}."
        return _Seen(Judgement.UNVERIFIED, why, similar.command.seq)
    return _by_ends(found, result, proofs)


def _by_ends(runs: Sequence[_Run], result: str, proofs: Proofs) -> _Seen:
    worst = min(runs, key=lambda run: _WORST.index(run.end))
    seq, how = worst.command.seq, _ending(worst)
    if result == "not_run":
        return _Seen(Judgement.CONTRADICTED, f"It ran and {how}.", seq)
    if worst.end is End.UNKNOWN:
        return _Seen(Judgement.UNVERIFIED, f"Its last run {how}.", seq)
    passed = worst.end is End.PASSED
    if result == "failed":
        judgement = Judgement.CONTRADICTED if passed else Judgement.SUPPORTED
        return _Seen(judgement, f"Its last run {how}.", seq)
    if not passed:
        return _Seen(Judgement.CONTRADICTED, f"Its last run {how}.", seq)
    if proofs.last_change > seq:
        why = f"It {how}, but files were changed after that."
        return _Seen(Judgement.UNVERIFIED, why, seq)
    return _Seen(Judgement.SUPPORTED, f"Its last run {how}.", seq)


_WORST = (End.FAILED, End.NOT_PASSED, End.UNKNOWN, End.PASSED)


def _ending(run: _Run) -> str:
    command = run.command
    if command.outcome in ("cancelled", "denied"):
        return f"was {command.outcome}"
    if command.outcome == "unknown":
        return "came to an end that nobody saw"
    if command.exit_code is None:
        return "was killed"
    if run.end is End.UNKNOWN:
        return f"was part of a command whose exit code {command.exit_code} is not its own"
    return f"ended with exit code {command.exit_code}"


def _last_runs(command: str, ran: Sequence[ReportedCommand]) -> list[_Run | None] | None:
    """The last run of each part of `command`; None in the place of one that never ran.

    None as a whole when something ran that cannot be taken apart and may be it.
    """
    wanted = parts(command)
    known = [(item, ends(item.command, item.exit_code)) for item in ran]
    folded = _folded(command)
    whole = [item for item in ran if _folded(item.command) == folded]
    if whole and not wanted:
        return [_Run(whole[-1], _end_of_whole(whole[-1]))]
    if not wanted:
        return None
    if any(found is None and wanted[0][0] in item.command for item, found in known):
        return None
    return [_last_run(words, known) for words in wanted]


def _last_run(words: Words, known: Sequence[tuple[ReportedCommand, tuple[Part, ...] | None]]) -> _Run | None:
    similar: _Run | None = None
    for item, found in reversed(known):
        if item.outcome == "denied":
            continue
        for part in reversed(found or ()):
            if part.words == words:
                return _Run(item, part.end if item.outcome in ("ok", "error") else _end_of_whole(item))
            if similar is None and _alike(part.words, words):
                similar = _Run(item, End.UNKNOWN, similar=True)
    return similar


def _alike(ran: Words, wanted: Words) -> bool:
    """Whether the two are the same program with other words, or one that runs the other."""
    return bool(ran) and (ran[0] == wanted[0] or wanted[0] in ran[1:] or ran[0] in wanted[1:])


def _end_of_whole(item: ReportedCommand) -> End:
    if item.outcome in ("unknown", "denied"):
        return End.UNKNOWN
    if item.exit_code is None or item.outcome == "cancelled":
        return End.NOT_PASSED
    return End.PASSED if item.exit_code == 0 else End.FAILED


def _path(path: str, proofs: Proofs) -> str:
    """A path as evidence has it: relative to the workspace."""
    found = posixpath.normpath(path.strip().strip("`"))
    if found.startswith("/"):
        # The agent knows the workspace by where it lies.
        inner = (
            known
            for known in (*proofs.touched, *proofs.untouched, *proofs.absent)
            if found.endswith(f"/{known}")
        )
        return max(inner, key=len, default=found)
    return found


def _folded(text: str) -> str:
    return " ".join(text.split())


def _shown(command: str) -> str:
    said = _folded(command)
    return said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…"
