"""What both ways in ask of a notification before it is queued: the decision, without any I/O."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Final

from mailtier.api import canonical, notification, reasons, vocabulary
from mailtier.mail import retry
from mailtier.sender import ports
from mailtier.settings import effective


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a notification is not taken.

    Attributes:
        field: The field that is at fault, as the caller writes it.
        message: What is so and what to do, for the caller; quotes nothing of the notification but its category.
    """

    reason: reasons.Reason
    field: str
    message: str


Check = Callable[[notification.Content, effective.Effective], Refusal | None]


def refuse_disabled_category(content: notification.Content, settings: effective.Effective) -> Refusal | None:
    """Return a refusal where the settings switch the category off."""
    found = settings.notifications.get(content.category)
    if found is None or found.enabled:
        return None
    return Refusal(
        reason=reasons.CATEGORY_DISABLED,
        field="category",
        message=f"{content.category} is switched off for {settings.organization}; set"
        f" notifications.{_field(content.category)}.enabled in its settings, or do not send this category",
    )


def refuse_without_recipients(content: notification.Content, settings: effective.Effective) -> Refusal | None:
    """Return a refusal where neither the notification nor the settings name a recipient."""
    if recipients(content, settings):
        return None
    return Refusal(
        reason=reasons.NO_RECIPIENTS,
        field="recipients",
        message=f"nobody would get it: name recipients, or set notifications.{_field(content.category)}.recipients"
        f" in the settings of {settings.organization}",
    )


CHECKS: Final[tuple[Check, ...]] = (refuse_disabled_category, refuse_without_recipients)


def refuse(content: notification.Content, settings: effective.Effective) -> Refusal | None:
    """Return the first refusal of a valid notification under an organization's settings, or None.

    Blocked, unresolved and suspended settings refuse nothing: what they forbid is connecting, and the notification
    waits until that is mended.
    """
    return next((found for check in CHECKS if (found := check(content, settings)) is not None), None)


def recipients(content: notification.Content, settings: effective.Effective) -> Sequence[str]:
    """Return who gets it: whom the notification names, else the category's recipients; `[]` names nobody."""
    if content.recipients is not None:
        return content.recipients
    found = settings.notifications.get(content.category)
    return () if found is None else found.recipients


def digest(content: notification.Content) -> str:
    """Return the hexadecimal SHA-256 of the canonical request, in which two ways to write the same are equal."""
    document = content.model_dump(mode="json", by_alias=True, exclude_none=True)
    return canonical.digest(document)


def new_notification(
    content: notification.Content,
    settings: effective.Effective,
    *,
    notification_id: str,
    now: dt.datetime,
    idempotency_key: str | None = None,
    source: ports.ObjectSource | None = None,
) -> ports.NewNotification:
    """Return what is queued for a notification that nothing refuses.

    Args:
        now: Aware UTC time of acceptance.
        source: The Notification object that it came from; None for the HTTP intake.
    """
    policy = retry.policy_for(content.category, max_age=settings.delivery.max_age)
    return ports.NewNotification(
        id=notification_id,
        lane=lane(settings),
        category=content.category,
        severity=content.severity or vocabulary.Severity.INFO,
        recipients=tuple(recipients(content, settings)),
        subject=content.subject,
        text=content.text,
        data=dict(content.data or {}),
        accepted_at=now,
        expires_at=now + policy.max_age,
        idempotency_key=idempotency_key,
        digest=digest(content),
        source=source,
    )


def lane(settings: effective.Effective) -> ports.LaneKey:
    """Return the key of an organization's rows."""
    key = settings.organization
    return ports.LaneKey(namespace_uid=settings.namespace_uid, namespace=key.namespace, organization=key.name)


def _field(category: vocabulary.Category) -> str:
    """Return the settings' group of a category: `jobAlert` for JobAlert."""
    return category[0].lower() + category[1:]
