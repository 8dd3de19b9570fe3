"""The status of the three kinds: what the operator writes and people, kubectl, Argo CD and Flux read.

Values that may grow in a later version (reasons, states) are bounded strings, not enumerations: an operator that
is newer than the installed CRD could not write its status otherwise.
"""

import datetime as dt
from typing import Annotated, Final, Literal

import pydantic

from mailtier.api import names, schema, types

NOT_OBSERVED: Final = -1
"""observedGeneration of an object that the operator has not seen yet, so that kstatus calls it InProgress."""

# What metav1.Condition allows; a rule that is stricter here would only make a status unwritable.
_ConditionType = Annotated[str, pydantic.Field(min_length=1, max_length=316)]
_ConditionReason = Annotated[str, pydantic.Field(min_length=1, max_length=1024)]
_ConditionMessage = Annotated[str, pydantic.Field(max_length=32768)]

_Generation = Annotated[int, pydantic.Field(ge=NOT_OBSERVED, strict=True)]
_Count = Annotated[int, pydantic.Field(ge=0, le=2**31 - 1, strict=True)]
_Word = Annotated[str, pydantic.Field(max_length=64)]
_Name = Annotated[str, pydantic.Field(max_length=256)]
_Sentence = Annotated[str, pydantic.Field(max_length=1024)]
_RequestedAt = Annotated[str, pydantic.Field(max_length=names.MAXIMUM_REQUEST_LENGTH)]
_Duration = Annotated[str, pydantic.Field(max_length=24)]


class Condition(schema.Model):
    """One aspect of the object's state, as the Kubernetes API conventions define it."""

    type: _ConditionType
    """The aspect: Accepted, ResolvedRefs, Ready, Verified, Linted, Complete, Reconciling or Stalled."""
    status: Literal["True", "False", "Unknown"]
    """True, False, or Unknown for what cannot be known yet."""
    observed_generation: Annotated[int, pydantic.Field(ge=0, strict=True)]
    """The metadata.generation that the condition was decided on."""
    last_transition_time: dt.datetime
    """When status last changed."""
    reason: _ConditionReason
    """Why, in one CamelCase word; each is explained in the reference of reasons."""
    message: _ConditionMessage
    """What is so and what to do, for a person."""


Conditions = Annotated[
    list[Condition],
    pydantic.Field(
        max_length=16, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    ),
]


class EffectiveTls(schema.Model):
    """How the connection is protected."""

    mode: _Word
    """StartTLS, Implicit or Disabled."""
    server_name: _Name | None = None
    """Name for SNI and the certificate check; the host when absent."""
    min_version: _Word | None = None
    """The lowest TLS version accepted."""
    client_certificate_secret_name: _Name | None = None
    """The Secret with the certificate that the server is shown; absent without one, and where it is the host's."""


class EffectiveOAuth2(schema.Model):
    """Where access tokens come from."""

    grant_type: _Word
    """ClientCredentials or RefreshToken."""
    token_url: Annotated[str, pydantic.Field(max_length=512)] = pydantic.Field(alias="tokenURL")
    """The token endpoint."""
    client_id: _Name = pydantic.Field(alias="clientID")
    """The client that was registered with the token server."""
    client_authentication: _Word
    """ClientSecret, PrivateKeyJWT or Public."""
    scopes: (
        Annotated[list[Annotated[str, pydantic.Field(max_length=256)]], pydantic.Field(max_length=16), schema.ATOMIC]
        | None
    ) = None
    """What the tokens are for."""


class EffectiveAuth(schema.Model):
    """How sessions authenticate."""

    mechanism: _Word
    """The SASL mechanism, or Anonymous."""
    username: Annotated[str, pydantic.Field(max_length=520)] | None = None
    """The rendered username; absent for Anonymous, and where the credentials are the host's."""
    oauth2: EffectiveOAuth2 | None = None
    """Absent without oauth2, and where the credentials are the host's."""
    secret_name: _Name | None = None
    """The Secret with the password, or with what the token server is shown; absent for Anonymous, and where the
    credentials are the host's."""


class EffectiveFallback(schema.Model):
    """The server that takes the mail while the first one is dead."""

    host: _Name
    """DNS name or IP address of the SMTP server."""
    port: _Count
    """Port of the server."""
    tls: EffectiveTls
    auth: EffectiveAuth | None = None
    """Absent where it is logged in to as the first server is."""


class EffectiveSmtp(schema.Model):
    """The endpoint that mail is submitted to."""

    host: _Name
    """DNS name or IP address of the SMTP server."""
    port: _Count
    """Port of the server."""
    tls: EffectiveTls
    fallback: EffectiveFallback | None = None
    """Absent without one."""


class EffectiveFrom(schema.Model):
    """Who mail is from."""

    address: _Name
    """Address of the From header."""
    display_name: _Name | None = None
    """Name that mail programs show beside the address."""
    reply_to: _Name | None = None
    """Address of the Reply-To header; without it there is no such header."""
    envelope: _Name | None = None
    """Address of MAIL FROM, where bounces go."""


class EffectiveTimeouts(schema.Model):
    """Wall-clock totals of one connection."""

    session: _Duration
    """From connecting until AUTH is done."""
    envelope: _Duration
    """From MAIL FROM to the reply to DATA."""
    message: _Duration
    """The message and the reply to its final dot."""


class EffectiveDelivery(schema.Model):
    """How mail is delivered."""

    helo_name: _Name | None = None
    """Name for EHLO; the sender's host name when absent."""
    max_connections: _Count | None = None
    """Connections to the endpoint at the same time."""
    messages_per_connection: _Count | None = None
    """Messages before a connection is closed."""
    timeouts: EffectiveTimeouts | None = None
    ehlo_ignore: Annotated[list[_Word], pydantic.Field(max_length=16), schema.ATOMIC] | None = None
    """What the server offers and is left alone; nothing when absent."""
    replies: Annotated[list[_Name], pydantic.Field(max_length=20), schema.ATOMIC] | None = None
    """What is made of which replies, such as 554 5.7.1 "greylisted": Defer; none when absent."""
    endpoint_rate_per_minute: _Count | None = None
    """Messages a minute through the endpoint, of all organizations there; not limited when absent."""
    rate_per_minute: _Count | None = None
    """Messages a minute for the organization; not limited when absent."""
    max_age: _Duration | None = None
    """How long a message is tried; the limit of its category when absent."""


class EffectiveCategory(schema.Model):
    """What happens to notifications of one category."""

    enabled: types.Flag
    """Whether the category is sent."""
    recipients: (
        Annotated[
            list[Annotated[str, pydantic.Field(max_length=254)]],
            pydantic.Field(max_length=20),
            schema.ATOMIC,
        ]
        | None
    ) = None
    """Who gets it when the notification names nobody."""
    locale: _Word | None = None
    """Language of the message where the notification names none."""


class EffectiveNotifications(schema.Model):
    """Settings for each category of notification."""

    password_recovery: EffectiveCategory | None = None
    """A user asked for a new password."""
    license_status: EffectiveCategory | None = None
    """A licence is about to end, has ended, or was renewed."""
    product_update: EffectiveCategory | None = None
    """News of the product."""
    job_alert: EffectiveCategory | None = None
    """A job failed, or needs somebody."""
    robot_alert: EffectiveCategory | None = None
    """A robot is unreachable, or needs somebody."""


class EffectiveQuota(schema.Model):
    """What the namespace may have, as the host's policy says."""

    queued_messages: Annotated[int, pydantic.Field(ge=0, strict=True)] | None = None
    """Messages waiting."""
    queued_bytes: Annotated[int, pydantic.Field(ge=0, strict=True)] | None = None
    """Bytes of what waits."""
    rate_per_minute: Annotated[int, pydantic.Field(ge=0, strict=True)] | None = None
    """Messages a minute through the host's endpoint."""


Provenance = Annotated[dict[str, _Word], pydantic.Field(max_length=128)]


class Effective(schema.Model):
    """What mail is sent with, after host, organization and defaults are resolved. No secret is among it."""

    # One writer owns it as a whole: tracking an owner for each of its sixty values would double what an apply costs.
    model_config = pydantic.ConfigDict(json_schema_extra={"x-kubernetes-map-type": "atomic"})

    smtp: EffectiveSmtp | None = None
    """Absent while no tier names a server."""
    auth: EffectiveAuth | None = None
    """Absent while credentials are required and nobody names any."""
    from_: EffectiveFrom | None = pydantic.Field(default=None, alias="from")
    """Absent while no tier names an address."""
    delivery: EffectiveDelivery | None = None
    notifications: EffectiveNotifications | None = None
    quota: EffectiveQuota | None = None
    """Absent where the host's policy has no quota; the sender's own limits hold then."""
    provenance: Provenance | None = None
    """Where each value came from: its path, such as smtp.host, to Host, Org or Default."""


class Summary(schema.Model):
    """The organizations in numbers, brought up to date at most every 10 seconds."""

    organizations: _Count
    """How many there are."""
    ready: _Count
    """How many are Ready."""
    blocked: _Count
    """How many are blocked by a finding, so that nothing is delivered for them."""
    overriding: _Count
    """How many override something of the host's."""
    would_block: _Count | None = None
    """How many policy.mode Enforce would block, while it is Audit."""


class ServerInUse(schema.Model):
    """Which of the two servers takes the mail, as the sender told last."""

    in_use: _Word
    """First or Fallback."""
    since: dt.datetime | None = None
    """Since when the fallback does; absent for the first one."""


class WaitingMail(schema.Model):
    """What waits to be delivered, in magnitudes, told anew at most every 30 seconds.

    Each number is rounded down to 1, 2 or 5 times a power of ten. Mail that goes within seconds is not told.
    """

    queued: _Count | None = None
    """Recipients that wait for their turn, or are being delivered."""
    deferred: _Count | None = None
    """Recipients that wait for their next attempt."""
    held: _Count | None = None
    """Recipients that wait until something is mended, or somebody lets them go with `mailtier queue release`."""
    oldest: dt.datetime | None = None
    """When about the oldest was accepted."""


class QueueStatus(WaitingMail):
    """What waits to be delivered of all organizations, as in their status, and what the sender says of its queue."""

    restored_from: dt.datetime | None = None
    """When the backup was made that it was restored from, while all of it is held, until `mailtier queue resume`."""
    unanswered_since: dt.datetime | None = None
    """Since when the sender has not answered the operator, or its database the sender; absent while they do."""


class HostStatus(schema.Model):
    """What the operator found; nobody else writes it."""

    observed_generation: _Generation | None = None
    """The metadata.generation that this status speaks of; -1 until the operator has seen the object."""
    conditions: Conditions | None = None
    """Accepted, ResolvedRefs, Ready, Verified and Linted; Reconciling or Stalled while Ready is not True."""
    last_handled_requested_at: _RequestedAt | None = None
    """The annotation mailtier.dev/requested-at that the Secret and the CA bundle were last read anew for."""
    summary: Summary | None = None
    server: ServerInUse | None = None
    """Absent without smtp.fallback."""
    queue: QueueStatus | None = None
    """Absent where nothing waits and there is nothing else to say."""
    effective: Effective | None = None
    """On the host: what organizations inherit."""


class OrgStatus(schema.Model):
    """What the operator found; nobody else writes it."""

    observed_generation: _Generation | None = None
    """The metadata.generation that this status speaks of; -1 until the operator has seen the object."""
    conditions: Conditions | None = None
    """Accepted, ResolvedRefs, Ready, Verified and Linted; Reconciling or Stalled while Ready is not True."""
    last_handled_requested_at: _RequestedAt | None = None
    """The annotation mailtier.dev/requested-at that the Secret and the CA bundle were last read anew for."""
    source: _Word | None = None
    """Which tiers the effective settings draw on: Host, Org or Mixed."""
    state: _Word | None = None
    """Whether the sender may use them: Active, Blocked, Unresolved or Suspended."""
    projection: _Name | None = None
    """The ConfigMap that spec.publish asked for; absent without one."""
    server: ServerInUse | None = None
    """Absent without smtp.fallback."""
    queue: WaitingMail | None = None
    """Absent where nothing waits."""
    effective: Effective | None = None


class RecipientStatus(schema.Model):
    """Where one recipient stands."""

    address: Annotated[str, pydantic.Field(max_length=254)]
    """The recipient."""
    state: _Word
    """queued, in doubt, deferred, held, accepted, failed, expired or suppressed."""
    reason: _Name | None = None
    """Why, in one CamelCase word; each is explained in the reference of reasons."""
    message: _Sentence | None = None
    """What is so, for a person."""
    attempts: _Count | None = None
    """Finished attempts to deliver."""
    changed_at: dt.datetime | None = None
    """When the state last changed."""


class NotificationStatus(schema.Model):
    """What became of the notification; nobody but the operator writes it."""

    observed_generation: _Generation | None = None
    """The metadata.generation that this status speaks of; -1 until the operator has seen the object."""
    conditions: Conditions | None = None
    """Accepted (durably queued), Complete (every recipient has a final state) and Ready."""
    id: _Name | None = None
    """The sender's id of the notification."""
    recipients: (
        Annotated[
            list[RecipientStatus],
            pydantic.Field(max_length=20),
            schema.ATOMIC,
        ]
        | None
    ) = None
    """Where each recipient stands."""


STATUS_DEFAULT: Final[dict[str, pydantic.JsonValue]] = {"observedGeneration": NOT_OBSERVED}
"""What the apiserver gives an object that has no status yet."""
