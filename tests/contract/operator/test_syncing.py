"""What Argo CD and Flux apply stays in sync: no difference afterwards, and no field that two want to write."""

import secrets
import typing

import pytest
import yaml

from kit import fleet, operators, pipelines, repository, worlds

_TRACKED = {"argocd.argoproj.io/tracking-id": "email-settings:mailtier.dev/HostEmailSettings:default"}
_SPACE = "synced"


def _settings() -> str:
    """Return settings with an object of each kind that is kept in Git, and with every group of fields."""
    examples = (repository.ROOT / "docs/reference/examples").glob("*emailsettings.yaml")
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in examples]
    for document in documents:
        document["metadata"]["annotations"] = _TRACKED
        if "namespace" in document["metadata"]:
            document["metadata"]["namespace"] = _SPACE
    return str(yaml.safe_dump_all(documents))


def _versions(documents: list[dict[str, typing.Any]]) -> dict[str, tuple[str, int]]:
    return {
        document["kind"]: (document["metadata"]["resourceVersion"], document["metadata"]["generation"])
        for document in documents
    }


@pytest.mark.parametrize("manager", [pipelines.ARGOCD, pipelines.FLUX])
def test_settings_stay_in_sync_while_the_operator_works(
    world: worlds.World, operator: operators.Operator, manager: str
) -> None:
    """A sync without force succeeds at any time, changes nothing the second time, and never meets the operator."""
    assert operator.running
    world.namespace(_SPACE, **{"example.com/mail": "enabled"})
    pipeline = pipelines.Pipeline(world.cluster, manager, _settings())
    pipeline.sync()
    world.until(
        lambda: all(
            document["status"]["observedGeneration"] == document["metadata"]["generation"]
            and document["status"].get("conditions")
            for document in pipeline.live()
        ),
        "the operator has written status",
    )
    world.until(operator.is_idle, "nothing is left to do")

    def synced() -> dict[str, tuple[str, int]] | None:
        # The host's summary follows within ten seconds; what a sync changes is asked where nobody else writes.
        before, differences = _versions(pipeline.live()), pipeline.differences()
        after = [_versions(pipeline.sync()) for _ in range(2)]
        return before if not differences and after == [before, before] else None

    versions = world.until(synced, "a sync changes nothing")
    assert {generation for _, generation in versions.values()} == {1}
    for document in pipeline.live():
        (ours,) = {entry["manager"] for entry in document["metadata"]["managedFields"]} - {manager}
        written = pipelines.owned(document, ours)
        assert written
        assert all(path.startswith("/f:status/") for path in written), written
        assert not any(path.startswith("/f:status") for path in pipelines.owned(document, manager))


def test_what_a_person_asks_for_survives_a_sync(world: worlds.World, operator: operators.Operator) -> None:
    """The annotation that asks for a new look is neither a difference nor taken away, and is answered."""
    assert operator.running
    world.namespace(_SPACE, **{"example.com/mail": "enabled"})
    pipeline = pipelines.Pipeline(world.cluster, pipelines.ARGOCD, _settings())
    pipeline.sync()
    token = secrets.token_hex(4)
    world.cluster.kubectl("annotate", "hes", "default", f"mailtier.dev/requested-at={token}")
    # Asked in two steps, between which status may be written.
    world.until(lambda: pipeline.differences() == [], "a sync would change nothing")
    pipeline.sync()
    world.until(
        lambda: (world.get("hes", "default") or {})["status"].get("lastHandledRequestedAt") == token,
        "the request is answered",
    )


@pytest.mark.parametrize("path", ["secrets/external-secret.yaml", "secrets/sealed-secret.yaml"])
def test_settings_wait_for_the_secret_that_is_made_for_them(
    world: worlds.World, operator: operators.Operator, path: str
) -> None:
    """The example repository is applied first: its settings wait, and are Ready once the Secret has been made."""
    assert operator.running
    documents = list(yaml.safe_load_all(fleet.build(fleet.FOLDER / "clusters" / "production")))
    spaces = {document["metadata"]["namespace"] for document in documents if "namespace" in document["metadata"]}
    for space in spaces:
        world.namespace(space)
    world.apply(*documents)
    world.until(lambda: "Reconciling" in _host_conditions(world), "the host's settings wait")
    (source,) = fleet.documents(path)
    secret = fleet.made_secret(source, {"password": "x"})
    world.apply({**secret, "metadata": {**secret["metadata"], "namespace": world.system}})
    world.until(lambda: _host_conditions(world).get("Ready") == "True", "the host's settings are Ready")
    for space in spaces:
        world.until(lambda space=space: world.reason(space) == "Published", f"{space}/default is Ready")
    world.cluster.kubectl("delete", "secret", secret["metadata"]["name"], "-n", world.system)


def _host_conditions(world: worlds.World) -> dict[str, str]:
    """Return the status of each of the host's conditions."""
    found = world.get("hes", "default") or {}
    return {entry["type"]: entry["status"] for entry in found.get("status", {}).get("conditions", [])}
