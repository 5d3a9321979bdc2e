"""A terminal's screen, as far as progress bars use it: what a person sees after all was written."""

from __future__ import annotations

import io
import re

_SEQUENCES = re.compile(r"\x1b\[(\d*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and can show its screen."""

    def isatty(self) -> bool:
        return True

    @property
    def screen(self) -> list[str]:
        """Its lines; carriage returns, line feeds and "cursor up" are obeyed."""
        lines, row, column = [""], 0, 0
        for count, command, control, text in _SEQUENCES.findall(self.getvalue()):
            if control == "\r":
                column = 0
            elif control == "\n":
                row, column = row + 1, 0
            elif command == "A":
                row -= int(count or 1)
            elif command:
                raise ValueError(f"unknown command {command!r}")
            else:
                line = lines[row].ljust(column)
                lines[row] = line[:column] + text + line[column + len(text) :]
                column += len(text)
            while len(lines) <= row:
                lines.append("")
        return [line.rstrip() for line in lines]
