"""The enumerated values of the API, spelled as users write them in YAML."""

import enum


class TlsMode(enum.StrEnum):
    """How the connection to the SMTP server is protected (RFC 8314, RFC 3207)."""

    STARTTLS = "StartTLS"
    IMPLICIT = "Implicit"
    DISABLED = "Disabled"


class TlsVersion(enum.StrEnum):
    """The lowest TLS version that a session accepts."""

    V1_2 = "TLS1.2"
    V1_3 = "TLS1.3"


class Mechanism(enum.StrEnum):
    """How a session authenticates: a SASL mechanism by its registered name, or not at all."""

    ANONYMOUS = "Anonymous"
    PLAIN = "PLAIN"
    LOGIN = "LOGIN"
    XOAUTH2 = "XOAUTH2"


class GrantType(enum.StrEnum):
    """How an access token is asked for (RFC 6749 sections 4.4 and 6)."""

    CLIENT_CREDENTIALS = "ClientCredentials"
    REFRESH_TOKEN = "RefreshToken"  # noqa: S105  # The name of a grant.


class ClientAuthentication(enum.StrEnum):
    """How the client proves to the token server who it is."""

    CLIENT_SECRET = "ClientSecret"  # noqa: S105  # The name of a method.
    """`client_secret` in the body (RFC 6749 section 2.3.1)."""
    PRIVATE_KEY_JWT = "PrivateKeyJWT"
    """A JWT that it signs (RFC 7523 section 2.2)."""
    PUBLIC = "Public"
    """Not at all: a public client (RFC 6749 section 2.1)."""


class UsernameFormat(enum.StrEnum):
    """How the username and its domain are joined into the SASL authentication identity."""

    PLAIN = "Plain"
    DOWN_LEVEL = "DownLevel"
    USER_PRINCIPAL_NAME = "UserPrincipalName"


class EhloKeyword(enum.StrEnum):
    """What a server may offer and its owner may have ignored; never STARTTLS or AUTH, or a password went in clear."""

    PIPELINING = "PIPELINING"
    SIZE = "SIZE"
    EIGHT_BIT_MIME = "8BITMIME"
    SMTPUTF8 = "SMTPUTF8"
    DSN = "DSN"


class ReplyAction(enum.StrEnum):
    """What is made of a server's reply."""

    DEFER = "Defer"
    HOLD = "Hold"
    FAIL = "Fail"


class Category(enum.StrEnum):
    """What a notification is about."""

    PASSWORD_RECOVERY = "PasswordRecovery"  # noqa: S105  # The name of a category.
    LICENSE_STATUS = "LicenseStatus"
    PRODUCT_UPDATE = "ProductUpdate"
    JOB_ALERT = "JobAlert"
    ROBOT_ALERT = "RobotAlert"


class Locale(enum.StrEnum):
    """A language that templates exist in (BCP 47)."""

    ENGLISH = "en"
    JAPANESE = "ja"


class Severity(enum.StrEnum):
    """How much a notification matters, from least to most."""

    INFO = "Info"
    SUCCESS = "Success"
    WARN = "Warn"
    ERROR = "Error"
    FATAL = "Fatal"


class Origin(enum.StrEnum):
    """Which tier an effective value came from."""

    HOST = "Host"
    ORG = "Org"
    DEFAULT = "Default"


class Source(enum.StrEnum):
    """Which tiers an organization's effective settings draw on, in one word."""

    HOST = "Host"
    ORG = "Org"
    MIXED = "Mixed"


class Organizations(enum.StrEnum):
    """Which namespaces hold organizations."""

    LISTED = "Listed"
    SELECTOR = "Selector"
    ALL = "All"


class PolicyMode(enum.StrEnum):
    """What comes of a violation of the host's policy."""

    ENFORCE = "Enforce"
    AUDIT = "Audit"


class OwnLogins(enum.StrEnum):
    """Whether a login of an organization's own may choose From on the host's server."""

    ENFORCE = "Enforce"
    KNOWN_PROVIDERS = "KnownProviders"
    TRUST = "Trust"


class Lockable(enum.StrEnum):
    """The fields of an OrgEmailSettings that the host may keep organizations from setting, by their paths."""

    SMTP = "smtp"
    AUTH = "auth"
    FROM = "from"
    FROM_ADDRESS = "from.address"
    FROM_DISPLAY_NAME = "from.displayName"
    FROM_REPLY_TO = "from.replyTo"
    FROM_ENVELOPE = "from.envelope"
    DELIVERY = "delivery"
    DELIVERY_RATE_PER_MINUTE = "delivery.ratePerMinute"
    DELIVERY_MAX_AGE = "delivery.maxAge"
    NOTIFICATIONS = "notifications"
    NOTIFICATIONS_PASSWORD_RECOVERY = "notifications.passwordRecovery"  # noqa: S105  # A path.
    NOTIFICATIONS_LICENSE_STATUS = "notifications.licenseStatus"
    NOTIFICATIONS_PRODUCT_UPDATE = "notifications.productUpdate"
    NOTIFICATIONS_JOB_ALERT = "notifications.jobAlert"
    NOTIFICATIONS_ROBOT_ALERT = "notifications.robotAlert"
    SUSPEND = "suspend"
    PUBLISH = "publish"


class ProbeStage(enum.StrEnum):
    """The steps of a connection check, in their order."""

    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    EHLO = "ehlo"
    AUTH = "auth"
    MAIL = "mail"


class RecipientState(enum.StrEnum):
    """Where one recipient of a notification stands."""

    QUEUED = "queued"
    IN_DOUBT = "in doubt"
    DEFERRED = "deferred"
    HELD = "held"
    ACCEPTED = "accepted"
    FAILED = "failed"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"


class Condition(enum.StrEnum):
    """The condition types of our kinds."""

    ACCEPTED = "Accepted"
    RESOLVED_REFS = "ResolvedRefs"
    READY = "Ready"
    VERIFIED = "Verified"
    LINTED = "Linted"
    COMPLETE = "Complete"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


class Progress(enum.StrEnum):
    """What a false Ready means to whoever waits (kstatus)."""

    NONE = "none"
    """It is not in the way of Ready."""
    RECONCILING = "Reconciling"
    """What is missing may be on its way."""
    STALLED = "Stalled"
    """Somebody has to change something."""
