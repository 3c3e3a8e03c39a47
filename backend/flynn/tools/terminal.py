"""What a terminal would have left of a command's output: no colours, only the last state of a line.

A model has no use for escape sequences, and a progress bar that was drawn a thousand times would cost it
a thousand lines. Viewers get the output as it was written.
"""

import re

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")
_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # control sequences: colours, cursor moves (ECMA-48, 5.4)
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # strings: titles, hyperlinks (ECMA-48, 5.6)
    r"|\x1b[ -/]*[0-~]"  # everything else that begins with ESC (ECMA-35, 13.2)
)
_OVERSTRIKES = re.compile(r"[^\x08\n]\x08")
_LEFT = re.compile(r"[\x01-\x08\x0b\x0e-\x1f\x7f\x80-\x9f]")
_LONGEST_LINE = 65_536
"""Characters of a line that are held back until it is complete; longer ones go on in pieces."""


class Terminal:
    """Cleans a stream of text line by line. `overwritten` counts what carriage returns wrote over."""

    def __init__(self) -> None:
        self.overwritten = 0
        self._line: list[str] = []
        self._length = 0

    def feed(self, text: str) -> str:
        """Take more and give what is complete now."""
        end = text.rfind("\n") + 1
        complete = ""
        if end:
            complete = self._taken() + text[:end]
            text = text[end:]
        if text:
            self._line.append(text)
            self._length += len(text)
        if self._length > _LONGEST_LINE:
            complete += self._taken()
        return self._cleaned(complete)

    def close(self) -> str:
        """Give what was left incomplete."""
        return self._cleaned(self._taken())

    @property
    def line(self) -> str:
        """The incomplete last line as it stands now; it stays."""
        before = self.overwritten
        shown = self._cleaned("".join(self._line))
        self.overwritten = before
        return shown

    def _taken(self) -> str:
        taken = "".join(self._line)
        self._line.clear()
        self._length = 0
        return taken

    def _cleaned(self, text: str) -> str:
        if _CONTROLS.search(text) is None:
            return text
        text = _SEQUENCES.sub("", text)
        if "\b" in text:
            text = _OVERSTRIKES.sub("", text)
        if "\r" in text:
            text = "\n".join(self._last_state(line) if "\r" in line else line for line in text.split("\n"))
        # NUL is no text, neither for the API nor for whoever reads the file.
        return _LEFT.sub("", text).replace("\0", "\N{SYMBOL FOR NULL}")

    def _last_state(self, line: str) -> str:
        """What stands in a line that was written over and over."""
        states = [state for state in line.split("\r") if state]
        if not states:
            return ""
        self.overwritten += len(states) - 1
        return states[-1]
