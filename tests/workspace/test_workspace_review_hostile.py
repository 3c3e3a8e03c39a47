"""Reviews of trees that want to do harm: get out, run something, hang, or hide what is wrong with others."""

import asyncio
import os
import subprocess
import time
from pathlib import Path

import pytest

from flynn.domain.checklist import Verdict
from flynn.domain.review import Review
from flynn.sandbox.command import Sandbox
from flynn.sandbox.opening import open_sandbox
from flynn.workspace.checks import source
from flynn.workspace.checks.listing import list_files
from flynn.workspace.review import review
from flynn.workspace.root import Workspace
from tests.workspace.broken import BROKEN_COMPOSE, READABLE
from tests.workspace.plant import plant

pytestmark = pytest.mark.needs("bubblewrap")
SECRET = "kf83kd93kfl39dkw-outside"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return asyncio.run(open_sandbox(private_root=tmp_path_factory.mktemp("private")))


async def look(root: Path, sandbox: Sandbox) -> Review:
    with Workspace.open(root) as workspace:
        return await review(workspace, sandbox)


def state(root: Path) -> dict[str, bytes | str]:
    """Everything beneath `root`: contents, and where links lead."""
    found: dict[str, bytes | str] = {}
    for directory, _, names in os.walk(root):
        for name in names:
            path = Path(directory) / name
            found[str(path)] = str(path.readlink()) if path.is_symlink() else path.read_bytes()
    return found


async def test_links_lead_nowhere_and_nothing_is_changed(tmp_path: Path, sandbox: Sandbox) -> None:
    outside = plant(tmp_path / "outside", {".env": f"API_KEY={SECRET}\n", "bad.sh": "echo $1\n"})
    root = plant(tmp_path / "tree", {"a.py": "x = 1\n", "real.sh": "#!/bin/sh\necho $1\n"})
    (root / ".env").symlink_to(outside / ".env")
    (root / "linked.sh").symlink_to(outside / "bad.sh")
    (root / "Dockerfile").symlink_to("/etc/passwd")
    (root / "ruff.toml").symlink_to(outside / ".env")
    (root / "more").symlink_to(outside)
    (root / "loop").symlink_to(root)
    before = state(tmp_path)
    done = await look(root, sandbox)
    assert {finding.path for finding in done.findings} == {"real.sh"}
    assert SECRET not in done.model_dump_json()
    assert state(tmp_path) == before


async def test_configurations_of_linters_run_nothing_and_read_nothing_outside(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    outside = plant(
        tmp_path / "outside", {"secret.sh": f"KEY={SECRET}\n", "ruff.toml": 'lint.select = ["F"]\n'}
    )
    files = {
        ".shellcheckrc": "external-sources=true\nsource-path=/\n",
        "a.sh": f'#!/bin/sh\n. {outside}/secret.sh\necho "$KEY" $1\n',
        "ruff.toml": f'extend = "{outside}/ruff.toml"\n',
        "a.py": "import os\n",
        ".hadolint.yaml": "ignored: {broken\n",
        "Dockerfile": "FROM python:latest\n",
        ".github/zizmor.yml": "rules: 3\n",
        ".github/workflows/a.yml": "on: push\njobs: {a: {runs-on: x, steps: [{run: echo}]}}\n",
        ".git/config": f"[core]\n\tfsmonitor = touch {tmp_path}/ran\n\thooksPath = /\n",
        ".git/HEAD": "ref: refs/heads/main\n",
        ".git/index": "no index",
        ".rgignore": "*\n",
        ".ignore": "*\n",
        "sitecustomize.py": f"open({str(tmp_path / 'ran')!r}, 'w')\n",
        "json.py": f"open({str(tmp_path / 'ran')!r}, 'w')\n",
        "check_jsonschema/__init__.py": "raise SystemExit(0)\n",
        "compose.yaml": "services: {a: {image: 3}}\n",
    }
    root = plant(tmp_path / "tree", files)
    done = await look(root, sandbox)
    assert not (tmp_path / "ran").exists()
    assert SECRET not in done.model_dump_json()
    found = {(finding.tool, finding.path) for finding in done.findings}
    assert {("shellcheck", "a.sh"), ("check-jsonschema", "compose.yaml")} <= found
    # What they broke is named, never silent.
    assert {gap.tool for gap in done.not_run} == {"ruff", "zizmor"}
    assert ("hadolint", ".hadolint.yaml") in found


async def test_a_file_that_breaks_a_linter_hides_nothing_of_the_others(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    lines = ["services:", "  x0: &x0 {image: a}"]
    lines += [f"  x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 12)]
    files: dict[str, str | bytes] = {
        "a/compose.yaml": "services: {a: {image: 3}}\n",
        "b/compose.yaml": "\n".join(lines),
        "c/compose.yaml": "services: " + "[" * 50_000,
        "d/compose.yaml": "services: {d: {image: 3}}\n",
        "e/compose.yaml": b"\xff\xfe\x00services",
    }
    done = await look(plant(tmp_path / "tree", files), sandbox)
    assert {(f.tool, f.path) for f in done.findings} == {
        ("check-jsonschema", "a/compose.yaml"),
        ("yaml", "b/compose.yaml"),
        ("yaml", "c/compose.yaml"),
        ("check-jsonschema", "d/compose.yaml"),
    }
    assert [(gap.tool, gap.path) for gap in done.not_run] == [("yaml", "e/compose.yaml")]


async def test_odd_names_are_said_or_left_out(tmp_path: Path, sandbox: Sandbox) -> None:
    root = plant(
        tmp_path / "tree",
        dict.fromkeys(("-rf.sh", "a b.sh", "ü$(x);`y`.sh", "'\".sh", "--help.sh"), "#!/bin/sh\necho $1\n"),
    )
    (root / "two\nlines.sh").write_text("echo $1\n")
    (root / "bell\x1b[31m.sh").write_text("echo $1\n")
    (root / os.fsdecode(b"not\xffutf8.sh")).write_text("echo $1\n")
    done = await look(root, sandbox)
    assert {f.path for f in done.findings if f.rule == "SC2086"} == {
        *("-rf.sh", "a b.sh", "ü$(x);`y`.sh", "'\".sh", "--help.sh")
    }
    assert done.not_run == ()
    assert done.notes == ("3 files were left out: a name holds control characters, or is no UTF-8.",)


async def test_what_is_no_plain_file_is_left_alone(tmp_path: Path, sandbox: Sandbox) -> None:
    root = plant(tmp_path / "tree", {"a.sh": "#!/bin/sh\ntrue\n"})
    os.mkfifo(root / "pipe.sh")
    os.mkfifo(root / "Dockerfile")
    (root / "compose.yaml").mkdir()
    (root / "package.json").symlink_to("/dev/zero")
    done = await look(root, sandbox)
    assert (done.files, done.findings, done.not_run) == (1, (), ())


@pytest.mark.slow
async def test_twenty_thousand_files_and_huge_ones_are_done_with(tmp_path: Path, sandbox: Sandbox) -> None:
    root = plant(tmp_path / "tree", {"bad.sh": "#!/bin/sh\necho $1\n"})
    for number in range(200):
        directory = root / f"package{number}"
        directory.mkdir()
        for file in range(100):
            (directory / f"module{file}.py").write_text(f"import os\nx{file} = os.environ['X{number}']\n")
    with (root / "huge.yml").open("wb") as huge:
        huge.truncate(4 << 30)
    (root / "long.json").write_text('{"a": "' + "x" * 900_000 + '"}')
    (root / "long.py").write_text("x = '" + "os.environ[" * 80_000 + "'\n")
    (root / "data.bin").write_bytes(os.urandom(1 << 20))
    began = time.monotonic()
    done = await look(root, sandbox)
    assert done.files == 20_005
    assert {f.rule for f in done.findings} == {"SC2086"}
    assert [(gap.tool, gap.path) for gap in done.not_run] == [("yaml", "huge.yml")]
    environment = next(item for item in done.checklist if item.id == "environment")
    assert len(environment.failures) == 51  # fifty by name, and the number of the rest
    assert time.monotonic() - began < 100  # it comes to an end at all


async def test_no_more_is_read_than_the_bound(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MOST_CHARACTERS", 1_000)
    files = {f"m{number}.py": "x = 1\n" * 50 for number in range(20)}
    done = await look(plant(tmp_path / "tree", files), sandbox)
    assert [note.rpartition(" ")[2] for note in done.notes] == ["16."]


async def test_a_compose_file_that_nobody_wrote_by_hand_is_not_looked_into_and_that_is_said(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    lines = "".join(f"  s{number}:\n    image: nginx\n" for number in range(12_000))
    done = await look(plant(tmp_path / "tree", {"compose.yaml": f"services:\n{lines}"}), sandbox)
    assert [(ran.tool, ran.files) for ran in done.ran] == [("yaml", 1)]
    assert [note.rpartition(" ")[2] for note in done.notes] == ["1."]


async def test_ignored_files_are_left_out_and_tracked_ones_are_not(tmp_path: Path, sandbox: Sandbox) -> None:
    root = plant(
        tmp_path / "tree",
        {
            ".gitignore": ".env\nbuild/\nsecret.sh\n",
            ".env": f"API_KEY={SECRET}\n",
            "build/a.sh": "x",
            "secret.sh": "#!/bin/sh\necho $1\n",
            "node_modules/x/a.sh": "x",
            "venv/bin/a.sh": "x",
            "kept.sh": "#!/bin/sh\ntrue\n",
        },
    )
    with Workspace.open(root) as workspace:
        listing = await list_files(workspace, sandbox)
    assert listing.sources.paths == (".gitignore", "kept.sh")
    git = ("git", "-c", "user.name=x", "-c", "user.email=x@x")
    for words in (["init", "-q"], ["add", "-f", ".env", "secret.sh"]):
        await asyncio.to_thread(subprocess.run, [*git, *words], cwd=root, check=True)
    with Workspace.open(root) as workspace:
        listing = await list_files(workspace, sandbox)
    assert listing.sources.paths == (".env", ".gitignore", "kept.sh", "secret.sh")
    assert listing.sources.tracked == frozenset({".env", "secret.sh"})
    done = await look(root, sandbox)
    secrets = next(item for item in done.checklist if item.id == "secrets")
    assert [(proof.path, proof.line, proof.why) for proof in secrets.failures] == [
        (".env", 1, "API_KEY has a value here, and git tracks the file.")
    ]


async def test_without_a_sandbox_the_rest_is_done_and_all_is_said(tmp_path: Path) -> None:
    closed = await open_sandbox(private_root=tmp_path / "private", prefer="none")
    files = {"a.yml": "a: [1\n", "Dockerfile": "FROM python\n", ".gitignore": "b.yml\n", "b.yml": "b: [1\n"}
    files[".env"] = f"API_KEY={SECRET}\n"
    done = await look(plant(tmp_path / "tree", files), closed)
    assert {(f.tool, f.path) for f in done.findings} == {("yaml", "a.yml"), ("yaml", "b.yml")}
    assert [gap.tool for gap in done.not_run] == ["hadolint"]
    assert "turned off by the operator" in done.not_run[0].reason
    assert done.notes[0].startswith(".gitignore was not applied")
    pinned = next(item for item in done.checklist if item.id == "images-pinned")
    assert [(proof.path, proof.line) for proof in pinned.failures] == [("Dockerfile", 1)]
    # The .env may be ignored: nothing is claimed.
    secrets = next(item for item in done.checklist if item.id == "secrets")
    assert [(proof.verdict.value, proof.path) for proof in secrets.proofs] == [("not verifiable", ".env")]


MEGABYTE = 1_000_000
NAUGHTY = {
    ".env": "A_KEY=" + " " * MEGABYTE + "x\n",
    "settings.py": "from pydantic_settings import BaseSettings\n" + "class A(BaseSettings,\n" * 40_000,
    "more_settings.py": "class A(BaseSettings):\n    x: str\n" * 25_000,
    "environ.py": "os.environ[" * 90_000,
    "demands.sh": "#!/bin/sh\n" + "".join(f"${{X{n}:?}}\n" for n in range(60_000)),
    "engines.py": "create_engine(" * 70_000,
    "scripts/check.sh": "#!/bin/sh\n" + "echo mvn \n" * 90_000,
    "Dockerfile": "FROM python:3.12\n" + "COPY a \\\n" * 60_000 + " b\n" + "COPY ../../x y\n" * 20_000,
    "more/Dockerfile": "FROM a AS b\n" * 2 + "FROM ${A:-${A:-${A}}}\n" * 20_000,
    ".github/workflows/a.yml": "on: push\njobs:\n  a:\n    steps:\n"
    + "      - run: ./scripts/check.sh mvn pytest x\n" * 5_000,
    ".github/workflows/b.yml": "on: push\njobs:\n  a: &a\n    steps:\n      - run: "
    + "mvn " * 10_000
    + "\n"
    + "".join(f"  a{n}: *a\n" for n in range(90)),
    "compose.yaml": "services:\n"
    + "".join(
        f"  s{n}:\n    build: ./d{n % 7}\n    scale: {'9' * 50}\n    deploy: {{replicas: ٣}}\n"
        for n in range(2_500)
    ),
    "a/compose.yaml": "services:\n  a:\n    image: ${" + "A:-${" * 20_000 + "\n    scale: " + "9" * 6_000,
    "docs/words.md": "A_KEY X1 " * 100_000,
    "keys.pem": "-----BEGIN PRIVATE KEY-----\n" * 30_000,
    "urls.txt": "a://b:" * 160_000,
    "long.json": '{"a":' * 150_000,
    "keys.json": "{" + ",".join(['"a": 1'] * 120_000) + "}",
    "numbers.yml": "a: " + "9" * 200_000 + "\nb: " + "- " * 50 + "\n",
}
"""Each would take hours, or end the process, where a pattern or a recursion is careless."""


@pytest.mark.slow
@pytest.mark.parametrize("path", NAUGHTY)
async def test_files_that_want_to_take_for_ever_do_not(tmp_path: Path, sandbox: Sandbox, path: str) -> None:
    files = {path: NAUGHTY[path], "main.py": "print()\n"}
    began = time.process_time()
    done = await look(plant(tmp_path / "tree", files), sandbox)
    assert done.files == len(files)
    assert len(done.checklist) == 16
    assert time.process_time() - began < 60  # of this process: hours, or no end, where it is careless


@pytest.mark.slow
async def test_broken_compose_files_are_each_named_by_the_checklist(tmp_path: Path, sandbox: Sandbox) -> None:
    contents = [content for content, _ in BROKEN_COMPOSE.values()]
    broken = {f"broken{n}/docker-compose.yml": content for n, content in enumerate(contents)}
    readable = {f"readable{n}/docker-compose.yml": content for n, content in enumerate(READABLE.values())}
    done = await look(plant(tmp_path / "tree", {**broken, **readable}), sandbox)
    items = {item.id: item for item in done.checklist}
    left_open = {p.path for p in items["secrets"].proofs if p.verdict is Verdict.NOT_VERIFIABLE and p.path}
    assert len(broken) >= len(left_open) >= min(len(broken), 20)
    assert left_open <= broken.keys()
    assert items["secrets"].verdict is Verdict.NOT_VERIFIABLE
    assert items["environment"].verdict is Verdict.NOT_VERIFIABLE
