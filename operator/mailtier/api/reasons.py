"""Every reason of a condition, with its meaning and remedy: the one home they have.

`docs/reference/reasons.md` is generated from this file.
"""

import dataclasses
from typing import Final

from mailtier.api import vocabulary


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason of a condition.

    Attributes:
        name: CamelCase, as it stands in status.
        conditions: The condition types it appears on, beside Ready, Reconciling and Stalled that repeat it.
        progress: What it means to whoever waits for Ready.
        meaning: One sentence.
        remedy: What to do, in the imperative; a runbook's entry.
    """

    name: str
    conditions: tuple[vocabulary.Condition, ...]
    progress: vocabulary.Progress = vocabulary.Progress.NONE
    meaning: str
    remedy: str

    def __str__(self) -> str:
        return self.name


def _reconciling(condition: vocabulary.Condition, *, name: str, meaning: str, remedy: str) -> Reason:
    """Return a reason of what may be on its way."""
    progress = vocabulary.Progress.RECONCILING
    return Reason(name=name, conditions=(condition,), progress=progress, meaning=meaning, remedy=remedy)


def _stalled(condition: vocabulary.Condition, *, name: str, meaning: str, remedy: str) -> Reason:
    """Return a reason that lasts until somebody changes something."""
    progress = vocabulary.Progress.STALLED
    return Reason(name=name, conditions=(condition,), progress=progress, meaning=meaning, remedy=remedy)


_A, _R = vocabulary.Condition.ACCEPTED, vocabulary.Condition.RESOLVED_REFS
_V, _C = vocabulary.Condition.VERIFIED, vocabulary.Condition.COMPLETE
_NOTHING: Final = "Nothing."

# What is well.
ACCEPTED: Final = Reason(
    name="Accepted", conditions=(_A,), meaning="The settings are valid and the policy allows them.", remedy=_NOTHING
)
RESOLVED: Final = Reason(
    name="Resolved",
    conditions=(_R,),
    meaning="The Secret and the CA bundle exist, hold what is needed, and the Secret names the endpoint.",
    remedy=_NOTHING,
)
NO_REFERENCES: Final = Reason(
    name="NoReferences", conditions=(_R,), meaning="The settings refer to no Secret and no CA bundle.", remedy=_NOTHING
)
PUBLISHED: Final = Reason(
    name="Published",
    conditions=(vocabulary.Condition.READY,),
    meaning="The effective settings are published; the sender delivers with them.",
    remedy=_NOTHING,
)
NOT_PUBLISHED: Final = _reconciling(
    vocabulary.Condition.READY,
    name="NotPublished",
    meaning="The effective settings have not been written yet, so that the sender still uses what it had.",
    remedy="Wait; if it lasts, look at the operator's log for why the ConfigMap cannot be written.",
)
SUSPENDED: Final = Reason(
    name="Suspended",
    conditions=(vocabulary.Condition.READY,),
    meaning="The settings are valid and published, and spec.suspend holds delivery.",
    remedy="Remove spec.suspend from the organization's settings, or from the host's, to let messages go.",
)

# What blocks: the effective settings say Blocked, and nothing is connected to.
INVALID: Final = _stalled(
    _A,
    name="Invalid",
    meaning="The object does not fit the schema of this version of the operator.",
    remedy="Correct the field that the message names.",
)
HOST_MISSING: Final = _reconciling(
    _A,
    name="HostSettingsMissing",
    meaning="A value is inherited, and there is no HostEmailSettings named default.",
    remedy="Apply the HostEmailSettings, or set smtp, auth and from.address in the organization's settings.",
)
HOST_INVALID: Final = _stalled(
    _A,
    name="HostSettingsInvalid",
    meaning="The HostEmailSettings does not fit the schema, so that its policy is not known.",
    remedy="Correct the HostEmailSettings; until then nothing is delivered under an unknown policy.",
)
NAMESPACE_NOT_ALLOWED: Final = _stalled(
    _A,
    name="NamespaceNotAllowed",
    meaning="policy.organizations of the host does not select this namespace.",
    remedy="Have the platform team label the namespace, or remove the object.",
)
ENDPOINT_MISSING: Final = _stalled(
    _A,
    name="EndpointMissing",
    meaning="Neither the organization nor the host names an SMTP server.",
    remedy="Set spec.smtp.host in the HostEmailSettings, or in the organization's settings.",
)
FROM_MISSING: Final = _stalled(
    _A,
    name="FromMissing",
    meaning="Neither the organization nor the host names a From address.",
    remedy="Set spec.from.address in the HostEmailSettings, or in the organization's settings.",
)
CREDENTIALS_REQUIRED: Final = _stalled(
    _A,
    name="CredentialsRequired",
    meaning="The organization names its own endpoint and says nothing of credentials; the host's are never sent there.",
    remedy="Set spec.auth with username and passwordSecretRef, or spec.auth.mechanism: Anonymous.",
)
FROM_NOT_ALLOWED: Final = _stalled(
    _A,
    name="FromNotAllowed",
    meaning="On the host's endpoint, From, envelope or Reply-To is neither the host's nor listed in policy.from.allow.",
    remedy="Use an address that the message lists, or have the platform team extend policy.from.allow.",
)
ENDPOINT_NOT_ALLOWED: Final = _stalled(
    _A,
    name="EndpointNotAllowed",
    meaning="policy.endpoints of the host does not allow this server or port.",
    remedy="Use a server and port that the policy allows, or have the platform team extend policy.endpoints.allow.",
)
ENDPOINT_DENIED: Final = _stalled(
    _A,
    name="EndpointDenied",
    meaning="policy.endpoints.deny of the host names this server.",
    remedy="Use another server.",
)
ANONYMOUS_NOT_ALLOWED: Final = _stalled(
    _A,
    name="AnonymousNotAllowed",
    meaning="An endpoint of the organization's own without credentials needs the host's consent.",
    remedy="Set spec.auth with credentials, or have the platform team set policy.endpoints.anonymous: true; where it"
    " is the host's own endpoint, inherit it by removing spec.smtp.",
)
PLAINTEXT_REFUSED: Final = _stalled(
    _A,
    name="PlaintextRefused",
    meaning="A password would cross a connection without TLS.",
    remedy="Set smtp.tls.mode to StartTLS or Implicit, or use mechanism: Anonymous.",
)

# What is referred to.
SECRET_NOT_FOUND: Final = _reconciling(
    _R,
    name="SecretNotFound",
    meaning="The Secret does not exist (yet).",
    remedy="Create the Secret with the command that the message gives, or correct passwordSecretRef.name.",
)
SECRET_NOT_BOUND: Final = _stalled(
    _R,
    name="SecretNotBound",
    meaning="The Secret's annotation mailtier.dev/endpoint does not list the effective endpoint.",
    remedy="Run the kubectl annotate command that the message gives, if the password may be sent to that endpoint.",
)
SECRET_KEY_MISSING: Final = _stalled(
    _R,
    name="SecretKeyMissing",
    meaning="The Secret has no such key, or its value is empty or not UTF-8 text on one line.",
    remedy="Add the key to the Secret, or correct passwordSecretRef.key.",
)
SECRET_FORBIDDEN: Final = _reconciling(
    _R,
    name="SecretForbidden",
    meaning="The operator may not read Secrets there.",
    remedy="Grant the operator's ServiceAccount get on Secrets in the namespace.",
)
CA_NOT_FOUND: Final = _reconciling(
    _R,
    name="CaNotFound",
    meaning="The object with the CA bundle does not exist (yet).",
    remedy="Create it, or correct smtp.tls.caRef.",
)
CA_FORBIDDEN: Final = _reconciling(
    _R,
    name="CaForbidden",
    meaning="The operator may not read the object with the CA bundle.",
    remedy="Grant the operator's ServiceAccount get on ConfigMaps or Secrets, whichever it is, in the namespace.",
)
CA_INVALID: Final = _stalled(
    _R,
    name="CaInvalid",
    meaning="The CA bundle lacks the key, is too large, or holds something that is not a certificate.",
    remedy="Correct the bundle: PEM certificates, at most 64 KiB and 50 of them.",
)
REFERENCES_NOT_READ: Final = Reason(
    name="NotRead",
    conditions=(_R,),
    meaning="Nothing is read for an object that is invalid, under an unknown policy, or in a namespace that the"
    " policy does not select.",
    remedy="Mend what Accepted says first.",
)
API_UNAVAILABLE: Final = _reconciling(
    _R,
    name="ApiUnavailable",
    meaning="The Kubernetes API did not answer when the references were read.",
    remedy="Nothing; the operator tries again.",
)

# What the sender's probe found.
VERIFIED: Final = Reason(
    name="Verified", conditions=(_V,), meaning="The probe went through every stage.", remedy=_NOTHING
)
PROBE_PENDING: Final = Reason(
    name="ProbePending",
    conditions=(_V,),
    meaning="The sender has not reported on these settings yet.",
    remedy="Wait: endpoints of organizations are probed one a minute and namespace.",
)
NOT_PROBED: Final = Reason(
    name="NotProbed",
    conditions=(_V,),
    meaning="Nothing is connected to while the settings are blocked, unresolved or suspended.",
    remedy="Mend what Ready says first.",
)
DNS_FAILED: Final = Reason(
    name="DnsFailed",
    conditions=(_V,),
    meaning="The server's name could not be resolved.",
    remedy="Check smtp.host for a typing error, and the cluster's DNS.",
)
ADDRESS_DENIED: Final = Reason(
    name="AddressDenied",
    conditions=(_V,),
    meaning="The server's name resolves to an address that is not public, and the policy does not open it.",
    remedy="Use a public server, or have the platform team add its network to policy.endpoints.allow"
    " (for the host's own endpoint: policy.endpoints.hostAllow).",
)
CONNECT_FAILED: Final = Reason(
    name="ConnectFailed",
    conditions=(_V,),
    meaning="No TCP connection came about.",
    remedy="Check host and port, firewalls and NetworkPolicies between the sender and the server.",
)
GREETING_FAILED: Final = Reason(
    name="GreetingFailed",
    conditions=(_V,),
    meaning="The server did not greet as an SMTP server does, or refused the session.",
    remedy="Check that the port speaks SMTP: Implicit TLS belongs on 465, StartTLS on 587.",
)
TLS_FAILED: Final = Reason(
    name="TlsFailed",
    conditions=(_V,),
    meaning="The TLS handshake failed, or the certificate did not verify.",
    remedy="Check smtp.tls: mode, serverName, and caRef for a private CA.",
)
STARTTLS_NOT_OFFERED: Final = Reason(
    name="StartTlsNotOffered",
    conditions=(_V,),
    meaning="The server does not offer STARTTLS, which these settings require.",
    remedy="Use the server's submission port (587), or tls.mode: Implicit on 465.",
)
EHLO_FAILED: Final = Reason(
    name="EhloFailed",
    conditions=(_V,),
    meaning="The server refused EHLO.",
    remedy="Set delivery.heloName to a name the server takes.",
)
AUTH_FAILED: Final = Reason(
    name="AuthFailed",
    conditions=(_V,),
    meaning="The server refused the credentials.",
    remedy="Correct username or password; the sender tries again when the Secret or the settings change.",
)
AUTH_REQUIRED: Final = Reason(
    name="AuthRequired",
    conditions=(_V,),
    meaning="The server takes no mail without authentication, and the settings say mechanism: Anonymous.",
    remedy="Set auth.username and auth.passwordSecretRef instead of mechanism: Anonymous.",
)
AUTH_NOT_OFFERED: Final = Reason(
    name="AuthNotOffered",
    conditions=(_V,),
    meaning="The server does not offer the mechanism that auth.mechanism names.",
    remedy="Choose a mechanism that the server offers.",
)
SENDER_REFUSED: Final = Reason(
    name="SenderRefused",
    conditions=(_V,),
    meaning="The server refused the sender address at MAIL FROM.",
    remedy="Use a from.envelope or from.address that the account may send as.",
)
SERVER_UNAVAILABLE: Final = Reason(
    name="ServerUnavailable",
    conditions=(_V,),
    meaning="The server ended the session after it had begun, or cannot do what was asked at present.",
    remedy="Look at the server; the probe is repeated every few minutes.",
)
PROBE_TIMEOUT: Final = Reason(
    name="TimedOut",
    conditions=(_V,),
    meaning="A stage of the probe did not end within its total.",
    remedy="Check the server's load and the network between it and the sender.",
)

# What became of a notification.
QUEUED: Final = Reason(name="Queued", conditions=(_A,), meaning="The notification is durably queued.", remedy=_NOTHING)
DELIVERING: Final = _reconciling(
    _C,
    name="Delivering",
    meaning="Some recipients have no final state yet.",
    remedy="Wait.",
)
DELIVERED: Final = Reason(
    name="Delivered",
    conditions=(_C,),
    meaning="The SMTP server accepted the message for every recipient; bounces go to the envelope address.",
    remedy=_NOTHING,
)
PARTLY_FAILED: Final = _stalled(
    _C,
    name="PartlyFailed",
    meaning="Some recipients were accepted, and others ended otherwise.",
    remedy="Look at status.recipients.",
)
FAILED: Final = _stalled(
    _C,
    name="Failed",
    meaning="No recipient was accepted.",
    remedy="Look at status.recipients; each says why.",
)
REFUSED: Final = _stalled(
    _A,
    name="Refused",
    meaning="The sender does not take the notification.",
    remedy="Correct what the message names, and create the Notification again.",
)
SENDER_UNAVAILABLE: Final = _reconciling(
    _A,
    name="SenderUnavailable",
    meaning="The sender does not answer; the notification is offered again.",
    remedy="Look at the sender's container if it lasts.",
)

# Why the sender does not take a notification.
ORGANIZATION_UNKNOWN: Final = _reconciling(
    _A,
    name="OrganizationUnknown",
    meaning="The namespace has no such organization, or its settings have not reached the sender yet.",
    remedy="Create the OrgEmailSettings, or correct spec.organization of the Notification.",
)
CATEGORY_DISABLED: Final = _stalled(
    _A,
    name="CategoryDisabled",
    meaning="The organization's settings switch the notification's category off.",
    remedy="Enable the category under spec.notifications, or do not send it; then create the Notification again.",
)
NO_RECIPIENTS: Final = _stalled(
    _A,
    name="NoRecipients",
    meaning="Neither the notification nor the settings of its category name a recipient.",
    remedy="Name recipients, or set them under spec.notifications; then create the Notification again.",
)
HTTPS_ONLY: Final = _stalled(
    _A,
    name="HttpsOnly",
    meaning="A category whose links must not lie in etcd came as an object.",
    remedy="POST it to the sender's HTTPS intake.",
)
QUOTA_EXCEEDED: Final = _reconciling(
    _A,
    name="QuotaExceeded",
    meaning="The namespace has as many messages waiting as it may.",
    remedy="Wait for delivery; if it does not go on, look at Verified of the settings.",
)
STORAGE_FULL: Final = _reconciling(
    _A,
    name="StorageFull",
    meaning="The sender's volume is too full for new messages; what was taken is safe.",
    remedy="Wait for delivery, or enlarge the volume.",
)

ALL: Final[tuple[Reason, ...]] = tuple(value for value in list(globals().values()) if isinstance(value, Reason))
BY_NAME: Final[dict[str, Reason]] = {reason.name: reason for reason in ALL}
