"""A program that is run to its end: what it says, and its status."""

import subprocess


def run(*words: str, seconds: float | None = None) -> tuple[int, str]:
    """Run the program that `words` begin with; gives its status, and its output and errors as one text.

    Raises OSError when it cannot be started, subprocess.TimeoutExpired after `seconds`.
    """
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )
    return done.returncode, done.stdout
