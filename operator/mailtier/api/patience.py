"""How patiently each category is delivered: the one table, which the sender keeps and lints compare settings with."""

import dataclasses
import datetime as dt
import types
from collections.abc import Mapping
from typing import Final

from mailtier.api import vocabulary

_C: Final = vocabulary.Category
_LONGEST_PAUSE: Final = dt.timedelta(minutes=5)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How patiently one category is delivered.

    Attributes:
        minimal_backoff: The shortest delay between two attempts; Postfix's name for it.
        maximal_backoff: The longest delay.
        max_age: How long after its acceptance a recipient is still tried.
        in_doubt_delays: The delays after each loss behind the final dot; when they are used up, the recipient
            fails as InDoubt. Empty where arriving twice is worse than not at all.
    """

    minimal_backoff: dt.timedelta
    maximal_backoff: dt.timedelta
    max_age: dt.timedelta
    in_doubt_delays: tuple[dt.timedelta, ...]

    @property
    def longest_wait(self) -> dt.timedelta:
        """The longest that anything waits for, a pause of its server included."""
        return max(self.maximal_backoff, *self.in_doubt_delays, dt.timedelta()) + _LONGEST_PAUSE


# Where late is worse than twice. Two resends cover a restart of the server (minutes) and a failover (a quarter
# of an hour); a third would only add to the copies.
_RESEND: Final = (dt.timedelta(minutes=5), dt.timedelta(minutes=15))

_ALERT: Final = RetryPolicy(
    # A relay that restarts is back within minutes, and an alert is read while it matters: after a day the
    # incident is known or over.
    minimal_backoff=dt.timedelta(minutes=1),
    maximal_backoff=dt.timedelta(minutes=30),
    max_age=dt.timedelta(hours=24),
    in_doubt_delays=_RESEND,
)

RECOVERY_HELD: Final = dt.timedelta(seconds=60)
"""How long a password recovery is held at most for what may pass: somebody waits before a screen."""

POLICIES: Final[Mapping[vocabulary.Category, RetryPolicy]] = types.MappingProxyType(
    {
        _C.PASSWORD_RECOVERY: RetryPolicy(
            # Somebody waits before a screen. A reset link lives about an hour (OWASP Forgot Password Cheat Sheet:
            # expire after an appropriate period); one that arrives dead only sends them round again.
            minimal_backoff=dt.timedelta(seconds=10),
            maximal_backoff=RECOVERY_HELD,
            max_age=dt.timedelta(hours=1),
            in_doubt_delays=_RESEND,
        ),
        _C.JOB_ALERT: _ALERT,
        _C.ROBOT_ALERT: _ALERT,
        _C.LICENSE_STATUS: RetryPolicy(
            # Three days outlast a weekend without staff, and leave time to renew a licence that runs out.
            minimal_backoff=dt.timedelta(minutes=5),
            maximal_backoff=dt.timedelta(hours=1),
            max_age=dt.timedelta(days=3),
            in_doubt_delays=_RESEND,
        ),
        _C.PRODUCT_UPDATE: RetryPolicy(
            # Postfix: minimal_backoff_time 300s, maximal_backoff_time 4000s, maximal_queue_lifetime 5d; RFC 5321
            # section 4.5.4.1 asks for 4-5 days.
            minimal_backoff=dt.timedelta(seconds=300),
            maximal_backoff=dt.timedelta(seconds=4000),
            max_age=dt.timedelta(days=5),
            in_doubt_delays=(),
        ),
    }
)
