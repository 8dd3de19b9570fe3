"""Tables and sentences that fit the screen: what does not is wrapped; pure."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mailtier.cli import terminal

Cell = tuple[str, terminal.Colour | None]

_GAP: Final = 3
_NARROW_GAP: Final = 2
_SHORTEST: Final = 12
"""Characters of a column that is made no narrower: names of hosts and addresses stay readable."""
_LONGEST_WORD: Final = 32
"""Characters of a word for which a column is as wide as it needs to be: a reason that is cut cannot be copied."""
_INDENT: Final = "    "
_BESIDE: Final = " " * 16
"""What a title takes of its line."""
_APART: Final = "   "
"""Between what is said beside it."""
_WORDS: Final = re.compile(r"\S+\s*|\s+")
_PARTS: Final = re.compile(r"[^/@.,:=]*[/@.,:=]*\s*")
"""A name that no line holds is broken after its punctuation, and elsewhere only where it must be."""
_COMMAND: Final = re.compile(r"`(\S+ [^`]+)`")


def table(
    head: Sequence[str],
    body: Sequence[Sequence[Cell]],
    painter: terminal.Painter,
    *,
    width: int,
    folded: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> list[str]:
    """Return a table's lines, its columns as wide as what is in them, or as the screen lets them be.

    Where the columns would become too narrow to be read, some are folded into a line below their row, and where that
    is not enough, each row is a paragraph of its own.

    Args:
        head: The names of the columns.
        body: Text and colour of each cell.
        painter: Colours, or does not.
        width: Characters of a line.
        folded: The columns that may be folded, the first one first.
        whole: The columns of which no word is cut, so that it can be copied.
    """
    return [line for entry in entries(head, body, painter, width=width, folded=folded, whole=whole) for line in entry]


def entries(
    head: Sequence[str],
    body: Sequence[Sequence[Cell]],
    painter: terminal.Painter,
    *,
    width: int,
    folded: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> Iterator[list[str]]:
    """Yield the lines of the head, none where there are only paragraphs, and those of each row.

    A column in which nothing stands is left out.
    """
    kept = [number for number in range(len(head)) if not number or not body or any(row[number][0] for row in body)]
    head, body = [head[number] for number in kept], [[row[number] for number in kept] for row in body]
    plain = [[terminal.plain(cell) for cell, _ in row] for row in body]
    natural = [max(map(len, column)) for column in zip(head, *plain, strict=True)]
    columns = zip(head, *plain, strict=True)
    words = [max(map(_longest_word, column if column[0] in whole else column[:1])) for column in columns]
    above, widths = _arrange(head, natural, words, folded, width)
    if widths is None:
        yield []
        for row, texts in zip(body, plain, strict=True):
            yield list(_paragraph(head, row, texts, painter, width))
        return
    gap = " " * (_GAP if sum(natural) + _GAP * (len(head) - 1) <= width else _NARROW_GAP)
    titles = [(name, terminal.Colour.BOLD) for name in head]
    for row, texts in zip((titles, *body), (head, *plain), strict=True):
        wrapped = [wrap(texts[number], size) or [""] for number, size in zip(above, widths, strict=True)]
        lines = [
            gap.join(
                painter.paint((cell[number] if number < len(cell) else "").ljust(size), row[column][1])
                for cell, size, column in zip(wrapped, widths, above, strict=True)
            ).rstrip()
            for number in range(max(map(len, wrapped)))
        ]
        below = [number for number in range(len(head)) if number not in above and row is not titles]
        yield [*lines, *wrap(_said(head, texts, below), width, indent=_INDENT)]


def _longest_word(text: str) -> int:
    """Return the length of the longest part of a text that is better not broken."""
    return max((len(part.rstrip()) for part in _PARTS.findall(text)), default=0)


def _arrange(
    head: Sequence[str], natural: Sequence[int], words: Sequence[int], folded: Sequence[str], width: int
) -> tuple[list[int], list[int] | None]:
    """Return which columns stand beside each other, as few folded as need be, and their widths; None as `_fit` has."""
    above = list(range(len(head)))
    for name in ("", *folded):
        above = [number for number in above if head[number] != name]
        kept = [(natural[number], words[number]) for number in above]
        widths = _fit([size for size, _ in kept], [word for _, word in kept], width)
        if widths is not None:
            return above, widths
    return above, None


def _said(head: Sequence[str], texts: Sequence[str], numbers: Iterable[int]) -> str:
    """Return what stands in some columns of a row as a sentence."""
    return "; ".join(f"{head[number]} {texts[number]}" for number in numbers if texts[number])


def wrap(text: str, width: int, *, indent: str = "", following: str | None = None) -> list[str]:
    """Return the lines of a text, broken between its words, and after punctuation in a name that no line holds.

    Args:
        text: One line, without controls.
        width: Characters of a line.
        indent: Before the first line.
        following: Before the others; the same by default.
    """
    following = indent if following is None else following
    lines: list[str] = []
    line = indent
    for word in _WORDS.findall(text):
        for piece in _pieces(word, max(width - len(following), 1)):
            if line.strip() and len(line) + len(piece.rstrip()) > width:
                lines.append(line.rstrip())
                line = following
            line += piece
    return [*lines, line.rstrip()] if line.strip() else lines


def _pieces(word: str, room: int) -> Iterator[str]:
    """Yield a word as what fits on lines: whole, else by what stands between its punctuation, else cut."""
    if len(word.rstrip()) <= room:
        yield word
        return
    piece = ""
    for part in filter(None, _PARTS.findall(word)):
        if piece and len(piece) + len(part.rstrip()) > room:
            yield piece
            piece = ""
        piece += part
        while len(piece.rstrip()) > room:
            yield piece[:room]
            piece = piece[room:]
    if piece:
        yield piece


def titled(title: str, parts: Sequence[Cell], painter: terminal.Painter, width: int) -> Iterable[str]:
    """Yield a title and what is said beside it; each part, where it fits, on a line with others."""
    line, length = painter.paint(title, terminal.Colour.BOLD) + " " * (len(_BESIDE) - len(title)), len(_BESIDE)
    is_first = True
    for part, colour in parts:
        plain = terminal.plain(part)
        if not is_first and length + len(_APART) + len(plain) > width:
            yield line
            line, length, is_first = _BESIDE, len(_BESIDE), True
        if not is_first:
            line, length = line + _APART, length + len(_APART)
        first, *others = wrap(plain, width - len(_BESIDE)) if is_first else [plain]
        line, length, is_first = line + painter.paint(first, colour), length + len(first), False
        for other in others:
            yield line
            line, length = _BESIDE + painter.paint(other, colour), len(_BESIDE) + len(other)
    yield line


def sentence(text: str, painter: terminal.Painter, *, width: int) -> list[str]:
    """Return a sentence below a row, indented, wrapped between its words.

    A command has a line of its own, however long it is, and nothing around it: it is there to be copied.
    """
    lines: list[str] = []
    for number, part in enumerate(_apart(terminal.plain(text))):
        if number % 2:
            lines.append(f"{2 * _INDENT}{part}")
            continue
        lines += textwrap.wrap(
            part.lstrip(".,; ") if number else part,
            max(width, len(_INDENT) + 1),
            initial_indent=_INDENT,
            subsequent_indent=_INDENT,
            break_on_hyphens=False,
            break_long_words=False,
        )
    return [painter.paint(line, terminal.Colour.DIM) for line in lines]


def line(
    parts: Sequence[Cell], painter: terminal.Painter, *, width: int | None, indent: str = "", following: str = ""
) -> list[str]:
    """Return a text in several colours as the lines that it takes.

    Where it has to be wrapped, a command has a line of its own, however long it is, as in `sentence`.

    Args:
        parts: Texts without controls, one directly behind the other.
        painter: Colours, or does not.
        width: Characters of a line; None to leave it in one.
        indent: Before the first line.
        following: Before the others.
    """
    whole = "".join(text for text, _ in parts)
    if width is None or len(indent) + len(whole) <= width:
        kept = whole.rstrip()
        return [(indent if kept else "") + _painted(parts, 0, len(kept), painter)]
    lines: list[str] = []
    position = 0
    for number, piece in enumerate(_apart(whole)):
        text = piece.lstrip(".,; ") if number and not number % 2 else piece
        before = following if lines else indent
        broken = [following + _INDENT + text] if number % 2 else wrap(text, width, indent=before, following=following)
        for each in broken:
            content = each.strip()
            position = whole.index(content, position)
            margin = each[: len(each) - len(each.lstrip())]
            lines.append(margin + _painted(parts, position, position + len(content), painter))
            position += len(content)
    return lines


def _apart(text: str) -> list[str]:
    """Return a text's pieces, every second of them a command; of brackets round a command none is left behind."""
    pieces = _COMMAND.split(text)
    for number in range(1, len(pieces), 2):
        before, after = pieces[number - 1], pieces[number + 1]
        if before.endswith("(") and after.startswith(")"):
            pieces[number - 1], pieces[number + 1] = before[:-1], after[1:]
    return pieces


def _painted(parts: Sequence[Cell], start: int, end: int, painter: terminal.Painter) -> str:
    """Return what stands between two positions of the parts together, each of it in its colour."""
    painted, offset = "", 0
    for text, colour in parts:
        painted += painter.paint(text[max(start - offset, 0) : max(end - offset, 0)], colour)
        offset += len(text)
    return painted


def _fit(natural: Sequence[int], words: Sequence[int], width: int) -> list[int] | None:
    """Return the widths of the columns, by those of their cells and words; None where they would be too narrow."""
    if sum(natural) + _GAP * (len(natural) - 1) <= width:
        return list(natural)
    room = width - _NARROW_GAP * (len(natural) - 1)
    # What a row is about stays on one line as long as there is room for the rest.
    least = [min(size, max(_SHORTEST, min(word, _LONGEST_WORD))) for size, word in zip(natural, words, strict=True)]
    least[0] = min(natural[0], max(least[0], width // 2))
    if sum(least) > room:
        return None
    widths = list(natural)
    while sum(widths) > room:
        # The widest gives way, until it is as wide as the next.
        widest = max(range(len(widths)), key=lambda number: widths[number] - least[number])
        widths[widest] -= 1
    return widths


def _paragraph(
    head: Sequence[str], row: Sequence[Cell], texts: Sequence[str], painter: terminal.Painter, width: int
) -> Iterator[str]:
    """Yield a row as a title and what is said of it."""
    yield from (painter.paint(line, row[0][1] or terminal.Colour.BOLD) for line in wrap(texts[0], width))
    yield from wrap(_said(head, texts, range(1, len(head))), width, indent=_INDENT)
