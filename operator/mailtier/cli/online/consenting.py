"""Binding a Secret in a cluster, and granting that it is read."""

import dataclasses
from typing import Any, Protocol

from mailtier.api import names, secret
from mailtier.cli import failures
from mailtier.cli.offline import consent as objects
from mailtier.cli.online import cluster
from mailtier.kube import client, errors, paths


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What became of a Secret.

    Attributes:
        verb: As kubectl has it: created, configured or unchanged.
        annotation: Where what is in it may be sent now.
    """

    verb: str
    annotation: str


class ValueOf(Protocol):
    """Returns what to put under a Secret's key; it may take as long as a person does."""

    def __call__(self, agreed: objects.Consent, annotation: str, *, is_required: bool) -> secret.Hidden | None:
        """Return the value; None to leave what is there.

        Args:
            agreed: What is agreed to.
            annotation: Where the value may be sent.
            is_required: Whether there is none.
        """


async def bind(api: client.Client, consent: objects.Consent, value: ValueOf) -> Bound:
    """Bind a Secret that is there, or create it, and return what became of it.

    Args:
        api: The cluster.
        consent: What is agreed to.
        value: Is asked once for what to put under the key.

    Raises:
        CommandError: The apiserver says no, or the Secret changed meanwhile.
        ConsentError: It cannot be agreed to.
    """
    path = paths.secrets(consent.namespace, consent.name)
    whole = f"secret {consent.name} in the namespace {consent.namespace}"
    present: dict[str, Any] | None = None
    with cluster.explained(f"get {whole}"):
        try:
            present = await api.get(path)
        except errors.NotFoundError:
            await cluster.require_namespace(api, consent.namespace)
    text = objects.annotation(consent, present)
    found = value(consent, text, is_required=objects.lacks_value(consent, present))
    if present is None:
        assert found is not None
        with cluster.explained(f"create {whole}"):
            await api.create(paths.new_secret(consent.namespace), objects.new_secret(consent, found))
        return Bound(verb="created", annotation=text)
    patch = objects.changes(consent, present, found)
    if not patch:
        return Bound(verb="unchanged", annotation=text)
    with cluster.explained(f"patch {whole}"):
        try:
            await api.merge(path, patch)
        except errors.ConflictError as error:
            raise failures.CommandError(f"{consent} changed meanwhile; look at it, and try again") from error
    return Bound(verb="configured", annotation=text)


async def grant(api: client.Client, wanted: objects.ReferencesGrant, *, name: str) -> str | None:
    """Let the operator read what settings of a namespace refer to, and return what became of the RoleBinding.

    Args:
        api: The cluster.
        wanted: Who is to read where.
        name: The Secret that has to be read.

    Returns:
        created or unchanged; None where the operator may read the Secret already, by whatever right.

    Raises:
        CommandError: The apiserver says no, or the RoleBinding grants something else.
    """
    if await _may_read(api, wanted, name):
        return None
    body = objects.role_binding(wanted)
    what = f"rolebinding {names.REFERENCES_BINDING} in the namespace {wanted.namespace}"
    with cluster.explained(f"create {what}", hint="have whoever administers the namespace run this"):
        try:
            await api.create(paths.role_bindings(wanted.namespace), body)
        except errors.ConflictError:
            pass
        else:
            return "created"
    with cluster.explained(f"get {what}"):
        present = await api.get(paths.role_bindings(wanted.namespace, names.REFERENCES_BINDING))
    if not objects.is_same_grant(present, body):
        raise failures.CommandError(
            f"the {what} grants something else than {wanted.role} to {wanted.account}; delete it, or name what it is"
            " for with --references-role and --service-account"
        )
    return "unchanged"


async def _may_read(api: client.Client, wanted: objects.ReferencesGrant, name: str) -> bool:
    """Return whether the operator may read a Secret; also False where whoever asks may not know."""
    attributes = {"namespace": wanted.namespace, "verb": "get", "version": "v1", "resource": "secrets", "name": name}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "LocalSubjectAccessReview",
        "metadata": {"namespace": wanted.namespace},
        "spec": {"user": f"system:serviceaccount:{wanted.account}", "resourceAttributes": attributes},
    }
    try:
        answer = await api.create(paths.local_access_reviews(wanted.namespace), body)
    except errors.ForbiddenError:
        return False
    except errors.ApiError as error:
        raise failures.CommandError(f"cannot ask what the operator may read: {error}") from error
    return bool(answer["status"].get("allowed"))
