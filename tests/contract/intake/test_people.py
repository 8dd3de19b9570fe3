"""What people ask of the queue over HTTPS: lists, and what failed sent again, dropped or released."""

import collections.abc
import hashlib
import json
import pathlib
import typing

import pytest

from kit import intake, smtpd, tenants, wait
from kit import sender as sender_kit
from mailtier.sender.intake.http import problems
from mailtier.settings import effective

_Json = dict[str, typing.Any]


class _Person:
    """Somebody who asks of a tenant's queue.

    Args:
        client: A client of the intake.
        tenant: In whose namespace the person may do something.
        stage: Where that namespace is.
        verbs: What the person may do with notifications there.
    """

    def __init__(self, client: intake.Client, tenant: tenants.Tenant, stage: tenants.Stage, *verbs: str) -> None:
        self._client = client
        self._path = f"/v1/namespaces/{tenant.namespace}"
        self._token = tenants.account(
            stage.cluster, tenant.namespace, f"person-{'-'.join(verbs)}", allowed=bool(verbs), verbs=verbs
        )

    async def ask(self, method: str, path: str, body: object = None) -> intake.Answer:
        """Return the answer to a request."""
        headers = {"Authorization": f"Bearer {self._token}"}
        return await self._client.request(method, self._path + path, body=body, headers=headers)

    async def listed(self, query: str = "") -> list[_Json]:
        """Return a whole list, page by page."""
        items: list[_Json] = []
        following = ""
        while True:
            page = await self.ask("GET", f"/notifications?{query}{following}")
            assert page.status == 200, page
            items += page.document["items"]
            if "continue" not in page.document:
                return items
            following = f"&continue={page.document['continue']}"

    async def act(self, action: str, *ids: str) -> list[_Json]:
        """Return what became of each."""
        done = await self.ask("POST", f"/notifications:{action}", {"ids": list(ids)})
        assert done.status == 200, done
        return typing.cast("list[_Json]", done.document["results"])

    async def release(self) -> _Json:
        """Return what came of a release of the default organization."""
        done = await self.ask("POST", "/organizations/default:release")
        assert done.status == 200, done
        return dict(done.document)


@pytest.fixture
def refusing(tmp_path: pathlib.Path) -> collections.abc.Iterator[smtpd.Process]:
    """Return an SMTP server that refuses the first message of all for good."""
    script: list[dict[str, object]] = [{"on": "RCPT TO:<late@", "reply": "550 5.1.1 No such user", "times": 1}]
    with smtpd.Process(tmp_path / "refusing", script=script) as server:
        yield server


@pytest.fixture
def unknowing(tmp_path: pathlib.Path) -> collections.abc.Iterator[smtpd.Process]:
    """Return an SMTP server that does not know the recipients of the first two messages."""
    script: list[dict[str, object]] = [{"on": "RCPT", "reply": "550 5.1.1 No such user", "times": 2}]
    with smtpd.Process(tmp_path / "unknowing", script=script) as server:
        yield server


async def _fail(client: intake.Client, tenant: tenants.Tenant, stage: tenants.Stage, server: smtpd.Process) -> str:
    """Return the id of a notification that its server refused."""
    tenants.publish(stage.cluster, stage.system, tenants.settings(tenant, port=server.port))
    await intake.until_known(client, tenant)
    taken = await client.post(tenant, {**intake.ALERT, "recipients": ["late@example.com"]})
    found = await intake.until_complete(client, tenant, taken)
    assert found["recipients"][0]["state"] == "failed"
    return str(taken.document["id"])


async def test_what_failed_is_found_and_sent_again(
    client: intake.Client,
    tenant: tenants.Tenant,
    stage: tenants.Stage,
    refusing: smtpd.Process,
    sender: sender_kit.Sender,
) -> None:
    """It is listed with what was met and until when it is kept, and sent again it arrives under its own id."""
    retried = _count(sender, "mailtier_retried_total")
    id_ = await _fail(client, tenant, stage, refusing)
    person = _Person(client, tenant, stage, "list", "get", "update")
    (item,) = await person.listed("state=failed&reason=RecipientRefused&organization=default")
    failure = {"scope": "Recipient", "phase": "rcpt", "code": 550, "enhanced": "5.1.1"}
    assert (item["id"], item["organization"], item["recipients"][0]["lastFailure"]) == (id_, "default", failure)
    assert item["textKeptUntil"]
    assert (await person.ask("GET", f"/notifications/{id_}")).document == item
    assert await person.listed("state=queued") == await person.listed("olderThan=1h") == []
    for named, found in ((refusing.host, [item]), (f"{refusing.host}:{refusing.port}", [item]), ("localhost", [])):
        assert await person.listed(f"destination={named}") == found, named
    assert await person.listed(f"destination={refusing.host}&organization=nothing") == []
    assert await person.act("retry", id_) == [{"id": id_, "status": 200}]

    async def accepted() -> bool:
        found = await person.ask("GET", f"/notifications/{id_}")
        return bool(found.document["recipients"][0]["state"] == "accepted")

    await wait.until_async(accepted, within_seconds=20, why="it is accepted")
    assert _count(sender, "mailtier_retried_total") == retried + 1
    (message,) = refusing.messages()
    assert message["message_id"].removeprefix("<").startswith(id_)
    (again,) = await person.act("retry", id_)
    assert (again["status"], again["problem"]["type"].rpartition("#")[2]) == (409, "not-retryable")
    # Nor is what was delivered said to be dropped, which is not taken back.
    (dropped,) = await person.act("drop", id_)
    assert (dropped["status"], dropped["problem"]["type"].rpartition("#")[2]) == (409, "not-droppable")


async def test_what_is_dropped_is_gone(
    client: intake.Client,
    tenant: tenants.Tenant,
    stage: tenants.Stage,
    refusing: smtpd.Process,
    sender: sender_kit.Sender,
) -> None:
    """What waits ends as dropped, what failed cannot be sent again, and what is not there is said to be so."""
    failed = await _fail(client, tenant, stage, refusing)
    stage.publish(tenant, state=effective.State.SUSPENDED)
    person = _Person(client, tenant, stage, "list", "update")
    waits = (await client.post(tenant, {**intake.ALERT, "recipients": ["a@example.com"]})).document["id"]
    dropped = _count(sender, "mailtier_dropped_total")
    results = await person.act("drop", failed, waits, "nothing", waits)
    assert [(result["id"], result["status"]) for result in results] == [(failed, 200), (waits, 200), ("nothing", 404)]
    recipients = {item["id"]: item["recipients"][0] for item in await person.listed()}
    assert (recipients[waits]["state"], recipients[waits]["reason"]) == ("failed", "Dropped")
    # Of the one that had failed nobody waited any more.
    assert _count(sender, "mailtier_dropped_total") == dropped + 1
    retried = await person.act("retry", failed, waits)
    assert [result["problem"]["type"].rpartition("#")[2] for result in retried] == ["not-retryable"] * 2


def _count(sender: sender_kit.Sender, name: str) -> float:
    """Return what a counter of a sender says."""
    _, page = sender.get("/metrics")
    (line,) = [line for line in page.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def _lines(sender: sender_kit.Sender) -> list[_Json]:
    """Return what a sender has logged."""
    return [json.loads(line) for line in sender.log.read_text(encoding="utf-8").splitlines() if line[:1] == "{"]


async def test_addresses_are_listed_and_cleared(
    client: intake.Client,
    tenant: tenants.Tenant,
    stage: tenants.Stage,
    unknowing: smtpd.Process,
    sender: sender_kit.Sender,
) -> None:
    """After two refusals nothing is sent to an address, until it is cleared and the message sent again.

    The log says who cleared it, and names it by its digest alone.
    """
    tenants.publish(stage.cluster, stage.system, tenants.settings(tenant, port=unknowing.port))
    await intake.until_known(client, tenant)
    person = _Person(client, tenant, stage, "list", "update")
    states = []
    for _ in range(3):
        taken = await client.post(tenant, {**intake.ALERT, "recipients": ["Nobody@example.com"]})
        (recipient,) = (await intake.until_complete(client, tenant, taken))["recipients"]
        states.append((recipient["state"], recipient["reason"]))
    assert states == [("failed", "RecipientRefused")] * 2 + [("suppressed", "AddressSuppressed")]
    (listed,) = (await person.ask("GET", "/suppressions")).document["items"]
    assert (listed["organization"], listed["address"]) == ("default", "nobody@example.com")
    assert listed["refusedAt"] < listed["until"]
    cleared = await person.ask("POST", "/suppressions:clear", {"addresses": ["Nobody@example.com"]})
    assert cleared.document == {"cleared": 1}
    (line,) = [each for each in _lines(sender) if each["event"] == "suppressed addresses are cleared"][-1:]
    assert (line["caller"].rpartition(":")[2], line["cleared"]) == ("person-list-update", 1)
    assert line["addresses"] == [hashlib.sha256(b"nobody@example.com").hexdigest()[:16]]
    assert (await person.ask("GET", "/suppressions")).document == {"items": []}
    (again,) = await person.act("retry", taken.document["id"])
    assert again["status"] == 200
    await intake.until_complete(client, tenant, taken)
    assert len(unknowing.messages()) == 1


async def test_what_is_held_is_listed_by_what_holds_it_now(
    client: intake.Client, tenant: tenants.Tenant, stage: tenants.Stage
) -> None:
    """A list by reason finds what is shown with it, and not what was stored with it and waits for something else."""
    recipients = ["somebody@example.com"]
    stage.publish(tenant, state=effective.State.SUSPENDED, recipients=recipients)
    await intake.until_known(client, tenant)
    id_ = (await client.post(tenant, intake.ALERT)).document["id"]
    person = _Person(client, tenant, stage, "list", "get")

    async def shown() -> str:
        (recipient,) = (await person.ask("GET", f"/notifications/{id_}")).document["recipients"]
        return str(recipient["reason"]) if recipient["state"] == "held" else ""

    async def suspended() -> bool:
        return await shown() == "Suspended"

    async def is_other() -> bool:
        return await shown() not in {"", "Suspended"}

    await wait.until_async(suspended, within_seconds=60, why="it is held as suspended")
    assert [item["id"] for item in await person.listed("reason=Suspended")] == [id_]
    stage.publish(tenant, state=effective.State.BLOCKED, recipients=recipients)
    await wait.until_async(is_other, within_seconds=60, why="it is held as blocked")
    assert [item["id"] for item in await person.listed(f"reason={await shown()}&state=held")] == [id_]
    assert await person.listed(f"reason={await shown()}&state=deferred") == []
    assert await person.listed("reason=Suspended") == []


async def test_a_retry_is_held_to_the_present_settings(
    client: intake.Client, tenant: tenants.Tenant, stage: tenants.Stage, refusing: smtpd.Process
) -> None:
    """What the settings would not take in now is not sent again: a category that is off, a domain not listed (R3)."""
    id_ = await _fail(client, tenant, stage, refusing)
    person = _Person(client, tenant, stage, "update")
    for changes, says in (
        ({"disabled": ["JobAlert"]}, "switched off"),
        ({"domains": ["example.org"]}, "late@example.com"),
    ):
        tenants.publish(stage.cluster, stage.system, tenants.settings(tenant, port=refusing.port, **changes))

        async def refused(says: str = says) -> bool:
            (result,) = await person.act("retry", id_)
            assert result["status"] in {200, 422}, result
            return says in result.get("problem", {}).get("detail", "")

        await wait.until_async(refused, within_seconds=10, why=f"it is refused: {says}")


async def test_a_release_says_what_still_holds(
    client: intake.Client, tenant: tenants.Tenant, stage: tenants.Stage
) -> None:
    """Where nothing waits, or settings let nothing go, nobody is told that something was released."""
    recipients = ["somebody@example.com"]
    stage.publish(tenant, state=effective.State.SUSPENDED, recipients=recipients)
    await intake.until_known(client, tenant)
    person = _Person(client, tenant, stage, "update")
    nothing = await person.release()
    assert (nothing["waiting"], nothing["held"]["reason"]) == (False, "Suspended")
    assert (await client.post(tenant, intake.ALERT)).status == 202
    assert (await person.release())["waiting"]
    stage.publish(tenant, recipients=recipients)

    async def goes() -> bool:
        return "held" not in await person.release()

    await wait.until_async(goes, within_seconds=10, why="nothing holds it any more")


async def test_lists_are_read_page_by_page(
    client: intake.Client, organization: tenants.Tenant, stage: tenants.Stage
) -> None:
    """Each notification stands on one page, the latest first, and another namespace's on none (R3)."""
    other = tenants.create(stage.cluster)
    stage.publish(other, recipients=["o@example.com"])
    await intake.until_known(client, other)
    await client.post(other, intake.ALERT)
    ids = [(await client.post(organization, intake.ALERT)).document["id"] for _ in range(3)]
    person = _Person(client, organization, stage, "list")
    assert [item["id"] for item in await person.listed("limit=2")] == ids[::-1]
    foreign = await person.ask("GET", f"/../{other.namespace}/notifications")
    assert foreign.status == 403


@pytest.mark.parametrize(
    ("verb", "question"),
    [
        ("list", ("GET", "/notifications", None)),
        ("get", ("GET", "/notifications/nothing", None)),
        ("update", ("POST", "/notifications:retry", {"ids": ["nothing"]})),
        ("update", ("POST", "/notifications:drop", {"ids": ["nothing"]})),
        ("update", ("POST", "/organizations/default:release", None)),
        ("list", ("GET", "/suppressions", None)),
        ("update", ("POST", "/suppressions:clear", {"addresses": ["nobody@example.com"]})),
    ],
)
async def test_each_takes_its_right(
    client: intake.Client,
    organization: tenants.Tenant,
    stage: tenants.Stage,
    verb: str,
    question: tuple[str, str, object],
) -> None:
    """Who may hand over may not list, and who may do anything else may not do this (R3)."""
    others = sorted({"create", "list", "get", "update"} - {verb})
    stranger = _Person(client, organization, stage, *others)
    document = intake.require(await stranger.ask(*question), problems.NOT_ALLOWED)
    assert f"may not {verb} notifications" in document["detail"]
    person = _Person(client, organization, stage, verb)
    assert (await person.ask(*question)).status in {200, 404}


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        (("GET", "/notifications?state=gone", None), problems.MALFORMED),
        (("GET", "/notifications?reason=Nope", None), problems.MALFORMED),
        (("GET", "/notifications?limit=101", None), problems.MALFORMED),
        (("GET", "/notifications?limit=-1", None), problems.MALFORMED),
        (("GET", "/notifications?olderThan=week", None), problems.MALFORMED),
        (("GET", "/notifications?states=failed", None), problems.MALFORMED),
        (("GET", "/notifications?continue=nothing", None), problems.MALFORMED),
        (("POST", "/notifications:retry", {"ids": []}), problems.INVALID),
        (("POST", "/notifications:drop", {"ids": ["a"] * 101}), problems.INVALID),
        (("POST", "/notifications:drop", {"all": True}), problems.INVALID),
        (("POST", "/notifications:drop", None), problems.NOT_JSON),
        (("POST", "/organizations/nothing:release", None), problems.UNKNOWN_ORGANIZATION),
        (("GET", "/suppressions?limit=3", None), problems.MALFORMED),
        (("GET", "/suppressions?continue=nothing", None), problems.MALFORMED),
        (("POST", "/suppressions:clear", {"addresses": []}), problems.INVALID),
        (("POST", "/suppressions:clear", {"address": "nobody@example.com"}), problems.INVALID),
        (("POST", "/suppressions:clear", None), problems.NOT_JSON),
    ],
)
async def test_what_cannot_be_asked(
    client: intake.Client,
    organization: tenants.Tenant,
    stage: tenants.Stage,
    question: tuple[str, str, object],
    kind: problems.ProblemKind,
) -> None:
    """A question that cannot be answered is told what may be asked."""
    person = _Person(client, organization, stage, "list", "update")
    intake.require(await person.ask(*question), kind)


async def test_who_did_what_is_logged(
    client: intake.Client, organization: tenants.Tenant, stage: tenants.Stage, sender: sender_kit.Sender
) -> None:
    """Each act leaves a line with the account, the namespace and the ids."""
    person = _Person(client, organization, stage, "update")
    id_ = (await client.post(organization, intake.ALERT)).document["id"]
    await person.act("drop", id_, "nothing")
    await person.act("retry", id_)
    await person.ask("POST", "/organizations/default:release")
    await person.ask("POST", "/suppressions:clear", {"addresses": ["nobody@example.com"]})
    await person.ask("POST", "/suppressions:clear", {"organization": "default"})
    account = f"system:serviceaccount:{organization.namespace}:person-update"
    (dropped, retried, released, cleared, all_) = [line for line in _lines(sender) if line.get("caller") == account]
    assert dropped["namespace"] == organization.namespace
    assert set(dropped["ids"]) <= {id_}
    assert (retried["event"], retried["ids"]) == ("notifications are sent again", [])
    assert released["organization"] == f"{organization.namespace}/default"
    assert (cleared["namespace"], cleared["cleared"]) == (organization.namespace, 0)
    assert (all_["organization"], all_["addresses"]) == ("default", "all")
