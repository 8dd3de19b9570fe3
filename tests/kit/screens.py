"""A terminal as tests need one: a screen that does what the bytes say, and a real one for a program to run on."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import termios
import threading
import typing

_TOKENS = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]|.", re.DOTALL)


class Screen:
    """What somebody sees of what is written, with wrapping on, as xterm has it.

    Behind the last column the cursor waits: the next character goes to the next row, and to erase the rest of the line
    there takes the last character away.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self._columns, self._height = columns, rows
        self._cells: list[list[str]] = []
        self._row = self._column = 0
        self._wraps = True
        self._waiting = False
        self._joined: set[int] = set()
        self._clear()

    @property
    def rows(self) -> list[str]:
        """The rows, without blanks at their ends."""
        return ["".join(row).rstrip() for row in self._cells]

    @property
    def text(self) -> str:
        """What is copied of the screen: a line that the terminal wrapped is one."""
        return "".join(
            "".join(row) if number in self._joined else "".join(row).rstrip() + "\n"
            for number, row in enumerate(self._cells)
        )

    def write(self, text: str) -> None:
        """Take what a program wrote."""
        for token in _TOKENS.findall(text):
            if token.startswith("\x1b["):
                self._obey(token[2:])
            else:
                self._put(token)

    def _obey(self, sequence: str) -> None:
        match sequence:
            case "H":
                self._row = self._column = 0
                self._waiting = False
            case "K":
                self._cells[self._row][self._column :] = " " * (self._columns - self._column)
                self._joined.discard(self._row)
            case "J":
                self._obey("K")
                for row in range(self._row + 1, self._height):
                    self._cells[row] = [" "] * self._columns
                    self._joined.discard(row)
            case "?7l" | "?7h":
                self._wraps = sequence.endswith("h")
            case "?1049h":
                self._clear()
            case _:
                assert sequence[-1] in "mhl", f"a sequence that no test knows: {sequence!r}"

    def _put(self, character: str) -> None:
        if character == "\r":
            self._column, self._waiting = 0, False
        elif character == "\n":
            self._feed()
        else:
            if self._waiting and self._wraps:
                self._joined.add(self._row)
                self._feed()
            self._cells[self._row][self._column] = character
            self._waiting = self._column == self._columns - 1
            self._column = min(self._column + 1, self._columns - 1)

    def _feed(self) -> None:
        """Go to the start of the next row; at the last one all others move up."""
        self._column, self._waiting = 0, False
        if self._row < self._height - 1:
            self._row += 1
            return
        self._cells = [*self._cells[1:], [" "] * self._columns]
        self._joined = {row - 1 for row in self._joined if row}

    def _clear(self) -> None:
        self._cells = [[" "] * self._columns for _ in range(self._height)]
        self._joined.clear()


class Terminal:
    """A pseudo-terminal of a size, whose screen can be looked at while a program writes to it."""

    def __init__(self, columns: int, rows: int) -> None:
        self._ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen = Screen(columns, rows)
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """What is copied of the screen now."""
        with self._lock:
            return self._screen.text

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._ours, text.encode())

    def close(self) -> None:
        """End it, once all that was written has been read."""
        os.close(self.theirs)
        self._reader.join(timeout=20)
        os.close(self._ours)

    def _read(self) -> None:
        # Linux says EIO once nobody has the other end open.
        with contextlib.suppress(OSError):
            while read := os.read(self._ours, 65_536):
                with self._lock:
                    self._screen.write(read.decode(errors="replace"))


@contextlib.contextmanager
def terminal(columns: int, rows: int) -> typing.Iterator[Terminal]:
    """Give a terminal of a size."""
    found = Terminal(columns, rows)
    try:
        yield found
    finally:
        found.close()
