"""Reasons of ResolvedRefs: whether what the settings refer to is there and fit."""

from typing import Final

from mailtier.api import vocabulary
from mailtier.api.reasons import definition

_R: Final = vocabulary.Condition.RESOLVED_REFS

# What is referred to.
SECRET_NOT_FOUND: Final = definition.reconciling(
    _R,
    name="SecretNotFound",
    meaning="The Secret does not exist (yet).",
    remedy="Create the Secret with the command that the message gives, or correct the name in passwordSecretRef,"
    " oauth2.secretRef or clientCertificateRef.",
)
SECRET_NOT_BOUND: Final = definition.stalled(
    _R,
    name="SecretNotBound",
    meaning="The Secret's annotation mailtier.dev/endpoint does not list the effective endpoint (with oauth2 the token"
    " server beside it), or lists a token server although the Secret is named as a password's.",
    remedy="Run the kubectl annotate command that the message gives, if what is in the Secret may be used there.",
)
SECRET_KEY_MISSING: Final = definition.stalled(
    _R,
    name="SecretKeyMissing",
    meaning="The Secret has no such key, or its value is not fit: one line of UTF-8 text, or one private key in PEM.",
    remedy="Put the value under the key with the command that the message gives, or correct the key in"
    " passwordSecretRef or oauth2.secretRef.",
)
CLIENT_CERTIFICATE_INVALID: Final = definition.stalled(
    _R,
    name="ClientCertificateInvalid",
    meaning="The Secret with the client certificate is not of type kubernetes.io/tls, its certificate or key cannot be"
    " used or do not belong together, or the certificate is not valid now.",
    remedy="Mend what the message names: tls.crt with the certificate first, tls.key with its private key without a"
    " passphrase. A certificate that has ended is renewed by whoever issued it; the new one is used without a restart.",
)
NAMESPACE_NOT_GRANTED: Final = definition.reconciling(
    _R,
    name="NamespaceNotGranted",
    meaning="The operator may not read Secrets in the namespace.",
    remedy="Have whoever administers the namespace run the command that the message gives; it binds the ClusterRole"
    " that the chart makes for it there.",
)
CA_NOT_FOUND: Final = definition.reconciling(
    _R,
    name="CaNotFound",
    meaning="The object with the CA bundle does not exist (yet).",
    remedy="Create it with the command that the message gives, or correct smtp.tls.caRef.",
)
CA_FORBIDDEN: Final = definition.reconciling(
    _R,
    name="CaForbidden",
    meaning="The operator may not read the object with the CA bundle.",
    remedy="Have whoever administers the namespace run the command that the message gives; it binds the ClusterRole"
    " that the chart makes for it there.",
)
CA_INVALID: Final = definition.stalled(
    _R,
    name="CaInvalid",
    meaning="The CA bundle lacks the key, is too large, or holds something that is not a certificate.",
    remedy="Correct the bundle: PEM certificates, at most 1 MiB and 1,000 of them, each whole.",
)
REFERENCES_NOT_READ: Final = definition.Reason(
    name="NotRead",
    conditions=(_R,),
    meaning="Nothing is read for an object that is invalid, under an unknown policy, or in a namespace that the"
    " policy does not select.",
    remedy="Mend what Accepted says first.",
)
API_UNAVAILABLE: Final = definition.reconciling(
    _R,
    name="ApiUnavailable",
    meaning="The Kubernetes API did not answer when the references were read.",
    remedy="Nothing; the operator tries again.",
)
