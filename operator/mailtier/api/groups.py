"""The groups that both settings kinds share: smtp, auth, from, delivery, notifications."""

from typing import Annotated, ClassVar, Literal

import pydantic

from mailtier.api import oauth, overrides, schema, types, vocabulary

Recipients = Annotated[list[types.Address], pydantic.Field(max_length=20), schema.SET]


class CaReference(schema.Model):
    """A bundle of PEM certificates that the server's certificate is verified against, instead of the public CAs.

    The host's stands in the operator's namespace, an organization's in its own.
    """

    kind: Literal["ConfigMap", "Secret"]
    """What holds the bundle."""
    name: types.ObjectName
    """Name of the object."""
    key: types.ObjectKey | None = None
    """Key of the bundle in it; ca.crt when absent. At most 1 MiB and 1,000 certificates; a chain may end at any of
    them."""


class ClientCertificateReference(schema.Model):
    """The Secret of type kubernetes.io/tls with the certificate that the server is shown in the handshake.

    Its tls.crt holds the certificate, followed by what it was issued by; its tls.key the private key, RSA of 2048 to
    4096 bits or on the curve P-256 or P-384, without a passphrase. Like a password's, it is used only if its annotation
    mailtier.dev/endpoint lists the effective endpoint. The host's is shown with the host's auth alone, and never
    together with an organization's own.
    """

    name: types.ObjectName
    """Name of the Secret; the host's in the operator's namespace, an organization's in its own."""


_ONLY_WITH_TLS = ("server_name", "min_version", "ca_ref", "client_certificate_ref")


class Tls(schema.Model):
    """How the connection is protected. A certificate that does not verify ends the connection before any AUTH."""

    mode: vocabulary.TlsMode | None = None
    """StartTLS (required, never opportunistic; the default), Implicit (TLS from the first byte) or Disabled."""
    server_name: types.ServerName | None = None
    """Name for SNI and the certificate check; the host when absent."""
    min_version: vocabulary.TlsVersion | None = None
    """The lowest TLS version accepted; TLS1.2 when absent."""
    ca_ref: CaReference | None = None
    client_certificate_ref: ClientCertificateReference | None = None

    RULES: ClassVar = (
        schema.not_empty("mode", *_ONLY_WITH_TLS),
        schema.Rule(
            cel="!has(self.mode) || self.mode != 'Disabled' || "
            "!(has(self.serverName) || has(self.minVersion) || has(self.caRef) || has(self.clientCertificateRef))",
            holds=lambda tls: (
                tls.mode != vocabulary.TlsMode.DISABLED or all(getattr(tls, field) is None for field in _ONLY_WITH_TLS)
            ),
            message="serverName, minVersion, caRef and clientCertificateRef act only with TLS; remove them, or set mode"
            " to StartTLS or Implicit",
        ),
    )


class PasswordReference(schema.Model):
    """The Secret with the password, which is never written here.

    It is used only if its annotation mailtier.dev/endpoint lists the effective endpoint as host:port, or as the host
    alone for any port; several are separated by commas.
    """

    name: types.ObjectName
    """Name of the Secret; the host's in the operator's namespace, an organization's in its own."""
    key: types.ObjectKey | None = None
    """Key of the password in it; password when absent."""


def _is_anonymous(auth: "Auth") -> bool:
    return auth.mechanism == vocabulary.Mechanism.ANONYMOUS


def _names_domain(auth: "Auth") -> bool:
    return auth.username_format in {
        vocabulary.UsernameFormat.DOWN_LEVEL,
        vocabulary.UsernameFormat.USER_PRINCIPAL_NAME,
    }


_CREDENTIALS = ("username", "domain", "username_format", "password_secret_ref", "oauth2")


def _is_named(auth: "Auth") -> bool:
    return auth.username is not None and (auth.password_secret_ref is not None or auth.oauth2 is not None)


def _fits_mechanism(auth: "Auth") -> bool:
    if auth.oauth2 is None:
        return auth.mechanism != vocabulary.Mechanism.XOAUTH2
    return auth.mechanism in {None, vocabulary.Mechanism.XOAUTH2} and auth.password_secret_ref is None


AUTH_RULES = (
    schema.Rule(
        cel="has(self.mechanism) && self.mechanism == 'Anonymous' || (has(self.username) && "
        "(has(self.passwordSecretRef) || has(self.oauth2)))",
        holds=lambda auth: _is_anonymous(auth) or _is_named(auth),
        message="needs username and passwordSecretRef (or oauth2), or mechanism: Anonymous",
    ),
    schema.Rule(
        cel="!has(self.mechanism) || self.mechanism != 'Anonymous' || !(has(self.username) || has(self.domain) || "
        "has(self.usernameFormat) || has(self.passwordSecretRef) || has(self.oauth2))",
        holds=lambda auth: not _is_anonymous(auth) or all(getattr(auth, field) is None for field in _CREDENTIALS),
        message="mechanism Anonymous sends no credentials; remove username, domain, usernameFormat,"
        " passwordSecretRef and oauth2",
    ),
    schema.Rule(
        cel="has(self.mechanism) && self.mechanism == 'Anonymous' || (has(self.oauth2) ? "
        "!has(self.passwordSecretRef) && (!has(self.mechanism) || self.mechanism == 'XOAUTH2') : "
        "!has(self.mechanism) || self.mechanism != 'XOAUTH2')",
        holds=lambda auth: _is_anonymous(auth) or _fits_mechanism(auth),
        message="mechanism XOAUTH2 goes with oauth2, and every other with passwordSecretRef: set one of the two, and"
        " leave mechanism out with oauth2",
    ),
    schema.Rule(
        cel="has(self.domain) == (has(self.usernameFormat) && self.usernameFormat != 'Plain')",
        holds=lambda auth: (auth.domain is not None) == _names_domain(auth),
        message="domain goes with usernameFormat DownLevel (DOMAIN\\user) or UserPrincipalName (user@domain): set"
        " both or neither",
    ),
    schema.Rule(
        cel="!has(self.username) || !has(self.usernameFormat) || self.usernameFormat == 'Plain' || "
        "!(self.username.contains('@') || self.username.contains('\\\\'))",
        holds=lambda auth: (
            auth.username is None or not _names_domain(auth) or not ("@" in auth.username or "\\" in auth.username)
        ),
        message="username already names a domain; write it without, or set usernameFormat: Plain and remove domain",
    ),
)


class Auth(schema.Model):
    """How a session authenticates: one atomic group."""

    mechanism: vocabulary.Mechanism | None = None
    """The SASL mechanism; when absent PLAIN, or XOAUTH2 with oauth2. Anonymous sends no AUTH even where the server
    offers it."""
    username: types.Username | None = None
    """The account at the SMTP server."""
    domain: types.ServerName | None = None
    """Domain of the username, joined to it as usernameFormat says."""
    username_format: vocabulary.UsernameFormat | None = None
    """How username and domain are joined: Plain (username alone; the default), DownLevel, UserPrincipalName."""
    password_secret_ref: PasswordReference | None = None
    oauth2: oauth.OAuth2 | None = None
    """Instead of a password: an access token, which the server checks with its provider (XOAUTH2)."""

    RULES: ClassVar = AUTH_RULES


def _mode(tls: Tls | None) -> vocabulary.TlsMode:
    return (tls.mode if tls else None) or vocabulary.TlsMode.STARTTLS


def _is_clear(tls: Tls | None) -> bool:
    return _mode(tls) == vocabulary.TlsMode.DISABLED


def _wants_newest(tls: Tls | None) -> bool:
    return tls is not None and tls.min_version == vocabulary.TlsVersion.V1_3


class Fallback(schema.Model):
    """The server that takes the mail while the first one is dead: no address of it gets as far as EHLO.

    All rules of smtp and auth hold for it. It is not used where the first one is there and something else is wrong,
    such as a certificate that does not verify, or a login that is refused.
    """

    host: types.Host
    """DNS name or IP address of the SMTP server."""
    port: types.Port | None = None
    """Port of the server; when absent 587 for StartTLS, 465 for Implicit, 25 for Disabled."""
    tls: Tls | None = None
    """Never weaker than the first server's, of which nothing is taken over; StartTLS, verified against the public CAs,
    when absent."""
    auth: Auth | None = None
    """What it is logged in with; the same as the first server when absent. Then the Secret lists both servers in its
    annotation mailtier.dev/endpoint."""

    RULES: ClassVar = (
        schema.Rule(
            cel="!has(self.tls) || !has(self.tls.mode) || self.tls.mode != 'Disabled' || !has(self.auth) || "
            "(has(self.auth.mechanism) && self.auth.mechanism == 'Anonymous')",
            holds=lambda fallback: not _is_clear(fallback.tls) or fallback.auth is None or _is_anonymous(fallback.auth),
            message="tls.mode Disabled would send the password in clear; use StartTLS or Implicit, or auth.mechanism:"
            " Anonymous",
        ),
    )


class Smtp(schema.Model):
    """The SMTP server that mail is submitted to: one atomic group, inherited as a whole or not at all."""

    host: types.Host
    """DNS name or IP address of the SMTP server."""
    port: types.Port | None = None
    """Port of the server; when absent 587 for StartTLS, 465 for Implicit, 25 for Disabled."""
    tls: Tls | None = None
    """StartTLS, verified against the public CAs, when absent."""
    fallback: Fallback | None = None
    """None when absent. An organization that authenticates on the host's server itself has none there."""

    RULES: ClassVar = (
        schema.Rule(
            cel="!has(self.fallback) || (has(self.tls) && has(self.tls.mode) && self.tls.mode == 'Disabled') || "
            "!has(self.fallback.tls) || !has(self.fallback.tls.mode) || self.fallback.tls.mode != 'Disabled'",
            holds=lambda smtp: smtp.fallback is None or _is_clear(smtp.tls) or not _is_clear(smtp.fallback.tls),
            message="fallback.tls.mode Disabled is weaker than tls.mode; use StartTLS or Implicit for both servers",
        ),
        schema.Rule(
            cel="!has(self.fallback) || !has(self.tls) || !has(self.tls.minVersion) || "
            "self.tls.minVersion != 'TLS1.3' || (has(self.fallback.tls) && has(self.fallback.tls.minVersion) && "
            "self.fallback.tls.minVersion == 'TLS1.3')",
            holds=lambda smtp: smtp.fallback is None or not _wants_newest(smtp.tls) or _wants_newest(smtp.fallback.tls),
            message="fallback.tls.minVersion is below tls.minVersion; set it to TLS1.3 as well",
        ),
    )


class From(schema.Model):
    """Who mail is from. Each field is inherited on its own."""

    address: types.Address | None = None
    """Address of the From header."""
    display_name: types.DisplayName | None = None
    """Name that mail programs show beside the address."""
    reply_to: types.Address | None = None
    """Address of the Reply-To header; no header when absent in both tiers."""
    envelope: types.Address | None = None
    """Address of MAIL FROM, where bounces go; from.address when absent in both tiers."""

    RULES: ClassVar = (schema.not_empty("address", "display_name", "reply_to", "envelope"),)


class Timeouts(schema.Model):
    """Wall-clock totals of one connection, whatever the server sends in between."""

    session: types.SessionTimeout | None = None
    """From connecting until AUTH is done; 30s when absent, and at most."""
    envelope: types.EnvelopeTimeout | None = None
    """From MAIL FROM to the reply to DATA; 60s when absent, and at most."""
    message: types.MessageTimeout | None = None
    """The message and the reply to its final dot; 10m when absent, and at most (RFC 5321 section 4.5.3.2.6)."""

    RULES: ClassVar = (schema.not_empty("session", "envelope", "message"),)


class Delivery(schema.Model):
    """How mail is delivered.

    heloName, maxConnections, messagesPerConnection, timeouts, ehloIgnore, replies and endpointRatePerMinute belong to
    the owner of the endpoint.
    """

    helo_name: types.ServerName | None = None
    """Name for EHLO; the sender's host name when absent."""
    max_connections: Annotated[int, pydantic.Field(ge=1, le=100, strict=True)] | None = None
    """Connections to the endpoint at the same time; 3 when absent."""
    messages_per_connection: Annotated[int, pydantic.Field(ge=1, le=10_000, strict=True)] | None = None
    """Messages before a connection is closed; 100 when absent."""
    timeouts: Timeouts | None = None
    ehlo_ignore: (
        Annotated[list[vocabulary.EhloKeyword], pydantic.Field(max_length=len(vocabulary.EhloKeyword)), schema.SET]
        | None
    ) = None
    """What the server offers and does not do well, to be left alone: PIPELINING, SIZE, 8BITMIME, SMTPUTF8, DSN. Such as
    PIPELINING behind a proxy that answers the first command of a group alone. Nothing when absent."""
    replies: overrides.ReplyRules | None = None
    """What is made of replies that this server means otherwise than others do. The first entry that matches a reply
    decides; a reply that none matches is judged as always."""
    endpoint_rate_per_minute: Annotated[int, pydantic.Field(ge=1, le=100_000, strict=True)] | None = None
    """Messages a minute through the endpoint, of all organizations there together and password recoveries included, as
    a provider allows them to an account; what is above waits in the queue. Not limited when absent."""
    rate_per_minute: Annotated[int, pydantic.Field(ge=1, le=100_000, strict=True)] | None = None
    """Messages a minute for each organization; not limited when absent in both tiers."""
    max_age: types.MaxAge | None = None
    """How long a message is tried; the limit of its category when absent in both tiers."""

    RULES: ClassVar = (
        schema.not_empty(
            "helo_name",
            "max_connections",
            "messages_per_connection",
            "timeouts",
            "ehlo_ignore",
            "replies",
            "endpoint_rate_per_minute",
            "rate_per_minute",
            "max_age",
        ),
    )


class PasswordRecoverySettings(schema.Model):
    """Password recovery: its one recipient is always named by the notification."""

    enabled: types.Flag | None = None
    """Whether the category is sent; true when absent in both tiers."""
    locale: vocabulary.Locale | None = None
    """Language of the message where the notification names none; en when absent in both tiers."""

    RULES: ClassVar = (schema.not_empty("enabled", "locale"),)


class CategorySettings(schema.Model):
    """What happens to notifications of one category."""

    enabled: types.Flag | None = None
    """Whether the category is sent; true when absent in both tiers."""
    recipients: Recipients | None = None
    """Who gets it when the notification names nobody. A list replaces the inherited one; [] means nobody."""
    locale: vocabulary.Locale | None = None
    """Language of the message where the notification names none; en when absent in both tiers."""

    RULES: ClassVar = (schema.not_empty("enabled", "recipients", "locale"),)


class Notifications(schema.Model):
    """Settings for each category of notification. Each field is inherited on its own."""

    password_recovery: PasswordRecoverySettings | None = None
    """A user asked for a new password."""
    license_status: CategorySettings | None = None
    """A licence is about to end, has ended, or was renewed."""
    product_update: CategorySettings | None = None
    """News of the product."""
    job_alert: CategorySettings | None = None
    """A job failed, or needs somebody."""
    robot_alert: CategorySettings | None = None
    """A robot is unreachable, or needs somebody."""

    RULES: ClassVar = (
        schema.not_empty("password_recovery", "license_status", "product_update", "job_alert", "robot_alert"),
    )
