"""What all ways in ask of a notification before it is queued: the decision, without any I/O."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Final

from mailtier.api import addresses, canonical, notification, reasons, vocabulary
from mailtier.mail import retry
from mailtier.sender import ports
from mailtier.settings import effective
from mailtier.settings import recipients as policy_recipients


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a notification is not taken.

    Attributes:
        fields: What is at fault, each as the keys and indexes that lead to it (`recipients`, `2`).
        message: What is so and what to do, for the caller; quotes nothing of the notification but its category.
    """

    reason: reasons.Reason
    fields: tuple[tuple[str, ...], ...]
    message: str


Check = Callable[[notification.Content, effective.Effective], Refusal | None]


def refuse_disabled_category(content: notification.Content, settings: effective.Effective) -> Refusal | None:
    """Return a refusal where the settings switch the category off."""
    found = settings.notifications.get(content.category)
    if found is None or found.enabled:
        return None
    return Refusal(
        reason=reasons.CATEGORY_DISABLED,
        fields=(("category",),),
        message=f"{content.category} is switched off for {settings.organization}; set"
        f" notifications.{_field(content.category)}.enabled in its settings, or do not send this category",
    )


def refuse_without_recipients(content: notification.Content, settings: effective.Effective) -> Refusal | None:
    """Return a refusal where neither the notification nor the settings name a recipient."""
    if recipients(content, settings):
        return None
    return Refusal(
        reason=reasons.NO_RECIPIENTS,
        fields=(("recipients",),),
        message=f"nobody would get it: name recipients, or set notifications.{_field(content.category)}.recipients"
        f" in the settings of {settings.organization}",
    )


def refuse_unusable_recipients(content: notification.Content, settings: effective.Effective) -> Refusal | None:
    """Return a refusal where a recipient's domain is no valid name, which only its conversion to ASCII tells."""
    del settings
    found = [(index, addresses.problem(address)) for index, address in enumerate(content.recipients or ())]
    unusable = [(index, error) for index, error in found if error is not None]
    if not unusable:
        return None
    return Refusal(
        reason=reasons.INVALID,
        fields=tuple(("recipients", str(index)) for index, _ in unusable),
        message="; ".join(f"recipients/{index}: {error}" for index, error in unusable),
    )


def refuse_recipients_not_allowed(content: notification.Content, settings: effective.Effective) -> Refusal | None:
    """Return a refusal where the host's policy is enforced and does not list a recipient's domain."""
    return _recipients_not_allowed(content, settings) if settings.recipients.enforced else None


CHECKS: Final[tuple[Check, ...]] = (
    refuse_disabled_category,
    refuse_without_recipients,
    refuse_unusable_recipients,
    refuse_recipients_not_allowed,
)


def refuse(content: notification.Content, settings: effective.Effective) -> Refusal | None:
    """Return the first refusal of a valid notification under an organization's settings, or None.

    Blocked, unresolved and suspended settings refuse nothing: what they forbid is connecting, and the notification
    waits until that is mended.
    """
    return next((found for check in CHECKS if (found := check(content, settings)) is not None), None)


def audit(content: notification.Content, settings: effective.Effective) -> Refusal | None:
    """Return what would refuse a notification that is taken, if the host's policy were enforced; None for nothing."""
    return None if settings.recipients.enforced else _recipients_not_allowed(content, settings)


def recipients(content: notification.Content, settings: effective.Effective) -> Sequence[str]:
    """Return who gets it: whom the notification names, else the category's recipients; `[]` names nobody."""
    if content.recipients is not None:
        return content.recipients
    found = settings.notifications.get(content.category)
    return () if found is None else found.recipients


def locale(content: notification.Content, settings: effective.Effective) -> vocabulary.Locale:
    """Return the language of its messages: what the notification says, else the category's."""
    if content.locale is not None:
        return content.locale
    found = settings.notifications.get(content.category)
    return vocabulary.Locale.ENGLISH if found is None else found.locale


def quota(settings: effective.Effective, own: ports.QueueQuota) -> ports.QueueQuota:
    """Return what an organization's namespace may have queued: as the host's policy says, else the sender's own."""
    messages, payload_bytes = settings.quota.queued_messages, settings.quota.queued_bytes
    if messages is None and payload_bytes is None:
        return own
    return ports.QueueQuota(
        messages=own.messages if messages is None else messages,
        payload_bytes=own.payload_bytes if payload_bytes is None else payload_bytes,
        # What may be queued has to fit, with as much again for what was finished.
        stored_bytes=max(own.stored_bytes, 2 * (payload_bytes or 0)),
    )


def digest(content: notification.Content) -> str:
    """Return the hexadecimal SHA-256 of the canonical request, in which two ways to write the same are equal.

    The key that a batch has beside the content is no part of it: what was sent alone may be repeated in a batch.
    """
    document = content.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"idempotency_key"})
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
        source: The Notification object that it came from; None for any other way in.
    """
    policy = retry.policy_for(content.category, max_age=settings.delivery.max_age)
    return ports.NewNotification(
        id=notification_id,
        lane=ports.LaneKey.of(settings),
        category=content.category,
        severity=content.severity or vocabulary.Severity.INFO,
        locale=locale(content, settings),
        recipients=tuple(recipients(content, settings)),
        subject=content.subject,
        text=content.text,
        data=dict(content.data or {}),
        accepted_at=now,
        expires_at=now + policy.max_age,
        idempotency_key=idempotency_key,
        # It costs more than reading the request did, and is asked for only where a repeat can be told from another.
        digest="" if idempotency_key is None and source is None else digest(content),
        source=source,
    )


def _recipients_not_allowed(content: notification.Content, settings: effective.Effective) -> Refusal | None:
    """Return a refusal of the recipients that the notification names.

    Those of the settings are not judged here: the host's are its own choice, and the organization's were judged when
    the settings were resolved.
    """
    rules = settings.recipients
    foreign = [
        str(index)
        for index, address in enumerate(content.recipients or ())
        if not policy_recipients.is_listed(address, rules)
    ]
    if not foreign:
        return None
    named = ", ".join(f"recipients/{index}" for index in foreign)
    return Refusal(
        reason=reasons.RECIPIENT_NOT_ALLOWED,
        fields=tuple(("recipients", index) for index in foreign),
        message=f"{named} may not be written to; the host's policy.recipients.domains allows"
        f" {policy_recipients.describe(rules)}; name such recipients, or have the platform team extend the list",
    )


def _field(category: vocabulary.Category) -> str:
    """Return the settings' group of a category: `jobAlert` for JobAlert."""
    return category[0].lower() + category[1:]
