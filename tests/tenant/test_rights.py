"""Rights: what a tenant reads or writes beside Mailtier, and what a stolen token is good for."""

import dataclasses
import json
import typing

import pytest

from kit import arena as arena_kit
from kit import attacks, wait
from mailtier.api import names

_POD = f"system:serviceaccount:{arena_kit.SYSTEM}:mailtier"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked(attacks.Attack):
    """Something that RBAC has to refuse.

    Attributes:
        verbs: Each of which is refused.
        resource: As in a rule.
        group: Of the resource.
        subresource: Of the resource.
        namespace: Where; "" for the tenant's own, * for everywhere.
        is_tenant: Whether it is a person with the role edit in a namespace; the pod's account otherwise.
    """

    verbs: tuple[str, ...]
    resource: str
    group: str = ""
    subresource: str = ""
    namespace: str = ""
    is_tenant: bool = True


def _tenant(name: str, story: str, *verbs: str, **what: typing.Any) -> Asked:
    return Asked(
        name=name, rules=("R3", "R8"), story=story, stopped_by="the role edit does not hold it", verbs=verbs, **what
    )


def _pod(name: str, story: str, *verbs: str, **what: typing.Any) -> Asked:
    return Asked(
        name=name,
        rules=("R9",),
        story=story,
        stopped_by="the account's rights are the smallest that work",
        verbs=verbs,
        is_tenant=False,
        **what,
    )


ASKED = (
    _tenant(
        "status-written-by-hand",
        "A tenant writes Ready into the status of its own settings.",
        "patch",
        "update",
        group=names.GROUP,
        resource=names.ORG_PLURAL,
        subresource="status",
    ),
    _tenant(
        "a-notification-s-status-by-hand",
        "A tenant writes Complete into the status of a Notification.",
        "patch",
        "update",
        group=names.GROUP,
        resource=names.NOTIFICATION_PLURAL,
        subresource="status",
    ),
    _tenant(
        "the-host-s-settings",
        "A tenant changes the host's settings, or reads what they are.",
        "get",
        "patch",
        "create",
        "delete",
        group=names.GROUP,
        resource=names.HOST_PLURAL,
        namespace="*",
    ),
    _tenant(
        "effective-settings-by-hand",
        "A tenant writes what the sender trusts, beside the operator.",
        "get",
        "create",
        "patch",
        "delete",
        resource="configmaps",
        namespace=arena_kit.SYSTEM,
    ),
    _tenant(
        "the-host-s-secret",
        "A tenant reads the Secret that the host's settings name.",
        "get",
        "list",
        "watch",
        resource="secrets",
        namespace=arena_kit.SYSTEM,
    ),
    _tenant(
        "settings-of-a-neighbour",
        "A tenant writes settings in another namespace.",
        "create",
        "patch",
        "delete",
        group=names.GROUP,
        resource=names.ORG_PLURAL,
        namespace="default",
    ),
    _pod(
        "all-secrets-with-a-stolen-token",
        "Whoever has the pod's token lists the Secrets of the cluster.",
        "list",
        "watch",
        "create",
        "patch",
        "update",
        "delete",
        resource="secrets",
        namespace="*",
    ),
    _pod(
        "settings-with-a-stolen-token",
        "Whoever has the pod's token writes settings, to have passwords sent away.",
        "create",
        "patch",
        "update",
        group=names.GROUP,
        resource=names.ORG_PLURAL,
        namespace="*",
    ),
    _pod(
        "pods-with-a-stolen-token",
        "Whoever has the pod's token runs something with it.",
        "create",
        "patch",
        "get",
        resource="pods",
        namespace="*",
    ),
    _pod(
        "more-rights-with-a-stolen-token",
        "Whoever has the pod's token gives it more rights.",
        "create",
        "bind",
        "escalate",
        "patch",
        group="rbac.authorization.k8s.io",
        resource="clusterroles",
        namespace="*",
    ),
    _pod(
        "other-tokens-with-a-stolen-token",
        "Whoever has the pod's token asks for tokens of others.",
        "create",
        resource="serviceaccounts",
        subresource="token",
        namespace="*",
    ),
)

STORIES = (
    attacks.Story(
        name="secrets-that-nobody-named",
        test="test_no_other_secret_is_read",
        rules=("R9",),
        story="A Secret lies beside the one that settings name, and is read along with it.",
        stopped_by="Secrets are read one by one, by the name in the settings",
    ),
    attacks.Story(
        name="drift-of-what-the-sender-trusts",
        test="test_drift_is_repaired_and_redirects_nothing",
        rules=("R8",),
        story="Somebody in the operator's namespace edits an effective ConfigMap, to redirect one organization.",
        stopped_by="drift is repaired; the sender checks the Secret's annotation for itself",
    ),
)

ATTACKS = (*ASKED, *STORIES)


@pytest.fixture(scope="module")
def editor(arena: arena_kit.Arena) -> arena_kit.Attacker:
    """Return a namespace in which the user `editor` has the role edit."""
    attacker = arena.attacker()
    arena.cluster.kubectl(
        "create", "rolebinding", "editor", "-n", attacker.namespace, "--clusterrole=edit", "--user=editor"
    )
    # What RBAC refuses before the role is aggregated and bound would be refused to anybody.
    wait.until(
        lambda: _is_allowed(
            arena, verb="patch", group=names.GROUP, resource=names.ORG_PLURAL, namespace=attacker.namespace
        ),
        within_seconds=arena_kit.WITHIN,
        why="the editor may write settings",
        poll_seconds=0.1,
    )
    return attacker


def _is_allowed(arena: arena_kit.Arena, *, is_tenant: bool = True, **attributes: str) -> bool:
    """Return what RBAC says to a request of the editor, or of the pod's account.

    Args:
        arena: Whose API server is asked.
        is_tenant: Whether it is the editor's.
        attributes: Of the request, as in a review.
    """
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": "editor" if is_tenant else _POD,
            "groups": ["system:authenticated", *([] if is_tenant else ["system:serviceaccounts"])],
            "resourceAttributes": attributes,
        },
    }
    status, answer = arena.rest.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    assert status == 201, answer
    return bool(answer["status"]["allowed"])


@pytest.mark.parametrize("attack", ASKED, ids=str)
def test_rbac_refuses(editor: arena_kit.Attacker, attack: Asked) -> None:
    """Neither the role edit nor the pod's account may do it (R3, R8, R9)."""
    for verb in attack.verbs:
        # A review without a namespace asks for all of them.
        namespace = "" if attack.namespace == "*" else attack.namespace or editor.namespace
        assert not _is_allowed(
            editor.arena,
            is_tenant=attack.is_tenant,
            verb=verb,
            group=attack.group,
            resource=attack.resource,
            subresource=attack.subresource,
            namespace=namespace,
        ), verb


def test_the_pod_s_account_may_do_its_work(arena: arena_kit.Arena) -> None:
    """What is refused to the pod's account is refused to one that has rights (R9)."""
    assert _is_allowed(arena, is_tenant=False, verb="get", resource="secrets")
    assert _is_allowed(
        arena, is_tenant=False, verb="patch", group=names.GROUP, resource=names.ORG_PLURAL, subresource="status"
    )


def test_no_other_secret_is_read(attacker: arena_kit.Attacker) -> None:
    """Of the Secrets of a namespace those are read that settings name, each by a get (R9)."""
    arena = attacker.arena
    attacker.bring(arena.secret("beside"), endpoint="smtp.example.org", name="beside")
    attacker.bring(arena.secret("secrets-that-nobody-named", username="robot"), endpoint="smtp.example.org")
    attacker.settings(attacks.server("smtp.example.org"))
    attacker.until_reason("Published")
    read = [
        (event["verb"], event["objectRef"].get("name"))
        for event in map(json.loads, arena.cluster.audit_log.read_text(encoding="utf-8").splitlines())
        if event["user"].get("username") == _POD
        and event.get("objectRef", {}).get("resource") == "secrets"
        and event["objectRef"].get("namespace") == attacker.namespace
    ]
    assert set(read) == {("get", "smtp")}


def test_drift_is_repaired_and_redirects_nothing(attacker: arena_kit.Attacker) -> None:
    """An edited effective ConfigMap is put right, and the password goes to no other server meanwhile (R8)."""
    arena = attacker.arena
    password = arena.secret("drift-of-what-the-sender-trusts", username="robot")
    with (
        arena.serve(arena.starttls(users={"robot": password})) as server,
        arena.serve(arena.starttls(users={"robot": password})) as elsewhere,
    ):
        attacker.bring(password, endpoint=server.host)
        attacker.settings(attacker.own(server))
        attacker.until_reason("Verified", type_="Verified")
        before = attacker.effective()
        forged = before["effective.json"].replace(server.host, elsewhere.host)
        path = f"/api/v1/namespaces/{arena_kit.SYSTEM}/configmaps/{attacker.namespace}.default"
        status, _ = arena.rest.request(
            "PATCH", path, {"data": {"effective.json": forged}}, content_type="application/merge-patch+json"
        )
        assert status == 200
        wait.until(lambda: attacker.effective() == before, within_seconds=arena_kit.WITHIN, why="the edit is undone")
        attacker.until_complete(attacker.post(arena_kit.ALERT))
        assert elsewhere.auth_attempts == []
