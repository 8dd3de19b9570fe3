"""The intake's description, and the documentation of its problems."""

import json
import re

from kit import repository
from mailtier.api import notification, vocabulary
from mailtier.sender.intake import taking
from mailtier.sender.intake.http import batch, openapi, problems

_PROBLEMS = "docs/reference/problems.md"
_INTAKE = "docs/reference/intake.md"


def test_every_reference_of_the_description_resolves() -> None:
    """No `$ref` leads nowhere, and nothing that only the apiserver understands is left."""
    document = openapi.document(version="1")
    text = json.dumps(document)
    named = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert named <= set(document["components"]["schemas"])
    assert "x-kubernetes" not in text
    assert "null" not in text


def test_description_knows_what_the_models_know() -> None:
    """The request's schema has the categories and bounds of the model that checks it."""
    schemas = openapi.document(version="1")["components"]["schemas"]
    assert schemas["Category"]["enum"] == [str(category) for category in vocabulary.Category]
    assert schemas["NotificationRequest"]["properties"]["recipients"]["maxItems"] == 20


def test_every_problem_is_described_and_documented() -> None:
    """Each kind of problem has its status in the description and its anchor in the documentation."""
    document = openapi.document(version="1")
    statuses = {
        int(status) for path in document["paths"].values() for status in path.get("post", {}).get("responses", {})
    }
    page = repository.read(_PROBLEMS)
    for kind in problems.ALL:
        assert kind.status in statuses | {405}
        assert f"## {kind.slug}\n" in page
        assert kind.title in page
        assert kind.meaning in page


def test_the_intake_s_page_lists_every_field_and_problem() -> None:
    """A caller finds each field of the request, and each problem with its status and a link to what to do."""
    page = repository.read(_INTAKE)
    fields = [row[0] for row in repository.rows(page, "The request") if len(row) == 4 and row[0].startswith("`")]
    assert fields == [f"`{name}`" for name in notification.NotificationRequest.model_fields]
    listed = [(status, problem) for status, problem, _, _ in repository.rows(page, "Problems")]
    assert listed == [(str(kind.status), f"[{kind.slug}](problems.md#{kind.slug})") for kind in problems.ALL]


def test_the_intake_s_page_lists_what_a_batch_is_answered_with() -> None:
    """Each member of a result has a row, and the limits are those that are held."""
    page = repository.read(_INTAKE)
    schemas = openapi.document(version="1")["components"]["schemas"]
    listed = [row[0] for row in repository.rows(page, "Many at once")]
    assert listed == [f"`{name}`" for name in schemas["BatchResult"]["properties"]]
    assert schemas["Batch"]["properties"]["notifications"]["maxItems"] == batch.MAXIMUM_NOTIFICATIONS
    (limits,) = [said for what, said in repository.rows(page, "Limits") if what == "A batch"]
    mebibytes = batch.MAXIMUM_BYTES // 1024**2
    assert f"{batch.MAXIMUM_NOTIFICATIONS} notifications, {batch.MAXIMUM_RECIPIENTS:,} recipients" in limits
    assert f"{mebibytes} MiB" in limits
    assert f"commits of at most {taking.COMMIT_RECIPIENTS} recipients" in page


def test_a_batched_notification_is_described_as_one_with_a_key() -> None:
    """It has the fields of one that comes alone, and its key."""
    schemas = openapi.document(version="1")["components"]["schemas"]
    alone, batched = (set(schemas[name]["properties"]) for name in ("NotificationRequest", "BatchedNotification"))
    assert batched - alone == {"idempotencyKey"}
    assert alone < batched
