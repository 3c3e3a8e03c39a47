"""Broken rules that no source proves: they warn, or refuse, as the options say."""

import logging
from collections.abc import Callable

from flynn.simulator.api_error import invalid
from flynn.simulator.options import Options
from flynn.simulator.request import ApiRequest

log = logging.getLogger("flynn.simulator")

Unproven = Callable[[str, str], None]
"""Takes the name of a rule and the message that says what is wrong."""


def unproven(request: ApiRequest, options: Options) -> Unproven:
    """What to do with a broken rule that no source proves.

    "warn" logs it and keeps its name for the `simulator-warnings` header; "refuse" raises ApiError.
    """

    def found(rule: str, message: str) -> None:
        if options.unproven == "refuse":
            raise invalid(rule, f"{message} (no source proves this rule; the simulator was told to refuse)")
        if rule not in request.warnings:
            request.warnings.append(rule)
        log.warning("unproven rule %s is broken: %s", rule, message)

    return found
