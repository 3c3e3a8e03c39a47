"""`flynn doctor --sandbox`: what every backend of this machine stops, as a table or as JSON."""

import json

from flynn.sandbox.comparison import Comparison, Contender, compare_backends
from flynn.settings import Settings
from flynn.telemetry import logging

_GOT_OUT = "GOT OUT"


async def sandbox_table(settings: Settings, *, as_json: bool) -> int:
    """Run the canaries in all backends and print what came of it; 1 where the active one does not hold."""
    logging.configure("error", settings.log_format)
    comparison = await compare_backends(
        private_root=settings.data_dir / "private",
        prefer=settings.sandbox,
        extra_readonly=settings.sandbox_readonly,
        hidden=[settings.data_dir.resolve()],
    )
    if as_json:
        print(json.dumps(described(comparison), indent=2))
    else:
        print("\n".join(rendered(comparison, off=settings.sandbox == "none")))
    return 0 if comparison.holds else 1


def rendered(comparison: Comparison, *, off: bool = False) -> list[str]:
    """The lines of the table and of what is said below it. `off`: the operator turned the sandbox off."""
    lines = []
    if comparison.canaries and comparison.contenders:
        widest = max(map(len, comparison.canaries))
        names = [contender.name for contender in comparison.contenders]
        lines.append(f"{'canary':<{widest}}  " + "  ".join(f"{name:<14}" for name in names).rstrip())
        for canary in comparison.canaries:
            cells = [_cell(comparison, contender, canary) for contender in comparison.contenders]
            lines.append(f"{canary:<{widest}}  " + "  ".join(f"{cell:<14}" for cell in cells).rstrip())
        lines += [
            "",
            "not applicable: it does not succeed without a sandbox either, here and for this user",
            "",
        ]
    for contender in comparison.contenders:
        lines += [f"{contender.name}: {_state(comparison, contender)}"]
        lines += [f"  layer    {layer}" for layer in contender.layers]
        lines += [f"  missing  {layer}" for layer in contender.missing]
    lines += [f"not tried: {reason}" for reason in comparison.reasons]
    if comparison.control.failure is not None:
        lines.append(f"the control without a sandbox did not end well: {comparison.control.failure}")
    return [*lines, _verdict(comparison, off=off)]


def described(comparison: Comparison) -> dict[str, object]:
    """The same for a program: an outcome is "stopped", "got out", "not applicable" or "not tried"."""
    return {
        "active": comparison.active,
        "holds": comparison.holds,
        "backends": [
            {
                "name": contender.name,
                "layers": list(contender.layers),
                "missing": list(contender.missing),
                "rejection": contender.trial.rejection,
                "canaries": {
                    canary: _cell(comparison, contender, canary).lower() for canary in comparison.canaries
                },
            }
            for contender in comparison.contenders
        ],
        "not_tried": list(comparison.reasons),
        "control": comparison.control.failure,
    }


def _cell(comparison: Comparison, contender: Contender, canary: str) -> str:
    if canary not in contender.trial.outcomes:
        return "not tried"
    outcome = comparison.outcome(contender, canary)
    return _GOT_OUT if outcome == "got out" else outcome


def _state(comparison: Comparison, contender: Contender) -> str:
    if contender.trial.rejection is not None:
        return f"rejected: {contender.trial.rejection}"
    return "active" if contender.name == comparison.active else "holds, not chosen"


def _verdict(comparison: Comparison, *, off: bool) -> str:
    if comparison.active == "unconfined":
        return "FLYNN_SANDBOX=unconfined: commands run WITHOUT a sandbox. Set FLYNN_SANDBOX=auto."
    if off:
        return "FLYNN_SANDBOX=none: Bash, Glob and Grep are off."
    if comparison.active is None:
        return "No backend holds, so Bash, Glob and Grep are off."
    return f"Commands run in {comparison.active}."
