"""Writing status: what is noted of a write, and what somebody else wrote meanwhile."""

import dataclasses
import typing

import pytest

from kit import api as api_kit
from mailtier.api import names, settings
from mailtier.handlers import statuses, store
from mailtier.kube import paths

Document = dict[str, typing.Any]
OURS: Document = {"observedGeneration": 1, "conditions": [], "state": "Active"}
THEIRS: Document = {"observedGeneration": 1, "conditions": [], "state": "Blocked"}


def _seen(status: Document) -> store.Organization:
    return store.Organization(
        namespace="team-a",
        name="default",
        uid="uid",
        generation=1,
        conditions=(),
        status_digest=store.digest(status),
        spec=settings.OrgSpec(),
    )


class _Talkative(api_kit.Api):
    """An API server whose watch is quicker than its answer."""

    def __init__(self, objects: store.Store, shown: typing.Sequence[Document]) -> None:
        super().__init__()
        self._objects = objects
        self._shown = shown

    async def apply(self, path: str, body: api_kit.Object, *, field_manager: str, force: bool = True) -> str:
        """Take a write, and show what the watch shows before it answers."""
        self.requests.append(("apply", path))
        del body, field_manager, force
        for status in self._shown:
            self._objects.put_organization(_seen(status))
        return "uid"


async def test_the_status_of_one_that_is_gone_finishes_no_other() -> None:
    """An object that was made anew meanwhile gets the status by its name: it is taken away again (R8)."""
    api = api_kit.Api()
    path = paths.org_settings("team-a", "default")
    api.objects[path] = {"metadata": {"name": "default", "namespace": "team-a", "uid": "another"}}
    objects = store.Store()
    objects.put_organization(_seen({}))
    client: typing.Any = api
    seen = objects.organizations["team-a", "default"]
    assert await statuses.write(client, objects, names.ORG_PLURAL, seen, OURS) is False
    assert api.objects[path]["status"] == {"observedGeneration": -1}
    assert objects.organizations["team-a", "default"] == seen


async def test_one_that_was_made_anew_has_no_status_of_the_one_before() -> None:
    """What is known to be another object by now is left to its own events (R8)."""
    api = api_kit.Api()
    objects = store.Store()
    objects.put_organization(dataclasses.replace(_seen({}), uid="another"))
    client: typing.Any = api
    assert await statuses.write(client, objects, names.ORG_PLURAL, _seen({}), OURS) is False
    assert not api.requests


def _condition(type_: str) -> Document:
    return {"type": type_, "status": "True", "reason": "Published"}


@pytest.mark.parametrize(
    ("forged", "writes"),
    [
        ({"projection": "mailtier-forged"}, 2),
        ({"conditions": [_condition("Stalled")]}, 2),
        ({"lastHandledRequestedAt": "now", "conditions": [_condition("Paused")]}, 2),
        ({"state": "Blocked"}, 1),
    ],
)
async def test_what_others_put_into_a_status_is_removed(forged: Document, writes: int) -> None:
    """Server-side apply would leave it to its manager, and whoever waits would believe it; once is enough (R8)."""
    api = api_kit.Api()
    path = paths.org_settings("team-a", "default")
    api.objects[path] = {"metadata": {"name": "default", "namespace": "team-a", "uid": "uid", "resourceVersion": "1"}}
    ours = {**OURS, "conditions": [_condition("Ready")]}
    await api.apply(paths.status(path), {"metadata": {}, "status": ours}, field_manager=names.FIELD_MANAGER)
    await api.apply(paths.status(path), {"metadata": {}, "status": forged}, field_manager="somebody")
    objects = store.Store()
    client: typing.Any = api
    api.requests.clear()
    for _ in range(2):
        status = api.objects[path]["status"]
        fields = {"conditions": store.remember(status["conditions"]), "status_fields": store.fields(status)}
        objects.put_organization(dataclasses.replace(_seen(status), **fields))
        await statuses.write(client, objects, names.ORG_PLURAL, objects.organizations["team-a", "default"], ours)
    assert api.objects[path]["status"] == ours
    assert len(api.requests) == writes


@pytest.mark.parametrize(
    ("shown", "left", "writes"),
    [((), OURS, 1), ((OURS,), OURS, 1), ((OURS, THEIRS), THEIRS, 2), ((THEIRS,), THEIRS, 2), ((OURS, {}), {}, 2)],
)
async def test_what_was_heard_meanwhile_is_not_forgotten(
    shown: typing.Sequence[Document], left: Document, writes: int
) -> None:
    """A status that somebody wrote over ours is seen, and written over in its turn (R8)."""
    objects = store.Store()
    objects.put_organization(_seen({}))
    client: typing.Any = _Talkative(objects, shown)
    for _ in range(2):
        seen = objects.organizations["team-a", "default"]
        await statuses.write(client, objects, names.ORG_PLURAL, seen, OURS)
        if len(client.requests) == 1:
            assert objects.organizations["team-a", "default"].status_digest == store.digest(left)
            client._shown = ()
    assert len(client.requests) == writes
    assert objects.organizations["team-a", "default"].status_digest == store.digest(OURS)
