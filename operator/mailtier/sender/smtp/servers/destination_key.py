"""What makes two organizations users of the same destination, and what its owner says of its use."""

import dataclasses
import datetime as dt
from typing import Final

from mailtier.api import overrides, vocabulary
from mailtier.sender.smtp.servers import server_room
from mailtier.settings import effective
from mailtier.settings.providers import catalogue

HOST_ROOM: Final = ""
"""Both of the host's servers go by this name, which is the first of all: everybody else's has a slash."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DestinationLimits:
    """What the owner of an endpoint says of its use."""

    max_connections: int
    messages_per_connection: int
    session_timeout: dt.timedelta
    envelope_timeout: dt.timedelta
    message_timeout: dt.timedelta
    ehlo_ignore: tuple[vocabulary.EhloKeyword, ...]
    replies: tuple[overrides.ReplyOverride, ...]
    endpoint_rate_per_minute: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DestinationKey:
    """What makes two organizations users of the same destination.

    Attributes:
        limits: None on the host's server, whose limits may change under the same destination. Organizations with an
            endpoint of their own share one only if they say the same of it.
        party: Whose it is: `server_room.HOST`, or the namespace that names the endpoint itself, so that none can lower
            another's limits, or trip its breaker with a HELO name that the server does not take.
        is_trusted: Whether the login is one that the host's server is left to judge.
        certificate: Namespace and name of the Secret with the client certificate; None without one. A server that
            wants one, or not this one, fails all who show none, or this one, and nobody else.
    """

    endpoint: effective.Endpoint
    helo_name: str | None
    limits: DestinationLimits | None
    party: str
    is_trusted: bool
    certificate: tuple[str, str] | None = None
    _hash: int = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Made once: each message looks several things up by its destination.
        parts = (self.endpoint, self.helo_name, self.limits, self.party, self.is_trusted, self.certificate)
        object.__setattr__(self, "_hash", hash(parts))

    def __hash__(self) -> int:
        return self._hash

    @property
    def scope(self) -> str:
        """The namespace where a provider counts connections by account, "" where a server counts clients."""
        provider = catalogue.find(self.endpoint.host)
        is_by_account = self.is_trusted or (provider is not None and provider.binds_from.value)
        return self.party if is_by_account else ""

    @property
    def room(self) -> str:
        """The name of the server's room, as far as settings tell: whoever owns it alone connects there.

        Whether another name leads to the same server only DNS tells, to each sender at another moment; who owns what
        must not depend on that.
        """
        return HOST_ROOM if self.endpoint.is_host_s else f"{self.scope}/{self.endpoint.host}"


def limits_of(delivery: effective.Delivery) -> DestinationLimits:
    """Return the part of the delivery settings that belongs to the endpoint's owner."""
    return DestinationLimits(
        max_connections=delivery.max_connections,
        messages_per_connection=delivery.messages_per_connection,
        session_timeout=delivery.session_timeout,
        envelope_timeout=delivery.envelope_timeout,
        message_timeout=delivery.message_timeout,
        ehlo_ignore=delivery.ehlo_ignore,
        replies=delivery.replies,
        endpoint_rate_per_minute=delivery.endpoint_rate_per_minute,
    )


def key_of(settings: effective.Effective) -> DestinationKey:
    """Return the key of the destination that effective settings name; they have an endpoint."""
    endpoint, delivery = settings.endpoint, settings.delivery
    certificate = settings.auth.certificate if settings.auth is not None else None
    assert endpoint is not None
    is_inherited = endpoint.origin is vocabulary.Origin.HOST and endpoint.is_host_s
    return DestinationKey(
        endpoint=endpoint,
        helo_name=delivery.helo_name,
        limits=None if endpoint.is_host_s else limits_of(delivery),
        party=server_room.HOST if is_inherited else settings.organization.namespace,
        is_trusted=settings.by_address.is_trusted,
        certificate=None if certificate is None else (certificate.namespace, certificate.name),
    )


def at(settings: effective.Effective | None, key: DestinationKey) -> effective.Effective | None:
    """Return settings for the one of their servers that a destination is; the first one where it is neither."""
    if settings is None or settings.fallback is None or settings.endpoint == key.endpoint:
        return settings
    return settings.at_fallback() if settings.fallback.endpoint == key.endpoint else settings
