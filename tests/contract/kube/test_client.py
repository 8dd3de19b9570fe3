"""The Kubernetes client on a real apiserver: reads, server-side apply, deletion, watches, rights."""

import contextlib
import json
import pathlib
import textwrap

import pytest

from kit import cluster as cluster_kit
from kit import objects
from mailtier.api import names
from mailtier.kube import client, configuration, errors, paths, secrets

_MANAGER = "mailtier-test"


async def test_apply_creates_and_takes_fields_over(api: client.Client, namespace: str) -> None:
    """Server-side apply creates what is missing, owns its fields, and says Conflict when it may not take one."""
    path = paths.config_maps(namespace, "applied")
    await api.apply(path, objects.config_map(namespace, "applied", a="1"), field_manager=_MANAGER)
    assert (await api.get(path))["data"] == {"a": "1"}
    with pytest.raises(errors.ConflictError, match="conflict"):
        await api.apply(path, objects.config_map(namespace, "applied", a="2"), field_manager="another", force=False)
    await api.apply(path, objects.config_map(namespace, "applied", a="2"), field_manager="another")
    # The field is not ours any more, so that leaving it out does not remove it.
    await api.apply(path, objects.config_map(namespace, "applied"), field_manager=_MANAGER)
    assert (await api.get(path))["data"] == {"a": "2"}


async def test_apply_that_changes_nothing_keeps_the_version(api: client.Client, namespace: str) -> None:
    """Applying the same again is no write."""
    path = paths.config_maps(namespace, "same")
    body = objects.config_map(namespace, "same", a="1")
    await api.apply(path, body, field_manager=_MANAGER)
    first = await api.get(path)
    await api.apply(path, body, field_manager=_MANAGER)
    again = await api.get(path)
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_merge_changes_one_version_and_removes_what_is_null(api: client.Client, namespace: str) -> None:
    """A merge takes keys away whoever put them there, and changes no object but the one that was looked at."""
    path = paths.config_maps(namespace, "merged")
    await api.create(paths.config_maps(namespace), objects.config_map(namespace, "merged", a="1", b="1"))
    seen = (await api.get(path))["metadata"]
    version = {"uid": seen["uid"], "resourceVersion": seen["resourceVersion"]}
    await api.merge(path, {"metadata": version, "data": {"a": None, "b": "2"}})
    assert (await api.get(path))["data"] == {"b": "2"}
    with pytest.raises(errors.ConflictError):
        await api.merge(path, {"metadata": version, "data": {"b": "3"}})
    with pytest.raises(errors.NotFoundError):
        await api.merge(paths.config_maps(namespace, "none"), {"data": {"b": "3"}})


async def test_status_is_applied_by_itself(api: client.Client, namespace: str) -> None:
    """An apply of the status subresource writes the status and not the spec."""
    metadata = {"namespace": namespace, "name": "default"}
    kind = {"apiVersion": names.API_VERSION, "kind": names.ORG_KIND, "metadata": metadata}
    await api.create(paths.org_settings(namespace), {**kind, "spec": {}})
    path = paths.org_settings(namespace, "default")
    await api.apply(paths.status(path), {**kind, "status": {"observedGeneration": 1}}, field_manager=_MANAGER)
    written = await api.get(path)
    assert written["status"]["observedGeneration"] == 1
    assert written["spec"] == {}


async def test_refused_object_is_invalid(api: client.Client, namespace: str) -> None:
    """What a schema refuses is an InvalidError with the apiserver's sentence."""
    metadata = {"namespace": namespace, "name": "default"}
    body = {"apiVersion": names.API_VERSION, "kind": names.ORG_KIND, "metadata": metadata, "spec": {"smtp": 1}}
    with pytest.raises(errors.InvalidError, match=r"spec\.smtp"):
        await api.create(paths.org_settings(namespace), body)


async def test_list_comes_in_chunks_and_as_metadata(api: client.Client, namespace: str) -> None:
    """Chunks add up to the whole, selected by label, with metadata alone where that is asked for."""
    wanted = {f"chunk-{number}" for number in range(5)}
    for name in wanted:
        await api.create(paths.config_maps(namespace), objects.config_map(namespace, name, a="1"))
    path = paths.config_maps(namespace)
    pages = [len(page.items) async for page in api.pages(path, labels="test=yes", chunk=2)]
    assert pages == [2, 2, 1]
    listing = await api.list(path, labels="test=yes", chunk=2, metadata_only=True)
    assert {item["metadata"]["name"] for item in listing.items} == wanted
    assert not any("data" in item for item in listing.items)


async def test_missing_existing_and_recreated_objects_are_told_apart(api: client.Client, namespace: str) -> None:
    """NotFound, AlreadyExists and a uid that is another object's each have their exception."""
    path = paths.config_maps(namespace, "one")
    with pytest.raises(errors.NotFoundError):
        await api.get(path)
    body = objects.config_map(namespace, "one")
    created = await api.create(paths.config_maps(namespace), body)
    with pytest.raises(errors.ConflictError) as caught:
        await api.create(paths.config_maps(namespace), body)
    assert caught.value.reason == "AlreadyExists"
    with pytest.raises(errors.ConflictError):
        await api.delete(path, uid="00000000-0000-0000-0000-000000000000")
    await api.delete(path, uid=created["metadata"]["uid"])
    with pytest.raises(errors.NotFoundError):
        await api.delete(path)


async def test_replace_needs_the_current_version(api: client.Client, namespace: str) -> None:
    """An update on top of an old version is a conflict; one that names no version is none."""
    path = paths.config_maps(namespace, "replaced")
    created = await api.create(paths.config_maps(namespace), objects.config_map(namespace, "replaced", a="1"))
    assert (await api.replace(path, objects.config_map(namespace, "replaced", b="2")))["data"] == {"b": "2"}
    with pytest.raises(errors.ConflictError):
        await api.replace(path, created)


async def test_watch_yields_what_happens_and_ends_in_time(api: client.Client, namespace: str) -> None:
    """A watch starts after a listing, tells additions, changes and deletions, and ends by itself."""
    path = paths.config_maps(namespace)
    listing = await api.list(path, labels="test=yes")
    await api.create(path, objects.config_map(namespace, "watched"))
    await api.replace(paths.config_maps(namespace, "watched"), objects.config_map(namespace, "watched", a="1"))
    await api.delete(paths.config_maps(namespace, "watched"))
    watched = api.watch(path, resource_version=listing.resource_version, labels="test=yes", timeout_seconds=2)
    types = [event.type async for event in watched]
    assert [name for name in types if name != "BOOKMARK"] == ["ADDED", "MODIFIED", "DELETED"]


async def test_watch_from_a_forgotten_version_is_gone(
    mortal_api: client.Client, mortal_cluster: cluster_kit.LocalCluster, mortal_namespace: str
) -> None:
    """A version from before the apiserver's memory of changes is a GoneError."""
    path = paths.config_maps(mortal_namespace)
    version = (await mortal_api.list(path)).resource_version
    await mortal_api.create(path, objects.config_map(mortal_namespace, "later"))
    mortal_cluster.restart_apiserver()
    with pytest.raises(errors.GoneError):
        async for _ in mortal_api.watch(path, resource_version=version, timeout_seconds=2):
            pass


async def test_watch_that_is_cut_is_unavailable(
    mortal_api: client.Client, mortal_cluster: cluster_kit.LocalCluster, mortal_namespace: str
) -> None:
    """When the apiserver dies, the watch and every request say Unavailable; afterwards the client goes on."""
    api, namespace = mortal_api, mortal_namespace
    path = paths.config_maps(namespace)
    listing = await api.list(path)
    async with contextlib.aclosing(api.watch(path, resource_version=listing.resource_version)) as events:
        await api.create(path, objects.config_map(namespace, "cut"))
        assert (await anext(events)).type == "ADDED"
        mortal_cluster.stop_apiserver()
        try:
            with pytest.raises(errors.UnavailableError):
                await anext(events)
            with pytest.raises(errors.UnavailableError):
                await api.get(path)
        finally:
            mortal_cluster.start_apiserver()
    assert (await api.get(paths.config_maps(namespace, "cut")))["metadata"]["name"] == "cut"


async def test_secret_shows_its_values_to_who_asks_only(api: client.Client, namespace: str) -> None:
    """The annotation and the values come from one read, and the repr holds no value (R1)."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "smtp", "annotations": {names.ENDPOINT_ANNOTATION: "smtp.example.com"}},
        "stringData": {"password": "correct horse"},
        "data": {"binary": "/w=="},
    }
    await api.create(paths.secrets(namespace, "smtp").rpartition("/")[0], body)
    read = await secrets.read(api, namespace, "smtp")
    assert read.annotations[names.ENDPOINT_ANNOTATION] == "smtp.example.com"
    assert read.data["password"].reveal == "correct horse"
    assert read.data["binary"].raw == b"\xff"
    assert "horse" not in repr(read)


async def test_limited_account_may_not_read_secrets(cluster: cluster_kit.LocalCluster, namespace: str) -> None:
    """A read without the right is a ForbiddenError, whose namespace comes from the kubeconfig (R9)."""
    connection = configuration.load(kubeconfig=cluster.kubeconfig_for(namespace, "default"))
    assert connection.namespace == namespace
    async with client.Client(connection) as limited:
        with pytest.raises(errors.ForbiddenError):
            await secrets.read(limited, namespace, "smtp")


async def test_wrong_token_is_unauthorized(cluster: cluster_kit.LocalCluster) -> None:
    """Credentials that the apiserver does not know are an UnauthorizedError."""
    found = configuration.load(kubeconfig=cluster.kubeconfig)

    async def authorization() -> str | None:
        return "Bearer nobody"

    stranger = configuration.Connection(
        server=found.server, namespace="default", tls=found.tls, authorization=authorization
    )
    async with client.Client(stranger) as api:
        with pytest.raises(errors.UnauthorizedError):
            await api.get(paths.namespaces("default"))


async def test_exec_plugin_gives_the_token(cluster: cluster_kit.LocalCluster, tmp_path: pathlib.Path) -> None:
    """A kubeconfig whose user is an exec plugin works as it does for kubectl."""
    plugin = tmp_path / "plugin"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": cluster.admin_token},
    }
    plugin.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(credential)}\nEND\n", encoding="utf-8")
    plugin.chmod(0o700)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        textwrap.dedent(f"""\
            apiVersion: v1
            kind: Config
            current-context: other
            clusters: [{{name: local, cluster: {{server: "{cluster.url}", certificate-authority: {cluster.ca_path}}}}}]
            users:
            - name: plugin
              user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, command: {plugin}, interactiveMode: Never}}}}
            contexts:
            - {{name: other, context: {{cluster: local, user: nobody}}}}
            - {{name: local, context: {{cluster: local, user: plugin, namespace: mine}}}}
            """),
        encoding="utf-8",
    )
    connection = configuration.load(kubeconfig=kubeconfig, context="local")
    assert connection.namespace == "mine"
    async with client.Client(connection) as api:
        assert (await api.get(paths.namespaces("default")))["metadata"]["name"] == "default"
