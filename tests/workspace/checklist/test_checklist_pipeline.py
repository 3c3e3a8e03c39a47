"""The pipeline: there, run on changes, and running the tests."""

import pytest

from flynn.workspace.checklist.pipeline import pipeline
from tests.workspace.checklist.conftest import Judge
from tests.workspace.plant import Files

PASSED, FAILED, UNDECIDED = "passed", "failed", "not verifiable"
CI = ".github/workflows/ci.yml"
TEST = {"tests/test_a.py": ""}


def workflow(*commands: str, on: str = "[push]", more: str = "") -> str:
    steps = "".join(f"\n          - run: {command}" for command in commands)
    return f"""
        on: {on}
        jobs:
          a:
            runs-on: ubuntu-latest{more}
            steps:
              - uses: actions/checkout@v5{steps.replace("          - ", "              - ")}
        """


@pytest.mark.parametrize(
    ("files", "verdict", "place"),
    [
        ({CI: workflow("make build", "pytest"), **TEST}, PASSED, f"{CI}:8"),
        ({CI: workflow("npm ci", "npm run test:unit"), "a.js": ""}, PASSED, f"{CI}:8"),
        ({CI: workflow("python -m pytest -q --cov"), **TEST}, PASSED, f"{CI}:7"),
        ({CI: workflow("python -m unittest"), **TEST}, PASSED, f"{CI}:7"),
        ({CI: workflow("go test ./..."), "a.go": ""}, PASSED, f"{CI}:7"),
        ({CI: workflow("cargo nextest run"), "a.rs": ""}, PASSED, f"{CI}:7"),
        ({CI: workflow("./gradlew build"), "a.kt": ""}, PASSED, f"{CI}:7"),
        ({CI: workflow("make test"), "a.c": ""}, PASSED, f"{CI}:7"),
        ({CI: workflow("scripts/check.sh"), "scripts/check.sh": "set -e\npytest\n"}, PASSED, f"{CI}:7"),
        ({CI: workflow("scripts/check.sh"), "scripts/check.sh": "ruff check\n"}, FAILED, f"{CI}:7"),
        ({CI: workflow("pip install pytest-cov -r requirements-test.txt"), "a.py": ""}, FAILED, f"{CI}:7"),
        ({CI: workflow("ruff check ."), **TEST}, FAILED, f"{CI}:7"),
        ({CI: workflow("make ci"), "a.py": ""}, UNDECIDED, f"{CI}:7"),
        ({CI: workflow("pytest", on="workflow_dispatch"), **TEST}, FAILED, f"{CI}:1"),
        ({CI: workflow("pytest", on="{pull_request: {}}"), **TEST}, PASSED, f"{CI}:7"),
        ({CI: "on: push\njobs:\n  a:\n    uses: us/x/.github/workflows/t.yml@v1\n"}, UNDECIDED, f"{CI}:3"),
        ({"main.py": ""}, FAILED, ":"),
        ({"README.md": ""}, UNDECIDED, ":"),
        ({".gitlab-ci.yml": "test:\n  script:\n    - pytest\n", "a.py": ""}, PASSED, ".gitlab-ci.yml:3"),
        ({".gitlab-ci.yml": "include: elsewhere.yml\n", "a.py": ""}, UNDECIDED, ".gitlab-ci.yml:1"),
        ({"examples/x/.github/workflows/ci.yml": workflow("pytest"), "a.py": ""}, FAILED, ":"),
    ],
)
def test_pipeline(judge: Judge, files: Files, verdict: str, place: str) -> None:
    assert judge(pipeline, files) == (verdict, [place])


@pytest.mark.parametrize(
    ("commands", "verdict"),
    [
        (["pytest tests/unit"], FAILED),
        (["pytest tests/unit -q", "pytest tests/api"], PASSED),
        (["pytest tests"], PASSED),
        (["pytest"], PASSED),
        (["pytest $WHICH"], PASSED),
        (["pytest tests/unit", "make test"], PASSED),
        (["cd tests && pytest unit"], FAILED),
        (["cd tests && pytest unit api"], PASSED),
        (["pytest tests/unit/test_a.py::test_one tests/api/test_b.py"], PASSED),
        (["pytest --cov=src tests/unit | tee log"], FAILED),
    ],
)
def test_python_tests_that_no_step_runs(judge: Judge, commands: list[str], verdict: str) -> None:
    files = {CI: workflow(*commands), "tests/unit/test_a.py": "", "tests/api/test_b.py": ""}
    assert judge(pipeline, files) == (verdict, [f"{CI}:7"])


def test_the_working_directory_counts(judge: Judge) -> None:
    files = {
        CI: workflow("pytest unit", more="\n            defaults: {run: {working-directory: back/tests}}"),
        "back/tests/unit/test_a.py": "",
    }
    assert judge(pipeline, files) == (PASSED, [f"{CI}:8"])
    files["back/tests/api/test_b.py"] = ""
    assert judge(pipeline, files) == (FAILED, [f"{CI}:8"])


def test_the_lines_of_a_script_in_a_block_are_their_own(judge: Judge) -> None:
    script = "|\n                  set -e\n                  # tests\n                  cd back \\\n"
    files = {CI: workflow(f"{script}                    && pytest"), **TEST}
    assert judge(pipeline, files) == (PASSED, [f"{CI}:10"])
