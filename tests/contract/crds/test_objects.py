"""How the apiserver keeps objects: nothing is defaulted in a spec, managers share it, status begins unobserved."""

import typing

import pytest

from kit import corpus
from kit import rest as rest_kit

_UNSEEN = {"observedGeneration": -1}


def _organization(namespace: str, spec: object, name: str = "sales") -> dict[str, typing.Any]:
    return corpus.document("OrgEmailSettings", spec, {"name": name, "namespace": namespace})


def _notification(namespace: str, **spec: object) -> dict[str, typing.Any]:
    return corpus.document("Notification", {"category": "JobAlert", **spec}, {"namespace": namespace})


def _apply(
    opened: rest_kit.Rest, document: dict[str, typing.Any], manager: str, *, subresource: str = "", **query: str
) -> tuple[int, dict[str, typing.Any]]:
    path = rest_kit.item(document) + subresource
    return opened.request("PATCH", path, document, content_type=rest_kit.APPLY, fieldManager=manager, **query)


@pytest.mark.parametrize("kind", ["HostEmailSettings", "OrgEmailSettings"])
def test_empty_spec_reads_back_empty(rest: rest_kit.Rest, kind: str) -> None:
    """No field that an organization can inherit has a default, or it would count as an override."""
    document = corpus.document(kind, {})
    status, created = rest.request("POST", rest_kit.collection(document), document, dryRun="All")
    assert (status, created["spec"], created["status"]) == (201, {}, _UNSEEN)


def test_notification_reads_back_as_it_was_written(rest: rest_kit.Rest) -> None:
    """Nothing is added to a Notification's spec, and its status begins unobserved."""
    document = corpus.document("Notification", {"category": "JobAlert", "recipients": [], "data": {}, "text": ""})
    status, created = rest.request("POST", rest_kit.collection(document), document, dryRun="All")
    assert (status, created["spec"], created["status"]) == (201, document["spec"], _UNSEEN)


def test_two_managers_share_a_spec_and_meet_in_a_conflict(rest: rest_kit.Rest, namespace: str) -> None:
    """One manager owns smtp and another from; who takes the other's field is told whose it is."""
    endpoint = _organization(namespace, {"smtp": {"host": "smtp.example.com"}})
    sender = _organization(namespace, {"from": {"displayName": "Sales"}})
    assert _apply(rest, endpoint, "platform")[0] == 201
    assert _apply(rest, sender, "team")[0] == 200
    merged = rest.request("GET", rest_kit.item(sender))[1]
    assert merged["spec"] == {**endpoint["spec"], **sender["spec"]}
    taken = _organization(namespace, {"smtp": {"host": "smtp.example.org"}, **sender["spec"]})
    status, answer = _apply(rest, taken, "team")
    assert status == 409
    assert 'conflict with "platform"' in answer["message"]
    assert ".spec.smtp.host" in answer["message"]
    assert _apply(rest, _organization(namespace, {}), "team")[1]["spec"] == endpoint["spec"]


def test_managers_own_single_entries_of_a_set(rest: rest_kit.Rest, namespace: str) -> None:
    """Two managers may each add recipients of a category without a conflict."""

    def recipients(*addresses: str) -> dict[str, typing.Any]:
        return _organization(namespace, {"notifications": {"jobAlert": {"recipients": list(addresses)}}})

    assert _apply(rest, recipients("a@example.com"), "one")[0] == 201
    status, merged = _apply(rest, recipients("b@example.com"), "two")
    assert status == 200
    assert merged["spec"]["notifications"]["jobAlert"]["recipients"] == ["a@example.com", "b@example.com"]


def test_server_side_apply_refuses_null_by_name(rest: rest_kit.Rest, namespace: str) -> None:
    """An explicit null is no way to say "inherit", and the answer names the field."""
    status, answer = _apply(rest, _organization(namespace, {"from": {"replyTo": None}}), "team")
    assert status == 422
    assert "spec.from.replyTo" in answer["message"]


def test_create_drops_a_null(rest: rest_kit.Rest) -> None:
    """A null in a plain create is taken away before validation, as client-side tools rely on."""
    document = corpus.document("OrgEmailSettings", {"from": {"displayName": "Sales", "replyTo": None}})
    created = rest.request("POST", rest_kit.collection(document), document, dryRun="All")[1]
    assert created["spec"] == {"from": {"displayName": "Sales"}}


def test_notification_cannot_be_changed(rest: rest_kit.Rest, namespace: str) -> None:
    """A change of a Notification's spec is refused with what to do instead; its labels may change."""
    document = _notification(namespace, text="𠀀" * 65536)
    assert rest.request("POST", rest_kit.collection(document), document)[0] == 201
    for change in ({"text": "other"}, {"severity": "Fatal"}, {"text": None}, {"data": {"job": "nightly"}}):
        status, answer = rest.request("PATCH", rest_kit.item(document), {"spec": change}, content_type=rest_kit.MERGE)
        assert status == 422
        assert "a Notification cannot be changed; delete it and create another" in answer["message"]
    labels = {"metadata": {"labels": {"team": "a"}}}
    assert rest.request("PATCH", rest_kit.item(document), labels, content_type=rest_kit.MERGE)[0] == 200
    status, answer = rest.request("PATCH", rest_kit.item(document), {"spec": None}, content_type=rest_kit.MERGE)
    assert (status, "spec: Required value" in answer["message"]) == (422, True)


@pytest.mark.parametrize(
    ("field", "selected"),
    [
        ("spec.smtp.host=smtp.example.com", ["own"]),
        ("spec.smtp.host=", ["inherits"]),
        ("status.source=Host", ["inherits"]),
        ("status.source=Org", ["own"]),
    ],
)
def test_objects_are_selected_by_field(rest: rest_kit.Rest, namespace: str, field: str, selected: list[str]) -> None:
    """Whose mail goes through a server, and who draws on the host, is one request; an absent value is "" there."""
    own = _organization(namespace, {"smtp": {"host": "smtp.example.com"}}, "own")
    inherits = _organization(namespace, {}, "inherits")
    for document, source in ((own, "Org"), (inherits, "Host")):
        rest.request("POST", rest_kit.collection(document), document)
        observed = {**document, "status": {"observedGeneration": 1, "source": source}}
        assert _apply(rest, observed, "operator", subresource="/status")[0] == 200
    found = rest.request("GET", rest_kit.collection(own), fieldSelector=field)[1]["items"]
    assert [item["metadata"]["name"] for item in found] == selected


def test_status_is_a_subresource(rest: rest_kit.Rest, namespace: str) -> None:
    """Whoever writes the spec does not write the status, nor the other way round."""
    document = _organization(namespace, {}) | {"status": {"source": "Org"}}
    assert rest.request("POST", rest_kit.collection(document), document)[1]["status"] == _UNSEEN
    change = {"spec": {"suspend": True}, "status": {"source": "Host"}}
    answer = rest.request("PATCH", rest_kit.item(document) + "/status", change, content_type=rest_kit.MERGE)[1]
    assert (answer["spec"], answer["status"]["source"]) == ({}, "Host")
