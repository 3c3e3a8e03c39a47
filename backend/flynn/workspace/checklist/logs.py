"""Logs: structured, one JSON object a line."""

import re
from collections.abc import Iterator

from flynn.domain.checklist import ChecklistItem, Proof, passed, undecided
from flynn.workspace.checklist.look import Look
from flynn.workspace.checklist.traces import Place, traces

_STRUCTURED = re.compile(
    r"\bJSONRenderer\b|\bjsonlogger\b|\bpythonjsonlogger\b|\bJsonFormatter\b|\bJSONFormatter\b|\bECSFormatter\b|"
    r"\bserialize\s*=\s*True|\bpino(?:Http)?\s*\(|format\.json\s*\(|\bnew\s+Bunyan|bunyan\.createLogger|"
    r"slog\.NewJSONHandler|zap\.NewProduction|\bzerolog\.New|logrus\.JSONFormatter|LogstashEncoder|JsonLayout|"
    r"JsonTemplateLayout|\bfmt\(\)\.json\(\)|\.json\(\)\s*\.init|CompactJsonFormatter|AddJsonConsole|"
    r"Lograge::Formatters::Json|SemanticLogger.*:json|\bJsonConsoleFormatter"
)
_HINTS = (
    *(
        "JSON",
        "Json",
        "json",
        "pino",
        "unyan",
        "zap",
        "zerolog",
        "serialize",
        "LogstashEncoder",
        "ECSFormatter",
    ),
)
_OWN = re.compile(r"class\s+\w+\s*\(\s*(?:logging\.)?Formatter\s*\)")
_PLAIN = re.compile(
    r"\blogging\.basicConfig\s*\(|\blog(?:ging)?\.dictConfig\s*\(|winston\.createLogger|format\.simple\s*\(|"
    r"\blogging\.Formatter\s*\(|logrus\.TextFormatter|slog\.NewTextHandler|zap\.NewDevelopment"
)
_CLASS_PATH = re.compile(r"(?:ext://)?(?:\w+\.)+\w*(?:Formatter|Renderer|Encoder|Layout)")
_ASIDE = frozenset({"scripts", "script", "tools", "bin", "hack", "bench", "benchmarks"})
"""Directories of programs for people, who read lines of text."""
_PLAIN_HINTS = ("basicConfig", "dictConfig", "winston", "format.simple", "Formatter", "NewTextHandler", "zap")


def structured_logs(look: Look) -> ChecklistItem:
    """A known way to write JSON is set up; or a way that writes plain lines is, and no other."""
    return ChecklistItem.of("structured-logs", "Logs are structured (JSON)", list(_proofs(look)))


def _proofs(look: Look) -> Iterator[Proof]:
    code = [path for path in look.code if _ASIDE.isdisjoint(path.split("/")[:-1])]
    if not code:
        yield undecided("There is no code here whose logs could be judged.")
        return
    for trace in traces(look.sources, code, _STRUCTURED, _HINTS, counts=_sets_up):
        yield passed("Logs are written as JSON.", trace.path, trace.line)
        return
    for trace in traces(look.sources, code, _OWN, ("Formatter",)):
        if "json.dumps" in (look.sources.text(trace.path) or "") or "orjson" in (
            look.sources.text(trace.path) or ""
        ):
            yield passed("A formatter of its own writes JSON.", trace.path, trace.line)
            return
    for trace in traces(look.sources, code, _PLAIN, _PLAIN_HINTS, counts=_sets_up):
        why = "Logs are set up here as lines of text, and nowhere as JSON."
        yield look.lacking(why, trace.path, trace.line, "code")
        return
    yield undecided("How logs are written is not to be seen: no set-up of a logger that is known was found.")


def _sets_up(place: Place) -> bool:
    """Code sets a logger up, and so does the path of a class in a configuration; other words do not."""
    return place.piece.kind == "code" or bool(_CLASS_PATH.fullmatch(place.piece.text))
