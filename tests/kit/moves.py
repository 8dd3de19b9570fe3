"""A queue that holds something of everything that a move has to bring along, and all that a queue shows."""

import dataclasses
import datetime as dt
import typing
from typing import Final

from kit import queues
from mailtier.api import feed, vocabulary
from mailtier.sender import ports
from mailtier.sender.between import filing

S, C = vocabulary.RecipientState, vocabulary.Category

OTHER: Final = ports.LaneKey(namespace_uid="uid-b", namespace="team-b", organization="branch")
_UNKNOWN: Final = feed.LastFailure(scope="Recipient", phase="rcpt", code=550, enhanced="5.1.1")
_PROBE: Final = feed.Probe(
    key="host",
    secret_version="7",
    reason="Verified",
    stage=None,
    owner_message="",
    tenant_message="",
    certificate_expires_at=None,
    probed_at=queues.START,
)


@dataclasses.dataclass(slots=True)
class Filled:
    """What was put into a queue.

    Attributes:
        ids: Of notifications, with the lane of each.
        keys: The id that each key is known by.
        objects: The id that each object's name is known by.
        accepted: Ids of those that were delivered.
    """

    ids: dict[str, ports.LaneKey] = dataclasses.field(default_factory=dict)
    keys: dict[str, str] = dataclasses.field(default_factory=dict)
    objects: dict[str, str] = dataclasses.field(default_factory=dict)
    accepted: set[str] = dataclasses.field(default_factory=set)


async def fill(queue: queues.WholeQueue, *, rounds: int = 3) -> Filled:
    """Put notifications of every kind and state into a queue, and what it remembers."""
    filled = Filled()
    for number in range(rounds):
        await _fill_once(queue, filled, number)
    await queue.remember("kept a", "what was learned")
    await queue.remember("kept b", "more of it")
    await queue.record_probe(_PROBE)
    return filled


async def _fill_once(queue: queues.WholeQueue, filled: Filled, number: int) -> None:
    async def put(**changes: typing.Any) -> list[int]:
        id_, recipients = await queues.put(queue, **changes)
        filled.ids[id_] = changes.get("lane", queues.LANE)
        if key := changes.get("idempotency_key"):
            filled.keys[key] = id_
        if source := changes.get("source"):
            filled.objects[source.name] = id_
        return recipients

    async def end(recipient: int, state: vocabulary.RecipientState, *, failure: feed.LastFailure | None = None) -> None:
        ended = dataclasses.replace(queues.outcome(recipient, state), failure=failure)
        await queues.settle(queue, ended)

    # As many password recoveries as a minute may have.
    at = queues.START + number // 10 * dt.timedelta(minutes=1)
    await put()
    await put(lane=OTHER, recipients=("a@example.org", "b@example.org"), text="Für jeden")
    await put(idempotency_key=f"waits-{number}", digest="ab", category=C.PASSWORD_RECOVERY, accepted_at=at)
    await put(source=queues.source(f"waits-{number}"), lane=dataclasses.replace(queues.LANE, organization="branch"))
    (recipient,) = await put(idempotency_key=f"accepted-{number}", digest="cd")
    filled.accepted.add(filled.keys[f"accepted-{number}"])
    await end(recipient, S.ACCEPTED)
    (recipient,) = await put(source=queues.source(f"accepted-{number}"))
    filled.accepted.add(filled.objects[f"accepted-{number}"])
    await end(recipient, S.ACCEPTED)
    (recipient,) = await put(lane=OTHER)
    filled.accepted.add(next(reversed(filled.ids)))
    await end(recipient, S.ACCEPTED)
    first, second, third = await put(recipients=("x@example.org", f"nobody-{number}@example.org", "z@example.org"))
    await end(first, S.DEFERRED)
    await end(second, S.FAILED, failure=_UNKNOWN)
    await end(third, S.EXPIRED)
    (recipient,) = await put(recipients=(f"nobody-{number}@example.org",), text="It failed")
    await end(recipient, S.FAILED, failure=_UNKNOWN)
    (recipient,) = await put(category=C.PASSWORD_RECOVERY, accepted_at=at)
    await end(recipient, S.FAILED)
    (recipient,) = await put(lane=OTHER)
    await end(recipient, S.HELD)
    (recipient,) = await put(idempotency_key=f"doubt-{number}", digest="ef")
    await queue.note_dot(recipient, queues.SNAPSHOT)
    await end(recipient, S.IN_DOUBT)


async def shown(queue: queues.WholeQueue, filled: Filled) -> dict[str, typing.Any]:
    """Return all that a queue shows of what was put into it, without the numbers that are its own affair."""
    now = queues.START
    changes = await queue.changes(0, limit=100_000)
    return {
        "records": {id_: await queue.find(lane, id_) for id_, lane in filled.ids.items()},
        "lists": {uid: await _listed(queue, uid) for uid in ("uid-a", "uid-b")},
        "failed": [
            record.id
            for record in (await queue.page("uid-a", filing.Filter(state=S.FAILED), after=None, limit=100_000)).records
        ],
        "suppressed addresses": (
            await queue.suppressions("uid-a", now=now, after=("", ""), limit=100_000)
        ).suppressions,
        "suppressed": await queue.suppressed(now=now),
        "counts": await queue.counts(),
        "backlogs": await queue.backlogs(),
        "oldest": await queue.oldest(),
        "namespaces": list(await queue.queued_namespaces()),
        "kept": await queue.kept_payloads(),
        "jobs": sorted(repr(_without_numbers(each)) for each in await queues.look(queue)),
        "memories": await queue.recall_all("kept "),
        "probes": await queue.probes(),
        "feed": sorted(repr(item) for item in changes.items),
    }


def _without_numbers(claimed: ports.Claimed) -> ports.Claimed:
    # That of the Message-ID is everybody's affair.
    number = claimed.job.recipient_number if claimed.job.id_number is None else claimed.job.id_number
    return dataclasses.replace(
        claimed,
        pending=dataclasses.replace(claimed.pending, recipient_number=0),
        job=dataclasses.replace(claimed.job, recipient_number=number, id_number=None),
    )


async def _listed(queue: filing.FilingQueue, uid: str) -> list[ports.Record]:
    found: list[ports.Record] = []
    after = None
    while True:
        page = await queue.page(uid, filing.Filter(), after=after, limit=7)
        found += page.records
        if page.following is None:
            return found
        after = page.following


async def repeated(queue: queues.WholeQueue, filled: Filled) -> dict[str, str]:
    """Return the ids by which a queue knows what is offered again; of what it takes for new, other ones."""
    found: dict[str, str] = {}
    digests = {"waits": "ab", "accepted": "cd", "doubt": "ef"}
    for key in filled.keys:
        again = queues.notification(idempotency_key=key, digest=digests[key.partition("-")[0]])
        found[key] = (await queues.enqueue(queue, again, quota=queues.QUOTA)).id
    for name in filled.objects:
        again = queues.notification(source=queues.source(name))
        found[f"object {name}"] = (await queues.enqueue(queue, again, quota=queues.QUOTA)).id
    return found


def known(filled: Filled) -> dict[str, str]:
    """Return what `repeated` returns where nothing is taken for new."""
    return filled.keys | {f"object {name}": id_ for name, id_ in filled.objects.items()}
