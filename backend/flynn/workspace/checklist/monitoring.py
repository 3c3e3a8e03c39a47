"""Monitoring: something measures the services, or collects what they say of themselves."""

import re
from collections.abc import Iterator

from flynn.domain.checklist import ChecklistItem, Proof, passed, undecided
from flynn.workspace.checklist.compose import repository
from flynn.workspace.checklist.look import Look
from flynn.workspace.checklist.traces import Place, traces

_IMAGES = re.compile(
    r"(?:^|[/_-])(?:prometheus|alertmanager|grafana|victoria-?metrics|datadog|agent-datadog|newrelic|otel|"
    r"opentelemetry|telegraf|netdata|zabbix|cadvisor|exporter|uptime-kuma|sentry|signoz|loki|promtail|alloy|"
    r"checkmk|gatus)(?:$|[/_-])|/vector$",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"\bprometheus_client\b|prometheus_fastapi_instrumentator|starlette_exporter|django_prometheus|"
    r"prometheus_flask_exporter|[\"']prom-client[\"']|prometheus/client_golang|promhttp\.|micrometer|"
    r"\bopentelemetry\b|@opentelemetry/|go\.opentelemetry\.io|\bsentry_sdk\b|@sentry/|getsentry/sentry-go|"
    r"\bddtrace\b|\bdd-trace\b|\bnewrelic\b|\bstatsd\b|prometheus_exporter|metrics_exporter_prometheus|"
    r"aws_embedded_metrics|Prometheus::Client|yabeda"
)
_HINTS = (
    *(
        "prom",
        "Prom",
        "elemetry",
        "entry",
        "ddtrace",
        "dd-trace",
        "newrelic",
        "statsd",
        "micrometer",
        "metrics",
    ),
    *("exporter", "yabeda"),
)
_AROUND = 6
"""Lines before and after one that belong to the same list."""
_SEVERAL = 3
_FILES = re.compile(
    r"(?:^|/)(?:prometheus|alertmanager|otel-collector[\w.-]*|grafana|datadog|telegraf)\.(?:ya?ml|conf|ini)$"
)


def monitoring(look: Look) -> ChecklistItem:
    """A service that measures, a configuration of one, or code that exports metrics."""
    return ChecklistItem.of("monitoring", "Monitoring is configured", list(_proofs(look)))


def _proofs(look: Look) -> Iterator[Proof]:
    for service in look.services:
        if _IMAGES.search(repository(service.image)):
            yield passed(f"{service.name} measures or collects.", service.path, service.line)
            return
    for path in look.sources.deployed:
        if _FILES.search(path):
            yield passed("Monitoring is configured here.", path, 1)
            return
    for trace in traces(look.sources, look.code, _CODE, _HINTS, counts=_uses):
        yield passed("The code exports what it measures.", trace.path, trace.line)
        return
    if look.running:
        service = look.running[0]
        why = "Nothing measures the services: the code exports nothing, and nothing collects."
        yield look.lacking(why, service.path, service.line, "compose", "code")
    else:
        yield undecided("No service is declared here, and no code exports metrics.")


def _uses(place: Place) -> bool:
    """Code uses what it names; a list that names several such products looks for one."""
    if place.piece.kind == "code":
        return True
    lines = place.whole.split("\n")
    number = place.whole[: place.whole.find(place.line)].count("\n")
    around = "\n".join(lines[max(number - _AROUND, 0) : number + _AROUND + 1])
    return len({found.group().lower() for found in _CODE.finditer(around)}) < _SEVERAL
