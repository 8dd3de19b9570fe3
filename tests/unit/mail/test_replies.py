"""Replies: parsed in pieces, and bounded (R10)."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.mail import replies

_CODES = st.integers(min_value=200, max_value=599)
_LINES = st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60), min_size=1, max_size=8)


def _wire(code: int, lines: list[str], *, end: bytes = b"\r\n") -> bytes:
    rows = [f"{code}{'-' if index < len(lines) - 1 else ' '}{line}" for index, line in enumerate(lines)]
    return b"".join(row.encode() + end for row in rows)


def _parse(data: bytes) -> replies.Reply:
    (reply,) = replies.ReplyParser().receive(data)
    return reply


@pytest.mark.parametrize(
    ("data", "code", "enhanced", "lines"),
    [
        (b"250 OK\r\n", 250, None, ("OK",)),
        (b"250\r\n", 250, None, ("",)),
        (b"250 2.1.0 Sender OK\r\n", 250, "2.1.0", ("Sender OK",)),
        (b"550 5.1.1\r\n", 550, "5.1.1", ("",)),
        (b"550-5.1.1 No such\r\n550 5.1.1 user\r\n", 550, "5.1.1", ("No such", "user")),
        (
            b"250-smtp.example\r\n250-SIZE 1000\r\n250 PIPELINING\r\n",
            250,
            None,
            ("smtp.example", "SIZE 1000", "PIPELINING"),
        ),
        (b"550 2.1.1 contradicts itself\r\n", 550, None, ("2.1.1 contradicts itself",)),
        (b"550 5.1.1.2 no code\r\n", 550, None, ("5.1.1.2 no code",)),
        (b"451 4.7.500 Server busy\r\n", 451, "4.7.500", ("Server busy",)),
        (b"250 OK\n", 250, None, ("OK",)),
        (b"250 na\xefve\r\n", 250, None, ("na\ufffdve",)),
    ],
)
def test_a_reply_is_taken_apart(data: bytes, code: int, enhanced: str | None, lines: tuple[str, ...]) -> None:
    """Code, enhanced code and lines are told apart; an enhanced code of another class is text."""
    reply = _parse(data)
    assert reply.code == code
    assert (str(reply.enhanced) if reply.enhanced else None) == enhanced
    assert reply.lines == lines


@given(st.lists(st.tuples(_CODES, _LINES), max_size=5), st.lists(st.integers(min_value=0, max_value=400)))
def test_pieces_do_not_matter(sent: list[tuple[int, list[str]]], cuts: list[int]) -> None:
    """However the bytes arrive, the same replies come out in order."""
    data = b"".join(_wire(code, lines) for code, lines in sent)
    parser = replies.ReplyParser()
    received: list[replies.Reply] = []
    edges = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    for start, end in itertools.pairwise(edges):
        received += parser.receive(data[start:end])
    assert [reply.code for reply in received] == [code for code, _ in sent]
    assert parser.is_idle


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_a_reply_error(data: bytes) -> None:
    """Whatever a server sends is a reply, an unfinished one, or a ReplyError."""
    parser = replies.ReplyParser()
    try:
        parser.receive(data)
    except replies.ReplyError:
        with pytest.raises(replies.ReplyError):
            parser.receive(b"250 OK\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x15\x03\x01\x00\x02\x02\x50\r\n",
        b"\r\n",
        b"25 OK\r\n",
        b"2500 OK\r\n",
        b"150 preliminary\r\n",
        b"650 beyond\r\n",
        b"250_OK\r\n",
        b"250-one\r\n251 two\r\n",
        b"250-one\r\ntwo\r\n",
        b"x" * 2049,
        b"250-one\r\n251 " + b"x" * 2048,
    ],
)
def test_what_is_not_smtp_is_an_error(data: bytes) -> None:
    """A server that does not speak SMTP is found out; its words are not repeated (R7)."""
    with pytest.raises(replies.ReplyError) as caught:
        replies.ReplyParser().receive(data)
    assert "HTTP" not in str(caught.value)
    assert "OpenSSH" not in str(caught.value)


def test_bounds_are_met_by_what_is_just_allowed() -> None:
    """64 lines are a reply, and so is a line of 2048 bytes (R10)."""
    assert len(_parse(_wire(250, ["x"] * 64)).lines) == 64
    assert _parse(b"250 " + b"x" * 2044 + b"\r\n").code == 250


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"250 " + b"x" * 2048 + b"\r\n", 1),
        (b"250-one\r\n250 " + b"x" * 2048 + b"\r\n", 2),
        ((b"250-" + b"x" * 2000 + b"\r\n") * 5, 5),
        (b"250-x\r\n" * 65, 64),
        (b"250 " + b"x" * 2100, 1),
    ],
)
def test_of_a_reply_that_is_too_large_the_code_counts(data: bytes, lines: int) -> None:
    """Its code may be the answer to the final dot; nothing is read behind it, and no more is kept than R10 allows."""
    parser = replies.ReplyParser()
    (reply,) = parser.receive(data)
    assert (reply.code, len(reply.lines)) == (250, lines)
    assert sum(map(len, reply.lines)) <= replies.MAXIMUM_REPLY_BYTES + replies.MAXIMUM_LINE_BYTES
    assert parser.is_broken
    with pytest.raises(replies.ReplyError):
        parser.receive(b"250 OK\r\n")


def test_an_unending_line_is_found_before_it_ends() -> None:
    """Bytes without a line break are not collected beyond the bound (R10)."""
    parser = replies.ReplyParser()
    assert parser.receive(b"250 " + b"x" * 2000) == ()
    assert [reply.code for reply in parser.receive(b"x" * 100)] == [250]
    assert parser.is_broken


def test_no_more_replies_are_read_than_anybody_waits_for() -> None:
    """Behind them the parser is broken; those that came count, and no more is read of them either (R10)."""
    parser = replies.ReplyParser()
    assert len(parser.receive(b"250 OK\r\n" * replies.MAXIMUM_REPLIES)) == replies.MAXIMUM_REPLIES
    assert not parser.is_broken
    assert len(parser.receive(b"250 OK\r\n" * 50_000)) == replies.MAXIMUM_REPLIES
    assert parser.is_broken
    parser = replies.ReplyParser()
    assert parser.receive(b"25", most=0) == ()
    with pytest.raises(replies.ReplyError, match="more replies than it was asked for"):
        parser.receive(b"0 OK\r\n", most=0)


def test_a_whole_reply_before_an_unreadable_one_is_not_lost() -> None:
    """The answer to the final dot counts, whatever the server sends after it."""
    parser = replies.ReplyParser()
    assert [reply.code for reply in parser.receive(b"250 OK\r\ngarbage\r\n")] == [250]
    with pytest.raises(replies.ReplyError):
        parser.receive(b"")


def test_bytes_behind_a_reply_are_seen() -> None:
    """Before TLS begins, nothing may be waiting that would be taken for the server's word after it (R2)."""
    parser = replies.ReplyParser()
    parser.receive(b"220 ready\r\n")
    assert parser.is_idle
    parser.receive(b"25")
    assert not parser.is_idle


@pytest.mark.parametrize(
    ("code", "positive", "intermediate", "transient", "permanent"),
    [
        (250, True, False, False, False),
        (354, False, True, False, False),
        (450, False, False, True, False),
        (550, False, False, False, True),
    ],
)
def test_the_first_digit_decides(
    code: int, positive: bool, intermediate: bool, transient: bool, permanent: bool
) -> None:
    """Each code is of one of four kinds."""
    reply = replies.Reply(code=code)
    assert (reply.is_positive, reply.is_intermediate, reply.is_transient, reply.is_permanent) == (
        positive,
        intermediate,
        transient,
        permanent,
    )


def test_a_reply_does_not_show_its_text() -> None:
    """The server's words stay out of logs and tracebacks."""
    assert "hunter2" not in repr(replies.Reply(code=535, lines=("bad password hunter2",)))


_SAID = st.sampled_from(
    [b"250 2.1.0 Ok", b"250", b"250 ", b"354 go", b"250-more", b"550 5.1.1 no", b"199 x", b"25", b""]
)


@given(st.lists(st.tuples(_SAID, st.sampled_from([b"\r\n", b"\n", b"\r", b""])), max_size=10), st.integers(0, 8))
def test_the_short_way_finds_what_the_long_way_finds(said: list[tuple[bytes, bytes]], most: int) -> None:
    """Replies that say yes are read at first sight, as they would be read at second; all else is left to that."""
    data = b"".join(line + end for line, end in said)
    if usual := replies._usual(data, most):
        parser = replies.ReplyParser()
        assert parser._receive(data, most) == usual
        assert parser.is_idle


def test_nothing_of_a_refusal_is_kept() -> None:
    """It may quote what it was told; only what servers say with each message is read once for all."""
    replies._yes.cache_clear()
    for said in (b"550 5.7.1 secret\r\n", b"250 ok\r\n451 secret\r\n"):
        replies.ReplyParser().receive(said)
    assert replies._yes.cache_info().currsize == 0
