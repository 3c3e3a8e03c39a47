"""A review as SARIF 2.1.0, which code hosts show beside the lines of a change.

One run, whatever the linter, since hosts take one a category. A failed item of the checklist is a result
for each of its proofs; what passed is none, or hosts would show it as an alert. Source: the OASIS standard
"Static Analysis Results Interchange Format Version 2.1.0".
"""

import json
from typing import Any, Final
from urllib.parse import quote

from flynn import __version__
from flynn.domain.checklist import ChecklistItem, Proof
from flynn.domain.finding import Finding, Severity
from flynn.domain.review import NotRun, Review

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_ROOT: Final = "%SRCROOT%"
_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}

Object = dict[str, Any]


def sarif(review: Review) -> str:
    """The document, indented."""
    failures = [(item, proof) for item in review.checklist for proof in item.failures]
    rules: dict[str, Object] = {}
    for finding in review.findings:
        rules.setdefault(_rule_id(finding), _rule(finding))
    for item, _ in failures:
        rules.setdefault(_item_id(item), {"id": _item_id(item), "shortDescription": {"text": item.title}})
    places = {rule: index for index, rule in enumerate(rules)}
    results = [_result(finding, places) for finding in review.findings]
    results += [_failure(item, proof, places) for item, proof in failures]
    run: Object = {
        "tool": {
            "driver": {"name": "flynn review", "semanticVersion": __version__, "rules": list(rules.values())}
        },
        "automationDetails": {"id": "flynn-review/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [_notification(gap) for gap in review.not_run],
            }
        ],
        "results": results,
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _rule_id(finding: Finding) -> str:
    return f"{finding.tool}/{finding.rule}"


def _item_id(item: ChecklistItem) -> str:
    return f"checklist/{item.id}"


def _rule(finding: Finding) -> Object:
    rule: Object = {
        "id": _rule_id(finding),
        "shortDescription": {"text": f"{finding.tool}: {finding.rule}"},
        "defaultConfiguration": {"level": _LEVELS[finding.severity]},
    }
    return {**rule, "helpUri": finding.url} if finding.url else rule


def _result(finding: Finding, places: dict[str, int]) -> Object:
    region: Object = {}
    if finding.line is not None:
        region = {"startLine": finding.line}
        if finding.column is not None:
            region["startColumn"] = finding.column
        if finding.end_line is not None:
            region["endLine"] = finding.end_line
    return {
        "ruleId": _rule_id(finding),
        "ruleIndex": places[_rule_id(finding)],
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [_location(finding.path, region)],
        "partialFingerprints": {"flynnReview/v1": finding.fingerprint},
    }


def _failure(item: ChecklistItem, proof: Proof, places: dict[str, int]) -> Object:
    region: Object = {"startLine": proof.line} if proof.line is not None else {}
    return {
        "ruleId": _item_id(item),
        "ruleIndex": places[_item_id(item)],
        "level": "error",
        "message": {"text": proof.why},
        # Hosts want a place: what is missing altogether is missing from the root.
        "locations": [_location(proof.path or ".", region)],
    }


def _location(path: str, region: Object) -> Object:
    physical: Object = {"artifactLocation": {"uri": quote(path), "uriBaseId": _ROOT}}
    return {"physicalLocation": {**physical, "region": region} if region else physical}


def _notification(gap: NotRun) -> Object:
    said: Object = {"level": _LEVELS[gap.severity], "message": {"text": f"{gap.tool}: {gap.reason}"}}
    return {**said, "locations": [_location(gap.path, {})]} if gap.path else said
