"""Lints about what is sent and to whom."""

from collections.abc import Iterator
from typing import Final

from mailtier.api import vocabulary
from mailtier.settings import tiers
from mailtier.settings.lints import terms

_RECOVERY: Final = vocabulary.Category.PASSWORD_RECOVERY


def _path(category: vocabulary.Category) -> str:
    return f"notifications.{tiers.CATEGORY_PATHS[category]}"


def _no_recipients(subject: terms.Subject) -> Iterator[terms.Notice]:
    # The host enables a category for all, and each organization names its own people: nobody's mistake by itself.
    if subject.viewer == vocabulary.Origin.HOST:
        return
    for category, values in subject.effective.notifications.items():
        # The recipient of a password recovery is always named by the notification.
        if category == _RECOVERY or not values.enabled or values.recipients:
            continue
        path = _path(category)
        if subject.owns(f"{path}.enabled") or subject.owns(f"{path}.recipients"):
            yield terms.Notice(
                field=f"spec.{path}.recipients",
                message=f"is empty while {category} is enabled, so that a notification that names nobody is refused;"
                " name recipients, or set enabled: false",
            )


def _recovery_disabled(subject: terms.Subject) -> Iterator[terms.Notice]:
    values = subject.effective.notifications.get(_RECOVERY)
    path = f"{_path(_RECOVERY)}.enabled"
    if values is not None and not values.enabled and subject.owns(path):
        yield terms.Notice(
            field=f"spec.{path}",
            message="false leaves users who forgot their password without a way back; set true unless something else"
            " sends these links",
        )


def _all_disabled(subject: terms.Subject) -> Iterator[terms.Notice]:
    notifications = subject.effective.notifications
    owned = any(subject.owns(f"{_path(category)}.enabled") for category in notifications)
    if notifications and owned and not any(values.enabled for values in notifications.values()):
        yield terms.Notice(
            field="spec.notifications",
            message="every category is disabled, so that nothing is ever sent; enable one, or use suspend to hold mail",
        )


def _sender_as_recipient(subject: terms.Subject) -> Iterator[terms.Notice]:
    from_ = subject.effective.from_
    for category, values in subject.effective.notifications.items():
        path = f"{_path(category)}.recipients"
        if from_ is None or not subject.owns(path):
            continue
        senders = {from_.address.lower(), from_.envelope.lower()}
        if any(recipient.lower() in senders for recipient in values.recipients):
            yield terms.Notice(
                field=f"spec.{path}",
                message="names the sender itself, where bounces and replies of the same mail arrive too; name people",
            )


def _twice(subject: terms.Subject) -> Iterator[terms.Notice]:
    for category, values in subject.effective.notifications.items():
        path = f"{_path(category)}.recipients"
        distinct = {recipient.lower() for recipient in values.recipients}
        if subject.owns(path) and len(distinct) < len(values.recipients):
            yield terms.Notice(
                field=f"spec.{path}",
                message="names a mailbox twice, in capitals and not, which gets each mail twice; remove one",
            )


LINTS: Final = (
    terms.Lint(
        identifier="category-without-recipients",
        severity=terms.LintSeverity.WARNING,
        title="An organization's enabled category has no recipients",
        explanation="A notification that names nobody goes to its category's recipients. Where there are none, the"
        " intake refuses it with 422, and an object gets Accepted=False. Nothing is found where the organization says"
        " neither enabled nor recipients of the category: then applications name whom they write to.",
        remedy="Name recipients, or set enabled to false.",
        check=_no_recipients,
    ),
    terms.Lint(
        identifier="password-recovery-disabled",
        severity=terms.LintSeverity.INFO,
        title="Password recovery is disabled",
        explanation="Users who forgot their password get no link. That is right where another service sends these.",
        remedy="Set notifications.passwordRecovery.enabled to true, unless this is meant.",
        check=_recovery_disabled,
    ),
    terms.Lint(
        identifier="every-category-disabled",
        severity=terms.LintSeverity.WARNING,
        title="Every category is disabled",
        explanation="Nothing is sent, and every notification is refused; nothing is held for later either.",
        remedy="Enable the categories that are wanted; to hold mail for a while use suspend.",
        check=_all_disabled,
    ),
    terms.Lint(
        identifier="recipient-is-sender",
        severity=terms.LintSeverity.WARNING,
        title="A category writes to its own sender",
        explanation="Bounces and automatic replies arrive in the same mailbox as the alerts, and some servers refuse"
        " mail from outside in the name of their own mailbox.",
        remedy="Name the people, or a list of them.",
        check=_sender_as_recipient,
    ),
    terms.Lint(
        identifier="recipient-twice",
        severity=terms.LintSeverity.INFO,
        title="A recipient is named twice",
        explanation="Addresses that differ in capitals alone are the same mailbox on every server in use.",
        remedy="Remove one of them.",
        check=_twice,
    ),
)
