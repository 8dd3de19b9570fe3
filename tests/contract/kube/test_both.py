"""What the operator's writers rely on, held for the real API server and for the one in memory that unit tests use."""

import collections.abc
import typing

import pytest
import pytest_asyncio

from kit import api as api_kit
from mailtier.api import names
from mailtier.kube import client, errors, paths

Server = client.Client | api_kit.Api

_OURS, _THEIRS = "mailtier", "somebody"


@pytest_asyncio.fixture(params=["real", "in memory"])
async def server(request: pytest.FixtureRequest, api: client.Client) -> collections.abc.AsyncIterator[Server]:
    """Return one after the other."""
    yield api if request.param == "real" else api_kit.Api()


def _config_map(namespace: str, **data: str) -> dict[str, typing.Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "one", "namespace": namespace},
        "data": data,
    }


def _organization(namespace: str, **status: typing.Any) -> dict[str, typing.Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.ORG_KIND,
        "metadata": {"name": "default", "namespace": namespace},
        "status": status,
    }


def _condition(type_: str, status: str = "True") -> dict[str, typing.Any]:
    return {
        "type": type_,
        "status": status,
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "reason": "Published",
        "message": "",
    }


async def test_what_is_not_there_is_not_found(server: Server, namespace: str) -> None:
    """Reading, changing and deleting it, and the status of it."""
    path = paths.config_maps(namespace, "one")
    with pytest.raises(errors.NotFoundError):
        await server.get(path)
    with pytest.raises(errors.NotFoundError):
        await server.merge(path, {"data": {"a": "1"}})
    with pytest.raises(errors.NotFoundError):
        await server.delete(path)
    with pytest.raises(errors.NotFoundError):
        await server.delete(path, uid="another")
    path = paths.status(paths.org_settings(namespace, "default"))
    with pytest.raises(errors.NotFoundError):
        await server.apply(path, _organization(namespace, state="Active"), field_manager=_OURS)


async def test_an_object_is_made_once(server: Server, namespace: str) -> None:
    """A second creation is a conflict, and changes nothing."""
    made = await server.create(paths.config_maps(namespace), _config_map(namespace, a="1"))
    assert made["metadata"]["uid"]
    with pytest.raises(errors.ConflictError) as caught:
        await server.create(paths.config_maps(namespace), _config_map(namespace, a="2"))
    assert caught.value.reason == "AlreadyExists"
    assert (await server.get(paths.config_maps(namespace, "one")))["data"] == {"a": "1"}


async def test_only_the_very_object_is_deleted(server: Server, namespace: str) -> None:
    """One that was deleted and made again has another uid, and stays."""
    path = paths.config_maps(namespace, "one")
    made = await server.create(paths.config_maps(namespace), _config_map(namespace))
    with pytest.raises(errors.ConflictError):
        await server.delete(path, uid="another")
    await server.get(path)
    await server.delete(path, uid=made["metadata"]["uid"])
    with pytest.raises(errors.NotFoundError):
        await server.get(path)


async def test_only_the_very_object_is_changed(server: Server, namespace: str) -> None:
    """A merge patch that names another version changes nothing; null removes a field."""
    path = paths.config_maps(namespace, "one")
    made = await server.create(paths.config_maps(namespace), _config_map(namespace, a="1", b="2"))
    with pytest.raises(errors.ConflictError):
        await server.merge(path, {"metadata": {"resourceVersion": "999999999"}, "data": {"a": None}})
    version = {"resourceVersion": made["metadata"]["resourceVersion"]}
    await server.merge(path, {"metadata": version, "data": {"a": None, "c": "3"}})
    found = await server.get(path)
    assert found["data"] == {"b": "2", "c": "3"}
    assert found["metadata"]["uid"] == made["metadata"]["uid"]
    assert found["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]


async def test_applying_the_same_changes_nothing(server: Server, namespace: str) -> None:
    """What is applied again over the same leaves the version as it is."""
    path = paths.config_maps(namespace, "one")
    await server.apply(path, _config_map(namespace, a="1"), field_manager=_OURS)
    before = (await server.get(path))["metadata"]["resourceVersion"]
    await server.apply(path, _config_map(namespace, a="1"), field_manager=_OURS)
    assert (await server.get(path))["metadata"]["resourceVersion"] == before


async def test_what_a_manager_leaves_out_goes_and_what_another_owns_stays(server: Server, namespace: str) -> None:
    """Server-side apply removes the manager's own fields alone."""
    path = paths.config_maps(namespace, "one")
    await server.apply(path, _config_map(namespace, a="1", b="2"), field_manager=_OURS)
    await server.apply(path, _config_map(namespace, b="2", c="3"), field_manager=_THEIRS)
    await server.apply(path, _config_map(namespace, d="4"), field_manager=_OURS)
    assert (await server.get(path))["data"] == {"b": "2", "c": "3", "d": "4"}


async def test_what_another_owns_is_taken_over_by_force_alone(server: Server, namespace: str) -> None:
    """Without force a different value is a conflict."""
    path = paths.config_maps(namespace, "one")
    await server.apply(path, _config_map(namespace, a="1"), field_manager=_THEIRS)
    with pytest.raises(errors.ConflictError):
        await server.apply(path, _config_map(namespace, a="2"), field_manager=_OURS, force=False)
    await server.apply(path, _config_map(namespace, a="2"), field_manager=_OURS)
    assert (await server.get(path))["data"] == {"a": "2"}


async def test_an_object_is_not_made_by_naming_one_that_is_gone(server: Server, namespace: str) -> None:
    """The uid in what is applied has to be the object's."""
    config_map = _config_map(namespace, a="1")
    config_map["metadata"]["uid"] = "11111111-2222-3333-4444-555555555555"
    path = paths.config_maps(namespace, "one")
    with pytest.raises(errors.ConflictError):
        await server.apply(path, config_map, field_manager=_OURS)
    made = await server.create(paths.config_maps(namespace), _config_map(namespace, a="0"))
    with pytest.raises(errors.ApiError):
        await server.apply(path, config_map, field_manager=_OURS)
    config_map["metadata"]["uid"] = made["metadata"]["uid"]
    assert await server.apply(path, config_map, field_manager=_OURS) == made["metadata"]["uid"]


async def test_a_status_goes_to_whatever_has_the_name(server: Server, namespace: str) -> None:
    """A uid in an applied status is not looked at: the answer says whose it was, and the spec stays as it is."""
    path = paths.org_settings(namespace, "default")
    body = _organization(namespace, state="Active")
    made = await server.create(paths.org_settings(namespace), {**body, "spec": {}})
    another = {**body, "metadata": {**body["metadata"], "uid": "11111111-2222-3333-4444-555555555555"}}
    assert await server.apply(paths.status(path), another, field_manager=_OURS) == made["metadata"]["uid"]
    found = await server.get(path)
    assert (found["status"]["state"], found["spec"]) == ("Active", {})
    await server.merge(paths.status(path), {"status": {"state": None, "observedGeneration": -1}})
    assert (await server.get(path))["status"] == {"observedGeneration": -1}


async def test_conditions_of_others_are_left_and_a_merge_patch_replaces_them(server: Server, namespace: str) -> None:
    """Applying ours shows theirs in the answer; a merge patch leaves what it says and nothing else."""
    path = paths.org_settings(namespace, "default")
    await server.create(paths.org_settings(namespace), {**_organization(namespace), "spec": {}})
    status = paths.status(path)
    forged = _organization(namespace, projection="forged", conditions=[_condition("Stalled")])
    await server.apply(status, forged, field_manager=_THEIRS)
    ours = _organization(namespace, observedGeneration=1, conditions=[_condition("Ready")])
    found = (await server.put(status, ours, field_manager=_OURS))["status"]
    assert {entry["type"] for entry in found["conditions"]} == {"Stalled", "Ready"}
    assert found["projection"] == "forged"
    change = {"projection": None, "conditions": ours["status"]["conditions"]}
    await server.merge(status, {"metadata": {}, "status": change})
    left = (await server.get(path))["status"]
    assert left == {"observedGeneration": 1, "conditions": ours["status"]["conditions"]}
