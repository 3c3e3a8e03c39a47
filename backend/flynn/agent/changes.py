"""Changes: what the calls of a conversation did to files, as the log has it."""

from collections.abc import Sequence
from dataclasses import dataclass

from flynn.domain import events as ev
from flynn.domain.evidence import FileChanged


@dataclass(frozen=True, slots=True)
class Changes:
    """`files`: every change of each path with its seq, in order, without what was undone. `commands`: how
    many calls ran a command, which may have changed more.
    """

    files: dict[str, list[tuple[int, FileChanged]]]
    commands: int

    @property
    def net(self) -> list[str]:
        """Paths whose content is another one than at the beginning."""
        return [path for path, done in self.files.items() if done[0][1].before != done[-1][1].after]


def changes_of(log: Sequence[ev.Recorded]) -> Changes:
    """Fold `log` into what it tells of files."""
    files: dict[str, list[tuple[int, FileChanged]]] = {}
    commands = 0
    for recorded in log:
        match recorded.event:
            case ev.ToolFinished() as event:
                commands += event.tool == "Bash" and event.outcome != "denied"
                for item in event.evidence:
                    if isinstance(item, FileChanged):
                        files.setdefault(item.path, []).append((recorded.seq, item))
            case ev.WorkspaceReverted() as event if event.refused is None:
                for file in event.files:
                    done = files.get(file.path, [])
                    files[file.path] = [(seq, item) for seq, item in done if seq != event.target.seq]
            case _:
                pass
    return Changes({path: done for path, done in files.items() if done}, commands)
