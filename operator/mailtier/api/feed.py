"""What operator and sender tell each other over the Unix socket in their pod.

The operator offers Notification objects (`PUT /v1/objects`), as often as it likes: an offer that was taken before
is answered with the same record. It reads what changed with `GET /v1/feed?after=CURSOR&wait=SECONDS`, which answers
at once when there is something, and returns the latest state of each item that changed after the cursor.
A cursor is a number that only grows, also over restarts of the sender; 0 asks for everything that is kept.

`GET /v1/namespaces` answers for which namespaces something is queued, or kept of what failed; of those that are gone
the operator says so with `DELETE /v1/namespaces/UID` (204), until the sender names them no more.

`GET /v1/backlogs` answers what is queued of each organization at this moment, for its status.
"""

import datetime as dt
from typing import Annotated, Literal

import pydantic

from mailtier.api import notification, vocabulary

SOCKET_NAME = "sender.sock"
AUTHORITY_NAME = "intake-ca.crt"
"""Beside the socket: the certificates that clients of the intake verify it against."""

OBJECTS_PATH = "/v1/objects"
FEED_PATH = "/v1/feed"
NAMESPACES_PATH = "/v1/namespaces"
BACKLOGS_PATH = "/v1/backlogs"


class FeedModel(pydantic.BaseModel):
    """A frozen message of the socket; both ends are of one version, so that an unknown field is an error."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class Offer(FeedModel):
    """A Notification object that the operator saw.

    Attributes:
        namespace_uid: uid of the namespace, which rows are keyed by.
        object_uid: uid of this very object.
        spec_hash: Hexadecimal SHA-256 of the canonical spec: with namespace_uid and name it makes two objects the
            same notification, so that a pipeline that recreates one does not mail again.
    """

    namespace: str
    namespace_uid: str
    name: str
    object_uid: str
    spec_hash: str
    spec: notification.NotificationSpec


class LastFailure(FeedModel):
    """What an attempt at a recipient met, for programs; the message says it in words.

    Attributes:
        scope: Whom it concerned (`mail.classify.Scope`).
        phase: The step that failed (`mail.classify.Phase`).
        code: The reply's basic code; None where there was no reply.
        enhanced: The reply's enhanced code, such as `5.1.1`; None without one.
    """

    scope: str
    phase: str
    code: int | None = None
    enhanced: str | None = None


class Recipient(FeedModel):
    """Where one recipient stands.

    Attributes:
        state: Where it stands.
        reason: CamelCase; "" while there is nothing to say.
        message: One sentence that a tenant may read (R7 applied already).
        attempts: Finished attempts.
        changed_at: Aware UTC time of the last change of state.
        last_failure: What the last attempt that failed met, also where another one was accepted since; None where none
            did.
        next_attempt_at: Aware UTC time before which it is not tried again, where it waits for that; else None.
    """

    address: str
    state: vocabulary.RecipientState
    reason: str = ""
    message: str = ""
    attempts: int = 0
    changed_at: dt.datetime
    last_failure: LastFailure | None = None
    next_attempt_at: dt.datetime | None = None


class Tally(FeedModel):
    """What became of a notification whose recipients' records were removed before their time.

    Attributes:
        accepted: How many recipients the SMTP server accepted it for.
        recipients: How many there were.
    """

    accepted: int
    recipients: int


class Taken(FeedModel):
    """The record of a Notification object in the queue.

    Attributes:
        id: The sender's id of the notification.
        complete: Whether every recipient has a final state.
        recipients: In the object's order; empty where `totals` is there.
        totals: What is left of them where the namespace's share of storage was used up; None while they are kept.
    """

    kind: Literal["notification"] = "notification"
    id: str
    namespace: str
    namespace_uid: str
    name: str
    object_uid: str
    spec_hash: str
    accepted_at: dt.datetime
    complete: bool
    recipients: tuple[Recipient, ...]
    totals: Tally | None = None


class Refused(FeedModel):
    """Why the sender does not take an offer; `retry` tells "not now" from "never".

    Attributes:
        reason: CamelCase.
        message: What is so and what to do.
    """

    kind: Literal["refused"] = "refused"
    reason: str
    message: str
    retry: bool


class Probe(FeedModel):
    """What the sender's last probe of an endpoint found.

    Attributes:
        key: The probe key of the effective settings that it speaks of (`settings.codec.probe_key`).
        secret_version: Version of the Secret that it authenticated with; "" without one.
        reason: Name of a reason of the condition Verified.
        stage: The stage that failed; None when all went through.
        owner_message: For whoever owns the endpoint.
        tenant_message: For an organization that inherits it: codes only, no username, no CA (R7).
        certificate_expires_at: notAfter of the server's certificate, aware UTC; None without TLS.
        probed_at: Aware UTC time; kept out of status (R7).
        next_at: When the namespace may have its next probe, aware UTC; None where it may have one at once, and where
            nothing has changed that somebody may wait for.
        fallback_since: Since when the fallback takes the mail in place of this server, aware UTC; None where it does
            not.
    """

    kind: Literal["probe"] = "probe"
    key: str
    secret_version: str
    reason: str
    stage: vocabulary.ProbeStage | None
    owner_message: str
    tenant_message: str
    certificate_expires_at: dt.datetime | None
    probed_at: dt.datetime
    next_at: dt.datetime | None = None
    fallback_since: dt.datetime | None = None


class Namespaces(FeedModel):
    """The namespaces that something is queued for, or kept of.

    Attributes:
        uids: Of those namespaces, whether or not they are still there.
    """

    uids: tuple[str, ...]


class QueueShare(FeedModel):
    """What is queued of an organization: at least one recipient.

    Attributes:
        queued: Recipients that wait for their turn, or are being delivered.
        deferred: Recipients that wait for their next attempt, those in doubt among them.
        held: Recipients that wait until something is mended, or somebody lets them go.
        oldest_at: When the oldest of their notifications was accepted, aware UTC.
    """

    namespace: str
    namespace_uid: str
    organization: str
    queued: int
    deferred: int
    held: int
    oldest_at: dt.datetime


class QueueShares(FeedModel):
    """What is queued of all organizations; one of which nothing is queued is not among them."""

    items: tuple[QueueShare, ...]


class Feed(FeedModel):
    """What changed after a cursor.

    Attributes:
        cursor: To ask with the next time.
        items: The latest state of each item that changed, oldest change first.
        restored_from: When the backup was made that the queue was restored from, aware UTC, while it is held for that.
    """

    cursor: int
    restored_from: dt.datetime | None = None
    items: tuple[Annotated[Taken | Probe, pydantic.Field(discriminator="kind")], ...]
