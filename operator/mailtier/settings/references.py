"""What is wrong with the Secrets and the CA bundle that settings refer to: functions named after what they find."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from mailtier.api import names, reasons
from mailtier.settings import binding, effective, observed

_PASSWORD_FIELD: Final = "spec.auth.passwordSecretRef"  # noqa: S105 - the path of a field.
_OAUTH2_FIELD: Final = "spec.auth.oauth2.secretRef"
_CERTIFICATE_FIELD: Final = "spec.smtp.tls.clientCertificateRef"
_KEY_FIELDS: Final = {
    observed.Purpose.PASSWORD: "key",
    observed.Purpose.CLIENT_SECRET: "clientSecretKey",
    observed.Purpose.PRIVATE_KEY: "privateKeyKey",
    observed.Purpose.REFRESH_TOKEN: "refreshTokenKey",
}
_CA_FIELD: Final = "spec.smtp.tls.caRef"
_AGAIN: Final = "the Kubernetes API did not answer; the operator tries again, and nothing is to be done"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A Secret with credentials or a client certificate, and what was found.

    Attributes:
        wanted: The servers that what is in it is sent to, or comes to in the form of a token.
        advise: Whether consent would help; not where one of these servers must not be used at all.
    """

    need: observed.SecretNeed
    read: observed.SecretRead
    wanted: Sequence[binding.BoundServer]
    advise: bool = True

    def __str__(self) -> str:
        return f"Secret {self.need.namespace}/{self.need.name}"

    @property
    def annotate_command(self) -> str:
        """The kubectl line that binds it."""
        return binding.annotate_command(
            namespace=self.need.namespace,
            name=self.need.name,
            annotation=self.read.annotation,
            wanted=self.wanted,
        )

    @property
    def create_command(self) -> str:
        """The kubectl line that makes it, with places for what is secret."""
        kind = "tls" if self.need.is_certificate else "generic"
        values = " ".join(_literal(key) for key in self.need.keys)
        return f"kubectl create secret {kind} -n {self.need.namespace} {self.need.name} {values}"

    @property
    def field(self) -> str:
        """The field that names it."""
        if self.need.is_certificate:
            return _CERTIFICATE_FIELD
        is_password = self.need.keys[0].purpose == observed.Purpose.PASSWORD
        return _PASSWORD_FIELD if is_password else _OAUTH2_FIELD


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ca:
    """A CA bundle and what was found."""

    need: observed.CaNeed
    read: observed.CaRead

    def __str__(self) -> str:
        return f"{self.need.kind} {self.need.namespace}/{self.need.name}"


_Reference = TypeVar("_Reference")


def find(
    checks: Sequence[Callable[[_Reference], effective.Finding | None]], reference: _Reference
) -> tuple[effective.Finding, ...]:
    """Return what the checks find, in their order."""
    return tuple(finding for check in checks if (finding := check(reference)) is not None)


def secret_unavailable(secret: Secret) -> effective.Finding | None:
    """The Secret could not be read."""
    if secret.read.outcome != observed.ReadOutcome.UNAVAILABLE:
        return None
    return effective.Finding(reason=reasons.API_UNAVAILABLE, field=secret.field, message=f"{secret}: {_AGAIN}")


def secret_forbidden(secret: Secret) -> effective.Finding | None:
    """The operator lacks the right."""
    if secret.read.outcome != observed.ReadOutcome.FORBIDDEN:
        return None
    return effective.Finding(
        reason=reasons.NAMESPACE_NOT_GRANTED,
        field=secret.field,
        message=f"the operator may not read {secret}; {_grant(secret.need.namespace, secret.read.grant)}",
    )


def secret_not_found(secret: Secret) -> effective.Finding | None:
    """There is no such Secret."""
    if secret.read.outcome != observed.ReadOutcome.NOT_FOUND:
        return None
    return effective.Finding(
        reason=reasons.SECRET_NOT_FOUND,
        field=secret.field,
        message=f"{secret} does not exist; create it with `{secret.create_command}` and bind it to the endpoint with"
        f" `{secret.annotate_command}`",
    )


def secret_not_bound(secret: Secret) -> effective.Finding | None:
    """The Secret's owner has not agreed that what is in it is used with these servers."""
    if secret.read.outcome != observed.ReadOutcome.FOUND:
        return None
    message = binding.refusal(
        namespace=secret.need.namespace,
        name=secret.need.name,
        annotation=secret.read.annotation,
        wanted=secret.wanted,
        is_certificate=secret.need.is_certificate,
        advise=secret.advise,
    )
    if message is None:
        return None
    return effective.Finding(reason=reasons.SECRET_NOT_BOUND, field=secret.field, message=message)


def secret_key_missing(secret: Secret) -> effective.Finding | None:
    """There is no value under a key that is fit for its purpose."""
    unfit = _unfit(secret)
    if unfit is None or secret.need.is_certificate:
        return None
    return effective.Finding(
        reason=reasons.SECRET_KEY_MISSING,
        field=f"{secret.field}.{_KEY_FIELDS[unfit.purpose]}",
        message=f"{secret}, key {unfit.name}: {secret.read.problem}. Put the {unfit.purpose} under this key"
        f"{_put_command(secret.need, unfit)}, or name another key",
    )


def client_certificate_invalid(secret: Secret) -> effective.Finding | None:
    """There is no client certificate in it that could be shown to a server now."""
    unfit = _unfit(secret)
    if unfit is None or not secret.need.is_certificate:
        return None
    return effective.Finding(
        reason=reasons.CLIENT_CERTIFICATE_INVALID,
        field=secret.field,
        message=f"{secret}, key {unfit.name}: {secret.read.problem}. Have it renewed by what issues it, or put"
        f" certificate and key there anew with `kubectl delete secret -n {secret.need.namespace} {secret.need.name}`,"
        f" `{secret.create_command}` and `{secret.annotate_command}`",
    )


def _unfit(secret: Secret) -> observed.SecretKey | None:
    """Return the key that is not fit for its purpose, where it may be told."""
    if secret.read.outcome != observed.ReadOutcome.FOUND:
        return None
    # Of a Secret whose owner has not agreed, whoever writes the settings learns nothing that is in it.
    return None if binding.unbound(secret.read.annotation, secret.wanted) else secret.read.unfit


def _put_command(need: observed.SecretNeed, key: observed.SecretKey) -> str:
    """Return how kubectl puts a value under a key; "" for one that is a file."""
    if key.purpose == observed.Purpose.PRIVATE_KEY:
        return ""
    patch = json.dumps({"stringData": {key.name: _placeholder(key)}}, separators=(",", ":"))
    return f" with `kubectl patch secret -n {need.namespace} {need.name} -p '{patch}'`"


_ANY_GRANT: Final = observed.Grant(role="RELEASE-references", account="RELEASE_NAMESPACE:RELEASE")


def _grant(namespace: str, grant: observed.Grant | None) -> str:
    """Return what gives the operator the right to read in a namespace, where it has no right to read everywhere."""
    found = grant or _ANY_GRANT
    options = f"-n {namespace} --clusterrole={found.role} --serviceaccount={found.account}"
    return (
        "have somebody who administers the namespace grant it, by `kubectl create rolebinding"
        f" {names.REFERENCES_BINDING} {options}`; it is seen within 5 minutes, or at once when the annotation"
        f" {names.REQUESTED_AT_ANNOTATION} of the settings changes"
    )


def _placeholder(key: observed.SecretKey) -> str:
    return key.purpose.upper().replace(" ", "_")


def _literal(key: observed.SecretKey) -> str:
    """Return the option of kubectl that puts a value under a key."""
    match key.purpose:
        case observed.Purpose.PRIVATE_KEY:
            return f"--from-file={key.name}=FILE"
        case observed.Purpose.CERTIFICATE:
            return "--cert=FILE"
        case observed.Purpose.CERTIFICATE_KEY:
            return "--key=FILE"
        case _:
            pass
    return f"--from-literal={key.name}='{_placeholder(key)}'"


def ca_unavailable(ca: Ca) -> effective.Finding | None:
    """The bundle could not be read."""
    if ca.read.outcome != observed.ReadOutcome.UNAVAILABLE:
        return None
    return effective.Finding(reason=reasons.API_UNAVAILABLE, field=_CA_FIELD, message=f"{ca}: {_AGAIN}")


def ca_forbidden(ca: Ca) -> effective.Finding | None:
    """The operator lacks the right."""
    if ca.read.outcome != observed.ReadOutcome.FORBIDDEN:
        return None
    return effective.Finding(
        reason=reasons.CA_FORBIDDEN,
        field=_CA_FIELD,
        message=f"the operator may not read {ca}; {_grant(ca.need.namespace, ca.read.grant)}",
    )


def ca_not_found(ca: Ca) -> effective.Finding | None:
    """There is no such object."""
    if ca.read.outcome != observed.ReadOutcome.NOT_FOUND:
        return None
    kind = "configmap" if ca.need.kind == "ConfigMap" else "secret generic"
    return effective.Finding(
        reason=reasons.CA_NOT_FOUND,
        field=_CA_FIELD,
        message=f"{ca} does not exist; create it from a file with PEM certificates by"
        f" `kubectl create {kind} -n {ca.need.namespace} {ca.need.name} --from-file={ca.need.key}=FILE`, or correct"
        " the reference",
    )


def ca_invalid(ca: Ca) -> effective.Finding | None:
    """The bundle cannot be used."""
    if ca.read.outcome != observed.ReadOutcome.FOUND or (ca.read.digest and not ca.read.problem):
        return None
    return effective.Finding(
        reason=reasons.CA_INVALID,
        field=_CA_FIELD,
        message=f"{ca}, key {ca.need.key}: {ca.read.problem or 'the bundle was not published'}. Put PEM certificates"
        " alone under this key, at most 1 MiB and 1,000 of them",
    )


SECRET_CHECKS: Final = (
    secret_unavailable,
    secret_forbidden,
    secret_not_found,
    secret_not_bound,
    secret_key_missing,
    client_certificate_invalid,
)
CA_CHECKS: Final = (ca_unavailable, ca_forbidden, ca_not_found, ca_invalid)
