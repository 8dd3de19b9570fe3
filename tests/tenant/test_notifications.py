"""Notifications: mail that is sent twice, in secret, or out of somebody else's queue."""

import json

import pytest

from kit import arena as arena_kit
from kit import attacks, tenants, wait, worlds
from mailtier.api import names

ATTACKS = (
    attacks.Story(
        name="recreated-to-mail-again",
        test="test_a_recreated_notification_mails_once",
        rules=("R4", "R11"),
        story="A Notification is deleted and applied again, as a pipeline does it, to mail each time.",
        stopped_by="namespace uid, name and content stand for one notification",
    ),
    attacks.Refused(
        name="changed-after-it-was-taken",
        rules=("R4",),
        story="A Notification is changed after it was acknowledged, to mail other people with the same object.",
        stopped_by="a Notification cannot be changed",
        kind=names.NOTIFICATION_KIND,
        spec={"category": "JobAlert", "text": "x"},
        says="a Notification cannot be changed",
    ),
    attacks.Refused(
        name="password-recovery-as-an-object",
        rules=("R1",),
        story="A password recovery is applied as an object, whose link then stays readable in etcd and audit logs.",
        stopped_by="the category is taken over HTTPS alone",
        kind=names.NOTIFICATION_KIND,
        spec={"category": "PasswordRecovery", "data": {"link": "https://a.example/reset"}},
        says="PasswordRecovery is taken over HTTPS only",
    ),
    attacks.Story(
        name="the-predecessor-s-queue",
        test="test_a_recreated_namespace_inherits_nothing",
        rules=("R3", "R11"),
        story="A namespace is deleted and made again by somebody else, who hopes for what was queued in it.",
        stopped_by="rows are keyed by the namespace's uid",
    ),
    attacks.Story(
        name="the-predecessor-s-records",
        test="test_a_recreated_namespace_inherits_nothing",
        rules=("R3", "R11"),
        story="The new owner of a namespace's name looks up what its predecessor sent.",
        stopped_by="rows are keyed by the namespace's uid",
    ),
    attacks.Story(
        name="another-s-notification-by-its-id",
        test="test_another_s_notification_is_not_found",
        rules=("R3",),
        story="A caller looks up the id of another organization's notification under an organization of its own.",
        stopped_by="a record is found under its own organization alone",
    ),
    attacks.Story(
        name="another-s-idempotency-key",
        test="test_another_s_notification_is_not_found",
        rules=("R3",),
        story="A caller uses the key of another organization, to read its id or to keep its notification out.",
        stopped_by="keys are the organization's",
    ),
    attacks.Story(
        name="the-organization-of-another-namespace",
        test="test_an_organization_elsewhere_is_not_found",
        rules=("R3",),
        story="A Notification names an organization of another namespace as its own.",
        stopped_by="an organization's name has no namespace; only those beside the object are found",
    ),
    attacks.Story(
        name="links-left-on-the-volume",
        test="test_a_reset_link_is_mailed_and_nowhere_else",
        rules=("R1", "R11"),
        story="Whoever copies the sender's volume looks for reset links that were mailed long ago.",
        stopped_by="the payload of a password recovery is wiped at its final state whatever that is, from the log too",
    ),
)
_REFUSED = [each for each in ATTACKS if isinstance(each, attacks.Refused)]


@pytest.mark.parametrize("attack", _REFUSED, ids=str)
def test_what_no_object_may_be(attacker: arena_kit.Attacker, attack: attacks.Refused) -> None:
    """A changed Notification and a password recovery are refused by the API server (R1, R4)."""
    if attack.name != "changed-after-it-was-taken":
        attack.check(attacker.arena.rest)
        return
    attacker.notify("once", attack.spec)
    document = worlds.document(names.NOTIFICATION_KIND, "once", attacker.namespace, category="RobotAlert")
    status, answer = attacker.arena.try_put(document)
    assert (status, attack.says in answer["message"]) == (422, True), answer


def test_a_recreated_notification_mails_once(attacker: arena_kit.Attacker) -> None:
    """However often the object is made again, its mail is sent once (R4, R11)."""
    arena = attacker.arena
    attacker.settings({})
    recipient = f"once@{attacker.namespace}.example"
    for _ in range(3):
        attacker.notify("nightly", arena_kit.ALERT | {"recipients": [recipient]})
        attacker.until_reason("Delivered", type_="Complete", kind=names.NOTIFICATION_KIND, name="nightly")
        arena.delete(names.NOTIFICATION_KIND, attacker.namespace, "nightly")
        wait.until(
            lambda: arena.get(names.NOTIFICATION_KIND, attacker.namespace, "nightly") is None,
            within_seconds=arena_kit.WITHIN,
            why="it is gone",
        )
    assert sum(recipient in each.rcpt_to for each in arena.relay.messages) == 1


def test_a_recreated_namespace_inherits_nothing(attacker: arena_kit.Attacker) -> None:
    """What was queued is failed with its namespace; the successor neither sends it nor finds it (R3, R11)."""
    arena = attacker.arena
    attacker.settings({"suspend": True})
    secret = arena.secret("the-predecessor-s-queue")
    recipient = f"heir@{attacker.namespace}.example"
    taken = attacker.post(arena_kit.ALERT | {"recipients": [recipient], "text": f"Somebody's words: {secret}"})
    arena.delete("Namespace", "", attacker.namespace)
    wait.until(
        lambda: arena.get("Namespace", "", attacker.namespace) is None,
        within_seconds=60,
        why="the namespace is gone",
        poll_seconds=0.2,
    )
    heir = arena_kit.Attacker(arena=arena, tenant=tenants.create(arena.cluster, name=attacker.namespace))
    heir.settings({})
    heir.until_complete(heir.post(arena_kit.ALERT | {"recipients": [f"own@{heir.namespace}.example"]}))
    found = arena.loop.run(
        arena.client.request("GET", taken.document["status"], headers={"Authorization": f"Bearer {heir.tenant.token}"})
    )
    assert found.status == 404
    assert not [each for each in arena.relay.messages if recipient in each.rcpt_to]


def test_another_s_notification_is_not_found(arena: arena_kit.Arena) -> None:
    """An id is of use to the organization that it was given to, and its key to nobody else (R3)."""
    owner, other = arena.attacker(), arena.attacker()
    for each in (owner, other):
        each.settings({})
    taken = owner.post(arena_kit.ALERT, key="nightly-1")
    same_key = other.post(arena_kit.ALERT | {"text": "Another text."}, key="nightly-1")
    assert (taken.status, same_key.status) == (202, 202)
    assert taken.document["id"] != same_key.document["id"]
    for path, status in (
        (f"{other.tenant.collection()}/{taken.document['id']}", 404),
        (taken.document["status"], 403),
    ):
        found = arena.loop.run(
            arena.client.request("GET", path, headers={"Authorization": f"Bearer {other.tenant.token}"})
        )
        assert found.status == status


def test_an_organization_elsewhere_is_not_found(arena: arena_kit.Arena) -> None:
    """The organization that an object names is looked for beside the object (R3)."""
    owner, other = arena.attacker(), arena.attacker()
    owner.settings({}, name="payroll")
    owner.until_known("payroll")
    other.notify("borrowed", arena_kit.ALERT | {"organization": "payroll"})
    other.until_reason("OrganizationUnknown", type_="Accepted", kind=names.NOTIFICATION_KIND, name="borrowed")
    qualified = arena_kit.ALERT | {"organization": f"{owner.namespace}/payroll"}
    document = worlds.document(names.NOTIFICATION_KIND, "qualified", other.namespace, **qualified)
    assert arena.try_put(document)[0] == 422


def test_a_reset_link_is_mailed_and_nowhere_else(attacker: arena_kit.Attacker) -> None:
    """A link arrives in its mail; that it is nowhere else, the search for leaks finds out (R1, R11)."""
    token = attacker.arena.secret("links-left-on-the-volume")
    attacker.settings({})
    recipient = f"alice@{attacker.namespace}.example"
    body: arena_kit.Json = {
        "category": "PasswordRecovery",
        "recipients": [recipient],
        "data": {"link": f"https://a.example/reset?token={token}"},
    }
    told = attacker.until_complete(attacker.post(body))
    assert token not in json.dumps(told)
    (arrived,) = [each for each in attacker.arena.relay.messages if recipient in each.rcpt_to]
    plain = arrived.parsed().get_body(("plain",))
    assert plain is not None
    assert token in str(plain.get_content())
