"""A delegation to a real house, and how its ending is proven without believing the report.

What the report says is held against the disk: the trees before and after are compared byte by byte, and
every reported command is run a second time, in the state of the repository in which it ran the first time.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.api.whole.doors import Doors

BIN = Path(sys.prefix) / "bin"
"""The linters and the Python that the service brings."""


@dataclass(frozen=True)
class Delegation:
    """One task: where it begins, what is asked, what the scripted model does, how the test knows."""

    name: str
    files: Mapping[str, str]
    """The repository at the start; scripts (`*.sh`) are executable."""
    order: Mapping[str, Any]
    """What is posted, without the workspace."""
    script: str
    """The scenario that answers; its `match` stands in the order's instructions."""
    changed: frozenset[str]
    """What ought to be changed, and nothing else."""
    verify: Callable[[Path, Path, Path], None]
    """Called with the repository as it was, as it is, and an empty directory to work in."""
    exit_codes: tuple[int, ...]
    teammates: tuple[str, ...] = field(default=("Tron-QA", "Rinzler-PM"))
    """Whom the account names for what comes next."""


def script_beside(module: str) -> str:
    """The scenario that lies beside the module of a delegation."""
    return Path(module).with_suffix(".yaml").read_text()


@dataclass(frozen=True)
class Delegated:
    """A task that is over, and its repository."""

    task: dict[str, Any]
    log: list[dict[str, Any]]
    workspace: Path
    before: Path
    """A copy of the repository as it was."""

    def told(self) -> str:
        """What became of it and of each call, for a test that fails."""
        calls = [e["data"] for e in self.log if e["type"] == "tool.finished"]
        lines = [f"{call['tool']}: {call['outcome']}: {str(call['content'])[:400]}" for call in calls]
        return "\n".join([f"{self.task['state']}: {self.task['detail']}", *lines])


def repository(directory: Path, files: Mapping[str, str]) -> Path:
    """A git repository with one commit of `files`."""
    for name, content in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        if file.suffix == ".sh":
            file.chmod(0o755)
    for words in (["init", "-q", "-b", "main"], ["add", "--all"], ["commit", "-q", "-m", "Begin"]):
        run(directory, "git", "-c", "user.name=Team", "-c", "user.email=team@reznet.example", *words)
    return directory


async def delegate(doors: Doors, key: str, delegation: Delegation, place: Path) -> Delegated:
    """Make the repository, delegate with `key`, and wait for the end."""
    workspace = repository(place / delegation.name, delegation.files)
    before = Path(shutil.copytree(workspace, place / "before"))
    made = await doors.owner.post(
        "/api/v1/workspaces", json={"name": delegation.name, "path": str(workspace)}
    )
    assert made.status_code == 201, made.text
    member = await doors.owner.put(f"/api/v1/workspaces/{made.json()['id']}/members/quorra")
    assert member.status_code in (200, 201, 204), member.text
    async with doors.client(key) as quorra:
        posted = await quorra.post(
            "/api/v1/tasks",
            json={**delegation.order, "workspace": delegation.name},
            headers={"Idempotency-Key": delegation.name},
        )
        assert posted.status_code == 202, posted.text
        task = posted.json()
        for _ in range(6):
            answer = await quorra.get(posted.headers["location"], params={"wait": 60}, timeout=90)
            task = answer.json()
            if task["state"] not in ("queued", "running"):
                break
        events = await quorra.get(
            f"/api/v1/conversations/{task['conversation_id']}/events", params={"limit": 500}
        )
    assert events.json()["next"] is None
    return Delegated(task, events.json()["items"], workspace, before)


def result_of(done: Delegated) -> Path:
    """A clone of the branch that the task left in the workspace's repository."""
    clone = done.before.parent / "result"
    if not clone.exists():
        branch = done.task["report"]["evidence"]["branch"]
        run(done.before.parent, "git", "clone", "-q", "--branch", branch, str(done.workspace), str(clone))
    return clone


def check_branch(done: Delegated) -> None:
    """The commits are on the branch of the workspace's repository, whose own files nobody touched."""
    evidence = done.task["report"]["evidence"]
    assert evidence["handed_over"] == "updated", evidence["hand_over_detail"]
    assert evidence["branch"] not in (None, "main")
    assert tree(done.workspace) == tree(done.before)
    base, tip = evidence["base"], evidence["branch"]
    found = run(done.workspace, "git", "log", "--format=%H", f"{base}..{tip}").stdout.split()
    assert {commit["sha"] for commit in evidence["commits"]} == set(found)
    assert found
    names = run(done.workspace, "git", "diff", "--name-only", base, tip).stdout.splitlines()
    assert set(names) == {file["path"] for file in evidence["files"]}
    for sha in found:
        assert done.task["id"] in run(done.workspace, "git", "log", "-1", "--format=%B", sha).stdout


def run(
    directory: Path, *command: str, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run `command` with nothing of this process's environment but PATH; it has to end well."""
    done = attempt(directory, *command, environment=environment)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def attempt(
    directory: Path, *command: str, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """The same, however it ends. The linters of the service stand at the end of PATH, as in its sandbox."""
    path = os.pathsep.join(("/usr/local/bin", "/usr/bin", "/bin", str(BIN)))
    return subprocess.run(
        command,
        cwd=directory,
        env={"PATH": path, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def tree(directory: Path) -> dict[str, str]:
    """Every file outside .git, with the SHA-256 of its bytes."""
    return {
        str(file.relative_to(directory)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(directory.rglob("*"))
        if file.is_file() and ".git" not in file.relative_to(directory).parts
    }


def check_files(done: Delegated) -> None:
    """The report's files are those that differ on disk, with the digests of what lies there."""
    was, now = tree(done.before), tree(result_of(done))
    differ = {name for name in was | now if was.get(name) != now.get(name)}
    reported = {file["path"]: file for file in done.task["report"]["evidence"]["files"]}
    assert set(reported) == differ
    for name, file in reported.items():
        assert file["before"] == was.get(name), name
        assert file["after"] == now.get(name), name


def check_commands(done: Delegated, place: Path) -> None:
    """Each reported command ends, run again where it ran, with the exit code that the report names."""
    changes = [
        event["seq"]
        for event in done.log
        if event["type"] == "tool.finished"
        and any(item["kind"] == "file_changed" for item in event["data"]["evidence"])
    ]
    for command in done.task["report"]["evidence"]["commands"]:
        seq = command["seq"]
        early = not changes or seq < min(changes)
        assert early or seq > max(changes), "a command in the middle cannot be run again"
        copy = place / f"again-{seq}"
        shutil.copytree(done.before if early else result_of(done), copy)
        temporary = place / f"tmp-{seq}"
        temporary.mkdir()
        again = attempt(
            copy / command["cwd"],
            "bash",
            "-c",
            command["command"],
            environment={"HOME": str(temporary), "TMPDIR": str(temporary)},
        )
        assert again.returncode == command["exit_code"], f"{command}\n{again.stdout}{again.stderr}"
        assert command["outcome"] == ("ok" if command["exit_code"] == 0 else "error")


def check_account(done: Delegated, delegation: Delegation) -> None:
    """The model's words stand apart from the evidence, and those of its last message before the account."""
    prose = done.task["report"]["prose"]
    for name in delegation.teammates:
        assert name in prose
    account = done.task["report"]["account"]
    assert account is not None, done.task["report"]["account_missing"]
    assert {step["who"] for step in account["next_steps"]} == set(delegation.teammates)
    said = [
        e["data"]["content"]
        for e in done.log
        if e["type"] == "message.completed" and not e["data"]["account"]
    ]
    assert prose == "".join(block["text"] for block in said[-1] if block["type"] == "text")
