"""What servers have said and done, remembered until it is clear whose fault it is: the settings', a message's; pure."""

import dataclasses
from typing import Final, Self

from mailtier.mail import classify, reasons

_RECIPIENTS: Final = 3
_PERSISTING_SECONDS: Final = 600.0
_LOSSES: Final = 3
"""How often a server breaks off at a message, and serves others, before that is the message's fault."""

_OF_NO_RECIPIENT: Final = frozenset(
    {
        reasons.DeliveryReason.CLIENT_NAME_REFUSED,
        reasons.DeliveryReason.SENDER_REFUSED,
        reasons.DeliveryReason.ACCOUNT_DISABLED,
    }
)
"""What is said of the client, the sender or the account, so that it is no matter to whom the message goes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AddressRefusals:
    """When an address was refused for good. Times are seconds of a monotonic clock.

    Attributes:
        address: In one spelling.
        first_at: When it was refused first.
        last_at: When it was refused last.
    """

    address: str
    first_at: float
    last_at: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SettingsRefusals:
    """What a server has said against the settings, for good, since it last took a message of the lane.

    One refusal may be about its recipient all the same. Three distinct recipients that are refused are not to blame,
    nor is one that is refused ten minutes later once more, or three times for something that is said of no recipient:
    most alerts go to one list. What is deferred (4yz) counts for nothing: servers say so for a while and to some alone,
    as by greylisting.

    Attributes:
        addresses: Those that were refused, as many as it takes.
        of_no_recipient: How often a message was refused for what no recipient can be to blame for.
    """

    addresses: tuple[AddressRefusals, ...] = ()
    of_no_recipient: int = 0

    def after(self, rcpt_to: str, failure: classify.Failure, now: float) -> Self:
        """Return what is remembered once a refusal came too.

        Args:
            rcpt_to: The address, in one spelling.
            failure: Of the scope Settings.
            now: Seconds of the monotonic clock.
        """
        if not failure.is_permanent:
            return self
        known = {each.address: each for each in self.addresses}
        if (former := known.get(rcpt_to)) is not None:
            known[rcpt_to] = dataclasses.replace(former, last_at=now)
        elif len(known) < _RECIPIENTS:
            known[rcpt_to] = AddressRefusals(address=rcpt_to, first_at=now, last_at=now)
        of_no_recipient = self.of_no_recipient + (failure.reason in _OF_NO_RECIPIENT)
        return dataclasses.replace(self, addresses=tuple(known.values()), of_no_recipient=of_no_recipient)

    @property
    def are_believed(self) -> bool:
        """Whether it is clear that the settings are refused."""
        persists = any(each.first_at + _PERSISTING_SECONDS <= each.last_at for each in self.addresses)
        return persists or len(self.addresses) >= _RECIPIENTS or self.of_no_recipient >= _RECIPIENTS


NO_REFUSALS: Final = SettingsRefusals()
"""The server took a message, or the settings changed."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """How often the server broke off at one recipient's message, in one phase. Times are seconds of a monotonic clock.

    Attributes:
        phase: In which it did so last.
        count: How often in a row in that phase.
        first_at: When it first did.
    """

    phase: classify.Phase | None = None
    count: int = 0
    first_at: float = 0.0

    def after(self, failure: classify.Failure, now: float) -> Self:
        """Return what is remembered once an attempt has failed in a session too.

        A server that breaks off now at MAIL and then in the body breaks off for another cause than the message.

        Args:
            failure: Of the scope Server. What was said with a code is no loss, a 421 included: the server says then
                that it is the cause.
            now: Seconds of the monotonic clock.
        """
        if failure.code is not None:
            return self
        goes_on = failure.phase is self.phase
        return dataclasses.replace(
            self,
            phase=failure.phase,
            count=self.count + 1 if goes_on else 1,
            first_at=self.first_at if goes_on else now,
        )

    def are_of_message(self, *, served_at: float) -> bool:
        """Return whether they are held to be the message's own fault.

        Args:
            served_at: When the server last did what somebody asked of it.
        """
        return self.count >= _LOSSES and served_at > self.first_at


NO_LOSSES: Final = Losses()
