"""When refusals that speak of the settings are enough to believe them: for each lane, pure."""

from typing import Final

from mailtier.mail import classify, reasons

_RECIPIENTS: Final = 3
_PERSISTING_SECONDS: Final = 600.0

_UNNAMED: Final = frozenset({reasons.DeliveryReason.POLICY_REFUSED, reasons.DeliveryReason.LIMIT_REACHED})
"""What servers say for a while and to some alone, as by greylisting; only a permanent refusal counts."""


class SettingsRefusals:
    """What a server has said against the settings since it last took a message of the lane.

    One refusal may be about its recipient all the same. Three distinct recipients that are refused for good are not
    to blame, nor is one that is refused ten minutes later once more. Times are seconds of a monotonic clock.
    """

    __slots__ = ("_first_at", "_recipients")

    def __init__(self) -> None:
        self._recipients: dict[str, float] = {}
        self._first_at: float | None = None

    def note(self, recipient: str, failure: classify.Failure, now: float) -> bool:
        """Note a refusal; return whether it is believed now.

        Args:
            recipient: The address, in one spelling.
            failure: Of the scope Settings.
            now: Seconds of the monotonic clock.
        """
        if failure.is_permanent and (recipient in self._recipients or len(self._recipients) < _RECIPIENTS):
            self._recipients.setdefault(recipient, now)
        if failure.is_permanent or failure.reason not in _UNNAMED:
            self._first_at = now if self._first_at is None else self._first_at
        persists = self._first_at is not None and self._first_at + _PERSISTING_SECONDS <= now
        return persists or len(self._recipients) >= _RECIPIENTS

    def forget(self) -> None:
        """Begin anew: the server took a message, or the settings changed."""
        self._recipients.clear()
        self._first_at = None
