"""Answers as they stand on the wire."""

import re

import pytest

from mailtier.serving import wire


def test_an_answer_has_its_length_time_and_server() -> None:
    """The head is whole, and the body follows it as it is."""
    made = wire.answer(202, {"Location": "/there"}, b"\xffbody")
    head, _, body = made.partition(b"\r\n\r\n")
    assert body == b"\xffbody"
    lines = head.decode().split("\r\n")
    assert lines[:3] == ["HTTP/1.1 202 Accepted", "Location: /there", "Content-Length: 5"]
    assert re.fullmatch(r"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", lines[3])
    assert lines[4:] == ["Server: mailtier"]


def test_no_header_begins_another() -> None:
    """A value with a line feed is refused."""
    with pytest.raises(ValueError, match="line feed"):
        wire.answer(202, {"Location": "/\r\nSet-Cookie: a"}, b"")
