"""Batches, handed to a real sender beside a real apiserver."""

import asyncio
import collections.abc
import io
import json
import pathlib
import secrets
import typing

from kit import intake, sender, tenants, wait, ways_in
from kit import sender as sender_kit
from mailtier.sender.intake.http import batch, problems
from mailtier.settings import effective

_LINK = "https://a.example/reset/s3cr3t-link"
_RECOVERY = {"category": "PasswordRecovery", "recipients": ["u@example.com"], "data": {"link": _LINK}}


def _slugs(answer: intake.Answer) -> list[str]:
    """Return what became of each: `202`, or the end of its problem's type."""
    assert answer.status == 200, answer
    assert all(each["status"] == each.get("problem", each)["status"] for each in answer.document["results"])
    return [
        each["problem"]["type"].rpartition("#")[2] if "problem" in each else str(each["status"])
        for each in answer.document["results"]
    ]


async def _post(
    client: intake.Client,
    tenant: tenants.Tenant,
    notifications: collections.abc.Sequence[object],
    **options: typing.Any,
) -> intake.Answer:
    return await client.post_batch(tenant, {"notifications": notifications}, **options)


async def test_each_has_a_result_in_its_place(
    client: intake.Client, organization: tenants.Tenant, sender: sender.Sender
) -> None:
    """Those that are right are taken and delivered; each of the others has the problem that it alone would have."""
    wrong: list[tuple[object, str]] = [
        ({"category": "JobAlert", "recipients": ["s3cr3t"]}, "invalid"),
        ({"category": "ProductUpdate", "recipients": ["a@example.com"]}, "not-taken"),
        ({**intake.ALERT, "recipients": []}, "not-taken"),
        ({**intake.ALERT, "text": "x" * 262_144}, "too-large"),
        (7, "invalid"),
    ]
    sent = [each for bad, _ in wrong for each in (bad, intake.ALERT)]
    answer = await _post(client, organization, sent)
    assert _slugs(answer) == [each for _, slug in wrong for each in (slug, "202")]
    ids = [each["id"] for each in answer.document["results"] if each["status"] == 202]
    assert ids == sorted(set(ids))
    for id_ in ids:
        found = await intake.until_complete(client, organization, intake.alone(organization, id_))
        assert [each["state"] for each in found["recipients"]] == ["accepted"]
    # What is said of each is what is said of one that comes alone.
    for place, (bad, _) in enumerate(wrong):
        alone = await client.post(organization, bad)
        assert alone.document == answer.document["results"][2 * place]["problem"]
    assert "s3cr3t" not in json.dumps(answer.document)
    assert "s3cr3t" not in sender.log.read_text(encoding="utf-8")


async def test_a_key_is_the_same_alone_and_in_a_batch(client: intake.Client, organization: tenants.Tenant) -> None:
    """A repeat has the id of the first, which came alone or before it in the batch; other content is a conflict."""
    one, other = secrets.token_hex(8), secrets.token_hex(8)
    alone = await client.post(organization, intake.ALERT, key=one)
    sent = [
        {**intake.ALERT, "idempotencyKey": one},
        {**intake.ALERT, "idempotencyKey": one, "text": "Job 8 failed."},
        {**intake.ALERT, "idempotencyKey": other},
        {**intake.ALERT, "idempotencyKey": other},
        {**intake.ALERT, "idempotencyKey": other, "text": "Job 8 failed."},
        {**intake.ALERT, "idempotencyKey": "a b"},
    ]
    answer = await _post(client, organization, sent)
    assert _slugs(answer) == ["202", "idempotency-key-reused", "202", "202", "idempotency-key-reused", "invalid"]
    results = answer.document["results"]
    assert results[0] == {"status": 202, "id": alone.document["id"], "replayed": True}
    assert results[2] == {"status": 202, "id": results[3]["id"]}
    assert results[3]["replayed"] is True
    again = await client.post(organization, intake.ALERT, key=other)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.document["id"] == results[2]["id"]
    # The batch as a whole, sent again, mails nothing again.
    repeated = await _post(client, organization, sent)
    assert [each.get("id") for each in repeated.document["results"]] == [each.get("id") for each in results]


async def test_a_batch_has_no_key_of_its_own(client: intake.Client, organization: tenants.Tenant) -> None:
    """The header is refused: it would look as if it stood for all."""
    answer = await _post(client, organization, [intake.ALERT], headers={"Idempotency-Key": "k"})
    assert "idempotencyKey" in intake.require(answer, problems.MALFORMED)["detail"]


async def test_who_is_not_let_in_is_told_before_the_batch_is_read(
    client: intake.Client, organization: tenants.Tenant, stage: tenants.Stage
) -> None:
    """One check stands before all: no token, no right and no organization are problems of the request."""
    path = f"{organization.collection()}:batch"
    intake.require(await client.request("POST", path, data=b"{"), problems.NOT_AUTHENTICATED)
    stranger = tenants.create(stage.cluster)
    answer = await client.post_batch(organization, data=b"{", token=stranger.token)
    intake.require(answer, problems.NOT_ALLOWED)
    answer = await client.post_batch(organization, data=b"{", organization="none")
    intake.require(answer, problems.UNKNOWN_ORGANIZATION)
    intake.require(await client.post_batch(organization, data=b"{"), problems.MALFORMED)
    answer = await client.post_batch(organization, {"notifications": [intake.ALERT]}, headers={"Content-Type": "a/b"})
    intake.require(answer, problems.NOT_JSON)


async def test_too_large_a_batch_is_refused_as_a_whole(
    client: intake.Client, organization: tenants.Tenant, sender: sender.Sender
) -> None:
    """More notifications, recipients or bytes than fit are 413 with what to do, and nothing of it is stored."""
    before = _accepted(sender)
    large = json.dumps({"notifications": [{**intake.ALERT, "text": "x" * 60_000}] * 75}).encode()
    assert len(large) > batch.MAXIMUM_BYTES

    async def pieces() -> collections.abc.AsyncIterator[bytes]:
        for begin in range(0, len(large), 100_000):
            yield large[begin : begin + 100_000]

    bodies = [
        json.dumps({"notifications": [intake.ALERT] * 501}).encode(),
        json.dumps({"notifications": [{**intake.ALERT, "recipients": ways_in.crowd(20)}] * 51}).encode(),
        typing.cast("bytes", io.BytesIO(large)),
        typing.cast("bytes", pieces()),
    ]
    for data in bodies:
        detail = intake.require(await client.post_batch(organization, data=data), problems.BATCH_TOO_LARGE)["detail"]
        assert "nothing of it was taken: send it in parts" in detail
    assert _accepted(sender) == before


async def test_what_has_no_room_in_the_quota_is_refused_by_itself(
    client: intake.Client, tenant: tenants.Tenant, stage: tenants.Stage
) -> None:
    """The notifications that fit are taken, over several commits, also behind one that does not; each other is 429."""
    stage.publish(tenant, state=effective.State.SUSPENDED)
    await intake.until_known(client, tenant)
    sizes = [20, 20, 20, 19, 20, 20, 1, 1]
    answer = await _post(client, tenant, [{**intake.ALERT, "recipients": ways_in.crowd(size)} for size in sizes])
    assert _slugs(answer) == ["202"] * 5 + ["too-many", "202", "too-many"]
    assert answer.document["results"][5]["retryAfter"] > 0
    assert answer.document["held"]["reason"]


async def test_recoveries_of_a_minute_are_counted_one_by_one(
    client: intake.Client, organization: tenants.Tenant
) -> None:
    """The thirty-first of a minute is 429, alerts between them are taken, and repeats do not count."""
    keyed = [{**_RECOVERY, "idempotencyKey": f"recovery-{number}"} for number in range(32)]
    assert _slugs(await _post(client, organization, keyed[:10])) == ["202"] * 10
    sent = [*keyed[:10], *keyed[10:30], keyed[29], keyed[30], intake.ALERT, _RECOVERY]
    answer = await _post(client, organization, sent)
    assert _slugs(answer) == ["202"] * 31 + ["too-many", "202", "too-many"]
    assert 0 < answer.document["results"][31]["retryAfter"] <= 60
    assert _slugs(await _post(client, organization, [keyed[3], _RECOVERY, keyed[30]])) == ["202", *["too-many"] * 2]
    assert "s3cr3t" not in json.dumps(answer.document)


async def test_metrics_count_each_notification(
    client: intake.Client, organization: tenants.Tenant, sender: sender.Sender
) -> None:
    """Three that are taken and one that is not are four, though they came in one request; a repeat is none."""
    before = _accepted(sender), _count(sender, "mailtier_notifications_refused_total")
    keyed = {**intake.ALERT, "idempotencyKey": secrets.token_hex(8)}
    answer = await _post(
        client, organization, [intake.ALERT, keyed, keyed, intake.ALERT, {"category": "ProductUpdate"}]
    )
    assert _slugs(answer) == ["202"] * 4 + ["not-taken"]
    assert _accepted(sender) == before[0] + 3
    assert _count(sender, "mailtier_notifications_refused_total") == before[1] + 1
    assert ':batch"' in sender.get("/metrics")[1]


async def test_room_for_bodies_counts_what_a_batch_holds(
    stage: tenants.Stage, organization: tenants.Tenant, sender: sender.Sender, client: intake.Client
) -> None:
    """Two batches of 4 MiB that do not end are the share of a namespace; others are served meanwhile (R15)."""
    other = tenants.create(stage.cluster)
    stage.publish(other, recipients=["ops@example.com"])
    await intake.until_known(client, other)
    head = (
        f"POST {organization.collection()}:batch HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {organization.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {batch.MAXIMUM_BYTES}\r\n\r\n{{"
    )
    held = [(await _connect(sender))[1] for _ in range(3)]
    for writer in held:
        writer.write(head.encode())

    async def are_half() -> bool:
        return await asyncio.to_thread(_count, sender, 'mailtier_share_slots{of="bodies"}') == 32

    await wait.until_async(are_half, within_seconds=8, why="the namespace has its share of bodies, and no more")
    async with asyncio.timeout(5):
        assert _slugs(await _post(client, other, [intake.ALERT])) == ["202"]
    for writer in held:
        writer.close()


async def test_nothing_that_was_taken_is_lost_when_the_client_goes_away(
    stage: tenants.Stage, organization: tenants.Tenant, sender: sender.Sender, client: intake.Client
) -> None:
    """A batch whose client hangs up is taken whole or in its first part, and what was taken is delivered (R4)."""
    mark = secrets.token_hex(8)
    keyed = [
        {**intake.ALERT, "recipients": [f"{mark}-{number}@example.com"], "idempotencyKey": f"{mark}-{number}"}
        for number in range(90)
    ]
    content = json.dumps({"notifications": keyed}).encode()
    _, writer = await _connect(sender)
    writer.write(
        f"POST {organization.collection()}:batch HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {organization.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n".encode()
        + content
    )
    await writer.drain()
    writer.transport.abort()
    answer = await _post(client, organization, keyed)
    assert _slugs(answer) == ["202"] * 90
    for each in answer.document["results"]:
        await intake.until_complete(client, organization, intake.alone(organization, each["id"]))
    arrived = [to for message in stage.smtp.messages() for to in message["rcpt_to"] if to.startswith(mark)]
    assert sorted(arrived) == sorted(each["recipients"][0] for each in keyed)


async def test_a_batch_on_a_full_volume_is_refused_one_by_one(
    stage: tenants.Stage, organization: tenants.Tenant, tmp_path: pathlib.Path
) -> None:
    """Each notification has 507 and a time to wait (R13)."""
    with sender_kit.Sender(
        tmp_path, kubeconfig=stage.account, namespace=stage.system, arguments=["--full-at=0.01"]
    ) as running:
        async with intake.Client(running.url, running.tls) as client:
            answer = await _post(client, organization, [intake.ALERT, intake.ALERT])
            assert _slugs(answer) == ["storage-full"] * 2
            assert answer.document["results"][0]["retryAfter"] > 0


async def _connect(running: sender_kit.Sender) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", running.port, ssl=running.tls, server_hostname="localhost")


def _accepted(running: sender_kit.Sender) -> int:
    return _count(running, "mailtier_notifications_accepted_total")


def _count(running: sender_kit.Sender, series: str) -> int:
    """Return the sum of a metric's series that begin so."""
    lines = running.get("/metrics")[1].splitlines()
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith(series))
