"""Callers of the intake are told apart, and let in or not, by a real apiserver."""

import collections.abc
import datetime as dt
import json

import pytest

from kit import cluster as cluster_kit
from mailtier.api import names
from mailtier.kube import client, configuration, errors, reviews


def now() -> dt.datetime:
    """Return the wall clock, which tokens are written by."""
    return dt.datetime.now(dt.UTC)


@pytest.fixture
def counted(cluster: cluster_kit.LocalCluster) -> collections.abc.Callable[[str], int]:
    """Return a function that counts the requests for a resource that the apiserver has answered."""

    def count(resource: str) -> int:
        lines = cluster.metrics().splitlines()
        wanted = [line for line in lines if line.startswith("apiserver_request_total") and f'"{resource}"' in line]
        return sum(int(float(line.rpartition(" ")[2])) for line in wanted)

    return count


async def test_token_for_us_names_its_account(
    api: client.Client, cluster: cluster_kit.LocalCluster, namespace: str, counted: collections.abc.Callable[[str], int]
) -> None:
    """A ServiceAccount's token for our audience is accepted, and reviewed once while it is remembered."""
    authenticator = reviews.Authenticator(api, now=now)
    token = cluster.token(namespace, "default", audience=names.TOKEN_AUDIENCE)
    before = counted("tokenreviews")
    identity = await authenticator.authenticate(token, client_address="203.0.113.7")
    assert identity.username == f"system:serviceaccount:{namespace}:default"
    assert f"system:serviceaccounts:{namespace}" in identity.groups
    assert await authenticator.authenticate(token, client_address="203.0.113.7") == identity
    assert counted("tokenreviews") == before + 1


async def test_token_for_another_is_refused_unasked(
    api: client.Client, cluster: cluster_kit.LocalCluster, namespace: str, counted: collections.abc.Callable[[str], int]
) -> None:
    """A token for the apiserver itself is refused with the remedy, without a question."""
    authenticator = reviews.Authenticator(api, now=now)
    before = counted("tokenreviews")
    with pytest.raises(reviews.UnauthenticatedError, match="--audience mailtier"):
        await authenticator.authenticate(cluster.token(namespace, "default"), client_address="203.0.113.7")
    assert counted("tokenreviews") == before


async def test_token_with_a_broken_signature_is_refused(
    api: client.Client, cluster: cluster_kit.LocalCluster, namespace: str, counted: collections.abc.Callable[[str], int]
) -> None:
    """A token whose claims are right and whose signature is not is refused, without a question (R15)."""
    authenticator = reviews.Authenticator(api, now=now)
    token = cluster.token(namespace, "default", audience=names.TOKEN_AUDIENCE)
    head, _, signature = token.rpartition(".")
    before = counted("tokenreviews")
    with pytest.raises(reviews.UnauthenticatedError, match="no key of this cluster"):
        await authenticator.authenticate(f"{head}.{signature[::-1]}", client_address="203.0.113.7")
    assert counted("tokenreviews") == before


async def test_rbac_decides_by_namespace(api: client.Client, cluster: cluster_kit.LocalCluster, namespace: str) -> None:
    """`create notifications` in one namespace permits that one, and no other."""
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "notify", "namespace": namespace},
        "rules": [{"apiGroups": [names.GROUP], "resources": [names.NOTIFICATION_PLURAL], "verbs": ["create"]}],
    }
    cluster.kubectl("apply", "--server-side", "--filename=-", input=json.dumps(role))
    binding = ["rolebinding", "notify", "--role=notify", f"--serviceaccount={namespace}:default"]
    cluster.kubectl(f"--namespace={namespace}", "create", *binding)
    token = cluster.token(namespace, "default", audience=names.TOKEN_AUDIENCE)
    identity = await reviews.Authenticator(api, now=now).authenticate(token, client_address="203.0.113.7")
    authorizer = reviews.Authorizer(api)
    assert await authorizer.may_notify(identity, namespace)
    assert not await authorizer.may_notify(identity, "default")
    assert not await authorizer.may_notify(identity, "")


async def test_nobody_is_let_in_without_the_apiserver(
    mortal_api: client.Client, mortal_cluster: cluster_kit.LocalCluster, mortal_namespace: str
) -> None:
    """While the apiserver is away, both questions are UnavailableError, never a yes (R13)."""
    mortal_cluster.kubectl(f"--namespace={mortal_namespace}", "create", "serviceaccount", "caller")
    token = mortal_cluster.token(mortal_namespace, "caller", audience=names.TOKEN_AUDIENCE)
    mortal_cluster.stop_apiserver()
    try:
        with pytest.raises(errors.UnavailableError):
            await reviews.Authenticator(mortal_api, now=now).authenticate(token, client_address="203.0.113.7")
        with pytest.raises(errors.UnavailableError):
            await reviews.Authorizer(mortal_api).may_notify(reviews.Identity(username="somebody"), mortal_namespace)
    finally:
        mortal_cluster.start_apiserver()


async def test_missing_right_to_review_lets_nobody_in(cluster: cluster_kit.LocalCluster, namespace: str) -> None:
    """If we may not ask, the answer is unknown (R13)."""
    connection = configuration.load(kubeconfig=cluster.kubeconfig_for(namespace, "default"))
    async with client.Client(connection) as limited:
        with pytest.raises(errors.UnavailableError, match="refused"):
            await reviews.Authorizer(limited).may_notify(reviews.Identity(username="somebody"), namespace)
