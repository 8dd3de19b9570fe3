"""Why a delivery did not happen, in one word: every reason a recipient's record can carry, and its meaning.

`docs/reference/recipient-states.md` is generated from this file and from `states`.
"""

import enum
from typing import Final


class DeliveryReason(enum.StrEnum):
    """The cause of a failed or postponed delivery, CamelCase as in Kubernetes' conditions."""

    NAME_NOT_RESOLVED = "NameNotResolved"
    NAME_NOT_ABSOLUTE = "NameNotAbsolute"
    ADDRESS_DENIED = "AddressDenied"
    HOST_RELAY = "HostRelay"
    HOST_RELAY_UNKNOWN = "HostRelayUnknown"
    HOST_SERVER = "HostServer"
    TOO_MANY_REFUSED_LOGINS = "TooManyRefusedLogins"
    CONNECTION_FAILED = "ConnectionFailed"
    CONNECTION_LOST = "ConnectionLost"
    TIMED_OUT = "TimedOut"
    STARTTLS_NOT_OFFERED = "StartTlsNotOffered"
    TLS_FAILED = "TlsFailed"
    TLS_NOT_SPOKEN = "TlsNotSpoken"
    TLS_EXPECTED = "TlsExpected"
    TLS_TOO_OLD = "TlsTooOld"
    TLS_NO_COMMON_CIPHER = "TlsNoCommonCipher"
    CERTIFICATE_NOT_TRUSTED = "CertificateNotTrusted"
    PROTOCOL_ERROR = "ProtocolError"
    SERVER_UNAVAILABLE = "ServerUnavailable"
    SERVER_REFUSED = "ServerRefused"
    MECHANISM_NOT_OFFERED = "MechanismNotOffered"
    PROMPT_NOT_RECOGNIZED = "PromptNotRecognized"
    CREDENTIALS_REFUSED = "CredentialsRefused"
    AUTHENTICATION_UNAVAILABLE = "AuthenticationUnavailable"
    TOKEN_FAILED = "TokenFailed"  # noqa: S105  # The name of a reason; the next one too.
    TOKEN_REFUSED = "TokenRefused"  # noqa: S105
    CLIENT_NAME_REFUSED = "ClientNameRefused"
    AUTHENTICATION_REQUIRED = "AuthenticationRequired"
    ACCOUNT_DISABLED = "AccountDisabled"
    LIMIT_REACHED = "LimitReached"
    RELAY_DENIED = "RelayDenied"
    SENDER_REFUSED = "SenderRefused"
    POLICY_REFUSED = "PolicyRefused"
    RECIPIENT_REFUSED = "RecipientRefused"
    RECIPIENT_UNAVAILABLE = "RecipientUnavailable"
    MESSAGE_REFUSED = "MessageRefused"
    MESSAGE_DEFERRED = "MessageDeferred"
    MESSAGE_TOO_LARGE = "MessageTooLarge"
    SMTPUTF8_NOT_OFFERED = "SmtpUtf8NotOffered"
    EIGHT_BIT_NOT_OFFERED = "EightBitNotOffered"
    IN_DOUBT = "InDoubt"
    EXPIRED = "Expired"
    ADDRESS_SUPPRESSED = "AddressSuppressed"
    NOT_BUILDABLE = "NotBuildable"
    SENDER_DEFECT = "SenderDefect"
    SETTINGS_BLOCKED = "SettingsBlocked"
    SETTINGS_UNRESOLVED = "SettingsUnresolved"
    SUSPENDED = "Suspended"
    RATE_LIMITED = "RateLimited"
    CONNECTION_AWAITED = "ConnectionAwaited"
    OPENING_AWAITED = "OpeningAwaited"
    LOGIN_AWAITED = "LoginAwaited"
    TOKEN_AWAITED = "TokenAwaited"  # noqa: S105
    CREDENTIALS_UNUSABLE = "CredentialsUnusable"
    ORGANIZATION_UNKNOWN = "OrganizationUnknown"
    ORGANIZATION_DELETED = "OrganizationDeleted"
    NAMESPACE_DELETED = "NamespaceDeleted"
    DROPPED = "Dropped"
    RESTORED = "Restored"
    NOT_IN_BACKUP = "NotInBackup"


MEANINGS: Final[dict[DeliveryReason, str]] = {
    DeliveryReason.NAME_NOT_RESOLVED: "The SMTP server's name has no address.",
    DeliveryReason.NAME_NOT_ABSOLUTE: "The SMTP server's name is not a whole one: only a pod's search list finds it.",
    DeliveryReason.ADDRESS_DENIED: "The SMTP server's address is one that the policy does not allow.",
    DeliveryReason.HOST_RELAY: "The SMTP server is the host's by another name, and is not used without credentials.",
    DeliveryReason.HOST_RELAY_UNKNOWN: "The SMTP server cannot be compared with the host's now, as it must be without"
    " credentials; the platform team finds the cause.",
    DeliveryReason.HOST_SERVER: "The SMTP server is the host's by another name, where the host's policy forbids these"
    " settings.",
    DeliveryReason.TOO_MANY_REFUSED_LOGINS: "The SMTP server refused too many logins of this namespace within an hour;"
    " no other is tried for now.",
    DeliveryReason.CONNECTION_FAILED: "No connection to the SMTP server came about.",
    DeliveryReason.CONNECTION_LOST: "The connection was lost before the message was handed over.",
    DeliveryReason.TIMED_OUT: "The SMTP server did not answer in time.",
    DeliveryReason.STARTTLS_NOT_OFFERED: "StartTLS is required and the SMTP server does not offer it.",
    DeliveryReason.TLS_FAILED: "The TLS handshake failed.",
    DeliveryReason.TLS_NOT_SPOKEN: "The SMTP server answers in clear where TLS is expected at once.",
    DeliveryReason.TLS_EXPECTED: "The SMTP server expects TLS at once, and does not greet in clear.",
    DeliveryReason.TLS_TOO_OLD: "The SMTP server has no version of TLS that the settings allow.",
    DeliveryReason.TLS_NO_COMMON_CIPHER: "The SMTP server has no cipher in common with us, or refused the handshake.",
    DeliveryReason.CERTIFICATE_NOT_TRUSTED: "The SMTP server's certificate did not verify.",
    DeliveryReason.PROTOCOL_ERROR: "What the server sent is not SMTP.",
    DeliveryReason.SERVER_UNAVAILABLE: "The SMTP server is not available at present.",
    DeliveryReason.SERVER_REFUSED: "The SMTP server does not serve this client.",
    DeliveryReason.MECHANISM_NOT_OFFERED: "The SMTP server does not offer the SASL mechanism of the settings.",
    DeliveryReason.PROMPT_NOT_RECOGNIZED: "The SMTP server asked for something during AUTH that has no sure answer.",
    DeliveryReason.CREDENTIALS_REFUSED: "The SMTP server refused the credentials, or demands some.",
    DeliveryReason.AUTHENTICATION_UNAVAILABLE: "The SMTP server cannot check credentials at present.",
    DeliveryReason.TOKEN_FAILED: "There is no access token from the token server.",
    DeliveryReason.TOKEN_REFUSED: "The token server refused the client, its secret or key, or the refresh token.",
    DeliveryReason.CLIENT_NAME_REFUSED: "The SMTP server refused the name that this client gave with EHLO.",
    DeliveryReason.AUTHENTICATION_REQUIRED: "The SMTP server takes no mail without authentication.",
    DeliveryReason.ACCOUNT_DISABLED: "The SMTP server does not let this account send.",
    DeliveryReason.LIMIT_REACHED: "A limit of the SMTP server on what this account or client may send is reached.",
    DeliveryReason.RELAY_DENIED: "The SMTP server does not relay for this client.",
    DeliveryReason.SENDER_REFUSED: "The SMTP server refused the sender address.",
    DeliveryReason.POLICY_REFUSED: "The SMTP server's policy refused the client or the sender, not the recipient.",
    DeliveryReason.RECIPIENT_REFUSED: "The SMTP server refused this recipient for good.",
    DeliveryReason.RECIPIENT_UNAVAILABLE: "The SMTP server does not take mail for this recipient at present.",
    DeliveryReason.MESSAGE_REFUSED: "The SMTP server refused this message for good.",
    DeliveryReason.MESSAGE_DEFERRED: "The SMTP server does not take this message at present.",
    DeliveryReason.MESSAGE_TOO_LARGE: "The message is larger than the SMTP server takes.",
    DeliveryReason.SMTPUTF8_NOT_OFFERED: "The address is not ASCII and the SMTP server does not offer SMTPUTF8.",
    DeliveryReason.EIGHT_BIT_NOT_OFFERED: "The message has 8-bit lines and the SMTP server does not offer 8BITMIME.",
    DeliveryReason.IN_DOUBT: "The connection was lost after the final dot: the message may have been accepted.",
    DeliveryReason.EXPIRED: "The message reached its max age.",
    DeliveryReason.ADDRESS_SUPPRESSED: "The SMTP server refused the address as unknown (5.1.1) in two messages, so that"
    " nothing is sent to it for seven days.",
    DeliveryReason.NOT_BUILDABLE: "No message could be built from the notification.",
    DeliveryReason.SENDER_DEFECT: "A defect of the sender kept the message from being tried; its log names the place.",
    DeliveryReason.SETTINGS_BLOCKED: "The organization's settings are blocked.",
    DeliveryReason.SETTINGS_UNRESOLVED: "What the settings need, of the organization's own or inherited from the host,"
    " cannot be used yet.",
    DeliveryReason.SUSPENDED: "The organization's settings, or the host's, suspend delivery.",
    DeliveryReason.RATE_LIMITED: "The message waits for the rate that the host's quota allows the namespace, or that"
    " the owner of the endpoint allows there.",
    DeliveryReason.CONNECTION_AWAITED: "As many connections are used as the SMTP server was found to take; the"
    " message waits for one.",
    DeliveryReason.OPENING_AWAITED: "The message waits until its namespace, which opens as many connections at a time"
    " as it may, has opened one.",
    DeliveryReason.LOGIN_AWAITED: "As many logins are tried at the SMTP server at a time as may be that were never seen"
    " to succeed; the message waits for its own.",
    DeliveryReason.TOKEN_AWAITED: "The message waits for an access token, for which the token server is being asked.",
    DeliveryReason.CREDENTIALS_UNUSABLE: "The Secret with the password cannot be used at present.",
    DeliveryReason.ORGANIZATION_UNKNOWN: "There are no settings for the organization at present.",
    DeliveryReason.ORGANIZATION_DELETED: "The organization was deleted.",
    DeliveryReason.NAMESPACE_DELETED: "The organization's namespace was deleted.",
    DeliveryReason.DROPPED: "Somebody dropped it.",
    DeliveryReason.RESTORED: "The queue was restored from a backup, and is held until the platform team has it go on"
    " (`mailtier queue resume`).",
    DeliveryReason.NOT_IN_BACKUP: "The text of a password recovery is in no backup, from which the queue was restored.",
}
