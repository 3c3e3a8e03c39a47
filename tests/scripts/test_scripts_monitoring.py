"""What Prometheus and Grafana of docker-compose.yml are given: it parses, and asks for what there is."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from flynn.telemetry.metrics import Metrics

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "grafana/dashboards/flynn.json").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PROMETHEUS: dict[str, Any] = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
OF_PROMETHEUS = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
"""Metrics that Prometheus and its client library have."""


def _series() -> dict[str, set[str]]:
    """Every series of ours by name, with its labels."""
    found: dict[str, set[str]] = {}
    for metric in Metrics().described:
        names = [metric.name]
        if metric.kind == "histogram":
            names = [f"{metric.name}{suffix}" for suffix in ("_bucket", "_sum", "_count")]
        for name in names:
            found[name] = {*metric.labels, *({"le"} if name.endswith("_bucket") else ())}
    return found


def _names(expression: str) -> set[str]:
    """The names of metrics in an expression."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    return set(re.findall(r"\b(?:flynn_\w+|process_\w+|up)\b", bare))


def test_a_panel_shows_only_metrics_that_there_are() -> None:
    assert len(EXPRESSIONS) > 40
    for expression in EXPRESSIONS:
        names = _names(expression)
        assert names, expression
        assert names <= _series().keys() | OF_PROMETHEUS, expression


def test_a_panel_names_only_labels_that_there_are() -> None:
    series = _series()
    asked = 0
    for expression in EXPRESSIONS:
        for name, matchers in re.findall(r"\b(flynn_\w+)\{([^}]*)\}", expression):
            labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
            assert labels <= series[name] | {"service", "instance", "job"}, expression
            asked += len(labels)
        grouped = re.findall(r"\bby \(([^)]*)\)", expression)
        known: set[str] = set().union(*(series.get(name, set()) for name in _names(expression)))
        for group in grouped:
            assert {label.strip() for label in group.split(",")} <= known, expression
    assert asked > 10


@pytest.mark.needs("promtool")
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_prometheus_understands_an_expression(expression: str, tmp_path: Path) -> None:
    filled = expression.replace("$__rate_interval", "1m").replace("$service", ".*")
    rules = tmp_path / "rules.yml"
    rules.write_text(json.dumps({"groups": [{"name": "x", "rules": [{"record": "x", "expr": filled}]}]}))
    done = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_whole() -> None:
    assert DASHBOARD["uid"] == "flynn"
    assert DASHBOARD["editable"] is False
    identifiers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(identifiers)) == len(identifiers)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in PANELS:
        assert panel["type"] in {"stat", "timeseries"}
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)


def test_everybody_means_the_same_datasource() -> None:
    (source,) = yaml.safe_load((MONITORING / "grafana/provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    meant = {"type": "prometheus", "uid": source["uid"]}
    assert all(panel["datasource"] == meant for panel in PANELS)
    assert all(target["datasource"] == meant for panel in PANELS for target in panel["targets"])
    assert [variable["datasource"] for variable in DASHBOARD["templating"]["list"]] == [meant]


def test_grafana_finds_what_is_mounted() -> None:
    (provider,) = yaml.safe_load((MONITORING / "grafana/provisioning/dashboards/flynn.yml").read_text())[
        "providers"
    ]
    mounts = dict(mount.split(":")[:2] for mount in COMPOSE["services"]["grafana"]["volumes"])
    assert mounts["./deploy/monitoring/grafana/dashboards"] == provider["options"]["path"]
    home = COMPOSE["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/flynn.json"


def test_prometheus_looks_at_every_process_wherever_it_listens() -> None:
    jobs = {job["job_name"]: job for job in PROMETHEUS["scrape_configs"]}
    (found,) = jobs["flynn"]["dns_sd_configs"]
    assert set(found["names"]) == {
        name for name, it in COMPOSE["services"].items() if "build" in it and "expose" in it
    }
    for name in found["names"]:
        service = COMPOSE["services"][name]
        assert service["expose"] == [str(found["port"])]
        assert "watch" in service["networks"]
    (proxy,) = jobs["proxy"]["dns_sd_configs"]
    assert f"bind :{proxy['port']}" in (ROOT / "deploy/haproxy-compose.cfg").read_text()


@pytest.mark.needs("promtool")
def test_prometheus_takes_its_configuration() -> None:
    done = subprocess.run(
        ["promtool", "check", "config", "--syntax-only", MONITORING / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
