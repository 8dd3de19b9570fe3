"""Which templates are accepted: a small part of the template language, in which no small source does great harm.

minijinja's fuel bounds loops and text, and its parser bounds the nesting of brackets and blocks. Two kinds of source
still end the whole process, which no exception handler survives: lists doubled with `+` or nested with `[x, x]`,
whose size fuel does not count, and chains that are followed by recursion: `{{ ----1 }}` by the compiler, slices of
slices at run time. So templates cannot make or slice lists, call nothing, and have few tokens in a tag.

The scanner accepts only what it understands in the same way as minijinja's lexer does; where two readings are
thinkable (`{#}`, raw blocks), the source is refused.
"""

import dataclasses
import re
from typing import Final

MAXIMUM_SOURCE_BYTES: Final = 32 * 1024
MAXIMUM_TAGS: Final = 1000
MAXIMUM_TAG_TOKENS: Final = 100
# Each `elif` is nested in the one before it.
MAXIMUM_ELIFS: Final = 50

LAYOUT: Final = "layout.html"
"""What an HTML template may extend."""

# Each does work in proportion to the text it is given, which fuel counts. `safe` and `autoescape` are missing, so
# that data never reaches HTML unescaped.
FILTERS: Final = frozenset(
    {
        *("abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "indent", "int"),
        *("items", "join", "last", "length", "lines", "lower", "replace", "round", "split", "string"),
        *("title", "trim", "truncate", "upper", "urlencode"),
    }
)
BLOCKS: Final = frozenset(
    {
        *("block", "endblock", "extends", "for", "endfor", "if", "elif", "else", "endif"),
        *("set", "endset", "with", "endwith"),
    }
)

_OPENING: Final = re.compile(r"\{[{%#]")
_TOKEN: Final = re.compile(
    r"""(?P<blank>[ \t\r\n\f]+)
    |(?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>[0-9][A-Za-z0-9_]*)
    |(?P<sign>==|!=|<=|>=|//|[.,|()\[\]~/%<>=-])
    """,
    re.VERBOSE | re.DOTALL,
)

# Names after which an operand begins, so that `[` there would begin a list.
_OPERATORS: Final = frozenset({"and", "else", "if", "in", "is", "not", "or"})


class GuardError(ValueError):
    """The source uses what templates may not; the sentence says what, and on which line."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(f"line {line}: {message}")


@dataclasses.dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


_NOTHING: Final = _Token("sign", "")
_ARGUMENTS: Final = "arguments"


def check_source(source: str, *, may_extend: bool = False) -> None:
    """Return when the template keeps to the accepted part of the language.

    Args:
        source: The template.
        may_extend: Whether it may extend `layout.html`; no chain of templates can be built from that alone.

    Raises:
        GuardError: It does not.
    """
    if len(source.encode("utf-8", "surrogatepass")) > MAXIMUM_SOURCE_BYTES:
        raise GuardError(f"a template has at most {MAXIMUM_SOURCE_BYTES} bytes", 1)
    position = 0
    tags = elifs = 0
    while (opening := _OPENING.search(source, position)) is not None:
        tags += 1
        line = source.count("\n", 0, opening.start()) + 1
        if tags > MAXIMUM_TAGS:
            raise GuardError(f"a template has at most {MAXIMUM_TAGS} tags", line)
        match opening[0]:
            case "{#":
                position = _after_comment(source, opening.end(), line)
            case "{{":
                position, tokens = _scan_tag(source, opening.end(), "}}", line)
                _check_expression("", tokens, line)
            case _:
                position, tokens = _scan_tag(source, opening.end(), "%}", line)
                block = tokens[0].text if tokens else ""
                elifs += block == "elif"
                if elifs > MAXIMUM_ELIFS:
                    raise GuardError(f"a template has at most {MAXIMUM_ELIFS} elif", line)
                if block not in BLOCKS:
                    raise GuardError(f"templates have these blocks only: {', '.join(sorted(BLOCKS))}", line)
                if block == "extends" and not (may_extend and [token.text[1:-1] for token in tokens[1:]] == [LAYOUT]):
                    raise GuardError(f"only the HTML template extends another, which is '{LAYOUT}'", line)
                _check_expression(block, tokens[1:], line)


def _after_comment(source: str, start: int, line: int) -> int:
    end = source.find("#}", start)
    # `{#}` is a whole comment in one reading, and begins one in the other.
    if end < 0 or source.startswith("}", start):
        raise GuardError("a comment is not closed with #}", line)
    return end + 2


def _scan_tag(source: str, start: int, closing: str, line: int) -> tuple[int, list[_Token]]:
    """Return the position after the tag, and its tokens without blanks."""
    position = start + source.startswith(("-", "+"), start)
    tokens: list[_Token] = []
    while True:
        if source.startswith(closing, position):
            return position + 2, tokens
        if source.startswith((f"-{closing}", f"+{closing}"), position):
            return position + 3, tokens
        match = _TOKEN.match(source, position)
        if match is None:
            raise GuardError(_explain(source[position : position + 1]), line)
        position = match.end()
        if match.lastgroup != "blank":
            tokens.append(_Token(str(match.lastgroup), match[0]))
        if len(tokens) > MAXIMUM_TAG_TOKENS:
            raise GuardError(f"a tag has at most {MAXIMUM_TAG_TOKENS} words and signs", line)


def _explain(char: str) -> str:
    match char:
        case "":
            return "a tag is not closed"
        case "+" | "*":
            return f"{char} is not offered in templates; ~ joins texts"
        case ":":
            return "slices are not offered in templates; truncate shortens a text"
        case "{" | "}":
            return "maps are not offered in templates"
        case "'" | '"':
            return "a text is not closed with its quotation mark"
        case _:
            return "a tag holds a character that means nothing there"


def _check_expression(block: str, tokens: list[_Token], line: int) -> None:
    """Return when the tokens make no list or map, call nothing, and use known filters only."""
    brackets: list[str] = []
    # `for a, b in` and `set a, b =` take apart what is there; the commas of `with` part its assignments.
    may_separate = block in {"for", "set", "with"}
    before = before_that = _NOTHING
    for scanned in tokens:
        token = _in_place(scanned, before, before_that)
        if before.text == "|" and token.text not in FILTERS:
            raise GuardError(f"templates have these filters only: {', '.join(sorted(FILTERS))}", line)
        if token.kind == "sign":
            separates = brackets[-1] == _ARGUMENTS if brackets else may_separate
            _check_sign(token.text, before, line, separates=separates)
            _track(brackets, token.text, before)
        if not brackets and (token.text == "=" or token.kind == "operator"):
            may_separate = block == "with"
        before, before_that = token, before


def _check_sign(sign: str, before: _Token, line: int, *, separates: bool) -> None:
    if (sign == "[" and not _ends_operand(before)) or (sign == "," and not separates):
        raise GuardError("lists are not offered in templates", line)
    if sign == "(" and _ends_operand(before):
        raise GuardError("calls are not offered in templates", line)


def _track(brackets: list[str], sign: str, before: _Token) -> None:
    if sign in {"(", "["}:
        brackets.append(_ARGUMENTS if sign == "(" and before.kind == "operation" else sign)
    elif sign in {")", "]"}:
        # An unmatched one is minijinja's syntax error to find.
        brackets[-1:] = []


def _in_place(token: _Token, before: _Token, before_that: _Token) -> _Token:
    """Return the token with the kind of name it is in its place: operator, filter or test, or operand."""
    if token.kind != "name":
        return token
    after_is = before.text == "is" or (before.text == "not" and before_that.text == "is")
    if before.text == "|" or (after_is and token.text != "not"):
        return _Token("operation", token.text)
    return _Token("operator" if token.text in _OPERATORS else "operand", token.text)


def _ends_operand(token: _Token) -> bool:
    """Return whether `[` after the token is a subscript, and `(` a call."""
    return token.kind in {"operand", "string", "number"} or (token.kind == "sign" and token.text in {")", "]"})
