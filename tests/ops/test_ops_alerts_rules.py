"""The rules, their course through figures, and that Prometheus, promtool's tests and the runbook keep up."""

import math
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from flynn.ops.alerts.course import Course, Turn
from flynn.ops.alerts.prometheus import PREFIX, render
from flynn.ops.alerts.reading import Reading, Traffic, Window, read_samples
from flynn.ops.alerts.rule import Rule
from flynn.ops.alerts.rules import RULES, WATCHED, rules_for
from flynn.telemetry.metrics import Metrics

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
BY_NAME = {rule.name: rule for rule in RULES}


def course_of(rule: Rule, figures: Sequence[float | None], every: float = 10.0) -> list[tuple[float, Turn]]:
    """The turns that figures make, one every `every` seconds, with their times."""
    course = Course(rule)
    looks = [(i * every, course.look(value, i * every)) for i, value in enumerate(figures)]
    return [(at, turn) for at, turn in looks if turn is not None]


def measured(name: str, metrics: Metrics, traffic: Traffic | None = None) -> Mapping[str, float]:
    measure = BY_NAME[name].measure
    assert measure is not None
    return measure(Reading(read_samples(metrics.registry, WATCHED), traffic or Traffic()))


def test_an_alert_begins_above_its_limit_and_ends_below_a_lower_one_each_after_a_while() -> None:
    pool = BY_NAME["Pool"]  # above 0.8 for 60 s, at or below 0.6 for 60 s
    figures = [0.9] * 8 + [0.7] * 20 + [0.5] * 8
    assert course_of(pool, figures) == [(60.0, Turn.FIRED), (340.0, Turn.RESOLVED)]


def test_what_flaps_neither_begins_nor_ends() -> None:
    pool = BY_NAME["Pool"]
    assert course_of(pool, [0.9] * 6 + [0.79, 0.9] * 30) == []
    assert course_of(pool, [0.9] * 7 + ([0.5] * 5 + [0.65]) * 10) == [(60.0, Turn.FIRED)]


@pytest.mark.parametrize("unknown", [None, math.nan])
def test_what_is_not_known_begins_nothing_and_ends_nothing(unknown: float | None) -> None:
    stuck = BY_NAME["RunsStuck"]
    assert course_of(stuck, [2.0] * 3 + [unknown] + [2.0] * 3) == []
    assert course_of(stuck, [2.0] * 7 + [unknown] * 30) == [(60.0, Turn.FIRED)]


def test_the_window_holds_the_last_minutes_and_begins_with_the_process() -> None:
    window = Window(300)
    assert window.add(0, Traffic(5, 1)).requests == 5
    assert window.add(200, Traffic(25, 1)) == Traffic(25, 1, {})
    assert window.add(301, Traffic(40, 11)) == Traffic(35, 10, {})
    assert window.add(501, Traffic(40, 11)) == Traffic(15, 10, {})


def test_errors_and_latency_come_from_the_requests_of_clients() -> None:
    metrics = Metrics()
    for _ in range(18):
        metrics.http_requests.labels("GET", "/api/v1/tasks", "200").inc()
        metrics.http_seconds.labels("GET", "/api/v1/tasks").observe(0.02)
    for _ in range(2):
        metrics.http_requests.labels("GET", "/api/v1/tasks", "503").inc()
        metrics.http_seconds.labels("GET", "/api/v1/tasks").observe(7.0)
    for _ in range(100):
        metrics.http_requests.labels("GET", "/ready", "503").inc()
        metrics.http_seconds.labels("GET", "/ready").observe(20.0)
    traffic = Traffic.of(read_samples(metrics.registry, WATCHED))
    assert (traffic.requests, traffic.errors) == (20, 2)
    assert measured("ErrorRate", metrics, traffic) == {"": 0.1}
    # The 19th of 20 is in the middle of what lies between 5 and 10 seconds.
    assert measured("Latency", metrics, traffic) == {"": 7.5}
    few = Traffic(9, 9, {math.inf: 9.0})
    assert measured("ErrorRate", metrics, few) == measured("Latency", metrics, few) == {"": 0.0}


def test_gauges_are_read_by_subject_and_what_is_nan_is_left_out() -> None:
    metrics = Metrics()
    metrics.disk_used.labels("data").set(0.9)
    metrics.disk_used.labels("backups").set(0.2)
    metrics.queue_age.set(math.nan)
    metrics.census_up.set(0)
    metrics.pool_in_use.set(27)
    metrics.pool_size.set(30)
    metrics.backup_age.set(130_000)
    metrics.backup_lag.set(90)
    metrics.runs_stuck.set(2)
    for model, state in (("claude-haiku-5-5", "half_open"), ("claude-opus-5-5", "closed")):
        for one in ("closed", "half_open", "open"):
            metrics.breaker.labels(model, one).set(one == state)
    for part in ("live", "sandbox", "database", "queue"):
        for one in ("ok", "degraded", "down"):
            metrics.parts.labels(part, one).set(one == ("ok" if part == "queue" else "degraded"))
    assert measured("Disk", metrics) == {"data": 0.9, "backups": 0.2}
    assert measured("QueueAge", metrics) == {}
    assert measured("DatabaseAway", metrics) == {"": 1.0}
    assert measured("Pool", metrics) == {"": 0.9}
    assert measured("BackupAge", metrics) == {"": 130_000.0}
    assert measured("BackupLag", metrics) == {"": 90.0}
    assert measured("RunsStuck", metrics) == {"": 2.0}
    assert measured("ModelAway", metrics) == {"claude-haiku-5-5": 1.0, "claude-opus-5-5": 0.0}
    assert measured("PartDegraded", metrics) == {"live": 1.0, "queue": 0.0}


def test_operators_change_limits_or_turn_a_rule_off() -> None:
    found = {rule.name: rule for rule in rules_for({"Disk": 0.9, "QueueAge": None}, pace=0.1, backup_hours=1)}
    assert "QueueAge" not in found
    assert "ProcessGone" not in found, "no process sees that of itself"
    assert (found["Disk"].threshold, round(found["Disk"].clear, 3)) == (0.9, 0.847)
    assert found["Disk"].lasts == 6
    assert found["BackupAge"].threshold == 1.5 * 3600
    own = {rule.name: rule for rule in rules_for({"BackupAge": 7.0}, backup_hours=1)}
    assert own["BackupAge"].threshold == 7


def test_the_sentences_say_what_is_wrong() -> None:
    assert BY_NAME["Disk"].say(0.912, "data") == "The disk of data is 91.2 % full (limit 85 %)."
    assert BY_NAME["BackupAge"].say(50 * 3600, "") == "The newest backup is 50 h old (limit 36 h)."
    assert BY_NAME["QueueAge"].say(750, "") == "A run has waited 12.5 min for a worker (limit 10 min)."


def test_the_rules_for_prometheus_are_those_of_the_code() -> None:
    script = ROOT / "scripts" / "alert_rules.py"
    checked = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    refused = subprocess.run([sys.executable, script, "--chekc"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    [group] = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    assert [rule["alert"] for rule in group["rules"]] == [PREFIX + rule.name for rule in RULES]
    named = {name for rule in group["rules"] for name in re.findall(r"flynn_[a-z_]+", rule["expr"])}
    known = {found.name for found in Metrics().described}
    assert {name.removesuffix("_bucket") for name in named} <= known


@pytest.mark.slow
@pytest.mark.needs("promtool")
def test_promtool_takes_the_rules_and_their_tests(tmp_path: Path) -> None:
    for mode, name in (("check", "alerts.yml"), ("test", "alerts_test.yml")):
        done = subprocess.run(
            ["promtool", mode, "rules", name], cwd=MONITORING, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    tests = yaml.safe_load((MONITORING / "alerts_test.yml").read_text())
    assert {test["name"] for test in tests["tests"]} >= {rule.name for rule in RULES}
    # They would notice: rules that hear nothing, then rules without a lower limit.
    assert missed(tmp_path, [rule.at(1e9) for rule in RULES]) == {PREFIX + rule.name for rule in RULES}
    hasty = {PREFIX + rule.name for rule in RULES if rule.clear != rule.threshold}
    assert missed(tmp_path, [replace(rule, clear=rule.threshold) for rule in RULES]) == hasty
    assert len(hasty) == 6


def missed(place: Path, rules: Sequence[Rule]) -> set[str]:
    """The alerts that promtool's tests expect of `rules`, and miss."""
    (place / "alerts.yml").write_text(render(rules))
    (place / "alerts_test.yml").write_text((MONITORING / "alerts_test.yml").read_text())
    command = ["promtool", "test", "rules", "alerts_test.yml"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    return set(re.findall(r'exp: \{alertname="(\w+)"', done.stdout + done.stderr))


def test_every_rule_has_its_section_in_the_runbook_and_its_fault_in_the_drill() -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", runbook, re.DOTALL | re.MULTILINE))
    drill = (ROOT / "tests" / "drills" / "test_drill_alerts.py").read_text()
    for rule in RULES:
        section = sections[rule.name]
        assert rule.runbook == f"docs/runbook.md#{rule.name.lower()}"
        for part in ("**Means**", "**First**", "**Silence**", "**Escalate**"):
            assert part in section, f"{rule.name} has no {part}"
        if rule.measure is not None:
            assert f'"{rule.name}"' in drill, f"{rule.name} has no real fault"
