"""How a command ended, in words that a model can act on."""

import signal

from flynn.sandbox.command import Completed

_SIGNALLED = 128


def exit_words(code: int) -> str:
    """An exit code, with the signal that it stands for if it does (128 + its number, bash(1))."""
    name = _signal_name(code - _SIGNALLED)
    return f"Exit code {code}" if name is None else f"Exit code {code} (killed by signal {name})"


def ending(done: Completed, *, timeout: float, advice: str) -> str | None:
    """How a command ended, unless it ended well.

    `timeout` in seconds was its limit, `advice` says how to get more.
    """
    if done.timed_out:
        return f"Killed after {timeout:g} s: timed out. {advice}"
    if done.flooded:
        return "Killed: it wrote far too much output. Send it to a file or a filter."
    if done.exit_code is None:
        return f"Killed: {done.kill_reason or 'it did not end by itself'}."
    return exit_words(done.exit_code) if done.exit_code else None


def _signal_name(number: int) -> str | None:
    try:
        return f"{number}, {signal.Signals(number).name}" if number > 0 else None
    except ValueError:
        return None
