"""What one attempt is made with, and how a defect in it is told."""

import dataclasses

from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.delivering import builder
from mailtier.sender.net import shares
from mailtier.sender.scheduling import lanes, standing
from mailtier.sender.secrets import credentials
from mailtier.sender.smtp import session


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
    built: builder.Built
    login: SignIn

    @property
    def usable(self) -> standing.Usable:
        """The settings."""
        return self.login.usable

    @property
    def found(self) -> credentials.Credentials:
        """The credentials."""
        return self.login.found

    def note_dot(self, queue: ports.Queue) -> session.BeforeDot:
        """Return what notes the dot of this attempt in the queue."""

        async def note() -> None:
            await queue.note_dot(self.job.recipient, self.built.snapshot)

        return note


def is_owner(usable: standing.Usable) -> bool:
    """Return whether the organization owns the endpoint, and may read what it said."""
    return usable.endpoint.origin is vocabulary.Origin.ORG


def place(error: BaseException) -> str:
    """Return an exception's type and where it was raised; its text may quote a message."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{where}"
