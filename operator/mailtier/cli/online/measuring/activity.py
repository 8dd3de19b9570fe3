"""What is under way, from two looks at the pods and one at the organizations: pure."""

import collections
import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

from mailtier.api import vocabulary
from mailtier.cli.online import rows
from mailtier.cli.online.measuring import pages
from mailtier.settings import transitions
from mailtier.telemetry import metrics_pages

_ACCEPTED: Final = vocabulary.RecipientState.ACCEPTED.value
_TAKEN: Final = "mailtier_notifications_accepted_total"
_FINISHED: Final = "mailtier_recipients_finished_total"
_ATTEMPTS: Final = "mailtier_attempts_total"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One look at the senders.

    Attributes:
        seconds: Of a clock that never steps.
        pages: What each answered.
    """

    seconds: float
    pages: Sequence[pages.MetricsPage]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationBacklog:
    """What waits of an organization, in magnitudes, as its status says.

    Attributes:
        reason: Why it is as it is, where it is not well; "" else.
        oldest_at: When about the oldest was accepted, aware UTC; None where that is not told.
    """

    namespace: str
    name: str
    queued: int
    deferred: int
    held: int
    reason: str
    oldest_at: dt.datetime | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What is under way.

    Attributes:
        problems: Of each pod that did not answer, why.
        states: Recipients without a final state, by state.
        oldest_seconds: Age of the oldest of them.
        rates: Of what, how much a second: `taken`, `delivered`, `failed`, `attempts`; empty before a second look.
        met: Attempts a second that went wrong, by the reason; most first.
        destinations: Endpoints by the state of their breaker.
        sessions: SMTP sessions that are open.
        holds: What keeps messages back, by the reason: of how many organizations and classes.
        organizations: Those with a backlog, the largest first.
    """

    problems: Mapping[str, str]
    states: Mapping[str, int]
    oldest_seconds: float
    rates: Mapping[str, float]
    met: Mapping[str, float]
    destinations: Mapping[str, int]
    sessions: int
    holds: Mapping[str, int]
    organizations: Sequence[OrganizationBacklog]


def between(before: Sight | None, now: Sight, picture: rows.Picture) -> Activity:
    """Return what is under way.

    Args:
        before: An earlier look; None for none.
        now: The latest one.
        picture: The organizations.
    """
    answered = [page for page in now.pages if page.samples is not None]
    return Activity(
        problems={page.pod: page.problem for page in now.pages if page.samples is None},
        # The queue is one for all senders: each of them tells of all of it.
        states={
            state: int(max(page.values("mailtier_recipients").get((("state", state),), 0.0) for page in answered))
            for state in sorted(
                {dict(labels)["state"] for page in answered for labels in page.values("mailtier_recipients")}
            )
        },
        oldest_seconds=max(
            (page.value("mailtier_oldest_recipient_age_seconds") or 0.0 for page in answered), default=0
        ),
        rates=_rates(before, now),
        met=_met(before, now),
        destinations=_sums(answered, "mailtier_destinations", "breaker"),
        sessions=sum(int(page.value("mailtier_sessions_open") or 0) for page in answered),
        holds=_sums(answered, "mailtier_holds", "reason"),
        organizations=_backlogs(picture),
    )


def _rates(before: Sight | None, now: Sight) -> dict[str, float]:
    if before is None:
        return {}
    finished = _grown(before, now, _FINISHED)
    delivered = sum(rate for labels, rate in finished.items() if dict(labels).get("state") == _ACCEPTED)
    return {
        "taken": sum(_grown(before, now, _TAKEN).values()),
        "delivered": delivered,
        "failed": sum(finished.values()) - delivered,
        "attempts": sum(_grown(before, now, _ATTEMPTS).values()),
    }


def _met(before: Sight | None, now: Sight) -> dict[str, float]:
    if before is None:
        return {}
    found: collections.Counter[str] = collections.Counter()
    for labels, rate in _grown(before, now, _ATTEMPTS).items():
        told = dict(labels)
        if told.get("state") != _ACCEPTED and rate > 0:
            found[told.get("reason", "")] += rate  # type: ignore[assignment]  # A Counter counts fractions as well.
    return dict(found.most_common())


def _grown(before: Sight, now: Sight, name: str) -> dict[metrics_pages.Labels, float]:
    """Return by how much a second counters grew; one that began anew counts from its beginning."""
    seconds = max(now.seconds - before.seconds, 1e-3)
    former = {page.pod: page for page in before.pages if page.samples is not None}
    found: collections.defaultdict[metrics_pages.Labels, float] = collections.defaultdict(float)
    for page in now.pages:
        # Of a pod that was not seen before it is not known since when it counts.
        if (known := former.get(page.pod)) is None:
            continue
        for labels, value in page.values(name).items():
            earlier = known.values(name).get(labels, 0.0)
            found[labels] += (value - earlier if value >= earlier else value) / seconds
    return dict(found)


def _sums(answered: Sequence[pages.MetricsPage], name: str, label: str) -> dict[str, int]:
    found: collections.Counter[str] = collections.Counter()
    for page in answered:
        for labels, value in page.values(name).items():
            found[dict(labels).get(label, "")] += int(value)
    return {key: count for key, count in found.most_common() if count}


def _backlogs(picture: rows.Picture) -> list[OrganizationBacklog]:
    found = [
        OrganizationBacklog(
            namespace=row.namespace,
            name=row.name,
            queued=_count(row, "queued"),
            deferred=_count(row, "deferred"),
            held=_count(row, "held"),
            reason=row.reason if row.state.is_broken or row.state is rows.RowState.SUSPENDED else "",
            oldest_at=transitions.moment(row.queue.get("oldest")),
        )
        for row in picture.organizations
        if row.queue
    ]
    latest = dt.datetime.max.replace(tzinfo=dt.UTC)
    return sorted(
        found,
        key=lambda each: (-(each.queued + each.deferred + each.held), each.oldest_at or latest, each.namespace),
    )


def _count(row: rows.Row, name: str) -> int:
    found = row.queue.get(name)
    return found if isinstance(found, int) else 0
