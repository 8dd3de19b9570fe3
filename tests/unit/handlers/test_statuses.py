"""Writing status: what is noted of a write, and what somebody else wrote meanwhile."""

import typing

import pytest

from kit import api as api_kit
from mailtier.api import names, settings
from mailtier.handlers import statuses, store

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

    async def apply(self, path: str, body: api_kit.Object, *, field_manager: str, force: bool = True) -> None:
        """Take a write, and show what the watch shows before it answers."""
        self.requests.append(("apply", path))
        del body, field_manager, force
        for status in self._shown:
            self._objects.put_organization(_seen(status))


@pytest.mark.parametrize(
    ("shown", "left", "writes"),
    [((), OURS, 1), ((OURS,), OURS, 1), ((OURS, THEIRS), THEIRS, 2), ((THEIRS,), THEIRS, 2)],
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
