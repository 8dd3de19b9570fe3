"""How long a typical message takes to build: ours, the standard library's, and the ratio; and with its templates.

Run by `make bench`, or alone as `python -m bench.message`.
"""

import argparse
import datetime as dt
import email.message
import email.policy
import email.utils
import pathlib
import timeit

from bench.sender import table
from mailtier.api import addresses, vocabulary
from mailtier.mail import message
from mailtier.sender import ports
from mailtier.sender.delivering import builder, templates
from mailtier.settings import effective

_FROM = addresses.parse("no-reply@example.com")
_NAME = "Überwachung, Werk Süd"
_TO = addresses.parse("operator@example.org")
_SUBJECT = "[Error] Job „Rechnungslauf“ failed on robot 7 in the production tenant"
_DATE = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
_MESSAGE_ID = "0193b5f0c0de7a11b5a2@mailtier.example.com"
_TEXT = "The job “Rechnungslauf” failed.\n\nRobot: R-07\nQueue: Invoices\n" + "A line of the report.\n" * 12
_HTML = (
    '<!doctype html><html lang="en"><body style="margin:0;background:#f6f6f6">\n'
    + '<tr><td style="padding:8px 0;color:#222">Größe</td><td>A line of the report.</td></tr>\n' * 30
    + "</body></html>\n"
)


def ours() -> bytes:
    """Return the message, built by Mailtier."""
    return message.serialize(
        message.Message(
            from_=_FROM,
            from_name=_NAME,
            to=_TO,
            subject=_SUBJECT,
            text=_TEXT,
            html=_HTML,
            date=_DATE,
            message_id=_MESSAGE_ID,
        )
    )


def standard() -> bytes:
    """Return a message of the same content, built by the standard library."""
    built = email.message.EmailMessage(policy=email.policy.SMTP)
    built["From"] = email.utils.formataddr((_NAME, str(_FROM)))
    built["To"] = str(_TO)
    built["Subject"] = _SUBJECT
    built["Date"] = _DATE
    built["Message-ID"] = f"<{_MESSAGE_ID}>"
    built["Auto-Submitted"] = "auto-generated"
    built.set_content(_TEXT)
    built.add_alternative(_HTML, subtype="html")
    return built.as_bytes()


def job() -> ports.Job:
    """Return what the sender builds a message from: a job alert with two values, its text and HTML by templates."""
    return ports.Job(
        recipient_number=1,
        notification_id=_MESSAGE_ID.partition("@")[0],
        lane=ports.LaneKey(namespace_uid="uid", namespace="team-a", organization="default"),
        category=vocabulary.Category.JOB_ALERT,
        severity=vocabulary.Severity.ERROR,
        locale=vocabulary.Locale.ENGLISH,
        rcpt_to=str(_TO),
        subject=None,
        text="The job failed.",
        data={"robot": "R-07", "queue": "Invoices"},
        accepted_at=_DATE,
        expires_at=_DATE + dt.timedelta(days=1),
        attempts=0,
        doubts=0,
        snapshot=None,
    )


def from_() -> effective.From:
    """Return who the message is from."""
    return effective.From(address=str(_FROM), display_name=_NAME, reply_to=None, envelope=str(_FROM))


def microseconds(function: object, rounds: int) -> float:
    """Return the best of many short averages, which is the one least disturbed by other work."""
    assert callable(function)
    few = max(1, rounds // 100)
    return min(timeit.repeat(function, number=few, repeat=500)) / few * 1e6


BY_SENDER = "rendered and built by the sender"
"""The row that a goal is about."""


def main() -> None:
    """Measure, print the table, and write it where the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.message", description=__doc__)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    builds, built_from, by = builder.Builder(templates.Templates()), job(), from_()
    measured = table.Table(
        name="message",
        title="A message, the best of many short averages",
        columns={"what": "what", "bytes": "bytes", "us": "µs"},
    )
    measured.add(what="built from values", bytes=len(ours()), us=microseconds(ours, 5000))
    measured.add(what="by email.message", bytes=len(standard()), us=microseconds(standard, 100))
    measured.add(
        what=BY_SENDER,
        bytes=len(builds.build(built_from, by).data),
        us=microseconds(lambda: builds.build(built_from, by), 5000),
    )
    if options.json is not None:
        table.write(options.json, table.machine(), [measured])


if __name__ == "__main__":
    main()
