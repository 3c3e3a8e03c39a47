"""promtool over Prometheus' own files, where it is installed: no package of ours brings it."""

import re
from collections.abc import Callable, Sequence

from flynn.domain.finding import Finding, Severity
from flynn.sandbox.command import Completed
from flynn.workspace.checks.linter import finding
from flynn.workspace.checks.program import ProgramLinter
from flynn.workspace.checks.source import Sources, name_of

_FILE = re.compile(r"^Checking (?P<path>.+)$")
_FAILED = re.compile(r"^\s*FAILED:\s*(?P<rest>.*)$")
_LINE = re.compile(r"(?:^|\s|:)(?:line )?(?P<line>\d+):(?:(?P<column>\d+):)?\s*(?P<message>.+)$")


def _is_configuration(path: str, sources: Sources) -> bool:
    return name_of(path) in ("prometheus.yml", "prometheus.yaml") and _holds(
        path, sources, "scrape_configs", "global"
    )


def _is_rules(path: str, sources: Sources) -> bool:
    named = re.search(r"(?:rules?|alerts?)[\w.-]*\.ya?ml$", name_of(path))
    return named is not None and _holds(path, sources, "groups")


def _holds(path: str, sources: Sources, *keys: str) -> bool:
    documents = sources.yaml(path)
    return bool(documents) and any(key in documents[0].mapping() for key in keys)


def _read(done: Completed, paths: Sequence[str], sources: Sources) -> list[Finding]:  # noqa: ARG001 - as all linters are asked
    """Each line after `FAILED:` is a fault of the file that was named last."""
    found: list[Finding] = []
    path, failing = paths[0], False
    for line in (done.output + b"\n" + done.errors).decode("utf-8", "replace").splitlines():
        if (named := _FILE.match(line)) is not None:
            path, failing = named["path"].removeprefix("./"), False
            continue
        said = line.strip()
        if (failed := _FAILED.match(line)) is not None:
            failing, said = True, failed["rest"].strip()
        if failing and said and not said.endswith("errors:"):
            found.append(_finding(path, said))
    if done.exit_code != 0 and not found:
        raise ValueError("it failed and did not say why")
    return found


def _finding(path: str, said: str) -> Finding:
    place = _LINE.search(said)
    if place is None:
        return finding("promtool", "check", Severity.ERROR, said, path)
    line, column = int(place["line"]), int(place["column"] or 0)
    return finding("promtool", "check", Severity.ERROR, place["message"], path, line=line, column=column)


def _linter(what: str, wants: Callable[[str, Sources], bool]) -> ProgramLinter:
    return ProgramLinter(
        tool="promtool",
        wants=wants,
        words=("check", what),
        ends=(0, 1, 3),
        read=_read,
        batch=1,
        optional=True,
    )


PROMTOOL = (_linter("config", _is_configuration), _linter("rules", _is_rules))
