"""What operator and sender say of themselves on their pages of metrics, and the intake's certificate: pure."""

import datetime as dt
from collections.abc import Iterator
from typing import Final

from mailtier.api import prose
from mailtier.cli.online.checking import findings
from mailtier.cli.online.measuring import pages

_FULL: Final = 0.8
"""Of the volume: from there on new work is refused."""
_FILLING: Final = 0.6
_OLD: Final = dt.timedelta(hours=1)
_SOON: Final = dt.timedelta(days=7)
"""The sender renews a certificate of its own a month before its end."""


def operator(page: pages.MetricsPage, *, own_version: str) -> Iterator[findings.CheckFinding]:
    """Yield what is to be said of an operator."""
    if page.samples is None:
        yield _unanswered("Operator", page)
        return
    if page.value("mailtier_leader") and page.value("mailtier_feed_connected") == 0:
        yield findings.failed(
            "Operator",
            f"The operator in the pod {page.pod} does not reach the sender beside it: Notification objects wait.",
            "Look at the sender's log; both containers need the same volume for their socket.",
        )
    elif page.version and page.version != own_version:
        yield findings.warning(
            "Operator",
            f"The operator in the pod {page.pod} has version {page.version}, and this program {own_version}.",
            "Use the program of the version that runs.",
        )
    else:
        yield findings.ok("Operator", f"The operator in the pod {page.pod} answers.")


def sender(page: pages.MetricsPage) -> Iterator[findings.CheckFinding]:
    """Yield what is to be said of a sender, its queue and its volume."""
    if page.samples is None:
        yield _unanswered("Sender", page)
        return
    down = [dict(labels)["part"] for labels, up in page.values("mailtier_sender_up").items() if not up]
    if down:
        yield findings.failed(
            "Sender",
            f"In the pod {page.pod} {' and '.join(sorted(down))} does not run: it is started again and again.",
            "Look at the sender's log for why it ends.",
        )
    else:
        yield findings.ok("Sender", f"Intake and delivery run in the pod {page.pod}.")
    yield _queue(page)
    used = page.value("mailtier_queue_volume_used_ratio")
    if used is not None and used >= _FILLING:
        tell = findings.failed if used >= _FULL else findings.warning
        refused = ", so that new notifications are refused" if used >= _FULL else ""
        yield tell(
            "Volume",
            f"The volume of the pod {page.pod} is {used:.0%} full{refused}.",
            "Enlarge the PersistentVolumeClaim, or see with `mailtier top` who has a backlog.",
        )


def _queue(page: pages.MetricsPage) -> findings.CheckFinding:
    if 0 in page.values("mailtier_queue_up").values():
        return findings.failed(
            "Queue",
            f"The sender in the pod {page.pod} does not reach the queue's database: nothing is taken or delivered.",
            "Look at the database, the Secret with its address, and the NetworkPolicies between.",
        )
    age = dt.timedelta(seconds=page.value("mailtier_oldest_recipient_age_seconds") or 0)
    waiting = sum(page.values("mailtier_recipients").values())
    told = f"{prose.counted(int(waiting), 'recipient')} without a final state"
    if waiting and age >= _OLD:
        hours = age // dt.timedelta(hours=1)
        return findings.warning(
            "Queue",
            f"In the queue of {page.pod}: {told}, the oldest for {prose.counted(hours, 'hour')}.",
            "See with `mailtier top` or `kubectl get oes -A -o wide` whose they are, and why with `mailtier status`.",
        )
    return findings.ok("Queue", f"In the queue of {page.pod}: {told}.")


def certificate(
    expires_at: dt.datetime | None, *, problem: str, has_authority: bool, now: dt.datetime
) -> findings.CheckFinding:
    """Return what is to be said of the intake's certificate.

    Args:
        expires_at: Of the one that it showed, which fits to what is published; None where none was seen.
        problem: Why none was.
        has_authority: Whether the operator has published what it is verified against.
        now: Aware UTC time.
    """
    if not has_authority:
        return findings.failed(
            "Certificate",
            "The operator has not published what the intake's certificate is verified against.",
            "Look at the operator's log; the sender writes it beside their socket when it starts.",
        )
    if expires_at is None:
        told = f"The intake's certificate could not be verified: {problem}."
        return findings.failed("Certificate", told, "Look at sender.tls of the chart's values, and the sender's log.")
    if expires_at - now < _SOON:
        return findings.warning(
            "Certificate",
            f"The intake's certificate expires at {expires_at:%Y-%m-%d %H:%M} UTC.",
            "Renew the certificate in the Secret that sender.tls.secretName names; the sender takes it up by itself.",
        )
    return findings.ok(
        "Certificate", f"The intake's is valid until {expires_at:%Y-%m-%d}, and trusted by what is published."
    )


def _unanswered(check: str, page: pages.MetricsPage) -> findings.CheckFinding:
    if page.is_forbidden:
        return findings.unknown(
            check, f"The pod {page.pod} may not be asked: {page.problem}.", "Have that right granted."
        )
    return findings.failed(
        check,
        f"The {check.lower()} in the pod {page.pod} does not answer: {page.problem}.",
        "Look at its log; where it runs well, a NetworkPolicy may keep the node from it.",
    )
