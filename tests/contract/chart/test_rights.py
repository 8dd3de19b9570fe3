"""The rights that the chart gives: enough for both programs, and not one more (R9)."""

import collections.abc
import contextlib
import json
import pathlib
import typing
import urllib.parse

import pytest

from kit import cluster as cluster_kit
from kit import helm, intake, operators, sender, tenants, wait
from mailtier.cli.online.checking import rights as checked_rights

_WITHIN = 30.0

EVERYWHERE = {
    "list mailtier.dev/hostemailsettings",
    "watch mailtier.dev/hostemailsettings",
    "patch mailtier.dev/hostemailsettings/status",
    "list mailtier.dev/orgemailsettings",
    "watch mailtier.dev/orgemailsettings",
    "patch mailtier.dev/orgemailsettings/status",
    "list mailtier.dev/notifications",
    "watch mailtier.dev/notifications",
    "get mailtier.dev/notifications",
    "delete mailtier.dev/notifications",
    "patch mailtier.dev/notifications/status",
    "create events.k8s.io/events",
    "list namespaces",
    "watch namespaces",
    "list apiextensions.k8s.io/customresourcedefinitions",
    "watch apiextensions.k8s.io/customresourcedefinitions",
    "get secrets",
    "get configmaps",
    "create authentication.k8s.io/tokenreviews",
    "create authorization.k8s.io/subjectaccessreviews",
    "get /openid/v1/jwks",
}
"""What the pod's ServiceAccount may in the whole cluster."""

REFERENCES = {"get secrets", "get configmaps"}
"""What it may in chosen namespaces alone, if `rbac.references.scope` is Namespaces."""

PROJECTIONS = {"get configmaps", "create configmaps", "patch configmaps", "delete configmaps"}
"""What it may everywhere beside, if `projections.enabled`."""

AT_HOME = {
    "list configmaps",
    "watch configmaps",
    "create configmaps",
    "patch configmaps",
    "delete configmaps",
    "create coordination.k8s.io/leases",
    "get coordination.k8s.io/leases mailtier-operator",
    "update coordination.k8s.io/leases mailtier-operator",
}
"""What it may in the namespace of the release alone."""

UNSEEN = {
    # Server-side apply asks for it where the object is not there yet; the audit log calls that a patch.
    "create configmaps",
    # An hour after a notification is complete.
    "delete mailtier.dev/notifications",
}
"""What a run of a minute does not show."""


def _rights(role: dict[str, typing.Any]) -> list[str]:
    """Return the single rights of a role."""
    return [
        " ".join(filter(None, [verb, f"{group}/{resource}".removeprefix("/"), name]))
        for rule in role["rules"]
        for group in rule.get("apiGroups", [])
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    ] + [f"{verb} {url}" for rule in role["rules"] for url in rule.get("nonResourceURLs", []) for verb in rule["verbs"]]


def _roles(values: dict[str, typing.Any]) -> dict[str, list[str]]:
    """Return the rights of each of the pod's roles, by kind and name."""
    found = helm.objects(values, show_only=["rbac.yaml"])
    roles = [document for document in found if "rules" in document]
    return {f"{role['kind']} {role['metadata']['name']}": _rights(role) for role in roles}


def _may(cluster: cluster_kit.LocalCluster, user: str, right: str, namespace: str) -> bool:
    """Return whether RBAC lets a user do something in a namespace; `right` is as kubectl has it."""
    verb, resource, *options = right.split()
    asked = ("auth", "can-i", verb, resource, *options, f"--as={user}", f"--namespace={namespace}", "--quiet")
    return bool(cluster.kubectl(*asked, check=False).returncode == 0)


@pytest.mark.parametrize("projections", [False, True], ids=["", "projections"])
@pytest.mark.parametrize("confined", [False, True], ids=["everywhere", "confined"])
def test_rights_are_these_and_no_others(confined: bool, projections: bool) -> None:
    """A right that is added or dropped is seen here, none is a wildcard, and none is given twice (R8, R9)."""
    scope = "Namespaces" if confined else "Cluster"
    roles = _roles({"rbac": {"references": {"scope": scope}}, "projections": {"enabled": projections}})
    everywhere = EVERYWHERE - (REFERENCES if confined else set()) | (PROJECTIONS if projections else set())
    wanted = {"ClusterRole mailtier": everywhere, "Role mailtier": AT_HOME}
    if confined:
        wanted["ClusterRole mailtier-references"] = REFERENCES
    assert {name: set(rights) for name, rights in roles.items()} == wanted
    given = {name: rights for name, rights in roles.items() if name != "ClusterRole mailtier-references"}
    assert {name: len(rights) for name, rights in given.items()} == {name: len(wanted[name]) for name in given}


def test_check_looks_for_the_rights_that_the_chart_gives() -> None:
    """`mailtier check` misses none of what the pod needs, and wants nothing that the chart does not give."""
    asked: dict[bool, set[str]] = {True: set(), False: set()}
    for right in checked_rights.OPERATOR:
        where = f"{right.group}/{right.resource}".removeprefix("/")
        asked[right.is_own].add(" ".join(filter(None, [right.verb, where, right.name])))
    assert asked[False] == EVERYWHERE - REFERENCES - {"get /openid/v1/jwks"}
    assert asked[True] == AT_HOME | REFERENCES


def test_every_rule_says_why() -> None:
    """Above each rule of the chart stands a comment."""
    for name in ("rbac.yaml", "rbac-users.yaml"):
        lines = (helm.CHART / "templates" / name).read_text(encoding="utf-8").splitlines()
        rules = [
            number
            for number, line in enumerate(lines)
            if line.lstrip().startswith(("- apiGroups:", "- nonResourceURLs:"))
        ]
        assert rules
        assert [lines[number] for number in rules if not lines[number - 1].startswith("  # ")] == []


def test_account_may_what_it_must(cluster: cluster_kit.LocalCluster, release: helm.Release) -> None:
    """The apiserver grants the rendered rights to the ServiceAccount, where they hold and nowhere else (R9)."""
    for right, namespace, granted in (
        ("get secrets", "default", True),
        ("list secrets", "default", False),
        ("watch secrets", "default", False),
        ("list secrets", release.namespace, False),
        ("update secrets", release.namespace, False),
        ("get configmaps", "default", True),
        ("list configmaps", "default", False),
        ("patch configmaps", "default", False),
        ("patch configmaps", release.namespace, True),
        ("delete configmaps", release.namespace, True),
        ("update leases.coordination.k8s.io/mailtier-operator", release.namespace, True),
        ("update leases.coordination.k8s.io/another", release.namespace, False),
        ("patch orgemailsettings.mailtier.dev --subresource=status", "default", True),
        ("patch orgemailsettings.mailtier.dev", "default", False),
        ("create notifications.mailtier.dev", "default", False),
        ("create pods", release.namespace, False),
        ("create tokenreviews.authentication.k8s.io", "default", True),
        ("get /openid/v1/jwks", "default", True),
        ("get /metrics", "default", False),
        ("impersonate serviceaccounts", "default", False),
        ("escalate clusterroles.rbac.authorization.k8s.io", "default", False),
    ):
        assert (right, namespace, _may(cluster, release.account, right, namespace)) == (right, namespace, granted)


def test_people_get_rights_by_the_roles_of_the_cluster(
    cluster: cluster_kit.LocalCluster, release: helm.Release, namespace: str
) -> None:
    """Who may view or edit a namespace may so with its settings; nobody reads a Secret or writes status (R3)."""
    for role in ("view", "edit"):
        cluster.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--user=can-{role}", "-n", namespace)

    def may(user: str, right: str) -> bool:
        return _may(cluster, user, right, namespace)

    wait.until(lambda: may("can-view", "list orgemailsettings.mailtier.dev"), within_seconds=_WITHIN, why="aggregated")
    wait.until(lambda: may("can-edit", "patch notifications.mailtier.dev"), within_seconds=_WITHIN, why="aggregated")
    assert release.name in cluster.kubectl("get", "clusterroles", "-o", "name").stdout
    assert may("can-view", "get notifications.mailtier.dev")
    assert may("can-edit", "get notifications.mailtier.dev")
    assert not may("can-view", "get secrets")
    for right in ("create orgemailsettings.mailtier.dev", "create notifications.mailtier.dev"):
        assert (may("can-view", right), may("can-edit", right)) == (False, True)
    assert not may("can-edit", "patch orgemailsettings.mailtier.dev --subresource=status")
    assert not may("can-edit", "patch hostemailsettings.mailtier.dev")


def test_application_gets_one_right(cluster: cluster_kit.LocalCluster, release: helm.Release, namespace: str) -> None:
    """Who is bound to the notifier's role in a namespace may create notifications there, and no more (R9)."""
    user = f"system:serviceaccount:{namespace}:default"
    cluster.kubectl(
        "create", "rolebinding", "app", f"--clusterrole={release.name}-notifier", f"--user={user}", "-n", namespace
    )
    rights = [f"{verb} notifications.mailtier.dev" for verb in ("create", "get", "list", "delete", "patch")]
    assert [_may(cluster, user, right, namespace) for right in rights] == [True, False, False, False, False]
    assert not _may(cluster, user, rights[0], "default")


def test_the_platform_team_gets_the_host_s_settings(
    cluster: cluster_kit.LocalCluster, release: helm.Release, namespace: str
) -> None:
    """Who is bound to that role writes HostEmailSettings, but not their status, and nothing in a namespace (R3, R9)."""
    user = f"platform-of-{release.name}"
    role = f"--clusterrole={release.name}-host-editor"
    cluster.kubectl("create", "clusterrolebinding", user, role, f"--user={user}")
    rights = [f"{verb} hostemailsettings.mailtier.dev" for verb in ("get", "list", "create", "patch", "delete")]
    assert [_may(cluster, user, right, namespace) for right in rights] == [True] * 5
    for right in (
        "patch hostemailsettings.mailtier.dev --subresource=status",
        "get orgemailsettings.mailtier.dev",
        "get secrets",
    ):
        assert not _may(cluster, user, right, release.namespace)
    cluster.kubectl("delete", "clusterrolebinding", user)


def test_whoever_the_cluster_knows_may_read_the_intake_s_authority(
    cluster: cluster_kit.LocalCluster, release: helm.Release
) -> None:
    """A tenant follows the page on the intake without a right in the operator's namespace, and reads no more (R3)."""
    tenant = "system:serviceaccount:sales:app"
    rights = (
        "get configmaps/intake-ca",
        "get configmaps/sales.default",
        "list configmaps",
        "patch configmaps/intake-ca",
    )
    assert [_may(cluster, tenant, right, release.namespace) for right in rights] == [True, False, False, False]
    assert not _may(cluster, "system:anonymous", rights[0], release.namespace)


def _used(cluster: cluster_kit.LocalCluster, user: str) -> collections.abc.Iterator[tuple[str, int]]:
    """Yield each right that a user has made use of, with the status of the answer."""
    for event in map(json.loads, cluster.audit_log.read_text(encoding="utf-8").splitlines()):
        # A request that could not be authenticated has no user.
        if event["user"].get("username") != user or event["stage"] != "ResponseComplete":
            continue
        if "objectRef" not in event:
            path = urllib.parse.urlsplit(event["requestURI"]).path
            if path.startswith("/openid/"):
                yield f"{event['verb']} {path}", event["responseStatus"]["code"]
            continue
        what = event["objectRef"]
        resource = "/".join(filter(None, [what.get("apiGroup"), what["resource"], what.get("subresource")]))
        named = what["resource"] == "leases" and event["verb"] != "create"
        yield " ".join([event["verb"], resource, *([what["name"]] if named else [])]), event["responseStatus"]["code"]


async def _until_seen(used: collections.abc.Callable[[], dict[str, int]], rights: set[str]) -> None:
    """Return when the audit log shows all of the rights in use; what it does not show is in the failure's text."""
    with contextlib.suppress(wait.NotInTimeError):
        await wait.until_async(lambda: rights <= used().keys(), within_seconds=_WITHIN, why="", poll_seconds=0.2)
    assert rights - used().keys() == set()


@pytest.mark.parametrize(("granted", "status"), [(True, 200), (False, 403)], ids=["granted", "withdrawn"])
async def test_a_large_notification_takes_the_right_to_read_it(
    cluster: cluster_kit.LocalCluster, release: helm.Release, tmp_path: pathlib.Path, *, granted: bool, status: int
) -> None:
    """What is too large to be kept is read when it is handed over; without the right to that it is refused (R9)."""
    tenant, right = tenants.create(cluster), "get notifications.mailtier.dev"
    if not granted:
        role = json.loads(cluster.kubectl("get", "clusterrole", release.name, "-o", "json").stdout)
        for rule in role["rules"]:
            if rule.get("resources") == ["notifications"]:
                rule["verbs"].remove("get")
        cluster.kubectl("replace", "-f", "-", input=json.dumps(role))
    wait.until(
        lambda: _may(cluster, release.account, right, tenant.namespace) is granted,
        within_seconds=_WITHIN,
        why="the API server knows of the rights",
    )
    account = cluster.kubeconfig_for(release.namespace, release.name)
    with operators.Operator(tmp_path, account, namespace=release.namespace) as operator:
        await operator.ready()
        cluster.kubectl("apply", "-f", "-", input=json.dumps(_notification(tenant.namespace)))

        def is_answered() -> bool:
            return ("get mailtier.dev/notifications", status) in _used(cluster, release.account)

        await wait.until_async(is_answered, within_seconds=_WITHIN, why=f"the read is answered with {status}")


async def test_programs_use_each_right_and_miss_none(
    cluster: cluster_kit.LocalCluster, release: helm.Release, tmp_path: pathlib.Path
) -> None:
    """Operator and sender at work, with these rights alone, are refused nothing and need all that they have (R9)."""
    system = release.namespace
    tenant = tenants.create(cluster)
    account = cluster.kubeconfig_for(system, release.name)

    def used() -> dict[str, int]:
        return dict(_used(cluster, release.account))

    with (
        sender.Sender(tmp_path, kubeconfig=account, namespace=system) as sending,
        operators.Operator(tmp_path / "socket", account, namespace=system) as operator,
    ):
        await operator.ready()
        cluster.kubectl("apply", "-f", "-", input=json.dumps(_settings(system, tenant.namespace)))
        async with intake.Client(sending.url, sending.tls) as client:
            await intake.until_known(client, tenant)
        await _until_seen(used, {"patch mailtier.dev/notifications/status"})
        for kind in ("ntf", "oes"):
            cluster.kubectl("delete", kind, "--all", "-n", tenant.namespace)
        await _until_seen(used, {"delete configmaps"})
        cluster.kubectl("delete", "hes", "--all")
    # A watch is in the log once it has ended.
    await _until_seen(used, (EVERYWHERE | AT_HOME) - UNSEEN)
    assert {right for right, status in _used(cluster, release.account) if status == 403} == set()
    assert used().keys() <= EVERYWHERE | AT_HOME


def _settings(system: str, namespace: str) -> dict[str, typing.Any]:
    """Return settings that refer to a Secret and a CA, an organization, and a notification."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "relay",
            "namespace": system,
            "annotations": {"mailtier.dev/endpoint": "relay.invalid"},
        },
        "stringData": {"password": "correct horse"},
    }
    # Not a certificate: the operator reads it all the same, and says so.
    bundle = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "ca", "namespace": namespace},
        "data": {"ca.crt": "none"},
    }
    items = [
        secret,
        bundle,
        _ours(
            "HostEmailSettings",
            "default",
            None,
            smtp={"host": "relay.invalid"},
            auth={"username": "platform", "passwordSecretRef": {"name": "relay"}},
            **{"from": {"address": "no-reply@example.com"}},
        ),
        _ours("OrgEmailSettings", "default", namespace),
        _ours(
            "OrgEmailSettings",
            "own",
            namespace,
            smtp={"host": "mail.invalid", "tls": {"caRef": {"kind": "ConfigMap", "name": "ca"}}},
            auth={"mechanism": "Anonymous"},
            **{"from": {"address": "no-reply@example.com"}},
        ),
        _notification(namespace),
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _ours(kind: str, name: str, where: str | None, **spec: typing.Any) -> dict[str, typing.Any]:
    """Return an object of ours."""
    metadata = {"name": name} | ({"namespace": where} if where else {})
    return {"apiVersion": "mailtier.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def _notification(namespace: str) -> dict[str, typing.Any]:
    """Return a Notification that is too large to be kept."""
    return _ours(
        "Notification",
        "import",
        namespace,
        category="JobAlert",
        severity="Error",
        recipients=["ops@example.com"],
        text="It stopped.\n" * 300,
    )
