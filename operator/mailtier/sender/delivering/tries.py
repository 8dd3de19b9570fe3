"""What one attempt is made with, how it can end, and how what went wrong is told."""

import dataclasses
from collections.abc import Hashable

from mailtier.api import prose, vocabulary
from mailtier.mail import classify, reasons, transaction
from mailtier.sender import ports
from mailtier.sender.net import faults, shares
from mailtier.sender.scheduling import lanes, standing, waits
from mailtier.sender.secrets import credentials
from mailtier.sender.smtp import throttles
from mailtier.settings import effective


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """What a session is opened with, and leave to log in."""

    usable: standing.Usable
    found: credentials.Credentials
    ticket: shares.ShareSlot


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """Everything that one attempt is made with."""

    entry: lanes.LaneEntry
    job: ports.Job
    login: SignIn
    use: throttles.Use

    @property
    def usable(self) -> standing.Usable:
        """The settings."""
        return self.login.usable

    @property
    def found(self) -> credentials.Credentials:
        """The credentials."""
        return self.login.found


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NotBuilt:
    """The message could not be built.

    Attributes:
        message: Why, for the tenant; "" where what went wrong may quote the message.
    """

    message: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NotOpened:
    """No session came about.

    Attributes:
        failure: Why.
        phase: In which it failed.
    """

    failure: classify.Failure
    phase: classify.Phase


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StaleToken:
    """The server refused an access token, and another one is worth a try."""


AttemptEvent = NotBuilt | NotOpened | StaleToken | transaction.RecipientResult
"""How an attempt can end; with a result there was a session, so that the message may have been the cause."""


def user(usable: standing.Usable, generation: credentials.Generation) -> Hashable:
    """Return as whom an organization uses a server's connections (`throttles`)."""
    return generation if usable.has_own_login else usable.settings.organization.namespace


def server(usable: standing.Usable) -> str:
    """Return the server as a snapshot tells it, where it is one of two; "" otherwise."""
    settings = usable.settings
    has_two = settings.fallback is not None or isinstance(settings.organization, effective.FallbackKey)
    return str(usable.endpoint) if has_two else ""


def is_owner(usable: standing.Usable) -> bool:
    """Return whether the organization owns the endpoint, and may read what it said."""
    return usable.endpoint.origin is vocabulary.Origin.ORG


def wait(failure: classify.Failure, usable: standing.Usable, *, until: float = float("inf")) -> waits.Wait:
    """Return what an organization waits for that met a failure.

    Args:
        failure: What was refused for good somebody has to mend; all else passes.
        usable: Its settings.
        until: When it is tried again; seconds of the monotonic clock.
    """
    told = faults.describe(failure, for_owner=is_owner(usable), server=usable.endpoint.host)
    ends_with = waits.WaitEnd.PERSON if failure.is_permanent else waits.WaitEnd.TIME
    return waits.Wait(reason=failure.reason, message=told, ends_with=ends_with, until=until)


def unusable(error: credentials.CredentialsError) -> waits.Wait:
    """Return what an organization waits for whose credentials cannot be had."""
    reason = reasons.DeliveryReason.CREDENTIALS_UNUSABLE
    meaning = prose.continued(reasons.MEANINGS[reason], error.reason.name)
    told = prose.sentences(meaning, error.reason.meaning)
    return waits.Wait(reason=reason, message=told, ends_with=waits.WaitEnd.EVENT)


def place(error: BaseException) -> str:
    """Return an exception's type and where it was raised; its text may quote a message."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{where}"
