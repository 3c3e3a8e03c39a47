"""Private keys in their armour (RFC 7468, RFC 4880): over many lines, numbered, escaped, cut at either end.

The lines are what counts, not the words around them: a placeholder between the two, or code that only
mentions them, is left alone. A piece from the middle, with neither of them, cannot be told from any other
base64 and passes.
"""

import re

BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
END = re.compile(r"-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
ANCHOR = "PRIVATE KEY"
"""In each of these words."""

LONGEST = 32_768
"""Characters between the words; a 16,384-bit RSA key takes 12,500."""

_UNFINISHED = re.compile(r"-----BEGIN[A-Z0-9 ]*-{0,4}")
_LONGEST_WORDS = 80
_MATERIAL = re.compile(r"[A-Za-z0-9+/=]{16,}+")
_DENSITY = 0.3
"""The least share of what is between the words that has to be base64, whatever numbers the lines."""
_LINE = 32
"""Characters of base64 that a line of a key ends with, be it numbered, indented, quoted or escaped."""
_TRAILING = "\"',\\nr \t;+"
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="


def spans(text: str) -> list[tuple[int, int]]:
    """Where private keys, or what is left of them, are in `text`, in order."""
    if ANCHOR not in text:
        return []
    found: list[tuple[int, int]] = []
    done = 0
    marks = sorted(
        (match.start(), match.end(), words is BEGIN)
        for words in (BEGIN, END)
        for match in words.finditer(text)
    )
    for place, (start, stop, opens) in enumerate(marks):
        if start < done:
            continue
        if opens:
            following = marks[place + 1] if place + 1 < len(marks) else None
            closed = following is not None and not following[2] and following[0] - stop <= LONGEST
            if following is not None and closed and _is_key(text, stop, following[0]):
                done = following[1]
            elif (reach := _forwards(text, stop, following[0] if following else len(text))) > stop:
                done = reach
            else:
                continue
            found.append((start, done))
        elif (reach := _backwards(text, start, done)) < start:
            found.append((reach, stop))
            done = stop
    return found


def open_from(text: str) -> int:
    """From where `text` may hold a private key whose other lines are still to come; its length if nowhere."""
    place = len(text)
    opening = text.rfind("-----BEGIN", max(place - _LONGEST_WORDS, 0))
    if opening >= 0 and _UNFINISHED.fullmatch(text, opening):
        place = opening
    if ANCHOR in text:
        begins = [match.start() for match in BEGIN.finditer(text, max(len(text) - LONGEST, 0))]
        if begins and END.search(text, begins[-1]) is None:
            place = min(place, begins[-1])
    return place


def _is_key(text: str, start: int, stop: int) -> bool:
    material = sum(match.end() - match.start() for match in _MATERIAL.finditer(text, start, stop))
    return material > (stop - start) * _DENSITY


def _forwards(text: str, start: int, limit: int) -> int:
    """The end of the last line of key behind the offset `start`, which ends the first words."""
    reach = start
    begin = start
    while begin < limit:
        end = text.find("\n", begin, limit)
        end = limit if end < 0 else end
        line = text[begin:end]
        if not _of_key(line) and (begin > start or line.strip(_TRAILING)):
            break
        if _of_key(line):
            reach = end
        begin = end + 1
    return reach


def _backwards(text: str, stop: int, limit: int) -> int:
    """The start of the first of the lines of key that lead up to `stop`."""
    line_start = text.rfind("\n", limit, stop) + 1
    reach = stop
    if _of_key(text[max(line_start, limit) : stop]):
        reach = max(line_start, limit)
    end = line_start - 1
    short = True  # the last line of a key may be of any length
    while end > limit and stop - end <= LONGEST:
        begin = max(text.rfind("\n", limit, end) + 1, limit)
        line = text[begin:end]
        if _of_key(line):
            reach = begin
        elif not short:
            break
        short = False
        end = begin - 1
    return reach


def _of_key(line: str) -> bool:
    """Whether `line` ends with a long piece of base64 that is no plain hexadecimal."""
    bare = line.rstrip(_TRAILING)
    tail = bare[len(bare.rstrip(_BASE64)) :]
    return len(tail) >= _LINE and not tail.islower() and not tail.isupper() and not tail.isalpha()
