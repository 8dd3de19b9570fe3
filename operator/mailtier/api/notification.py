"""The Notification kind, and what the HTTP intake takes: one thing to tell somebody."""

from typing import Annotated, ClassVar

import pydantic

from mailtier.api import groups, schema, types, vocabulary

MAXIMUM_TOTAL_BYTES = 256 * 1024
"""What one notification may hold in all."""


class Content(schema.Model):
    """What both ways in share."""

    category: vocabulary.Category
    """What the notification is about; it chooses template, default recipients, retries and order."""
    severity: vocabulary.Severity | None = None
    """How much it matters; Info when absent."""
    recipients: groups.Recipients | None = None
    """Who gets it, each with a message of their own; the category's recipients when absent."""
    subject: types.Line | None = None
    """The subject; the template's when absent."""
    text: types.Body | None = None
    """What to say, in plain text."""
    data: Annotated[dict[types.DatumKey, types.Datum], pydantic.Field(max_length=64)] | None = None
    """Values for the template, such as link or expires."""


class NotificationSpec(Content):
    """One thing to tell somebody. It cannot be changed once created."""

    organization: types.OrganizationName | None = None
    """The organization in this namespace whose settings deliver it; default when absent."""

    RULES: ClassVar = (
        schema.Rule(
            cel="self == oldSelf",
            holds=None,
            message="a Notification cannot be changed; delete it and create another",
        ),
        schema.Rule(
            cel="self.category != 'PasswordRecovery'",
            holds=lambda spec: spec.category != vocabulary.Category.PASSWORD_RECOVERY,
            message="PasswordRecovery is taken over HTTPS only, because a link in an object would stay readable in"
            " etcd and audit logs; POST it to the intake",
            field=".category",
            reason=schema.FORBIDDEN,
        ),
    )


def _one_recipient(request: "NotificationRequest") -> bool:
    if request.category != vocabulary.Category.PASSWORD_RECOVERY:
        return True
    return request.recipients is not None and len(request.recipients) == 1


class NotificationRequest(Content):
    """The body of a POST to the intake."""

    RULES: ClassVar = (
        schema.Rule(
            cel="self.category != 'PasswordRecovery' || (has(self.recipients) && size(self.recipients) == 1)",
            holds=_one_recipient,
            message="PasswordRecovery needs exactly one recipient",
            field=".recipients",
        ),
    )
