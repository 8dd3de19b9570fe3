"""What watch events put into the store and the work queue."""

from typing import Any

import pytest

from mailtier.handlers import keys, store, watch_events
from mailtier.settings import observed


class Recorder:
    """A queue that only remembers."""

    def __init__(self) -> None:
        self.keys: list[keys.Key] = []

    def add(self, key: keys.Key, *, background: bool = False) -> None:
        """Remember a key."""
        self.keys.append(key)

    def taken(self) -> set[keys.Key]:
        """Return what was added since the last call."""
        found, self.keys = set(self.keys), []
        return found


@pytest.fixture
def recorder() -> Recorder:
    """Return an empty queue."""
    return Recorder()


@pytest.fixture
def objects() -> store.Store:
    """Return an empty store."""
    return store.Store()


@pytest.fixture
def take(objects: store.Store, recorder: Recorder) -> watch_events.WatchEvents:
    """Return what takes events in."""
    return watch_events.WatchEvents(objects, recorder)


def document(name: str = "default", **fields: Any) -> dict[str, Any]:
    """Return an object as the API shows it."""
    metadata = {"name": name, "namespace": "acme", "uid": "u1", "generation": 1} | fields.pop("metadata", {})
    return {"metadata": metadata, "spec": {}, "status": {"observedGeneration": -1}, **fields}


def space(name: str, **metadata: Any) -> dict[str, Any]:
    """Return a namespace as the API shows it."""
    return {"metadata": {"name": name, "uid": f"uid-{name}", "labels": {}, **metadata}}


def test_a_new_organization_is_looked_at(
    take: watch_events.WatchEvents, objects: store.Store, recorder: Recorder
) -> None:
    """An object that appears is reconciled."""
    take.organization("acme", "default", document())
    assert keys.organization("acme", "default") in recorder.taken()
    assert objects.has_organizations("acme")


def test_our_own_status_write_is_no_news(take: watch_events.WatchEvents, recorder: Recorder) -> None:
    """The event that a status write causes costs nothing (R8)."""
    take.organization("acme", "default", document())
    recorder.taken()
    take.organization("acme", "default", document())
    assert recorder.taken() == set()


def test_a_status_that_somebody_else_wrote_is_looked_at(take: watch_events.WatchEvents, recorder: Recorder) -> None:
    """Drift of the status is repaired."""
    take.organization("acme", "default", document())
    recorder.taken()
    take.organization("acme", "default", document(status={"observedGeneration": 99}))
    assert recorder.taken() == {keys.organization("acme", "default")}


def test_a_new_generation_of_the_host_reaches_every_organization_and_its_status_does_not(
    take: watch_events.WatchEvents, recorder: Recorder
) -> None:
    """A host change fans out once; what the operator writes into its status does not."""
    take.namespace("acme", space("acme"))
    take.namespace("beta", space("beta"))
    take.organization("acme", "default", document())
    take.host("default", document(metadata={"namespace": ""}))
    recorder.taken()
    take.host("default", document(metadata={"namespace": "", "generation": 2}))
    assert recorder.taken() == {
        keys.HOST,
        keys.organization("acme", "default"),
        keys.organization("beta", "default"),
    }
    take.host("default", document(metadata={"namespace": "", "generation": 2}, status={"conditions": []}))
    assert recorder.taken() == {keys.HOST}


def test_a_host_of_another_name_is_ignored(
    take: watch_events.WatchEvents, objects: store.Store, recorder: Recorder
) -> None:
    """Only the singleton counts, whatever got past the CRD's rule."""
    take.host("other", document(name="other"))
    assert objects.host is None
    assert recorder.taken() == set()


def test_a_recreated_object_is_another_object(take: watch_events.WatchEvents, objects: store.Store) -> None:
    """The same generation under another uid is read anew."""
    take.organization("acme", "default", document(spec={"suspend": True}))
    take.organization("acme", "default", document(metadata={"uid": "u2"}, spec={}))
    spec = objects.organizations["acme", "default"].spec
    assert not isinstance(spec, observed.Invalid)
    assert spec.suspend is None


def test_an_object_that_does_not_fit_is_kept_with_what_is_wrong(
    take: watch_events.WatchEvents, objects: store.Store
) -> None:
    """A spec of another version of the CRD is judged, not dropped, and its values are not repeated."""
    take.organization("acme", "default", document(spec={"smtp": {"host": "smtp.acme.example", "port": "s3cret"}}))
    spec = objects.organizations["acme", "default"].spec
    assert isinstance(spec, observed.Invalid)
    assert spec.field == "spec.smtp.port"
    assert "s3cret" not in spec.message


def test_the_last_object_of_a_namespace_leaves_an_implicit_organization_to_look_at(
    take: watch_events.WatchEvents, objects: store.Store, recorder: Recorder
) -> None:
    """Deleting acme/sales may make acme/default exist by the host's policy."""
    take.namespace("acme", space("acme"))
    take.organization("acme", "sales", document(name="sales"))
    recorder.taken()
    take.organization("acme", "sales", None)
    assert recorder.taken() == {keys.organization("acme", "sales"), keys.organization("acme", "default")}
    assert not objects.has_organizations("acme")


def test_a_namespace_that_is_being_deleted_is_gone(
    take: watch_events.WatchEvents, objects: store.Store, recorder: Recorder
) -> None:
    """Nothing is delivered for a namespace in its last seconds, and its organizations are looked at."""
    take.namespace("acme", space("acme"))
    take.organization("acme", "default", document())
    recorder.taken()
    take.namespace("acme", space("acme", deletionTimestamp="2026-01-01T00:00:00Z"))
    assert "acme" not in objects.namespaces
    assert recorder.taken() == {keys.organization("acme", "default")}


def test_only_labels_and_uid_of_a_namespace_are_news(take: watch_events.WatchEvents, recorder: Recorder) -> None:
    """An annotation on a namespace wakes nobody; a label may change who belongs."""
    take.namespace("acme", space("acme"))
    recorder.taken()
    take.namespace("acme", space("acme", annotations={"a": "b"}))
    assert recorder.taken() == set()
    take.namespace("acme", space("acme", labels={"mail": "yes"}))
    assert recorder.taken() == {keys.organization("acme", "default")}


def test_a_deletion_seen_twice_is_one(take: watch_events.WatchEvents, recorder: Recorder) -> None:
    """The sweep after a relist and a late event do not disturb each other (R8)."""
    take.organization("acme", "default", document())
    take.organization("acme", "default", None)
    recorder.taken()
    take.organization("acme", "default", None)
    assert recorder.taken() == set()
