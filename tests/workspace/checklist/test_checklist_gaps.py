"""Files that cannot be read or understood: nothing passes over them, and nothing false is said of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flynn.domain.checklist import ChecklistItem, Verdict
from flynn.workspace.checklist.checklist import go_through
from flynn.workspace.checks.source import LARGEST_FILE, Sources
from flynn.workspace.root import Workspace
from flynn.workspace.tree import walk
from tests.workspace.broken import BROKEN_COMPOSE, READABLE, SERVICE
from tests.workspace.plant import Files, plant

PASSED, FAILED, UNDECIDED = Verdict.PASSED, Verdict.FAILED, Verdict.NOT_VERIFIABLE
CI = ".github/workflows/ci.yml"
COMPOSE = "docker-compose.yml"
OF_COMPOSE = {
    *("health-checks", "images-build", "images-pinned", "environment", "secrets", "backups", "monitoring"),
    *("resource-limits", "restart-policy", "startup-order", "data-volumes", "scaling", "non-root"),
}
JOBS = "jobs:\n  a:\n    runs-on: x\n    steps:\n      - run: pytest\n"

Through = Callable[[Files], dict[str, ChecklistItem]]


@pytest.fixture
def through(tmp_path: Path) -> Through:
    def run(files: Files) -> dict[str, ChecklistItem]:
        root = plant(tmp_path / "tree", files)
        with Workspace.open(root) as workspace:
            paths = [leaf.path for leaf in walk(workspace, ".", skip=frozenset({".git"}))]
            return {item.id: item for item in go_through(Sources(workspace, paths))}

    return run


def telling(item: ChecklistItem) -> set[str]:
    return {proof.why for proof in item.proofs if proof.verdict is item.verdict}


@pytest.mark.parametrize("name", BROKEN_COMPOSE)
@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_nothing_passes_over_a_compose_file_that_cannot_be_read(
    through: Through, name: str, ends: str
) -> None:
    content, why = BROKEN_COMPOSE[name]
    data = content.encode() if isinstance(content, str) else content
    if ends == "\r\n" and name != "utf-16":
        data = data.replace(b"\n", b"\r\n")
    found = through({COMPOSE: data})
    open_items = {key for key, item in found.items() if any(why in proof.why for proof in item.proofs)}
    assert open_items == OF_COMPOSE
    assert not [key for key in OF_COMPOSE if found[key].verdict is PASSED]
    said = {proof.why for key in OF_COMPOSE for proof in found[key].proofs}
    assert not {"No compose file declares a service.", "No compose file declares a database."} & said


@pytest.mark.parametrize("name", READABLE)
def test_what_can_be_read_is_no_gap(through: Through, name: str) -> None:
    found = through({COMPOSE: READABLE[name]})
    assert found["secrets"].verdict is PASSED
    has_services = name in ("mark", "crlf", "anchors", "extensions")
    assert (found["images-pinned"].verdict is PASSED) == has_services
    assert (found["restart-policy"].verdict is FAILED) == has_services


@pytest.mark.parametrize(
    "content",
    [
        (SERVICE.format("hunter2hunter2") + "    ports: [1\n").encode(),
        (SERVICE.format("'hunter2hunter2'").replace("\n", "\r\n") + "\t").encode(),
        b"services:\n  db:\n    environment: {POSTGRES_PASSWORD: hunter2hunter2\n",
        b"- environment:\n    - POSTGRES_PASSWORD=hunter2hunter2\n",
        (SERVICE.format("hunter2hunter2") + "# größer\n").encode("latin-1"),
        SERVICE.format("hunter2hunter2").encode("utf-16"),
        (SERVICE.format("hunter2hunter2") + "#" * LARGEST_FILE).encode(),
    ],
    ids=["syntax", "crlf", "flow", "list", "latin-1", "utf-16", "large"],
)
def test_a_secret_that_can_be_seen_fails_all_the_same(through: Through, content: bytes) -> None:
    item = through({COMPOSE: content})["secrets"]
    assert item.verdict is FAILED
    assert telling(item) == {
        "POSTGRES_PASSWORD is written into the compose file, and git does not ignore the file."
    }


@pytest.mark.parametrize("value", ["${PASSWORD}", "changeme", "", "# none"])
def test_what_is_no_secret_is_none_in_a_broken_file_either(through: Through, value: str) -> None:
    item = through({COMPOSE: SERVICE.format(value) + "    ports: [1\n"})["secrets"]
    assert (item.verdict, telling(item)) == (UNDECIDED, {f"{COMPOSE} does not parse."})


def test_a_token_in_a_file_that_is_no_text_fails(through: Through) -> None:
    token = "ghp_" + "a1B2" * 9
    found = through({"settings.toml": f"# größer\nkey = '{token}'\n".encode("latin-1")})
    assert [(proof.path, proof.line) for proof in found["secrets"].failures] == [("settings.toml", 2)]


@pytest.mark.parametrize(
    "path", ["pyproject.toml", CI, "Dockerfile", "app.py", "run.sh", ".env", ".env.example", ".gitlab-ci.yml"]
)
def test_secrets_do_not_pass_over_what_is_no_text(through: Through, path: str) -> None:
    item = through({path: b"# gr\xf6\xdfer\n"})["secrets"]
    name = path.rpartition("/")[2]
    assert (item.verdict, telling(item)) == (UNDECIDED, {f"{name} is no UTF-8 text."})


def test_pictures_and_examples_are_nobodys_gap(through: Through) -> None:
    files: Files = {
        "a.png": b"\x89PNG\0",
        "tests/data/bad.yml": b"\xff",
        "examples/docker-compose.yml": "a: [",
    }
    assert through(files)["secrets"].verdict is PASSED


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("FROM python:3.12\nUSR 1000\n", "Dockerfile does not parse."),
        ("RUN x\n", "Dockerfile has no FROM."),
        ("", "Dockerfile has no FROM."),
        (b"FROM python:3.12\nUSER 1000\n# gr\xf6\n", "Dockerfile is no UTF-8 text."),
    ],
)
def test_nothing_passes_over_a_dockerfile_that_cannot_be_read(
    through: Through, content: str | bytes, why: str
) -> None:
    found = through({"Dockerfile": content})
    for key in ("health-checks", "images-build", "images-pinned", "non-root"):
        assert found[key].verdict is not PASSED
        assert why in {proof.why for proof in found[key].proofs}
        assert "There is no Dockerfile, so nothing is built from here." not in telling(found[key])


def test_the_escape_of_windows_is_understood(through: Through) -> None:
    files = {"Dockerfile": "# escape=`\nFROM us/it:1\nCOPY a `\n  C:\\b\\\nUSER me\n", "a": ""}
    assert through(files)["non-root"].verdict is PASSED


BROKEN_WORKFLOWS = [
    ("on: push\njobs:\n  a: [\n", "ci.yml does not parse."),
    ("on: push\njobs:\n\ta:\n", "ci.yml does not parse."),
    ("- on: push\n", "ci.yml has a list for its top, where a mapping belongs."),
    ("on: push\njobs: [a]\n", "ci.yml has a list for its jobs, where a mapping belongs."),
    ("on: push\njobs:\n  a: pytest\n", "ci.yml has a text for the job a, where a mapping belongs."),
    (
        "on: push\njobs:\n  a:\n    steps: pytest\n",
        "ci.yml has a text for the steps of the job a, where a list belongs.",
    ),
    (b"on: push # \xf6\n" + JOBS.encode(), "ci.yml is no UTF-8 text."),
]


@pytest.mark.parametrize(("content", "why"), BROKEN_WORKFLOWS)
def test_nothing_is_said_to_be_missing_from_a_workflow_that_cannot_be_read(
    through: Through, content: str | bytes, why: str
) -> None:
    found = through({CI: content, "test_a.py": ""})
    for key in ("pipeline", "images-pinned", "images-build", "backups"):
        assert found[key].verdict is UNDECIDED
        assert why in telling(found[key])


@pytest.mark.parametrize(
    "events",
    [
        "on: push",
        "on: [push, pull_request_target]",
        "on:\n  - pull_request",
        "on:\n  push:\n    branches: [main]",
        "on: {pull_request: }",
        '"on": push',
        "'on': [merge_group]",
        '"on":\n  push:',
        "x: &e [push]\non: *e",
    ],
)
def test_a_workflow_runs_on_changes_however_that_is_written(through: Through, events: str) -> None:
    assert through({CI: f"{events}\n{JOBS}"})["pipeline"].verdict is PASSED
    item = through({CI: f"{events}\n{JOBS.replace('steps', 'step')}"})["pipeline"]
    assert item.verdict is FAILED
    assert telling(item) == {
        "It runs when the code changes, but is invalid: the job a has neither steps nor uses."
    }


@pytest.mark.parametrize("key", ["true", "True"])
def test_the_key_that_a_program_made_of_on_is_told(through: Through, key: str) -> None:
    item = through({CI: f"{key}: push\n{JOBS}"})["pipeline"]
    assert item.verdict is FAILED
    assert telling(item) == {
        f"It runs when the code changes, but is invalid: its key on is written as {key}."
    }


@pytest.mark.parametrize(
    "events", ["on: workflow_dispatch", "on: {schedule: [{cron: '1 1 * * *'}]}", "on:", "name: x"]
)
def test_a_workflow_that_does_not_run_on_changes(through: Through, events: str) -> None:
    item = through({CI: f"{events}\n{JOBS}"})["pipeline"]
    assert telling(item) == {"No workflow runs when the code changes (push or pull_request)."}


def test_what_may_stand_in_a_file_that_cannot_be_read_is_not_missing(through: Through) -> None:
    good = "services:\n  web:\n    image: nginx:1.29\n"
    found = through({COMPOSE: good, "docker-compose.prod.yml": "services: [\n", "other/compose.yml": good})
    item = found["restart-policy"]
    assert item.verdict is FAILED
    assert {proof.path for proof in item.failures} == {"other/compose.yml"}
    open_proofs = {proof.why for proof in item.proofs if proof.verdict is UNDECIDED}
    assert open_proofs == {
        "docker-compose.prod.yml does not parse.",
        "As far as could be read: web has no restart policy.",
    }


def test_a_fault_at_one_place_hides_no_lack_at_others(through: Through) -> None:
    found = through({COMPOSE: "services:\n  db:\n    image: postgres:17\n    ports: 5432\n"})
    assert {key for key, item in found.items() if item.verdict is FAILED} >= {"data-volumes", "backups"}
    assert found["secrets"].verdict is UNDECIDED


def test_code_that_cannot_be_read_leaves_open_what_it_does(through: Through) -> None:
    found = through({"app.py": b"# gr\xf6\xdfer\nimport logging\n"})
    for key in ("structured-logs", "environment", "secrets", "pooling", "monitoring", "backups"):
        assert (found[key].verdict, "app.py is no UTF-8 text." in telling(found[key])) == (UNDECIDED, True)


def test_many_gaps_are_counted(through: Through) -> None:
    files: Files = {f"a{n:02}.py": b"\xff" for n in range(30)}
    found = through(files)
    assert "10 more files could not be looked into." in telling(found["pooling"])
