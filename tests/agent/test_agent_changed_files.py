"""The files that a conversation changed, folded from its log."""

from datetime import UTC, datetime
from uuid import UUID

from flynn.agent.changed_files import changed_files
from flynn.domain import events as ev


def log(*events: ev.EventData) -> list[ev.Recorded]:
    return [
        ev.Recorded(conversation_id=UUID(int=1), seq=seq, at=datetime.now(UTC), run_id=None, event=event)
        for seq, event in enumerate(events, 1)
    ]


def changed(path: str, before: str | None, after: str | None, call_id: str = "c1") -> ev.WorkspaceChanged:
    file = ev.ChangedPath(path=path, change="modified", before=before, after=after, lines_added=1)
    return ev.WorkspaceChanged(step=1, call_id=call_id, tool="Edit", before="s1", after="s2", files=[file])


def reverted(path: str, before: str | None, after: str | None, to: int) -> ev.WorkspaceReverted:
    file = ev.RevertedFile(path=path, before=before, after=after)
    return ev.WorkspaceReverted(target=ev.UndoneSince(seq=to), files=[file])


def test_what_was_undone_is_no_change_and_yet_was_touched_last_by_the_undo() -> None:
    found = changed_files(log(changed("a", "1", "2"), changed("b", "1", "2"), reverted("a", "2", "1", to=0)))
    assert [file.path for file in found.files] == ["b"]
    assert found.touched == {"a": 3, "b": 2}


def test_a_file_that_is_half_undone_keeps_its_first_change() -> None:
    found = changed_files(
        log(changed("a", "1", "2"), changed("a", "2", "3", "c2"), reverted("a", "3", "2", to=1))
    )
    assert [(file.before, file.after, file.lines_added) for file in found.files] == [("1", "2", 1)]
    assert found.touched == {"a": 3}


def test_an_undo_that_was_refused_touches_nothing() -> None:
    refused = ev.WorkspaceReverted(target=ev.UndoneSince(seq=0), refused="Somebody else changed it.")
    found = changed_files(log(changed("a", "1", "2"), refused))
    assert ([file.path for file in found.files], found.touched) == (["a"], {"a": 1})
