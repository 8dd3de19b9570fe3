"""The one exception that a step towards delivery fails with: it carries the failure, and never what a server said."""

from mailtier.mail import classify


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


def of(phase: classify.Phase, fault: classify.Fault) -> DeliveryError:
    """Return the error for a fault without a reply."""
    return DeliveryError(phase, classify.classify_fault(phase, fault))
