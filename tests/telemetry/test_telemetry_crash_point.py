"""Crash points: each stands where the list says, no other is reached, and unarmed they do nothing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from flynn.telemetry import crash_point
from flynn.telemetry.crash_point import POINTS, arm, reach

SOURCES = Path(crash_point.__file__).parents[1]

PLACES = {
    "delivery.begun": "worker/engine_delivery.py deliver",
    "claim.before-commit": "worker/claims.py claim",
    "claim.after-commit": "worker/claims.py claim",
    "lost.before-commit": "agent/loop.py _lost",
    "lost.after-commit": "agent/loop.py run",
    "step.before-commit": "agent/loop.py run",
    "step.after-commit": "agent/loop.py run",
    "model.before-request": "agent/query.py _stream",
    "model.item": "agent/query.py _stream",
    "reply.before-commit": "agent/loop.py _ask",
    "reply.after-commit": "agent/loop.py run",
    "calls.before-commit": "agent/loop.py run",
    "calls.after-commit": "agent/loop.py run",
    "tool.before-act": "agent/toolbox.py run",
    "command.launched": "sandbox/confined.py __init__",
    "command.ended": "sandbox/confined.py completed",
    "job.begun": "tools/bash.py _start",
    "file.staged": "workspace/replacement.py put",
    "file.renamed": "workspace/replacement.py put",
    "file.removed": "workspace/restoration.py _remove",
    "tool.after-act": "agent/toolbox.py run",
    "approval.before-commit": "agent/loop.py run",
    "approval.after-commit": "agent/loop.py run",
    "revert.before-act": "worker/reversal.py act",
    "revert.after-act": "worker/reversal.py act",
    "rollback.acted": "workspace/snapshots/rollback.py roll_back, workspace/snapshots/rollback.py roll_back",
    "snapshot.before-base": "agent/changes.py prepare",
    "snapshot.after-base": "agent/changes.py prepare",
    "snapshot.before-look": "agent/changes.py _told",
    "snapshot.after-look": "agent/changes.py _told",
    "checkout.before-make": "workspace/checkout.py make",
    "checkout.after-make": "workspace/checkout.py make",
    "checkout.noted": "workspace/checkout.py make",
    "checkout.told": "worker/checkouts.py _tell",
    "lane.before-commit": "worker/endings.py leave_lane",
    "lane.after-commit": "worker/endings.py leave_lane",
    "handover.begun": "worker/checkouts.py _hand_over",
    "handover.sealed": "worker/checkouts.py _hand_over",
    "handover.received": "workspace/handover.py hand_over",
    "handover.settled": "workspace/handover.py hand_over",
    "handover.told": "worker/checkouts.py leave",
    "results.before-commit": "agent/loop.py run",
    "results.after-commit": "agent/loop.py run",
    "checked.before-commit": "worker/runner.py _drive",
    "checked.after-commit": "worker/runner.py _drive",
    "closed.before-commit": "agent/loop.py run",
    "closed.after-commit": "agent/loop.py run",
    "wait.before-commit": "worker/endings.py wait",
    "wait.after-commit": "worker/endings.py wait",
    "wake.before-commit": "worker/clock.py _queue",
    "wake.after-commit": "worker/clock.py _queue",
    "end.before-commit": "worker/endings.py _conclude",
    "end.after-commit": "worker/endings.py complete, worker/endings.py revert, worker/endings.py _end",
    "refuse.before-commit": "worker/endings.py refuse",
    "refuse.after-commit": "worker/endings.py refuse",
    "hand-back.before-commit": "worker/endings.py hand_back",
    "hand-back.after-commit": "worker/endings.py hand_back",
    "delivery.ended": "worker/engine_delivery.py deliver",
    "chore.before-commit": "worker/chores.py look",
    "chore.after-commit": "worker/chores.py look",
    "publish.before": "app/service.py publish",
    "publish.after": "app/service.py publish",
    "message.before-commit": "intake/verbs.py send_message",
    "message.after-commit": "intake/verbs.py send_message",
    "interrupt.before-commit": "intake/verbs.py interrupt",
    "interrupt.after-commit": "intake/verbs.py interrupt",
    "decision.before-commit": "intake/verbs.py decide_approval",
    "decision.after-commit": "intake/verbs.py decide_approval",
    "undo.before-commit": "intake/verbs.py undo",
    "undo.after-commit": "intake/verbs.py undo",
    "budget.before-commit": "intake/verbs.py raise_budget",
    "budget.after-commit": "intake/verbs.py raise_budget",
    "task.before-commit": "intake/verbs.py delegate_task",
    "task.after-commit": "intake/verbs.py delegate_task",
}


def reached() -> Iterator[tuple[str, str, bool]]:
    """Every call of `reach`: its name, its file and function, and whether a transaction is open there."""
    for path in sorted(SOURCES.rglob("*.py")):
        source = path.read_text()
        if "reach(" in source:
            yield from _in(ast.parse(source), str(path.relative_to(SOURCES)), "", within=False)


def _in(node: ast.AST, file: str, function: str, *, within: bool) -> Iterator[tuple[str, str, bool]]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            function, within = name, False
        case ast.AsyncWith(items=items):
            within = within or any("begin()" in ast.unparse(item.context_expr) for item in items)
        case ast.Call(func=ast.Name(id="reach") | ast.Attribute(attr="reach"), args=arguments):
            assert len(arguments) == 1, f"{file} {function}: reach takes a name"
            assert isinstance(arguments[0], ast.Constant), f"{file} {function}: the name is no literal"
            yield str(arguments[0].value), f"{file} {function}", within
    for child in ast.iter_child_nodes(node):
        yield from _in(child, file, function, within=within)


def test_every_point_stands_where_it_is_named_and_no_other_is_reached() -> None:
    found: dict[str, list[str]] = {}
    for name, place, _ in reached():
        found.setdefault(name, []).append(place)
    assert {name: ", ".join(places) for name, places in found.items()} == PLACES
    assert set(POINTS) == set(PLACES)


def test_before_a_commit_is_inside_its_transaction_and_after_it_is_not() -> None:
    rooms = (
        *("worker/claims.py", "worker/clock.py", "worker/chores.py", "intake/verbs.py"),
        *("worker/endings.py wait", "worker/endings.py refuse", "worker/endings.py hand_back"),
        "worker/endings.py leave_lane",
    )
    seen = 0
    for name, place, within in reached():
        if place.startswith(rooms):
            assert within == name.endswith(".before-commit"), (name, place)
            seen += 1
    assert seen == 26


def test_a_point_does_nothing_until_it_is_armed_and_nothing_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crash_point, "_action", None)
    told: list[str] = []
    reach("claim.before-commit")
    arm(told.append)
    reach("claim.before-commit")
    reach("publish.after")
    arm(None)
    reach("claim.before-commit")
    assert told == ["claim.before-commit", "publish.after"]


def test_the_product_reaches_points_and_arms_none() -> None:
    taken = {
        alias.name
        for path in SOURCES.rglob("*.py")
        if "crash_point" in (source := path.read_text())
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module == "flynn.telemetry.crash_point"
        for alias in node.names
    }
    assert taken == {"reach"}
