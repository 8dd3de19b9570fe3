"""What an organization's mail is sent with: the values, where each came from, and whether they may be used."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping
from typing import Final

from mailtier.api import names, overrides, reasons, vocabulary


class State(enum.StrEnum):
    """Whether the sender may use effective settings."""

    ACTIVE = "Active"
    BLOCKED = "Blocked"
    """A finding forbids them; nothing is connected to."""
    UNRESOLVED = "Unresolved"
    """A Secret or CA bundle is missing, unreadable or not bound, or the host alone has no endpoint; nothing is
    connected to."""
    SUSPENDED = "Suspended"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class OrganizationKey:
    """An organization's identity: namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class FallbackKey(OrganizationKey):
    """An organization's settings with the fallback in place of the first server; never equal to the organization."""

    @property
    def organization(self) -> OrganizationKey:
        """The organization itself."""
        return OrganizationKey(namespace=self.namespace, name=self.name)


HOST: Final = OrganizationKey(namespace="", name=names.HOST_NAME)
"""The key of the host's own effective settings; no organization can have it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A violation that blocks.

    Attributes:
        reason: Why, from the one list of reasons.
        field: Path of the field below the object, as in `spec.from.address`; empty for the object as a whole.
        message: What is so, what is allowed, what to do; without a final full stop.
    """

    reason: reasons.Reason
    field: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How a connection is protected.

    Attributes:
        server_name: Name for SNI and the certificate check; None for the endpoint's host.
        ca: Hexadecimal SHA-256 of the CA bundle to verify against; None for the public CAs.
    """

    mode: vocabulary.TlsMode
    server_name: str | None
    min_version: vocabulary.TlsVersion
    ca: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AddressRules:
    """Which addresses a name may resolve to (R6).

    Attributes:
        public: Whether public addresses are allowed.
        private: Whether private networks are (the host's own endpoint: yes; loopback, link-local, metadata: no).
        allow: Networks opened beside those.
        deny: Networks closed whatever else says; both are for the endpoint's port already.
    """

    public: bool
    private: bool
    allow: tuple[str, ...]
    deny: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The SMTP server.

    Attributes:
        host: Lower-case DNS name without a trailing dot, or an IP address in its canonical form.
        origin: Whose endpoint it is, Host or Org.
        is_host_s: Whether the rules of the host's server hold: it is inherited, or named once more on whatever port,
            and not used with a login that is trusted there (`settings.host_server`). Then the host's policy on
            senders, its limits and the namespace's quota hold.
    """

    host: str
    port: int
    tls: Tls
    addresses: AddressRules
    origin: vocabulary.Origin
    is_host_s: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TokenServer:
    """Where access tokens come from.

    Attributes:
        url: The token endpoint, https.
        host: Of the URL, normalized as an endpoint's is.
        port: Of the URL; 443 where it names none.
        addresses: Which addresses its name may resolve to (R6).
    """

    url: str
    host: str
    port: int
    addresses: AddressRules

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2:
    """How an access token is asked for (RFC 6749).

    Attributes:
        key_id: `kid` of the assertion; None for none.
        scopes: In their order; empty for the token server's default.
        client_secret_key: Key in the Secret; None where no client secret is sent. The same for the other two.
    """

    grant_type: vocabulary.GrantType
    server: TokenServer
    client_id: str
    client_authentication: vocabulary.ClientAuthentication
    key_id: str | None
    scopes: tuple[str, ...]
    client_secret_key: str | None
    private_key_key: str | None
    refresh_token_key: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SecretReference:
    """Credentials by reference.

    Attributes:
        key: Key of the password; "" where `Auth.oauth2` says which keys there are.
        version: uid and resourceVersion as the operator last read them; "" while unresolved. A change of it tells
            the sender to read again.
    """

    namespace: str
    name: str
    key: str
    version: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CertificateReference:
    """A client certificate by the Secret that it is in.

    Attributes:
        version: As of `SecretReference`.
    """

    namespace: str
    name: str
    version: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """How a session authenticates.

    Attributes:
        mechanism: Anonymous, PLAIN, LOGIN or XOAUTH2.
        identity: The rendered username; "" for Anonymous.
        secret: Where the password is, or what the token server is shown; None for Anonymous.
        origin: Whose credentials they are; Default where the host says nothing, which is Anonymous.
        oauth2: For XOAUTH2, and there alone.
        certificate: What the server is shown in the TLS handshake, with any mechanism; the endpoint's owner's. It
            belongs to the credentials: with another one, it is somebody else who connects.
    """

    mechanism: vocabulary.Mechanism
    identity: str
    secret: SecretReference | None
    origin: vocabulary.Origin
    oauth2: OAuth2 | None = None
    certificate: CertificateReference | None = None

    @property
    def version(self) -> str:
        """Version of all Secrets that it refers to; "" without one, and while they are unresolved."""
        return joined(*(each.version for each in (self.secret, self.certificate) if each is not None))


def joined(*versions: str) -> str:
    """Return the versions of several Secrets as one text, with blanks between them: none of them has any."""
    return " ".join(filter(None, versions))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class From:
    """Who mail is from.

    Attributes:
        envelope: Address of MAIL FROM; the From address where no tier names one.
    """

    address: str
    display_name: str | None
    reply_to: str | None
    envelope: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How mail is delivered.

    Attributes:
        helo_name: Name for EHLO; None for the sender's own.
        session_timeout: Total from connecting until AUTH is done.
        envelope_timeout: Total from MAIL FROM to the reply to DATA.
        message_timeout: Total for the message and the reply to its final dot.
        ehlo_ignore: What the server offers and is left alone, sorted.
        replies: What is made of which replies; the first that matches decides.
        endpoint_rate_per_minute: Messages a minute through the endpoint, whoever sends them; None without a limit.
        rate_per_minute: Messages a minute for the organization; None without a limit.
        max_age: How long a message is tried; None for its category's own limit.
    """

    helo_name: str | None
    max_connections: int
    messages_per_connection: int
    session_timeout: dt.timedelta
    envelope_timeout: dt.timedelta
    message_timeout: dt.timedelta
    rate_per_minute: int | None
    max_age: dt.timedelta | None
    ehlo_ignore: tuple[vocabulary.EhloKeyword, ...] = ()
    replies: tuple[overrides.ReplyOverride, ...] = ()
    endpoint_rate_per_minute: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CategorySettings:
    """What happens to one category.

    Attributes:
        locale: Language of the message where the notification names none.
    """

    enabled: bool
    recipients: tuple[str, ...]
    locale: vocabulary.Locale = vocabulary.Locale.ENGLISH


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What the namespace may have, as the host's policy says; None where it says nothing.

    Attributes:
        rate_per_minute: Messages a minute through the host's endpoint, for all organizations of the namespace.
    """

    queued_messages: int | None = None
    queued_bytes: int | None = None
    rate_per_minute: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RecipientRules:
    """Whom notifications of an organization may name.

    Attributes:
        domains: Globs of domains, in lower case; None for everybody.
        enforced: Whether others are refused; otherwise they are counted (mode Audit).
    """

    domains: tuple[str, ...] | None = None
    enforced: bool = True


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ByAddress:
    """What holds where an endpoint of another name is found to be the host's server by its address.

    Attributes:
        findings: What then forbids the settings.
        is_trusted: Whether the login is trusted there, so that it is nobody's business but the server's.
    """

    findings: tuple[Finding, ...] = ()
    is_trusted: bool = False


NOWHERE: Final = ByAddress()
"""For settings whose endpoint is the host's by name already, or that have none."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FallbackServer:
    """The server that takes the mail while the first one is dead: what is said of the first one, of this one.

    Attributes:
        delivery: As its owner says; the host, where an organization's fallback is the host's server.
    """

    endpoint: Endpoint
    auth: Auth
    delivery: Delivery
    by_address: ByAddress = NOWHERE


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """Everything the sender needs for one organization, as `effective.json` carries it.

    Attributes:
        namespace_uid: uid of the namespace: rows are keyed by it, so that a recreated namespace inherits nothing.
        findings: What forbids the settings first, then what is wrong with what they refer to.
        audited: What would forbid them if the host's policy were enforced (mode Audit).
        endpoint: None only where a finding says that it is missing; the same for auth and from_. The host's own
            settings need not have them, since organizations may bring their own.
        by_address: What the operator cannot see and the sender can.
        fallback: None without one, and where a finding says that what it refers to cannot be used.
        provenance: Dotted path of every effective value (`smtp.host`) to the tier it came from; `suspend` is in it.
    """

    organization: OrganizationKey
    namespace_uid: str
    state: State
    findings: tuple[Finding, ...]
    source: vocabulary.Source
    endpoint: Endpoint | None
    auth: Auth | None
    from_: From | None
    delivery: Delivery
    notifications: Mapping[vocabulary.Category, CategorySettings]
    provenance: Mapping[str, vocabulary.Origin]
    quota: Quota = Quota()
    recipients: RecipientRules = RecipientRules()
    audited: tuple[Finding, ...] = ()
    by_address: ByAddress = NOWHERE
    fallback: FallbackServer | None = None

    def at_fallback(self) -> "Effective | None":
        """Return the settings with the fallback in place of the first server; None without one."""
        there = self.fallback
        if there is None:
            return None
        key = FallbackKey(namespace=self.organization.namespace, name=self.organization.name)
        return dataclasses.replace(
            self,
            organization=key,
            endpoint=there.endpoint,
            auth=there.auth,
            delivery=there.delivery,
            by_address=there.by_address,
            fallback=None,
        )
