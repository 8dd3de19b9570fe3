"""Every reason of a condition, with its meaning and remedy: the one home they have.

`docs/reference/reasons.md` is generated from this package, in the order of the modules below.
"""

from typing import Final

from mailtier.api.reasons import acceptance, definition, linting, notification, resolved_refs, verification
from mailtier.api.reasons.acceptance import *  # noqa: F403  # The modules are one list, cut by condition.
from mailtier.api.reasons.linting import *  # noqa: F403
from mailtier.api.reasons.notification import *  # noqa: F403
from mailtier.api.reasons.resolved_refs import *  # noqa: F403
from mailtier.api.reasons.verification import *  # noqa: F403

Reason = definition.Reason

ALL: Final[tuple[Reason, ...]] = tuple(
    value
    for part in (acceptance, resolved_refs, verification, linting, notification)
    for value in vars(part).values()
    if isinstance(value, Reason)
)
"""All of them, in their order."""

BY_NAME: Final[dict[str, Reason]] = {reason.name: reason for reason in ALL}
