"""Which line of a TOML text a key stands on; the standard library's parser does not say.

Works on text that `tomllib` has accepted, so it only has to find keys, not to judge them. A key inside a value that
spans lines is found on the line where that value begins.
"""

from __future__ import annotations

import re
from typing import Final

KeyPath = tuple[str | int, ...]

_PART: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED: Final = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER: Final = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]")
_KEY: Final = re.compile(rf"\s*({_DOTTED})\s*=")
_PARTS: Final = re.compile(_PART)
_TOKEN: Final = re.compile(r'"""|\'\'\'|"(?:[^"\\]|\\.)*"|\'[^\']*\'|[\[\]{}]|#.*')
_ENDS: Final = {
    '"""': re.compile(r'(?:[^"\\]|\\.|"(?!""))*("{3,5})', re.DOTALL),
    "'''": re.compile(r"(?:[^']|'(?!''))*('{3,5})"),
}


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line (from 1) of every table and key; the path of an array of tables holds the index."""
    return _Scanner().scan(text)


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """Return the line of a path, or of the nearest thing around it; 0 when there is none."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 0


class _Scanner:
    """The state of reading one text line by line."""

    def __init__(self) -> None:
        self._lines: dict[KeyPath, int] = {}
        self._arrays: dict[KeyPath, int] = {}
        self._table: KeyPath = ()
        self._depth = 0
        self._string = ""

    def scan(self, text: str) -> dict[KeyPath, int]:
        for number, line in enumerate(text.split("\n"), start=1):
            rest = line
            if not self._depth and not self._string:
                if header := _HEADER.match(line):
                    self._enter(header[2], number, array=header[1] == "[[")
                    continue
                if key := _KEY.match(line):
                    self._note((*self._table, *_names(key[1])), number)
                    rest = line[key.end() :]
            self._skip_value(rest)
        return self._lines

    def _enter(self, dotted: str, number: int, *, array: bool) -> None:
        """Make a header's table the current one; a header below an array of tables means its last element."""
        path: KeyPath = ()
        names = _names(dotted)
        for position, name in enumerate(names):
            path = (*path, name)
            if array and position == len(names) - 1:
                self._arrays[path] = self._arrays.get(path, 0) + 1
                self._note(path, number)
            if path in self._arrays:
                path = (*path, self._arrays[path] - 1)
        self._table = path
        self._note(path, number)

    def _note(self, path: KeyPath, number: int) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], number)

    def _skip_value(self, text: str) -> None:
        """Follow strings and brackets, so that what stands inside a value is not taken for a key."""
        position = 0
        while position < len(text):
            if self._string:
                end = _ENDS[self._string].match(text, position)
                if end is None:
                    return
                self._string, position = "", end.end()
                continue
            token = _TOKEN.search(text, position)
            if token is None:
                return
            position = token.end()
            if token[0] in _ENDS:
                self._string = token[0]
            elif token[0] in "[{":
                self._depth += 1
            elif token[0] in "]}":
                self._depth -= 1


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") if part[0] in "\"'" else part for part in _PARTS.findall(dotted))
