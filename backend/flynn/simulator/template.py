"""Quoting: `{{ … }}` in a scenario's strings is an expression over what the conversation holds.

Small and safe on purpose: Jinja2 expressions (no statements, no loops) in its immutable sandbox. A `$`
before the braces leaves them alone, so that workflow files with `${{ github.sha }}` need no escaping;
other literal braces are written `{{ "{{" }}`. A string that is one single expression keeps the
expression's type (number, list, …); elsewhere the value is put in as text.

Names: `result("call")` is the result of an earlier tool call, `first_message` and `latest_message` the
user's text, `messages` the request's messages, `attempt` the number of this attempt, `words(n)` a text
of n tokens.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.environment import TemplateExpression
from jinja2.sandbox import ImmutableSandboxedEnvironment

from flynn.domain.content import Json
from flynn.simulator import tokens

__all__ = ["Quoted", "TemplateError", "check_template", "quoted_calls", "render", "words"]

_EXPRESSION: Final = re.compile(r"(?<!\$)\{\{(.*?)\}\}", re.DOTALL)
_MOST_WORDS: Final = 1_000_000
_ENVIRONMENT: Final = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


class Quoted:
    """The result of a tool call, as expressions see it."""

    def __init__(self, text: str, *, is_error: bool) -> None:
        self.text = text
        self.is_error = is_error

    def regex(self, pattern: str, group: int | str = 0) -> str:
        """The first match of `pattern` (multi-line mode), or one of its groups.

        Raises:
            TemplateError: the pattern does not occur.
        """
        found = re.search(pattern, self.text, re.MULTILINE)
        if found is None:
            raise TemplateError(f"the pattern {pattern!r} does not occur in the result {self.text[:200]!r}")
        return str(found.group(group) or "")

    def line(self, number: int) -> str:
        """Line `number`, counted from 1; negative numbers count from the end.

        Raises:
            TemplateError: there is no such line.
        """
        lines = self.text.splitlines()
        try:
            return lines[number - 1 if number > 0 else number]
        except IndexError:
            raise TemplateError(f"the result has {len(lines)} lines, none of number {number}") from None

    def __str__(self) -> str:
        return self.text


def render(value: Json, names: Mapping[str, object]) -> Json:
    """Fill in every expression of `value`, a string or JSON that holds strings.

    Raises:
        TemplateError: an expression quotes what is not there.
    """
    if isinstance(value, str):
        return _render_text(value, names) if "{{" in value else value
    if isinstance(value, dict):
        return {key: render(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [render(item, names) for item in value]
    return value


def check_template(text: str) -> None:
    """Compile every expression of `text`.

    Raises:
        TemplateError: one is no valid expression.
    """
    for found in _EXPRESSION.finditer(text):
        try:
            _compile(found.group(1))
        except TemplateError as error:
            raise TemplateError(f"{found.group(0)} is no valid expression: {error}") from error


@lru_cache(maxsize=4096)
def quoted_calls(text: str) -> frozenset[str]:
    """The names of the calls whose results `text` quotes, as far as they stand there as literals."""
    calls: set[str] = set()
    for found in _EXPRESSION.finditer(text):
        tree = _ENVIRONMENT.parse("{{" + found.group(1) + "}}")
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "result" and call.args:
                argument = call.args[0]
                if isinstance(argument, nodes.Const) and isinstance(argument.value, str):
                    calls.add(argument.value)
    return frozenset(calls)


def words(count: int) -> str:
    """A text of `count` tokens by the simulator's estimate.

    Raises:
        TemplateError: more than a million.
    """
    if count > _MOST_WORDS:
        raise TemplateError(f"words({count}) is too long; at most {_MOST_WORDS} tokens")
    word = "flynn grid disc cycle light clu user program tower beam "
    length = count * tokens.CHARACTERS_PER_TOKEN
    return (word * (length // len(word) + 1))[:length]


@lru_cache(maxsize=4096)
def _compile(expression: str) -> TemplateExpression:
    return _ENVIRONMENT.compile_expression(expression.strip(), undefined_to_none=False)


def _render_text(text: str, names: Mapping[str, object]) -> Json:
    whole = _EXPRESSION.fullmatch(text)
    if whole is not None and "}}" not in whole.group(1):
        value = _evaluate(whole.group(1), names)
        return value.text if isinstance(value, Quoted) else value
    fill: Callable[[re.Match[str]], str] = lambda found: str(_evaluate(found.group(1), names))  # noqa: E731 -- a bound name for mypy
    return _EXPRESSION.sub(fill, text)


def _evaluate(expression: str, names: Mapping[str, object]) -> Json:
    try:
        value = _compile(expression)(**names)
    except TemplateError:
        raise
    except Exception as error:  # an expression may fail in any way its operands can
        raise TemplateError(f"{{{{{expression}}}}} failed: {error}") from error
    if isinstance(value, StrictUndefined):
        raise TemplateError(f"{{{{{expression}}}}} has no value here")
    return value
