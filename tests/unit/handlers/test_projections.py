"""The ConfigMap that an organization asks for in its namespace: written, repaired, removed, and nothing of others."""

import typing

import pytest

from kit import api, projecting, tiers
from mailtier.api import names
from mailtier.handlers import projections
from mailtier.kube import errors
from mailtier.settings import conditions, observed

PATH, KEY, PUBLISH = projecting.PATH, projecting.KEY, projecting.PUBLISH
WRITTEN, PENDING = conditions.Projection.WRITTEN, conditions.Projection.PENDING
CONFLICT, NOT_GRANTED = conditions.Projection.CONFLICT, conditions.Projection.NOT_GRANTED
NONE = conditions.Projection.NONE
LABELS = {"app.kubernetes.io/managed-by": "mailtier", "app.kubernetes.io/component": "projection"}
OWNER = {"apiVersion": names.API_VERSION, "kind": names.ORG_KIND, "name": "default", "uid": "uid"}


class Silent(api.Api):
    """An API server whose answers to creations get lost."""

    async def create(self, path: str, body: api.Object, *, timeout_seconds: float | None = None) -> api.Object:
        """Put an object into a collection, and say nothing."""
        await super().create(path, body, timeout_seconds=timeout_seconds)
        raise errors.UnavailableError("no answer")


class Racing(api.Api):
    """An API server on which an object is deleted and made again just after it was read."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self.is_racing = False

    async def get(self, path: str, *, timeout_seconds: float | None = None) -> api.Object:
        """Return one object, which is another afterwards."""
        found = await super().get(path, timeout_seconds=timeout_seconds)
        if self.is_racing and path == self._path:
            self.objects[path]["metadata"]["uid"] = "another"
        return found


@pytest.mark.parametrize("org", [{}, {**PUBLISH, "from": {"displayName": "New"}}], ids=["withdrawn", "made anew"])
async def test_only_what_was_looked_at_is_deleted(org: tiers.Json) -> None:
    """Somebody else's of that name, made between the look and the deletion, stays: the deletion names the uid (R8)."""
    world = projecting.Projecting()
    world.api = racing = Racing(PATH)
    world.start()
    await world.reconcile()
    world.there["immutable"] = True
    racing.is_racing = True
    await world.reconcile(org)
    assert racing.count("delete", PATH) == 1
    assert world.there["metadata"]["uid"] == "another"


@pytest.fixture
def world() -> projecting.Projecting:
    """Return a writer that has written nothing."""
    return projecting.Projecting()


async def test_it_is_created_as_the_object_s_own(world: projecting.Projecting) -> None:
    """Labels say whose it is, and with its owner it is collected as garbage."""
    assert await world.reconcile() == projections.Projected(found=WRITTEN, written=True, is_left=True)
    metadata = world.there["metadata"]
    assert (metadata["name"], metadata["namespace"]) == ("mailtier-default", "team-a")
    assert metadata["labels"] == LABELS
    assert metadata["ownerReferences"] == [{**OWNER, "controller": True, "blockOwnerDeletion": False}]
    assert world.data["MAIL_FROM"] == "no-reply@example.com"
    assert world.calls() == ["get", "create"]


async def test_a_steady_state_makes_no_call(world: projecting.Projecting) -> None:
    """What was written is taken to be there for a while, and then looked at without a write (R8)."""
    await world.reconcile()
    world.calls()
    assert await world.reconcile() == projections.Projected(found=WRITTEN, is_left=True)
    assert world.calls() == []
    world.now = projections.TRUSTED_SECONDS
    assert await world.reconcile() == projections.Projected(found=WRITTEN, is_left=True)
    assert world.calls() == ["get"]
    assert await world.reconcile() == projections.Projected(found=WRITTEN, is_left=True)
    assert (world.calls(), world.again) == ([], [])


async def test_another_operator_finds_what_is_there(world: projecting.Projecting) -> None:
    """After a change of leader nothing is written that is right."""
    await world.reconcile()
    world.calls()
    world.start()
    assert (await world.reconcile()).written is False
    assert world.calls() == ["get"]


async def test_drift_is_repaired_when_it_is_looked_at_again(world: projecting.Projecting) -> None:
    """What somebody edits, adds or removes is as it was after the recheck."""
    await world.reconcile()
    before = dict(world.data)
    world.there["data"] = {"MAIL_FROM": "ceo@example.com", "LD_PRELOAD": "x.so"}
    world.now = projections.TRUSTED_SECONDS
    assert await world.reconcile() == projections.Projected(found=WRITTEN, written=True, is_left=True)
    assert world.data == before
    del world.api.objects[PATH]
    world.now *= 2
    assert (await world.reconcile()).written is True
    assert world.data == before


async def test_a_server_that_is_given_up_is_not_left_behind(world: projecting.Projecting) -> None:
    """Who goes back to the host's server takes the keys of the former one along."""
    await world.reconcile({**tiers.OWN, **PUBLISH})
    assert world.data["SMTP_HOST"] == "smtp.example.org"
    assert (await world.reconcile()).written is True
    assert not [key for key in world.data if key.startswith("SMTP_")]


async def test_what_is_immutable_is_made_anew(world: projecting.Projecting) -> None:
    """An immutable ConfigMap cannot be repaired: it is deleted, and created a moment later."""
    await world.reconcile()
    world.there["immutable"] = True
    outcome = await world.reconcile({**PUBLISH, "from": {"displayName": "New"}})
    assert (outcome.found, outcome.written, outcome.is_left, world.again) == (PENDING, True, True, [5])
    assert (await world.reconcile({**PUBLISH, "from": {"displayName": "New"}})).found is WRITTEN
    assert world.data["MAIL_FROM_NAME"] == "New"


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"labels": LABELS},
        {"labels": {"app.kubernetes.io/managed-by": "mailtier"}, "ownerReferences": [OWNER]},
        {"labels": LABELS, "ownerReferences": [{**OWNER, "name": "another"}]},
    ],
    ids=["plain", "labelled", "owned", "another's"],
)
async def test_a_foreign_one_is_never_touched(world: projecting.Projecting, metadata: dict[str, typing.Any]) -> None:
    """One of that name that is not ours stays as it is, however much of ours it imitates (R8)."""
    world.api.objects[PATH] = {"metadata": {"uid": "1", "resourceVersion": "1", **metadata}, "data": {"a": "b"}}
    for _ in range(2):
        assert await world.reconcile() == projections.Projected(found=CONFLICT)
    assert await world.reconcile({}) == projections.Projected(found=NONE)
    assert world.data == {"a": "b"}
    assert set(world.calls()) == {"get"}
    assert world.again == [10, 10], "so that a remedy shows within 15 s"


async def test_one_that_became_foreign_is_left_alone(world: projecting.Projecting) -> None:
    """Who takes our labels off has it for themselves, and removing spec.publish does not delete it."""
    await world.reconcile()
    world.there["metadata"]["labels"] = {}
    world.now = projections.TRUSTED_SECONDS
    assert await world.reconcile() == projections.Projected(found=CONFLICT)
    assert await world.reconcile({}) == projections.Projected(found=NONE)
    assert PATH in world.api.objects


async def test_a_predecessor_s_is_waited_for(world: projecting.Projecting) -> None:
    """That of an object of the same name that was deleted is the garbage collector's; then comes ours."""
    await world.reconcile()
    world.uid, world.named = "another", ""
    world.start()
    assert await world.reconcile() == projections.Projected(found=PENDING)
    assert world.again == [5]
    del world.api.objects[PATH]
    assert (await world.reconcile()).found is WRITTEN
    assert world.there["metadata"]["ownerReferences"][0]["uid"] == "another"


async def test_one_that_is_being_deleted_is_waited_for(world: projecting.Projecting) -> None:
    """What is on its way out would take a write along."""
    await world.reconcile()
    world.there["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.now = projections.TRUSTED_SECONDS
    assert (await world.reconcile()).found is PENDING
    assert world.again == [5]


async def test_a_missing_right_is_told(world: projecting.Projecting) -> None:
    """Where nobody granted the writing, status says so, and it is tried again every minute."""
    world.api.failing = errors.ForbiddenError("no", status=403)
    assert await world.reconcile() == projections.Projected(found=NOT_GRANTED)
    assert world.again == [60]
    world.api.failing = None
    assert (await world.reconcile()).found is WRITTEN


async def test_somebody_at_the_same_time_is_no_fault(world: projecting.Projecting) -> None:
    """Who comes too late looks again soon."""
    world.api.failing = errors.ConflictError("no", status=409)
    assert await world.reconcile() == projections.Projected(found=PENDING)
    assert world.again == [5]


async def test_an_outage_is_told_to_who_asked_and_says_nothing_of_what_is_there(world: projecting.Projecting) -> None:
    """What was written stands through it; what was not is pending, and either is tried again with patience."""
    world.api.failing = errors.UnavailableError("down")
    assert await world.reconcile() == projections.Projected(found=PENDING, refused=world.api.failing)
    world.api.failing = None
    await world.reconcile()
    world.api.failing = errors.UnavailableError("down")
    world.now = projections.TRUSTED_SECONDS
    refused = world.api.failing
    assert await world.reconcile() == projections.Projected(found=WRITTEN, is_left=True, refused=refused)
    changed = await world.reconcile({**PUBLISH, "from": {"displayName": "New"}})
    assert changed == projections.Projected(found=PENDING, is_left=True, refused=refused)
    assert world.again == []


async def test_what_nobody_wants_any_more_is_deleted(world: projecting.Projecting) -> None:
    """Removing spec.publish removes what it asked for, and where nothing was there nothing is asked for."""
    assert await world.reconcile({}) == projections.Projected(found=NONE)
    assert world.calls() == []
    await world.reconcile()
    assert await world.reconcile({}) == projections.Projected(found=NONE, written=True)
    assert PATH not in world.api.objects
    world.calls()
    assert await world.reconcile({"publish": False}) == projections.Projected(found=NONE)
    assert world.calls() == []


async def test_what_status_does_not_name_yet_is_deleted_too(world: projecting.Projecting) -> None:
    """Where the status could not be written after the creation, what was created is known nevertheless."""
    await world.reconcile()
    world.named = ""
    world.api.failing = errors.UnavailableError("down")
    assert await world.reconcile({}) == projections.Projected(found=NONE, is_left=True, refused=world.api.failing)
    world.api.failing, world.named = None, ""
    assert await world.reconcile({}) == projections.Projected(found=NONE, written=True)
    assert world.api.objects == {}


async def test_what_was_created_without_an_answer_is_deleted_too(world: projecting.Projecting) -> None:
    """That the answer to the creation got lost does not say that nothing was created."""
    world.api = Silent()
    world.start()
    assert (await world.reconcile()).found is PENDING
    world.named = ""
    assert PATH in world.api.objects
    assert await world.reconcile({}) == projections.Projected(found=NONE, written=True)
    assert world.api.objects == {}


async def test_what_cannot_be_deleted_is_remembered_and_in_nobody_s_way(world: projecting.Projecting) -> None:
    """Without the right, status goes on naming it, so that it is deleted when the right is back."""
    await world.reconcile()
    world.api.failing = errors.ForbiddenError("no", status=403)
    world.now = projections.TRUSTED_SECONDS
    assert await world.reconcile() == projections.Projected(found=NOT_GRANTED, is_left=True)
    assert await world.reconcile({}) == projections.Projected(found=NONE, is_left=True)
    world.api.failing = errors.UnavailableError("down")
    assert await world.reconcile({}) == projections.Projected(found=NONE, is_left=True, refused=world.api.failing)
    assert world.again == [60, 60]
    world.api.failing = None
    assert await world.reconcile({}) == projections.Projected(found=NONE, written=True)


async def test_one_that_is_gone_already_is_gone(world: projecting.Projecting) -> None:
    """Who deleted it by hand needs no deletion."""
    await world.reconcile()
    del world.api.objects[PATH]
    assert await world.reconcile({}) == projections.Projected(found=NONE)


async def test_an_object_that_does_not_fit_keeps_what_is_there(world: projecting.Projecting) -> None:
    """What its author meant is not known, so that applications keep what they have."""
    invalid = observed.Invalid(field="spec.publish", message="is required")
    assert await world.reconcile(spec=invalid) == projections.Projected(found=NONE)
    await world.reconcile()
    world.calls()
    assert await world.reconcile(spec=invalid) == projections.Projected(found=NONE, is_left=True)
    assert world.calls() == []


async def test_what_the_policy_blocks_is_not_published(world: projecting.Projecting) -> None:
    """Neither into a namespace that is not selected nor with an address that is not allowed; what was there stays."""
    selector = {"mode": "Selector", "selector": {"matchLabels": {"mail": "on"}}}
    closed = {**tiers.RELAY, "policy": {"organizations": selector}}
    assert await world.reconcile(host=closed) == projections.Projected(found=NONE)
    foreign = {**PUBLISH, "from": {"address": "ceo@example.net"}}
    assert await world.reconcile(foreign) == projections.Projected(found=NONE)
    assert world.calls() == []
    await world.reconcile()
    assert await world.reconcile(foreign) == projections.Projected(found=NONE, is_left=True)
    assert world.data["MAIL_FROM"] == "no-reply@example.com"


async def test_who_is_blocked_still_finds_and_trusts_the_intake(world: projecting.Projecting) -> None:
    """What was published goes on saying where to hand over, with a new authority too, and nothing else of it moves."""
    foreign = {**PUBLISH, "from": {"address": "ceo@example.net"}}
    world.projections.note_authority("first")
    await world.reconcile()
    world.projections.note_authority("second")
    assert await world.reconcile(foreign) == projections.Projected(found=NONE, written=True, is_left=True)
    assert world.data["MAILTIER_CA"] == "second"
    world.calls()
    assert await world.reconcile(foreign) == projections.Projected(found=NONE, is_left=True)
    assert world.calls() == []
    world.there["data"] = {"MAILTIER_URL": "https://elsewhere", "MAIL_FROM": "no-reply@example.com"}
    world.now = projections.TRUSTED_SECONDS
    assert (await world.reconcile(foreign)).written is True
    assert world.data == {
        "MAILTIER_ORGANIZATION": "team-a/default",
        "MAILTIER_URL": "https://intake/v1/namespaces/team-a/organizations/default/notifications",
        "MAILTIER_CA": "second",
        "MAIL_FROM": "no-reply@example.com",
    }


async def test_an_immutable_one_stays_while_its_organization_is_blocked(world: projecting.Projecting) -> None:
    """It could not be made anew before the policy is kept again, and applications have it meanwhile."""
    foreign = {**PUBLISH, "from": {"address": "ceo@example.net"}}
    await world.reconcile()
    world.there["immutable"] = True
    world.projections.note_authority("second")
    assert await world.reconcile(foreign) == projections.Projected(found=NONE, is_left=True)
    assert "MAILTIER_CA" not in world.data


async def test_nothing_is_made_anew_while_the_policy_blocks(world: projecting.Projecting) -> None:
    """One that was deleted meanwhile comes back with the mended settings."""
    foreign = {**PUBLISH, "from": {"address": "ceo@example.net"}}
    await world.reconcile()
    del world.api.objects[PATH]
    assert await world.reconcile(foreign) == projections.Projected(found=NONE)
    assert world.api.objects == {}
    assert await world.reconcile() == projections.Projected(found=WRITTEN, written=True, is_left=True)


async def test_new_certificates_are_published(world: projecting.Projecting) -> None:
    """Applications trust a new authority as soon as they read again; an equal one changes nothing."""
    assert world.projections.note_authority("first") is True
    await world.reconcile()
    assert world.data["MAILTIER_CA"] == "first"
    assert world.projections.note_authority("first") is False
    assert world.projections.note_authority("second") is True
    assert (await world.reconcile()).written is True
    assert world.data["MAILTIER_CA"] == "second"


async def test_an_organization_that_comes_back_is_looked_at(world: projecting.Projecting) -> None:
    """What was remembered of an object that is gone does not stand for its successor."""
    await world.reconcile()
    world.projections.release(KEY)
    world.api.objects.clear()
    world.named = ""
    assert (await world.reconcile()).written is True
