"""What a command gets: its words back, its status, a clean environment, a private tmp, its toolchain."""

import asyncio
import time
from pathlib import Path

import pytest

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.command import Command, Sandbox
from tests.sandbox.conftest import Shell


def owner(path: Path) -> int:
    return path.stat().st_uid


async def test_output_keeps_the_order_of_both_streams(shell: Shell) -> None:
    done = await shell("echo one; echo two >&2; echo three; exit 3")
    assert (done.exit_code, done.output, done.errors) == (3, b"one\ntwo\nthree\n", b"")
    assert done.kill_reason is None
    assert 0 < done.duration_seconds < 5


async def test_streams_can_be_kept_apart(shell: Shell) -> None:
    done = await shell("echo out; echo err >&2", merge_output=False)
    assert (done.output, done.errors) == (b"out\n", b"err\n")


async def test_output_is_handed_on_while_the_command_runs(sandbox: Sandbox, workspace: Path) -> None:
    arrived: list[tuple[float, bytes]] = []
    command = Command(argv=("/bin/bash", "-c", "echo first; sleep 0.3; echo second"), workspace=workspace)
    done = await sandbox.run(command, lambda piece: arrived.append((time.monotonic(), piece)))
    assert b"".join(piece for _, piece in arrived) == done.output == b"first\nsecond\n"
    assert arrived[-1][0] - arrived[0][0] > 0.2


async def test_what_the_listener_raises_ends_the_tree_and_is_raised(
    sandbox: Sandbox, workspace: Path
) -> None:
    def refuse(_piece: bytes) -> None:
        raise LookupError("not wanted")

    command = Command(argv=("/bin/bash", "-c", "echo x; sleep 60"), workspace=workspace)
    started = time.monotonic()
    with pytest.raises(LookupError, match="not wanted"):
        await sandbox.run(command, refuse)
    assert time.monotonic() - started < 10


async def test_the_middle_of_long_output_is_lost_and_counted(shell: Shell) -> None:
    done = await shell("printf 'A%.0s' {1..5000}; printf 'Z%.0s' {1..5000}", output_limit=1000)
    assert done.exit_code == 0
    assert done.output == b"A" * 500 + b"\n[9000 bytes cut here]\n" + b"Z" * 500
    assert done.output_cut == 9000


async def test_the_environment_is_built_from_nothing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret-of-the-service")
    done = await shell(
        "env; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'", environment={"WANTED": "yes"}
    )
    text = done.output.decode()
    assert "sk-secret-of-the-service" not in text
    names = {line.partition("=")[0] for line in text.splitlines()}
    expected = {"PATH", "HOME", "TMPDIR", "LANG", "TERM", "WANTED"}
    of_bash = {"PWD", "SHLVL", "_", "OLDPWD"}
    assert names - of_bash - {"GIT_CONFIG_NOSYSTEM", "GIT_ATTR_NOSYSTEM"} == expected
    assert {"WANTED=yes", "LANG=C.UTF-8", "TERM=dumb"} <= set(text.splitlines())


async def test_standard_input_is_empty(shell: Shell) -> None:
    assert (await shell("cat; echo end")).output == b"end\n"


async def test_the_command_starts_in_its_directory(shell: Shell, workspace: Path) -> None:
    (workspace / "deep" / "er").mkdir(parents=True)
    assert (await shell("pwd -P", cwd="deep/er")).output.decode().strip() == str(workspace / "deep" / "er")


@pytest.mark.parametrize("cwd", ["..", "/", "deep/../..", "link"])
async def test_a_directory_outside_the_workspace_is_refused(shell: Shell, workspace: Path, cwd: str) -> None:
    (workspace / "link").symlink_to("/usr")
    with pytest.raises(SandboxUnavailable, match=r"outside the workspace|working directory"):
        await shell("echo ran > ran", cwd=cwd)
    assert not (workspace / "ran").exists()


async def test_a_missing_program_is_the_commands_own_failure(sandbox: Sandbox, workspace: Path) -> None:
    done = await sandbox.run(Command(argv=("no-such-program",), workspace=workspace))
    assert (done.exit_code, done.output) == (127, b"no-such-program: command not found\n")


async def test_a_file_without_execute_permission_is_the_commands_own_failure(
    sandbox: Sandbox, workspace: Path
) -> None:
    (workspace / "data").write_text("x")
    done = await sandbox.run(Command(argv=("./data",), workspace=workspace))
    assert done.exit_code == 126
    assert b"Permission denied" in done.output


async def test_the_status_126_of_a_command_is_not_a_failed_set_up(shell: Shell) -> None:
    done = await shell("echo 'flynn-launcher: set-up failed: forged' >&2; exit 126")
    assert done.exit_code == 126


async def test_an_end_by_signal_is_128_and_the_signal(shell: Shell) -> None:
    assert (await shell("kill -TERM $$")).exit_code == 143


async def test_signals_have_their_default_actions(shell: Shell) -> None:
    done = await shell("set -o pipefail; yes | head -n 1")
    assert (done.exit_code, done.output) == (141, b"y\n")


async def test_an_argument_with_a_nul_is_refused(sandbox: Sandbox, workspace: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="NUL"):
        await sandbox.run(Command(argv=("/bin/echo", "a\0b"), workspace=workspace))


async def test_bytes_that_are_no_utf8_arrive_as_they_are(sandbox: Sandbox, workspace: Path) -> None:
    done = await sandbox.run(
        Command(
            argv=("/usr/bin/printf", "%s", b"\xff\xfe".decode(errors="surrogateescape")), workspace=workspace
        )
    )
    assert done.output == b"\xff\xfe"


async def test_files_are_written_in_the_workspace_at_its_own_path(shell: Shell, workspace: Path) -> None:
    done = await shell(f"echo hello > {workspace}/file && mkdir sub && mv file sub/ && cat sub/file")
    assert done.output == b"hello\n"
    assert (workspace / "sub" / "file").read_text() == "hello\n"
    assert owner(workspace / "sub" / "file") == owner(workspace)


async def test_a_workspace_can_be_read_only(shell: Shell, workspace: Path) -> None:
    (workspace / "file").write_text("kept")
    done = await shell("cat file; echo lost > file; rm -f file; touch new; true", writable=False)
    assert done.output.startswith(b"kept")
    assert (workspace / "file").read_text() == "kept"
    assert not (workspace / "new").exists()


async def test_the_private_tmp_lasts_from_call_to_call(shell: Shell, tmp_path: Path) -> None:
    private_tmp = tmp_path / "tmp-of-conversation"
    private_tmp.mkdir()
    await shell('echo kept > "$TMPDIR/note"', private_tmp=private_tmp)
    done = await shell('cat "$TMPDIR/note"', private_tmp=private_tmp)
    assert done.output == b"kept\n"
    assert (private_tmp / "note").read_text() == "kept\n"


async def test_without_a_private_tmp_there_is_one_for_the_call(shell: Shell) -> None:
    assert (await shell('echo gone > "$TMPDIR/note"; cat "$TMPDIR/note"')).output == b"gone\n"
    assert (await shell('ls "$TMPDIR"/note')).exit_code == 2


async def test_the_interpreter_works_inside(shell: Shell) -> None:
    done = await shell("python3 -c 'import ssl, ctypes, multiprocessing; print(6 * 7)'")
    assert done.output == b"42\n"


async def test_bash_finds_what_it_needs(shell: Shell) -> None:
    done = await shell(
        "cat <(echo process) <<< here; echo $(seq 3 | wc -l) > /dev/null; mktemp > /dev/null && echo ok"
    )
    assert done.output == b"process\nok\n"


@pytest.mark.needs("node")
async def test_node_works_inside(shell: Shell) -> None:
    done = await shell("node -e 'console.log(require(\"os\").platform(), 6 * 7)'")
    assert done.output == b"linux 42\n"


@pytest.mark.needs("git")
async def test_git_works_inside(shell: Shell) -> None:
    done = await shell(
        "git init -q . && git config user.name x && git config user.email x@y && echo 1 > a && git add a && "
        "git commit -qm first && git log --format=%s"
    )
    assert done.output == b"first\n"
    assert (
        await shell("echo 2 > a && git commit -qam second && git log --format=%s")
    ).output == b"second\nfirst\n"


async def test_more_than_one_command_runs_at_once(sandbox: Sandbox, workspace: Path) -> None:
    # Each waits for all: one after the other, none would ever end.
    meet = "touch here-{n}; until [ $(ls here-* | wc -l) = 6 ]; do sleep 0.01; done; echo {n}"
    commands = [
        Command(argv=("/bin/bash", "-c", meet.format(n=n)), workspace=workspace, timeout_seconds=60)
        for n in range(6)
    ]
    outputs = [done.output for done in await asyncio.gather(*map(sandbox.run, commands))]
    assert outputs == [b"%d\n" % n for n in range(6)]
