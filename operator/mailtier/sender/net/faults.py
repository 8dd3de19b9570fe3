"""The one exception that a step towards delivery fails with: it carries the failure, and never what a server said."""

import dataclasses
from typing import Final

from mailtier.api import prose
from mailtier.mail import classify, reasons
from mailtier.settings.providers import catalogue

UNASKED: Final = frozenset({reasons.DeliveryReason.HOST_SERVER, reasons.DeliveryReason.TOO_MANY_REFUSED_LOGINS})
"""What was decided before the server was asked anything, so that nothing is known of it."""


class DeliveryError(Exception):
    """A step failed; the text is the reason alone.

    It is raised outside of any handler, so that no cause or context is chained to it: the exceptions of an SMTP
    library quote the server, and a server may quote the password (R1, R7).

    Attributes:
        phase: The step.
        failure: What the failure means; its text is fit for the endpoint's owner.
    """

    def __init__(self, phase: classify.Phase, failure: classify.Failure) -> None:
        super().__init__(f"{phase}: {failure.reason}")
        self.phase = phase
        self.failure = failure


class StaleTokenError(DeliveryError):
    """The server refused an access token, and another one is worth a try."""


def of(phase: classify.Phase, fault: classify.Fault, *, text: str | None = None) -> DeliveryError:
    """Return the error for a fault without a reply.

    Args:
        phase: The step.
        fault: What went wrong.
        text: A sentence of ours for the endpoint's owner, where it can be told more closely than the reason's meaning.
    """
    failure = classify.classify_fault(phase, fault)
    return DeliveryError(phase, failure if text is None else dataclasses.replace(failure, text=text))


def describe(failure: classify.Failure, *, for_owner: bool, server: str | None = None) -> str:
    """Return a sentence about a failure, and for the owner what to do about it where the provider is known.

    Args:
        failure: What happened.
        for_owner: Whether the reader owns the endpoint, and may read what the server said; others get the codes
            alone (R7).
        server: Its name or address, normalized; None without a remedy.
    """
    meaning = reasons.MEANINGS[failure.reason]
    if failure.token_error is not None:
        codes = failure.token_error
    elif failure.code is None:
        return prose.closed(failure.text) if for_owner and failure.text else meaning
    else:
        codes = f"{failure.code} {failure.enhanced}" if failure.enhanced else str(failure.code)
    said = f', "{failure.text}"' if for_owner and failure.text else ""
    decided = f"So decides {failure.decided_by}." if for_owner and failure.decided_by else ""
    told = prose.sentences(meaning, f"It answered {codes}{said}.", decided)
    if not for_owner or server is None or failure.code is None:
        return told
    remedy = catalogue.remedy(server, failure.code, failure.enhanced, failure.text)
    return prose.sentences(told, remedy or "")
