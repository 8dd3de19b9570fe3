"""Reasons of Accepted and Ready: whether settings are valid, allowed and in force."""

from typing import Final

from mailtier.api import vocabulary
from mailtier.api.reasons import definition

_A: Final = vocabulary.Condition.ACCEPTED
_R: Final = vocabulary.Condition.RESOLVED_REFS

# What is well.
ACCEPTED: Final = definition.Reason(
    name="Accepted",
    conditions=(_A,),
    meaning="The settings are valid and the policy allows them.",
    remedy=definition.NOTHING,
)
RESOLVED: Final = definition.Reason(
    name="Resolved",
    conditions=(_R,),
    meaning="The Secret and the CA bundle exist, hold what is needed, and the Secret names the endpoint.",
    remedy=definition.NOTHING,
)
NO_REFERENCES: Final = definition.Reason(
    name="NoReferences",
    conditions=(_R,),
    meaning="The settings refer to no Secret and no CA bundle.",
    remedy=definition.NOTHING,
)
PUBLISHED: Final = definition.Reason(
    name="Published",
    conditions=(vocabulary.Condition.READY,),
    meaning="The effective settings are published; the sender delivers with them.",
    remedy=definition.NOTHING,
)
NOT_PUBLISHED: Final = definition.reconciling(
    vocabulary.Condition.READY,
    name="NotPublished",
    meaning="The effective settings have not been written yet, so that the sender still uses what it had.",
    remedy="Wait; if it lasts, look at the operator's log for why the ConfigMap cannot be written.",
)
WOULD_BLOCK: Final = definition.Reason(
    name="WouldBlock",
    conditions=(_A,),
    meaning="The host's policy is in mode Audit; in mode Enforce it would block these settings.",
    remedy="Mend what the message says before the platform team sets policy.mode to Enforce.",
)
PROJECTION_CONFLICT: Final = definition.stalled(
    vocabulary.Condition.READY,
    name="ConfigMapConflict",
    meaning="spec.publish asks for a ConfigMap whose name is taken by one that is not Mailtier's; it is left alone, and"
    " mail is delivered nevertheless.",
    remedy="Delete the ConfigMap that the message names if nobody needs it, or remove spec.publish.",
)
PROJECTION_NOT_GRANTED: Final = definition.stalled(
    vocabulary.Condition.READY,
    name="ProjectionNotGranted",
    meaning="spec.publish asks for a ConfigMap in the organization's namespace, which the operator may not write; mail"
    " is delivered nevertheless.",
    remedy="Have the platform team install Mailtier with projections.enabled; if it has, look whether a ResourceQuota"
    " or an admission policy of the namespace forbids the ConfigMap. Or remove spec.publish.",
)
PROJECTION_PENDING: Final = definition.reconciling(
    vocabulary.Condition.READY,
    name="ProjectionPending",
    meaning="The ConfigMap that spec.publish asks for has not been written yet.",
    remedy="Wait; if it lasts, look whether the ConfigMap that the message names is being deleted and cannot go, and at"
    " the operator's log.",
)
SUSPENDED: Final = definition.Reason(
    name="Suspended",
    conditions=(vocabulary.Condition.READY,),
    meaning="The settings are valid and published, and spec.suspend holds delivery.",
    remedy="Remove spec.suspend from the organization's settings, or from the host's, to let messages go.",
)

# What blocks: the effective settings say Blocked, and nothing is connected to.
INVALID: Final = definition.stalled(
    _A,
    name="Invalid",
    meaning="The object does not fit the schema of this version of the operator.",
    remedy="Correct the field that the message names.",
)
HOST_MISSING: Final = definition.reconciling(
    _A,
    name="HostSettingsMissing",
    meaning="A value is inherited, and there is no HostEmailSettings named default.",
    remedy="Apply the HostEmailSettings, or set smtp, auth and from.address in the organization's settings.",
)
HOST_INVALID: Final = definition.reconciling(
    _A,
    name="HostSettingsInvalid",
    meaning="The HostEmailSettings does not fit the schema, so that its policy is not known.",
    remedy="Correct the HostEmailSettings; until then nothing is delivered under an unknown policy.",
)
NAMESPACE_NOT_ALLOWED: Final = definition.stalled(
    _A,
    name="NamespaceNotAllowed",
    meaning="policy.organizations of the host does not select this namespace.",
    remedy="Have the platform team label the namespace, or remove the object.",
)
ENDPOINT_MISSING: Final = definition.reconciling(
    _A,
    name="EndpointMissing",
    meaning="Neither the organization nor the host names an SMTP server.",
    remedy="Set spec.smtp.host in the HostEmailSettings, or in the organization's settings.",
)
FROM_MISSING: Final = definition.reconciling(
    _A,
    name="FromMissing",
    meaning="Neither the organization nor the host names a From address.",
    remedy="Set spec.from.address in the HostEmailSettings, or in the organization's settings.",
)
CREDENTIALS_REQUIRED: Final = definition.stalled(
    _A,
    name="CredentialsRequired",
    meaning="The organization names its own endpoint and says nothing of credentials; the host's are never sent there.",
    remedy="Set spec.auth with username and passwordSecretRef, or spec.auth.mechanism: Anonymous.",
)
FROM_NOT_ALLOWED: Final = definition.stalled(
    _A,
    name="FromNotAllowed",
    meaning="On the host's endpoint, From, envelope or Reply-To is neither the host's nor listed in policy.from.allow.",
    remedy="Use an address that the message lists, or have the platform team extend policy.from.allow.",
)
HOST_ACCOUNT_NOT_ALLOWED: Final = definition.stalled(
    _A,
    name="HostAccountNotAllowed",
    meaning="An organization names the host's own account on the host's server, whose password it could only guess.",
    remedy="Remove spec.auth and spec.smtp to inherit the host's server and login, or use an account of your own.",
)
ENDPOINT_NOT_ALLOWED: Final = definition.stalled(
    _A,
    name="EndpointNotAllowed",
    meaning="policy.endpoints of the host does not allow this server or port.",
    remedy="Use a server and port that the policy allows, or have the platform team extend policy.endpoints.allow.",
)
ENDPOINT_DENIED: Final = definition.stalled(
    _A,
    name="EndpointDenied",
    meaning="policy.endpoints.deny of the host names this server.",
    remedy="Use another server.",
)
ANONYMOUS_NOT_ALLOWED: Final = definition.stalled(
    _A,
    name="AnonymousNotAllowed",
    meaning="An endpoint of the organization's own without credentials needs the host's consent.",
    remedy="Set spec.auth with credentials, or have the platform team set policy.endpoints.anonymous: true; where it"
    " is the host's own endpoint, inherit it by removing spec.smtp.",
)
PLAINTEXT_REFUSED: Final = definition.stalled(
    _A,
    name="PlaintextRefused",
    meaning="A password would cross a connection without TLS.",
    remedy="Set smtp.tls.mode to StartTLS or Implicit, or use mechanism: Anonymous.",
)
FIELD_LOCKED: Final = definition.stalled(
    _A,
    name="FieldLocked",
    meaning="The organization sets a field that policy.locked of the host keeps for the host.",
    remedy="Remove the field that the message names, to inherit the host's value.",
)
RECIPIENT_NOT_ALLOWED: Final = definition.stalled(
    _A,
    name="RecipientNotAllowed",
    meaning="A recipient is in a domain that policy.recipients.domains of the host does not list.",
    remedy="Use recipients in the domains that the message lists, or have the platform team extend the list.",
)
TOKEN_SERVER_NOT_ALLOWED: Final = definition.stalled(
    _A,
    name="TokenServerNotAllowed",
    meaning="policy.endpoints of the host does not allow the server that auth.oauth2.tokenURL names.",
    remedy="Use a token server that the policy allows, or have the platform team add it, with port 443, to"
    " policy.endpoints.allow.",
)
