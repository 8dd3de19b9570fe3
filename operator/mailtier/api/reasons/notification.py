"""Reasons of a Notification: whether it was taken, and what became of it."""

from typing import Final

from mailtier.api import vocabulary
from mailtier.api.reasons import definition

_A: Final = vocabulary.Condition.ACCEPTED
_C: Final = vocabulary.Condition.COMPLETE

# What became of a notification.
QUEUED: Final = definition.Reason(
    name="Queued", conditions=(_A,), meaning="The notification is durably queued.", remedy=definition.NOTHING
)
DELIVERING: Final = definition.reconciling(
    _C,
    name="Delivering",
    meaning="Some recipients have no final state yet.",
    remedy="Wait.",
)
DELIVERED: Final = definition.Reason(
    name="Delivered",
    conditions=(_C,),
    meaning="The SMTP server accepted the message for every recipient; bounces go to the envelope address.",
    remedy=definition.NOTHING,
)
PARTLY_FAILED: Final = definition.stalled(
    _C,
    name="PartlyFailed",
    meaning="Some recipients were accepted, and others ended otherwise.",
    remedy="Look at status.recipients; where they are empty, the message says why.",
)
FAILED: Final = definition.stalled(
    _C,
    name="Failed",
    meaning="No recipient was accepted.",
    remedy="Look at status.recipients; each says why. Where they are empty, the message tells what is left to tell.",
)
REFUSED: Final = definition.stalled(
    _A,
    name="Refused",
    meaning="The sender does not take the notification.",
    remedy="Correct what the message names, and create the Notification again.",
)
SENDER_UNAVAILABLE: Final = definition.reconciling(
    _A,
    name="SenderUnavailable",
    meaning="The sender does not answer; the notification is offered again.",
    remedy="Look at the sender's container if it lasts.",
)

# Why the sender does not take a notification.
ORGANIZATION_UNKNOWN: Final = definition.reconciling(
    _A,
    name="OrganizationUnknown",
    meaning="The namespace has no such organization, or its settings have not reached the sender yet.",
    remedy="Create the OrgEmailSettings, or correct spec.organization of the Notification.",
)
CATEGORY_DISABLED: Final = definition.stalled(
    _A,
    name="CategoryDisabled",
    meaning="The organization's settings switch the notification's category off.",
    remedy="Enable the category under spec.notifications, or do not send it; then create the Notification again.",
)
NO_RECIPIENTS: Final = definition.stalled(
    _A,
    name="NoRecipients",
    meaning="Neither the notification nor the settings of its category name a recipient.",
    remedy="Name recipients, or set them under spec.notifications; then create the Notification again.",
)
HTTPS_ONLY: Final = definition.stalled(
    _A,
    name="HttpsOnly",
    meaning="A category whose links must not lie in etcd came as an object.",
    remedy="POST it to the sender's HTTPS intake.",
)
QUOTA_EXCEEDED: Final = definition.reconciling(
    _A,
    name="QuotaExceeded",
    meaning="The namespace has as many messages waiting as it may.",
    remedy="Wait for delivery; if it does not go on, look at Verified of the settings.",
)
STORAGE_FULL: Final = definition.reconciling(
    _A,
    name="StorageFull",
    meaning="The sender's volume is too full for new messages; what was taken is safe.",
    remedy="Wait for delivery, or enlarge the volume.",
)
