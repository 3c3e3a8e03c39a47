"""The pipeline: it is there, runs when the code changes, and runs the tests, all of them."""

import posixpath
import re
import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath

from flynn.domain.checklist import ChecklistItem, Proof, failed, passed, undecided
from flynn.workspace.checklist.look import Look
from flynn.workspace.checklist.workflow import Step, script_lines
from flynn.workspace.checks.shellcheck import is_script
from flynn.workspace.checks.source import Sources

_COMMANDS = (
    *("py\\.?test", "tox", "nox", "unittest", "ctest", "vitest", "jest", "mocha", "rspec", "phpunit", "bats"),
    *("gotestsum", r"hatch\s+(?:run\s+)?test", r"playwright\s+test", r"cypress\s+run", r"coverage\s+run"),
    *(rf"{program}\s+test" for program in ("go", "cargo", "dotnet", "mix", "deno", "swift", "rake")),
    *(r"cargo\s+(?:nextest|llvm-cov)", r"manage\.py\s+test", r"sbt\s+[^|;&]{0,200}test"),
    r"(?:npm|pnpm|yarn|bun|npx)\s+(?:(?:run|exec)\s+)?(?:-\S+\s+)*t(?:est\S*)?",
    r"(?:\./)?(?:mvnw?|gradlew?)\s[^|;&]{0,200}\b(?:test|verify|check|build)",
    r"(?:make|just|task|invoke|rake)\s+(?:\S*test\S*|check)",
)
"""How tests are run."""
_TESTS = re.compile(rf"(?<![\w./-])(?:{'|'.join(_COMMANDS)})(?![\w-])")
_RUNNERS = re.compile(
    r"^(?:make|just|task|invoke|rake|earthly|bazel|dagger|nx|turbo|(?:npm|pnpm|yarn|bun)\s+run)\b"
)
"""Programs that run what another file says."""
_SCRIPT = re.compile(r"(?<![\w$.-])(?:\./)?((?:[\w.-]+/)*[\w.-]+)(?![\w/])")
_PYTEST = re.compile(r"(?<![\w./-])(?:py\.?test)(?:\s+|$)")
_TEST_FILE = re.compile(r"(?:^|/)(?:test_[^/]+|[^/]+_test)\.py$")
_ENDS = frozenset({"|", "||", "&&", ";", ">", ">>", "2>&1", "&"})
_TEST_ACTIONS = ("cypress-io/github-action", "pre-commit/action")


def pipeline(look: Look) -> ChecklistItem:
    """A workflow that runs on changes has a step that runs tests, and no Python test is left out."""
    return ChecklistItem.of("pipeline", "A CI pipeline runs the tests", list(_proofs(look)))


def _proofs(look: Look) -> Iterator[Proof]:
    ran = look.pipelines
    if not ran.workflows:
        if ran.elsewhere:
            yield from (_elsewhere(path, look) for path in ran.elsewhere)
        else:
            verdict = failed if look.code or look.services or look.dockerfiles else undecided
            yield verdict("There is no pipeline: no .github/workflows, and none of another service.")
        return
    refused = {path for path, _, _ in ran.invalid}
    steps = [step for step in ran.steps if step.changes and step.path not in refused]
    scripts = _Scripts(look.sources)
    testing = [step for step in steps if scripts.test(step)]
    if testing:
        first = testing[0]
        yield passed("The pipeline runs tests.", first.path, first.line)
        yield from _left_out(testing, look)
        return
    if ran.elsewhere:
        yield from (_elsewhere(path, look) for path in ran.elsewhere)
        return
    called = [use for use in ran.uses if use.changes and use.path not in refused and _may_test(use.name)]
    if called:
        yield undecided(
            f"Whether {called[0].name} runs tests is not to be seen here.", called[0].path, called[0].line
        )
        return
    if not ran.changing:
        why = "No workflow runs when the code changes (push or pull_request)."
        yield look.lacking(why, ran.workflows[0], 1, "workflow")
        return
    for step in steps:
        if _RUNNERS.search(step.command):
            why = f"Whether {step.command.split()[0]} runs tests here is not to be seen in the workflow."
            yield undecided(why, step.path, step.line)
            return
    broken = [(path, line, what) for path, line, what in ran.invalid if path in ran.changing]
    for path, line, what in broken:
        yield look.lacking(f"It runs when the code changes, but is invalid: {what}.", path, line, "workflow")
    if not broken:
        place = (steps[0].path, steps[0].line) if steps else (ran.workflows[0], 1)
        yield look.lacking("No step of the pipeline runs tests.", *place, "workflow", "script")


def _may_test(name: str) -> bool:
    """Whether what a workflow uses may run tests of its own: another workflow, a local action."""
    return ".github/workflows/" in name or name.startswith(("./", *_TEST_ACTIONS))


def _elsewhere(path: str, look: Look) -> Proof:
    for number, line in script_lines(look.sources.text(path) or ""):
        if _TESTS.search(line):
            return passed("The pipeline runs tests.", path, number)
    return undecided("There is a pipeline; whether it runs tests is not to be seen in it.", path, 1)


class _Scripts:
    """Which scripts of the repository run tests; each is read once."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._known: dict[str, bool] = {}

    def test(self, step: Step) -> bool:
        """Whether a step runs tests, by itself or by a script that it names."""
        if _TESTS.search(step.command):
            return True
        named = (posixpath.join(step.directory or ".", found[1]) for found in _SCRIPT.finditer(step.command))
        return any(self._tests(posixpath.normpath(path)) for path in named)

    def _tests(self, path: str) -> bool:
        if path not in self._sources.known:
            return False
        if path not in self._known:
            text = self._sources.text(path) if is_script(path, self._sources) else None
            self._known[path] = any(_TESTS.search(line) for _, line in script_lines(text or ""))
        return self._known[path]


def _left_out(testing: list[Step], look: Look) -> Iterator[Proof]:
    """Python tests that no step runs, where every step says plainly which it does."""
    tests = [path for path in look.sources.paths if _TEST_FILE.search(path)]
    covered: set[str] = set()
    for step in testing:
        operands = _operands(step, look)
        if operands is None:
            return  # something else runs tests, or it runs whatever its configuration says
        covered.update(operands)
    missing = [
        path
        for path in tests
        if path not in covered and covered.isdisjoint(map(str, PurePosixPath(path).parents))
    ]
    if missing:
        step = testing[0]
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        yield look.lacking(f"No step runs {missing[0]}{more}.", step.path, step.line, "workflow")


def _operands(step: Step, look: Look) -> list[str] | None:
    """What a call of pytest names, from the root; None where that is not plain, or is everything."""
    found = _PYTEST.search(step.command)
    if step.directory is None or found is None:
        return None
    try:
        words = shlex.split(step.command[found.end() :])
    except ValueError:
        return None
    operands: list[str] = []
    for word in words:
        if word in _ENDS:
            break
        if re.search(r"[$*?`(]", word):
            return None
        if word.startswith("-"):
            continue
        path = posixpath.normpath(posixpath.join(step.directory, word.partition("::")[0]))
        if path in look.sources.known or path in look.sources.directories:
            operands.append(path)
    if "." in operands:
        return None
    return operands or None
