"""The rules for Prometheus: the text of deploy/monitoring/alerts.yml, made of the same data.

Hysteresis: an alert begins above its threshold and goes on while the figure is above `clear`, for which an
expression asks whether it fires already. What is well for a moment is bridged by keep_firing_for.
"""

from collections.abc import Sequence

from flynn.ops.alerts.rule import Rule, Unit

PREFIX = "Flynn"

HEAD = """\
# Alerts of Flynn for Prometheus 2.42 and newer. Made by scripts/alert_rules.py from the rules that each
# process evaluates itself: change them there. What each means and what to do: docs/runbook.md.
groups:
  - name: flynn
    rules:
"""

_TEMPLATES: dict[Unit, str] = {
    "ratio": "{{ $value | humanizePercentage }}",
    "seconds": "{{ $value | humanizeDuration }}",
    "count": "{{ $value | humanize }}",
}


def render(rules: Sequence[Rule]) -> str:
    """The whole file."""
    return HEAD + "\n".join(_rule(rule) for rule in rules)


def _rule(rule: Rule) -> str:
    name = PREFIX + rule.name
    expression = "\n".join(f"          {line}" for line in _expression(rule, name).splitlines())
    return f"""\
      - alert: {name}
        expr: |
{expression}
        for: {rule.lasts:g}s
        keep_firing_for: {rule.clears_after:g}s
        labels:
          severity: {rule.severity}
        annotations:
          summary: '{_sentence(rule)}'
          runbook: {rule.runbook}
"""


def _expression(rule: Rule, name: str) -> str:
    above = f"(\n{_indented(rule.query)}\n) > {rule.threshold:g}"
    if rule.clear == rule.threshold:
        return above
    return (
        f"{above}\nor\n(\n  (\n{_indented(_indented(rule.query))}\n  ) > {rule.clear:g}\n"
        "  and ignoring (alertname, alertstate, severity)\n"
        f'  ALERTS{{alertname="{name}",alertstate="firing"}}\n)'
    )


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _sentence(rule: Rule) -> str:
    subject = f"{{{{ $labels.{rule.label} }}}}" if rule.label else ""
    said = rule.filled(_TEMPLATES[rule.unit], subject)
    # With several processes under one Prometheus it matters whose it is.
    return said if rule.reach == "service" else f"{{{{ $labels.instance }}}}: {said}"
