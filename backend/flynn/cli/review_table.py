"""A review for people: findings by file, the checklist, what was not done, the sums, and how to go on."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Final, TextIO

from flynn.cli.screen import counted, safe, seconds
from flynn.domain.checklist import ChecklistItem, Proof, Verdict
from flynn.domain.finding import Finding, Severity
from flynn.domain.review import NotRun, Review

_SEVERITIES: Final = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}
_VERDICTS: Final = {Verdict.PASSED: "32", Verdict.FAILED: "31", Verdict.NOT_VERIFIABLE: "33"}
_BOLD, _DIM = "1", "2"
_MOST_PROOFS = 6
"""Proofs of an item that are shown; all are in the JSON."""


def print_table(review: Review, following: str | None, out: TextIO) -> None:
    """Print `review`, and last the command `following`. Colours on a terminal only."""
    paint = _Paint(on=out.isatty())
    sections = [
        _findings(review, paint),
        _checklist(review, paint),
        _left_out(review, paint),
        _totals(review, paint),
        _next(following, paint),
    ]
    print("\n\n".join(text for lines in sections if (text := "\n".join(lines))), file=out, flush=True)


class _Paint:
    def __init__(self, *, on: bool) -> None:
        self._on = on

    def __call__(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._on else text


def _findings(review: Review, paint: _Paint) -> Iterator[str]:
    for path, found in groupby(review.findings, key=lambda finding: finding.path):
        yield paint(safe(path), _BOLD)
        for finding in found:
            yield _finding(finding, paint)


def _finding(finding: Finding, paint: _Paint) -> str:
    place = ":".join(str(number) for number in (finding.line, finding.column) if number is not None)
    severity = paint(f"{finding.severity.value:<7}", _SEVERITIES[finding.severity])
    rule = paint(f"({finding.tool} {safe(finding.rule)})", _DIM)
    return f"  {place or '-':<8}{severity}  {safe(finding.message)} {rule}"


def _checklist(review: Review, paint: _Paint) -> Iterator[str]:
    yield paint("Deployment checklist", _BOLD)
    widest = max(len(verdict.value) for verdict in Verdict)
    for item in review.checklist:
        verdict = paint(f"{item.verdict.value:<{widest}}", _VERDICTS[item.verdict])
        shown = _telling(item)
        more = f" (and {len(shown) - 1} more)" if len(shown) > 1 else ""
        only = f"  {paint(_proof(shown[0]) + more, _DIM)}" if item.verdict is Verdict.PASSED else ""
        yield f"  {verdict}  {item.title}{only}"
        if item.verdict is Verdict.PASSED:
            continue
        for proof in shown[:_MOST_PROOFS]:
            yield f"  {'':<{widest}}    {paint(_proof(proof), _DIM)}"
        if len(shown) > _MOST_PROOFS:
            yield f"  {'':<{widest}}    {paint(f'and {len(shown) - _MOST_PROOFS} more', _DIM)}"


def _telling(item: ChecklistItem) -> list[Proof]:
    """The proofs that gave the item its verdict."""
    return [proof for proof in item.proofs if proof.verdict is item.verdict]


def _proof(proof: Proof) -> str:
    line = f":{proof.line}" if proof.line is not None else ""
    return f"{safe(proof.path)}{line}: {safe(proof.why)}" if proof.path else safe(proof.why)


def _left_out(review: Review, paint: _Paint) -> Iterator[str]:
    if not review.not_run and not review.notes:
        return
    yield paint("Not looked at", _BOLD)
    for gap in review.not_run:
        yield f"  {paint(f'{gap.severity.value:<7}', _SEVERITIES[gap.severity])}  {_gap(gap)}"
    for note in review.notes:
        yield f"  {safe(note)}"


def _gap(gap: NotRun) -> str:
    over = safe(gap.path) if gap.path else counted(gap.files, "file") if gap.files else ""
    return f"{gap.tool}{' did not look at ' + over if over else ''}: {safe(gap.reason)}"


def _totals(review: Review, paint: _Paint) -> Iterator[str]:
    found = Counter(finding.severity for finding in review.findings)
    said = [
        f"{found[severity]} {severity.value}{'' if found[severity] == 1 else 's'}" for severity in Severity
    ]
    items = Counter(item.verdict for item in review.checklist)
    checklist = ", ".join(f"{items[verdict]} {verdict.value}" for verdict in Verdict)
    ran = ", ".join(f"{ran.tool} ({ran.files})" for ran in review.ran) or "none"
    yield paint(f"{', '.join(said)}; checklist: {checklist}", _BOLD)
    yield f"{counted(review.files, 'file')} in {seconds(review.duration_ms)}; linters: {ran}"


def _next(following: str | None, paint: _Paint) -> Iterator[str]:
    if following is None:
        yield "Nothing for Flynn to do here."
    else:
        yield paint("Have Flynn mend it:", _BOLD)
        yield following
