"""How long a typical message takes to build: ours, the standard library's, and the ratio.

Run by `make bench`, or alone as `python -m bench.message`.
"""

import datetime as dt
import email.message
import email.policy
import email.utils
import timeit

from mailtier.api import addresses
from mailtier.mail import message

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


def microseconds(function: object, rounds: int) -> float:
    """Return the best of five averages, which is the one least disturbed by other work."""
    assert callable(function)
    return min(timeit.repeat(function, number=rounds, repeat=5)) / rounds * 1e6


if __name__ == "__main__":
    fast, slow = microseconds(ours, 5000), microseconds(standard, 100)
    print(f"message of {len(ours())} bytes: ours {fast:.1f} us, email.message {slow:.0f} us, ratio {slow / fast:.0f}")
