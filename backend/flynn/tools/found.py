r"""What ripgrep printed, taken apart and put in order.

ripgrep searches with several threads and prints files as they are done; ordering them itself would cost it
the threads. With `--heading --null` a file is `PATH NUL LINES` and a blank line. Each of the lines begins
with its number and a colon (a match) or a hyphen (context), so that neither a name nor a text, whatever it
holds, passes for something else; only a line of `--` between groups, and warnings, have no number.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from flynn.tools.ripgrep import shown

_NUMBERED = re.compile(rb"^(\d+)([:-])(.*)", re.DOTALL)
_MATCH = re.compile(rb"^\d+:", re.MULTILINE)
_SEPARATOR = b"--"


@dataclass(frozen=True, slots=True)
class FileLines:
    """The lines found in one file, as ripgrep printed them."""

    path: bytes
    lines: bytes

    @property
    def count(self) -> int:
        """How many lines there are, separators included."""
        return self.lines.count(b"\n") + 1

    @property
    def matches(self) -> int:
        """How many of them match."""
        return len(_MATCH.findall(self.lines)) or int(self.lines.startswith(b"binary file matches"))


@dataclass(frozen=True, slots=True)
class FoundLines:
    """The lines found in a search, file after file in the order of their paths.

    `apart` says that groups of lines stand apart (there is context), and so do files.
    """

    files: Sequence[FileLines]
    apart: bool

    @property
    def count(self) -> int:
        """How many lines there are to show."""
        between = len(self.files) - 1 if self.apart and self.files else 0
        return sum(file.count for file in self.files) + between

    @property
    def matches(self) -> int:
        """How many lines match."""
        return sum(file.matches for file in self.files)

    def page(self, offset: int, limit: int | None, *, numbers: bool) -> list[str]:
        """The lines from `offset` on, at most `limit`, each with its path and perhaps its number in front."""
        return list(islice(self._lines(offset, numbers), limit))

    def _lines(self, skipped: int, numbers: bool) -> Iterator[str]:
        for place, file in enumerate(self.files):
            if place and self.apart:
                if skipped:
                    skipped -= 1
                else:
                    yield _SEPARATOR.decode()
            if skipped >= file.count:
                skipped -= file.count
                continue
            path = name(file.path)
            for line in file.lines.split(b"\n")[skipped:]:
                yield _line(path, line, numbers)
            skipped = 0


def lines_of(output: bytes, *, apart: bool) -> FoundLines:
    """Take apart what ripgrep printed with `--heading --null --line-number`."""
    files: list[FileLines] = []
    position = 0
    while position < len(output):
        end = output.find(b"\0", position)
        if end < 0:
            # A binary file that was named itself: one sentence, with the path in front and no lines.
            path, _, warning = output[position:].rstrip(b"\n").rpartition(b": ")
            if warning:
                files.append(FileLines(path, warning))
            break
        path = output[position:end]
        begin = end + 1
        if b"\n\n" in path and (repeated := output.find(b"\n" + path + b": ", begin)) >= 0:
            end = repeated + 1 + len(path)  # a warning repeats the name, and the blank line that is in it
        stop = output.find(b"\n\n", end)
        stop = len(output) if stop < 0 else stop
        lines = output[begin:stop].removesuffix(b"\n").replace(b"\n" + path + b": ", b"\n")
        files.append(FileLines(path, lines))
        position = stop + 2
    return FoundLines(sorted(files, key=lambda file: by_path(file.path)), apart)


def counts_of(output: bytes) -> list[tuple[str, int]]:
    """Take apart what ripgrep printed with `--count --null`: each file's path and count, by path."""
    found = re.findall(rb"([^\0]+)\0(\d+)\n", output)
    return [(name(path), int(count)) for path, count in sorted(found, key=lambda pair: by_path(pair[0]))]


def paths_of(output: bytes) -> list[str]:
    """Take apart what ripgrep printed with `--null` and paths alone; odd names keep their bytes."""
    text = output.decode("utf-8", "surrogateescape").strip("\n").removesuffix("\0")
    return shown(text).split("\0./") if text else []


def name(path: bytes) -> str:
    """A path as it is shown."""
    return shown(path.decode("utf-8", "surrogateescape"))


def by_path(path: bytes) -> list[bytes]:
    """Orders paths as a walk in the order of names meets them."""
    return path.split(b"/")


def _line(path: str, line: bytes, numbers: bool) -> str:
    if line == _SEPARATOR:
        return line.decode()
    numbered = _NUMBERED.match(line)
    if numbered is None:
        return f"{path}: {line.decode('utf-8', 'replace')}"
    number, mark, text = (part.decode("utf-8", "replace") for part in numbered.groups())
    text = text.removesuffix("\r")
    return f"{path}{mark}{number}{mark}{text}" if numbers else f"{path}{mark}{text}"
