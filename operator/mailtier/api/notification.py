"""The Notification kind, and what the HTTP intake takes: one thing to tell somebody."""

from typing import Annotated, ClassVar, Final

import pydantic

from mailtier.api import groups, links, schema, types, vocabulary

MAXIMUM_TOTAL_BYTES: Final = 256 * 1024
"""What subject, text and data of one notification may hold together, in UTF-8."""

KEY: Final = types.whole(r"[!-~]{1,255}", "must be one word of 1 to 255 printable ASCII characters, such as a UUID")
"""An idempotency key: a token or UUID of any usual form; quotation marks round it count as part of it.

The draft for the header has them (draft-ietf-httpapi-idempotency-key-header), and few send them.
"""
IdempotencyKey = Annotated[str, pydantic.Field(min_length=1, max_length=255), schema.Checked((KEY,))]


class Content(schema.Model):
    """What both ways in share."""

    category: vocabulary.Category
    """What the notification is about; it chooses template, default recipients, retries and order."""
    severity: vocabulary.Severity | None = None
    """How much it matters; Info when absent."""
    recipients: groups.Recipients | None = None
    """Who gets it, each with a message of their own; the category's recipients when absent."""
    locale: vocabulary.Locale | None = None
    """Language of the message; the category's in the settings when absent."""
    subject: types.Line | None = None
    """The subject; the template's when absent."""
    text: types.Body | None = None
    """What to say, in plain text."""
    data: types.Data | None = None
    """Values for the template, such as link or expires."""


def total_bytes(content: Content) -> int:
    """Return the size of subject, text and data (names and values) in UTF-8."""
    texts = [content.subject or "", content.text or ""]
    for name, value in (content.data or {}).items():
        texts += [name, value]
    return sum(len(text.encode()) for text in texts)


_TOTAL: Final = schema.Rule(
    cel="(has(self.subject) ? size(bytes(self.subject)) : 0) + (has(self.text) ? size(bytes(self.text)) : 0) + "
    "(has(self.data) ? self.data.map(name, size(bytes(name)) + size(bytes(self.data[name]))).sum() : 0) <= "
    f"{MAXIMUM_TOTAL_BYTES}",
    holds=lambda content: total_bytes(content) <= MAXIMUM_TOTAL_BYTES,
    message="subject, text and data hold more than 256 KiB together; shorten them, or send a link instead",
)


def _has_usable_link(content: Content) -> bool:
    link = (content.data or {}).get("link")
    return link is None or links.is_weblink(link)


_IS_LINK: Final = schema.cel_matches(links.PATTERN, "self.data['link']")
_LINK: Final = schema.Rule(
    cel="!has(self.data) || !('link' in self.data) || (size(self.data['link']) <= "
    f"{links.MAXIMUM_LENGTH} && {_IS_LINK})",
    holds=_has_usable_link,
    message="link must be a web address that begins with https:// or http:// and the name of its server, in ASCII (an"
    " international one as its A-label, xn--...), with no user before it",
    field=".data.link",
)


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
        _TOTAL,
        _LINK,
    )


def _has_content(request: "NotificationRequest") -> bool:
    if request.category != vocabulary.Category.PASSWORD_RECOVERY:
        return True
    return request.text is not None or "link" in (request.data or {})


def _one_recipient(request: "NotificationRequest") -> bool:
    if request.category != vocabulary.Category.PASSWORD_RECOVERY:
        return True
    return request.recipients is not None and len(request.recipients) == 1


class NotificationRequest(Content):
    """The body of a POST to the intake."""

    RULES: ClassVar = (
        _TOTAL,
        schema.Rule(
            cel="self.category != 'PasswordRecovery' || (has(self.recipients) && size(self.recipients) == 1)",
            holds=_one_recipient,
            message="PasswordRecovery needs exactly one recipient",
            field=".recipients",
        ),
        schema.Rule(
            cel="",
            holds=_has_content,
            message="PasswordRecovery needs data.link or text, or its mail would help nobody",
            field=".data",
        ),
        _LINK,
    )


class BatchedNotification(NotificationRequest):
    """One notification of a batch."""

    idempotency_key: IdempotencyKey | None = None
    """Stands for this one notification, as the header Idempotency-Key does for one that comes alone."""
