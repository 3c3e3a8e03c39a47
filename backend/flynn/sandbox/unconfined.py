"""No sandbox: the operator's opt-out, for where the container or the machine around is the wall.

A command is supervised as ever (timeout, deadline, heartbeat, limits, an environment built from nothing)
and becomes the workspace's owner where the service is root, but it can read, write and reach whatever
that user can, and kill its supervisor. Never chosen by itself, and every report says what is missing.
"""

from pathlib import Path

from flynn.sandbox.command import Command
from flynn.sandbox.launch import Launch, sealed_file
from flynn.sandbox.limits import Limits
from flynn.sandbox.policy import Policy
from flynn.sandbox.scratch import temporary_directory
from flynn.sandbox.view import View, owner_to_become


class Unconfined:
    """Builds launches that confine nothing."""

    name = "unconfined"
    layers = ("resource limits", "supervisor")
    missing = (
        *("private view of the file system", "network isolation", "process isolation"),
        *(
            "landlock",
            "seccomp",
            "no capabilities",
            "no new privileges",
            "read-only .git/hooks and .git/config",
        ),
        *("a supervisor that the command cannot kill", "private /tmp"),
    )

    def __init__(self, *, private_root: Path, view: View, limits: Limits, launcher: int) -> None:
        self._private_root = private_root
        self._view = view
        self._limits = limits
        self._launcher = launcher

    def prepare(self, command: Command, *, silence: float, errors: int | None) -> Launch:
        """Make the launch of `command`; SandboxUnavailable when its workspace is none."""
        workspace = self._view.check(command.workspace)
        identity = owner_to_become(workspace)
        temporary, scratch = temporary_directory(command, identity, self._private_root)
        policy = Policy(
            arguments=command.argv,
            environment={**self._view.environment(str(temporary)), **command.environment},
            root=str(workspace),
            cwd=str(workspace / command.cwd),
            seccomp=b"",
            limits=self._limits.of_process(count_processes=False),
            landlock=0,
            identity=identity,
            deadline=command.deadline,
            silence=silence,
            errors=errors,
            processes=self._limits.tree_processes,
            memory=self._limits.tree_memory,
            disk_reserve=self._limits.disk_reserve,
            temporary=str(temporary),
            temporary_size=self._limits.temporary,
            quota=command.quota_bytes or 0,
            unconfined=True,
        )
        sealed = sealed_file("policy", policy.encode())
        return Launch(
            argv=(
                *(str(self._view.interpreter), "-I", "-S"),
                *(f"/proc/self/fd/{self._launcher}", str(sealed)),
            ),
            descriptors=(sealed, self._launcher, *(() if errors is None else (errors,))),
            own=(sealed,),
            scratch=scratch,
        )
