"""Redaction marks in what a model writes: where it saw one, the file holds a secret that it was not shown.

Writing the mark would put it in the secret's place and lose the secret. A mark that the file really holds,
as a source that deals with marks does, may stay and be moved; only more of them than before are refused.
"""

from flynn.telemetry.redaction import MARK


def new_marks(before: str, after: str) -> str | None:
    """Why `after` may not take the place of `before`: it holds more marks. None when it does not."""
    if after.count(MARK) <= before.count(MARK):
        return None
    return (
        f"The new text holds {MARK}, which stands where a secret was taken out before you saw the text. "
        "Written to the file it would destroy the secret. Leave that part of the file as it is and change "
        "the rest with Edit; where a new secret is needed, write a reference to one, such as an "
        "environment variable."
    )


def mark_in_old(path: str) -> str:
    """Why an old_string with a mark is not found in `path`."""
    return (
        f"old_string holds {MARK}, which is not in {path}: a secret is there, and you were shown the mark in "
        "its place. Choose an old_string without it, for example the lines before or after, or the part of "
        "the line in front of it."
    )
