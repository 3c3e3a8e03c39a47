"""`flynn review` as people and pipelines run it: exit codes, formats, odd places, no key and no network."""

import json
import os
import pwd
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from flynn.cli.program import called_as
from flynn.cli.review import FailOn, ReviewDocument, exit_code, next_command
from flynn.cli.review_table import print_table
from flynn.cli.sarif import sarif
from flynn.domain.checklist import ChecklistItem, failed, passed, undecided
from flynn.domain.finding import Finding, Severity
from flynn.domain.review import NotRun, Ran, Review
from tests.cli.conftest import FLYNN, Shell
from tests.workspace.plant import plant
from tests.workspace.repositories import REPOSITORIES

SCHEMA = Path(__file__).parents[2] / "docs" / "review.schema.json"


def made(*severities: Severity, item: ChecklistItem | None = None, gap: Severity | None = None) -> Review:
    """A review with a finding of each severity."""
    findings = [
        Finding(
            tool="shellcheck",
            rule=f"SC{number}",
            severity=severity,
            message="Quote this.\x1b[31m",
            path="it's a/läufer.sh",
            line=number + 1,
            column=2,
            end_line=number + 3,
            url="https://example.com/rule",
        )
        for number, severity in enumerate(severities)
    ]
    gaps = (NotRun(tool="zizmor", reason="it is away", severity=gap, files=1, path="a b.yml"),) if gap else ()
    return Review(
        files=3,
        ran=(Ran(tool="shellcheck", files=1),),
        not_run=gaps,
        findings=tuple(findings),
        checklist=(item,) if item else (),
        notes=("A note.",),
        duration_ms=1234,
    )


GOOD = ChecklistItem.of("a", "All is well", [passed("It is.", "a.py", 1)])
BAD = ChecklistItem.of(
    "b", "Backups are made", [failed("None are.", "c.yml", 7), failed("Nowhere."), passed("One.")]
)
OPEN = ChecklistItem.of("c", "It builds", [undecided("Who knows."), passed("A part.", "a.py", 3)])


@pytest.mark.parametrize(
    ("review", "codes"),
    [
        (made(item=GOOD), (0, 0, 0, 0)),
        (made(item=OPEN), (0, 0, 0, 0)),
        (made(Severity.NOTE), (0, 0, 1, 0)),
        (made(Severity.NOTE, Severity.WARNING), (0, 1, 1, 0)),
        (made(Severity.NOTE, Severity.ERROR), (1, 1, 1, 0)),
        (made(item=BAD), (1, 1, 1, 0)),
        (made(gap=Severity.WARNING), (0, 1, 1, 0)),
        (made(gap=Severity.NOTE), (0, 0, 1, 0)),
    ],
)
def test_the_exit_code_follows_the_worst(review: Review, codes: tuple[int, ...]) -> None:
    assert tuple(exit_code(review, fail_on) for fail_on in FailOn) == codes


def test_the_line_for_flynn_is_safe_in_a_shell() -> None:
    root = Path('/x/it\'s; $(touch y) `z` "q"')
    line = next_command(made(Severity.ERROR, item=BAD), root)
    assert line is not None
    words = shlex.split(line)
    assert words[:2] == ["flynn", "run"]
    assert words[3:] == ["--directory", str(root)]
    assert "shellcheck SC0 in it's a/läufer.sh" in words[2]
    assert "Backups are made" in words[2]
    echoed = subprocess.run(
        ["bash", "-c", f"flynn() {{ printf '%s\\0' \"$@\"; }}; {line}"], capture_output=True, check=True
    )
    assert echoed.stdout.decode().split("\0")[:-1] == words[1:]
    assert next_command(made(item=GOOD, gap=Severity.WARNING), root) is None


def test_the_line_begins_with_what_starts_flynn_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("with space/bin", "other"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "flynn").write_text("#!/bin/sh\n")
        (tmp_path / place / "flynn").chmod(0o755)
    mine = tmp_path / "with space" / "bin" / "flynn"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(mine.parent))
    assert called_as(str(mine)) == "flynn"
    monkeypatch.setenv("PATH", str(tmp_path / "other"))
    assert called_as(str(mine)) == shlex.quote(str(mine))
    monkeypatch.setenv("PATH", "/nowhere")
    assert called_as("with space/bin/flynn") == "'with space/bin/flynn'"
    assert called_as("flynn/cli/__main__.py") == f"{shlex.quote(sys.executable)} -m flynn.cli"
    line = next_command(made(Severity.ERROR), tmp_path, program=called_as("with space/bin/flynn"))
    assert line is not None
    assert shlex.split(line)[:2] == ["with space/bin/flynn", "run"]


HANDED_OVER = """\
name: mending
match: Mend what flynn review found here.
turns:
  - blocks:
      - tool: Read
        call: read
        input: { file_path: package.json }
  - blocks:
      - tool: Write
        call: write
        input: { file_path: package.json, content: "{}\\n" }
  - blocks:
      - text: The duplicate key is gone.
"""


@pytest.mark.slow
@pytest.mark.needs("bubblewrap")
def test_the_last_line_pasted_into_a_shell_hands_the_findings_to_flynn(
    shell: Shell, faulty: Path, simulator: Callable[..., str]
) -> None:
    done = shell.flynn("review", str(faulty))
    assert done.returncode == 1
    line = done.stdout.splitlines()[-1]
    assert "json duplicate-key in package.json" in line
    model = {"ANTHROPIC_BASE_URL": simulator(HANDED_OVER), "ANTHROPIC_API_KEY": "scripted"}
    pasted = subprocess.run(
        ["bash", "-c", line],
        cwd=shell.home,
        env=shell.environment(**model),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert pasted.returncode == 0, pasted.stdout + pasted.stderr
    assert "The duplicate key is gone." in pasted.stdout
    assert (faulty / "package.json").read_text() == "{}\n"


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_the_table_has_colours_on_a_terminal_only_and_no_control_characters_of_files() -> None:
    review = made(Severity.ERROR, item=BAD, gap=Severity.WARNING)
    plain, coloured = StringIO(), Terminal()
    print_table(review, "flynn run", plain)
    print_table(review, "flynn run", coloured)
    assert "\x1b" not in plain.getvalue()
    assert "\\x1b[31m" in plain.getvalue()
    assert "\x1b[31merror  \x1b[0m" in coloured.getvalue()
    assert plain.getvalue().splitlines() == [
        "it's a/läufer.sh",
        "  1:2     error    Quote this.\\x1b[31m (shellcheck SC0)",
        "",
        "Deployment checklist",
        "  failed          Backups are made",
        "                    c.yml:7: None are.",
        "                    Nowhere.",
        "",
        "Not looked at",
        "  warning  zizmor did not look at a b.yml: it is away",
        "  A note.",
        "",
        "1 error, 0 warnings, 0 notes; checklist: 0 passed, 1 failed, 0 not verifiable",
        "3 files in 1.2 s; linters: shellcheck (1)",
        "",
        "Have Flynn mend it:",
        "flynn run",
    ]


TEXT: dict[str, Any] = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string", "minLength": 1}},
    "additionalProperties": False,
}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
NUMBER = {"type": "integer", "minimum": 1}


def closed(required: list[str], **properties: object) -> dict[str, object]:
    """An object with these properties and no others."""
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


REGION = closed(["startLine"], startLine=NUMBER, startColumn=NUMBER, endLine=NUMBER)
ARTIFACT = closed(
    ["uri"], uri={"type": "string", "pattern": r"^[\w.~%/-]+$"}, uriBaseId={"const": "%SRCROOT%"}
)
PHYSICAL = closed(["artifactLocation"], artifactLocation=ARTIFACT, region=REGION)
LOCATIONS = {"type": "array", "items": closed(["physicalLocation"], physicalLocation=PHYSICAL)}
SARIF = closed(
    ["version", "runs"],
    **{"$schema": {"type": "string", "format": "uri"}},
    version={"const": "2.1.0"},
    runs={
        "type": "array",
        "minItems": 1,
        "maxItems": 1,
        "items": closed(
            ["tool", "results"],
            tool=closed(
                ["driver"],
                driver=closed(
                    ["name", "rules"],
                    name={"type": "string"},
                    semanticVersion={"type": "string"},
                    rules={
                        "type": "array",
                        "uniqueItems": True,
                        "items": closed(
                            ["id", "shortDescription"],
                            id={"type": "string"},
                            shortDescription=TEXT,
                            helpUri={"type": "string", "format": "uri"},
                            defaultConfiguration=closed(["level"], level=LEVEL),
                        ),
                    },
                ),
            ),
            automationDetails=closed(["id"], id={"type": "string"}),
            columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
            invocations={
                "type": "array",
                "items": closed(
                    ["executionSuccessful"],
                    executionSuccessful={"type": "boolean"},
                    toolExecutionNotifications={
                        "type": "array",
                        "items": closed(["message"], message=TEXT, level=LEVEL, locations=LOCATIONS),
                    },
                ),
            },
            results={
                "type": "array",
                "items": closed(
                    ["message", "ruleId", "ruleIndex", "level", "locations"],
                    ruleId={"type": "string"},
                    ruleIndex={"type": "integer", "minimum": 0},
                    level=LEVEL,
                    message=TEXT,
                    locations={**LOCATIONS, "minItems": 1},
                    partialFingerprints={"type": "object", "additionalProperties": {"type": "string"}},
                ),
            },
        ),
    },
)
"""What we use of the standard: its names, its types, what it requires, and nothing besides."""


def checked_sarif(text: str) -> Any:
    document = json.loads(text)
    Draft202012Validator.check_schema(SARIF)
    assert list(Draft202012Validator(SARIF).iter_errors(document)) == []
    (run,) = document["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
    return run


def test_sarif_has_a_result_for_each_finding_and_for_each_failure() -> None:
    run = checked_sarif(sarif(made(Severity.ERROR, Severity.NOTE, item=BAD, gap=Severity.WARNING)))
    assert [(result["ruleId"], result["level"]) for result in run["results"]] == [
        ("shellcheck/SC0", "error"),
        ("shellcheck/SC1", "note"),
        ("checklist/b", "error"),
        ("checklist/b", "error"),
    ]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "it%27s%20a/l%C3%A4ufer.sh"
    assert place["region"] == {"startLine": 1, "startColumn": 2, "endLine": 3}
    nowhere = run["results"][3]["locations"][0]["physicalLocation"]
    assert nowhere == {"artifactLocation": {"uri": ".", "uriBaseId": "%SRCROOT%"}}
    (said,) = run["invocations"][0]["toolExecutionNotifications"]
    assert said["message"]["text"] == "zizmor: it is away"
    assert checked_sarif(sarif(made(item=GOOD)))["results"] == []


def test_fingerprints_stay_when_lines_move() -> None:
    one, two = made(Severity.ERROR).findings[0], made(Severity.ERROR, Severity.ERROR).findings[0]
    assert one.fingerprint == two.model_copy(update={"line": 99}).fingerprint
    assert one.fingerprint != two.model_copy(update={"message": "other"}).fingerprint


def test_the_schema_in_the_documents_is_that_of_the_output() -> None:
    assert json.loads(SCHEMA.read_text()) == ReviewDocument.model_json_schema(mode="serialization")


@pytest.fixture
def faulty(shell: Shell) -> Path:
    return plant(shell.home / "with space" / "node's", REPOSITORIES["node"].faulty())


@pytest.mark.slow
@pytest.mark.needs("bubblewrap")
def test_json_from_a_relative_path_with_spaces(shell: Shell, faulty: Path) -> None:
    done = shell.flynn("review", "with space/node's", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    document = json.loads(done.stdout)
    validator = Draft202012Validator(json.loads(SCHEMA.read_text()))
    assert list(validator.iter_errors(document)) == []
    assert (document["version"], document["exit_code"], document["worst_severity"]) == (1, 1, "error")
    assert shlex.split(document["next"])[-1] == str(faulty)
    assert {finding["rule"] for finding in document["findings"]} == {"duplicate-key", "github-workflows"}


@pytest.mark.slow
@pytest.mark.needs("bubblewrap")
def test_sarif_of_a_whole_review_and_the_choice_of_what_fails(shell: Shell, faulty: Path) -> None:
    done = shell.flynn("review", str(faulty), "--sarif", "--fail-on", "never")
    assert (done.returncode, done.stderr) == (0, "")
    found = {result["ruleId"] for result in checked_sarif(done.stdout)["results"]}
    assert {"json/duplicate-key", "checklist/backups", "check-jsonschema/github-workflows"} <= found
    assert not shell.data.exists()


@pytest.mark.slow
@pytest.mark.needs("bubblewrap")
def test_a_clean_repository_from_within_despite_what_its_env_says(shell: Shell) -> None:
    root = plant(
        shell.home / "clean", {**REPOSITORIES["go"].files, ".env": "LOG_LEVEL=loud\nFLYNN_SANDBOX=none\n"}
    )
    before = sorted(root.rglob("*"))
    done = shell.flynn("review", cwd=root)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 errors, 0 warnings, 0 notes" in done.stdout
    assert "Not looked at" not in done.stdout
    assert done.stdout.splitlines()[-1] == "Nothing for Flynn to do here."
    assert sorted(root.rglob("*")) == before


@pytest.mark.slow
def test_an_empty_directory_has_nothing_to_object_to(shell: Shell) -> None:
    (shell.home / "empty").mkdir()
    done = shell.flynn("review", ".", cwd=shell.home / "empty")
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 failed" in done.stdout


@pytest.mark.slow
def test_what_cannot_be_reviewed_is_said_with_two(shell: Shell) -> None:
    (shell.home / "file").write_text("x")
    for path, words in [
        ("missing", "does not exist"),
        ("file", "is not a directory"),
        ("/", "belongs to the system"),
        (str(Path.home()), "cannot be a workspace"),
    ]:
        done = shell.flynn("review", path)
        assert done.returncode == 2, path
        assert done.stderr.startswith("flynn: "), path
        assert words in done.stderr
        assert (done.stdout, len(done.stderr.splitlines())) == ("", 1)
    assert shell.flynn("review", ".", FLYNN_SANDBOX="sometimes").returncode == 2
    assert shell.flynn("review", ".", "--fail-on", "blue").returncode == 2
    assert shell.flynn("review", ".", "--json", "--sarif").returncode == 2


@pytest.mark.slow
def test_without_a_sandbox_it_says_what_was_not_run(shell: Shell, faulty: Path) -> None:
    done = shell.flynn("review", str(faulty), FLYNN_SANDBOX="none")
    assert done.returncode == 1
    assert "Not looked at" in done.stdout
    assert "hadolint did not look at 1 file: it runs in the sandbox only" in done.stdout
    assert "json duplicate-key" in done.stdout
    done = shell.flynn("review", str(faulty), FLYNN_SANDBOX="unconfined")
    assert done.returncode == 1
    assert "The linters ran WITHOUT A SANDBOX" in done.stdout


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every uid may pass through, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="flynn-reviewed-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.mark.slow
@pytest.mark.needs("root")
def test_an_ordinary_user_without_any_network(shell: Shell, place: Path) -> None:
    root = plant(place / "faulty", REPOSITORIES["node"].faulty())
    nobody = pwd.getpwnam("nobody")
    # The right to read lets the user have an interpreter that may lie below root's home.
    user = (
        *("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"),
        *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
    )
    # A container may not let root make a network of its own; the test below needs none.
    apart = [str(shutil.which("unshare")), "--net"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode != 0:
        apart = []
    done = subprocess.run(
        [*apart, *user, *FLYNN, "review", str(root), "--json"],
        env={"PATH": os.defpath, "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=place,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert {item["id"] for item in document["checklist"] if item["verdict"] == "failed"} >= {
        "backups",
        "scaling",
    }
    # Which linters an ordinary user can run depends on where the interpreter is: all are accounted for.
    tools = {ran["tool"] for ran in document["ran"]} | {gap["tool"] for gap in document["not_run"]}
    assert tools == {"yaml", "json", "check-jsonschema", "zizmor", "hadolint"}


@pytest.mark.slow
@pytest.mark.needs("bubblewrap")
def test_no_connection_is_even_tried(shell: Shell, faulty: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        done = shell.flynn(
            "review", str(faulty), HTTPS_PROXY=address, HTTP_PROXY=address, https_proxy=address
        )
        proxy.settimeout(0.1)
        with pytest.raises(TimeoutError):
            proxy.accept()
    assert done.returncode == 1
