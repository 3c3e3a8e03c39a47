"""The rules: everything that an operator is told about, in one place.

A rule that is added here needs a section in docs/runbook.md, a test in deploy/monitoring/alerts_test.yml
and a real fault in tests/drills/test_drill_alerts.py; tests look for all three.
"""

from flynn.ops.alerts.reading import BUCKETS, CENSUS, OF_THE_DATABASE, REQUESTS, UNASKED, Reading
from flynn.ops.alerts.rule import Measured, Rule

FEWEST_REQUESTS = 10
"""Requests in a window below which a share of them says nothing."""

_ASKED = f'route!~"{"|".join(sorted(UNASKED))}"'
_ENOUGH = f"sum without (method, route, status) (increase({REQUESTS}{{{_ASKED}}}[5m])) >= {FEWEST_REQUESTS}"
_AWAY = frozenset({"open", "half_open"})
_OWN_RULES = frozenset({"database", "sandbox"})
"""Parts of /ready that PartDegraded leaves out: DatabaseAway speaks of the first, and what a sandbox lacks is
known from the start and often meant so."""


def _error_rate(reading: Reading) -> Measured:
    traffic = reading.traffic
    return {"": traffic.errors / traffic.requests if traffic.requests >= FEWEST_REQUESTS else 0.0}


def _latency(reading: Reading) -> Measured:
    enough = reading.traffic.requests >= FEWEST_REQUESTS
    return {"": (reading.traffic.quantile(0.95) or 0.0) if enough else 0.0}


def _pool(reading: Reading) -> Measured:
    used, size = reading.figures("flynn_pool_in_use"), reading.figures("flynn_pool_size")
    return {whole: used[whole] / most for whole, most in size.items() if most and whole in used}


def _database_away(reading: Reading) -> Measured:
    return {whole: 1.0 - up for whole, up in reading.figures(CENSUS).items()}


def _part_degraded(reading: Reading) -> Measured:
    found = reading.figures("flynn_part_state", "part", state=frozenset({"degraded", "down"}))
    return {part: value for part, value in found.items() if part not in _OWN_RULES}


RULES = (
    Rule(
        name="ErrorRate",
        severity="critical",
        reach="process",
        sentence="{value} of the requests are answered with an error of the service (limit {threshold}).",
        unit="ratio",
        threshold=0.05,
        clear=0.03,
        lasts=60,
        clears_after=120,
        query=(
            f'sum without (method, route, status) (rate({REQUESTS}{{status=~"5..",{_ASKED}}}[5m]))\n'
            f"/ sum without (method, route, status) (rate({REQUESTS}{{{_ASKED}}}[5m]))\n"
            f"and {_ENOUGH}"
        ),
        measure=_error_rate,
    ),
    Rule(
        name="Latency",
        severity="warning",
        reach="process",
        sentence="One request in twenty takes longer than {value} (limit {threshold}).",
        unit="seconds",
        threshold=5,
        clear=3,
        lasts=60,
        clears_after=120,
        query=(
            f"histogram_quantile(0.95, sum without (method, route) (rate({BUCKETS}{{{_ASKED}}}[5m])))\n"
            f"and {_ENOUGH}"
        ),
        measure=_latency,
    ),
    Rule(
        name="DatabaseAway",
        severity="critical",
        reach="service",
        sentence="The database does not answer.",
        unit="count",
        threshold=0,
        clear=0,
        lasts=30,
        clears_after=60,
        query=f"max(1 - {CENSUS})",
        measure=_database_away,
    ),
    Rule(
        name="Pool",
        severity="warning",
        reach="process",
        sentence="{value} of the database connections of a process are in use (limit {threshold}).",
        unit="ratio",
        threshold=0.8,
        clear=0.6,
        lasts=60,
        clears_after=60,
        query="flynn_pool_in_use / flynn_pool_size",
        measure=_pool,
    ),
    Rule(
        name="QueueAge",
        severity="warning",
        reach="service",
        sentence="A run has waited {value} for a worker (limit {threshold}).",
        unit="seconds",
        threshold=600,
        clear=300,
        lasts=60,
        clears_after=60,
        query="max(flynn_queue_age_seconds)",
        measure=lambda reading: reading.figures("flynn_queue_age_seconds"),
    ),
    Rule(
        name="RunsStuck",
        severity="critical",
        reach="service",
        sentence="Runs that nobody seems to drive: {value}.",
        unit="count",
        threshold=0,
        clear=0,
        lasts=60,
        clears_after=60,
        query="max(flynn_runs_stuck)",
        measure=lambda reading: reading.figures("flynn_runs_stuck"),
    ),
    Rule(
        name="ModelAway",
        severity="critical",
        reach="service",
        sentence="The model {subject} does not answer; runs wait for it.",
        unit="count",
        threshold=0,
        clear=0,
        lasts=60,
        clears_after=60,
        query='max by (model) (flynn_model_breaker{state=~"open|half_open"})',
        measure=lambda reading: reading.figures("flynn_model_breaker", "model", state=_AWAY),
        label="model",
    ),
    Rule(
        name="PartDegraded",
        severity="warning",
        reach="service",
        sentence="The part {subject} of the service is not well; /ready says why.",
        unit="count",
        threshold=0,
        clear=0,
        lasts=300,
        clears_after=60,
        query=(f'max by (part) (flynn_part_state{{part!~"{"|".join(sorted(_OWN_RULES))}",state!="ok"}})'),
        measure=_part_degraded,
        label="part",
    ),
    Rule(
        name="Disk",
        severity="warning",
        reach="machine",
        sentence="The disk of {subject} is {value} full (limit {threshold}).",
        unit="ratio",
        threshold=0.85,
        clear=0.8,
        lasts=60,
        clears_after=60,
        query="flynn_disk_used_ratio",
        measure=lambda reading: reading.figures("flynn_disk_used_ratio", "place"),
        label="place",
    ),
    Rule(
        name="BackupAge",
        severity="critical",
        reach="service",
        sentence="The newest backup is {value} old (limit {threshold}).",
        unit="seconds",
        threshold=36 * 3600,
        clear=36 * 3600,
        lasts=60,
        clears_after=60,
        query="max(flynn_backup_age_seconds)",
        measure=lambda reading: reading.figures("flynn_backup_age_seconds"),
    ),
    Rule(
        name="BackupLag",
        severity="warning",
        reach="service",
        sentence="The kept log is {value} behind the database (limit {threshold}): so much would be lost.",
        unit="seconds",
        threshold=60,
        clear=30,
        lasts=60,
        clears_after=60,
        query="max(flynn_backup_lag_seconds)",
        measure=lambda reading: reading.figures("flynn_backup_lag_seconds"),
    ),
    Rule(
        name="ProcessGone",
        severity="critical",
        reach="process",
        sentence="A process of the service does not answer Prometheus.",
        unit="count",
        threshold=0,
        clear=0,
        lasts=120,
        clears_after=60,
        query='1 - up{job=~"flynn.*|backup"}',
        measure=None,
    ),
)
"""In the order of the runbook."""

WATCHED = frozenset(
    {
        REQUESTS,
        BUCKETS,
        CENSUS,
        *OF_THE_DATABASE,
        *("flynn_pool_in_use", "flynn_pool_size", "flynn_disk_used_ratio", "flynn_part_state"),
        *("flynn_model_breaker", "flynn_backup_age_seconds", "flynn_backup_lag_seconds"),
    }
)
"""The metrics that the rules look at."""

NAMES = tuple(rule.name for rule in RULES)


def rules_for(
    limits: dict[str, float | None], *, pace: float = 1.0, backup_hours: float | None = None
) -> list[Rule]:
    """The rules that a process evaluates.

    `limits` are other thresholds by name, None for a rule that is off. `pace` multiplies all that lasts, and
    `backup_hours` says how often backups are taken: one is late after half as much again.
    """
    found = []
    for rule in RULES:
        limit = limits.get(rule.name, rule.threshold)
        if rule.measure is None or limit is None:
            continue
        if rule.name == "BackupAge" and rule.name not in limits and backup_hours is not None:
            limit = 1.5 * backup_hours * 3600
        found.append(rule.at(limit).paced(pace))
    return found
