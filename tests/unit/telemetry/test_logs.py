"""Everything that is logged, by us and by libraries, is one JSON line with what was bound, and without secrets."""

import asyncio
import datetime as dt
import io
import json
import logging
import typing
import warnings

import pytest

from mailtier.api import secret
from mailtier.telemetry import logs


def lines(stream: io.StringIO) -> list[dict[str, typing.Any]]:
    """Return the lines that were logged."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_line_has_time_level_logger_and_fields(stream: io.StringIO) -> None:
    """A line is one JSON object; the time is UTC."""
    before = logs.get_logger("mailtier.test")
    logs.configure(stream=stream)
    before.warning("it happened", organization="a/b", count=2)
    (line,) = lines(stream)
    assert dt.datetime.fromisoformat(line.pop("timestamp")).utcoffset() == dt.timedelta()
    assert line == {
        "event": "it happened",
        "level": "warning",
        "logger": "mailtier.test",
        "organization": "a/b",
        "count": 2,
    }


async def test_bound_values_are_on_every_line_of_the_task(stream: io.StringIO) -> None:
    """What is bound is on our lines and the libraries', in the task and those it starts, and nowhere else."""
    logs.configure(stream=stream)
    log = logs.get_logger("ours")

    async def work() -> None:
        log.info("inner")

    with logs.bound(object="a/b"):
        log.info("outer")
        logging.getLogger("library").info("of %s", "a library")
        await asyncio.create_task(work())
    log.info("after")
    assert [(line["event"], line.get("object")) for line in lines(stream)] == [
        ("outer", "a/b"),
        ("of a library", "a/b"),
        ("inner", "a/b"),
        ("after", None),
    ]


def test_kopf_names_its_object(stream: io.StringIO) -> None:
    """The object that kopf attaches to a record is on the line."""
    logs.configure(stream=stream)
    for reference in ({"namespace": "a", "name": "b"}, {"name": "c"}, {}):
        logging.getLogger("kopf.objects").error("failed", extra={"k8s_ref": reference})
    assert [line.get("object") for line in lines(stream)] == ["a/b", "c", None]


def test_noise_and_lower_levels_are_left_out(stream: io.StringIO) -> None:
    """Lines per event or request, and those below the level, are not written."""
    logs.configure(stream=stream, level="INFO")
    logging.getLogger("kopf.objects").info("an event")
    logging.getLogger("aiohttp.access").info("a request")
    logs.get_logger("ours").debug("detail")
    assert lines(stream) == []


def test_traceback_has_no_local_variables(stream: io.StringIO) -> None:
    """A traceback tells where and what, not the values it ran with (R1)."""
    logs.configure(stream=stream)

    def fail(password: str) -> None:
        raise ValueError(f"{len(password)} characters")

    password = "hunter2" * 2
    try:
        fail(password)
    except ValueError:
        logs.get_logger("ours").exception("it failed")
    (line,) = lines(stream)
    assert "ValueError: 14 characters" in line["exception"]
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize("style", ["json", "console"])
def test_secrets_are_cut_out_of_either_style(stream: io.StringIO, style: logs.Format) -> None:
    """Hidden values, fields with a telling name, credentials in a text or an exception do not get through (R1)."""
    logs.configure(stream=stream, style=style)
    log = logs.get_logger("ours")
    log.info("a value", value=secret.Hidden("hunter2"), nested={"list": [secret.Hidden("hunter2")]})
    log.info("a name", smtp_password="hunter2", nested={"Token": "hunter2"})
    log.info("a text: password=hunter2 and https://me:hunter2@example.com/")
    logging.getLogger("library").info("sent %s", "Authorization: Bearer hunter2hunter2hunter2")
    log.error("it failed", exc_info=RuntimeError("AUTH PLAIN aHVudGVyMg=="))
    assert "hunter2" not in stream.getvalue()
    assert "aHVudGVy" not in stream.getvalue()
    assert stream.getvalue().count("(hidden)") >= 7


def test_warnings_are_lines(stream: io.StringIO) -> None:
    """Python's warnings take the same way."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.configure(stream=stream)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    (line,) = lines(stream)
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")


def test_line_breaks_stay_inside_the_line(stream: io.StringIO) -> None:
    """A text with line breaks or controls cannot forge a line."""
    logs.configure(stream=stream)
    logs.get_logger("ours").info("first\n{}\u2028\x1b[2J", name="a\r\nb")
    (line,) = stream.getvalue().splitlines()
    assert line.isascii()
    assert "\x1b" not in line


def test_configuring_again_replaces(stream: io.StringIO) -> None:
    """A second setup does not double the lines."""
    logs.configure(stream=stream)
    logs.configure(stream=stream)
    logs.get_logger("ours").info("once")
    assert len(lines(stream)) == 1
