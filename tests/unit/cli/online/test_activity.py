"""What is under way, from two looks."""

import datetime as dt
import typing

from mailtier.cli import terminal
from mailtier.cli.online import rows
from mailtier.cli.online.measuring import activity, pages, showing
from mailtier.telemetry import metrics_pages

NOW = dt.datetime(2026, 11, 24, 10, 0, tzinfo=dt.UTC)
_PLAIN = terminal.Painter(on=False)

_FIRST = """\
mailtier_recipients{state="queued"} 40
mailtier_recipients{state="held"} 2
mailtier_oldest_recipient_age_seconds 7300
mailtier_notifications_accepted_total{category="JobAlert",source="http"} 100
mailtier_notifications_accepted_total{category="JobAlert",source="object"} 10
mailtier_recipients_finished_total{state="accepted",reason=""} 50
mailtier_recipients_finished_total{state="failed",reason="RecipientRefused"} 5
mailtier_attempts_total{state="accepted",reason=""} 50
mailtier_attempts_total{state="deferred",reason="ServerUnavailable"} 7
mailtier_destinations{breaker="closed"} 3
mailtier_destinations{breaker="open"} 1
mailtier_sessions_open 4
mailtier_holds{of="organization",reason="CredentialsRefused"} 1
mailtier_holds{of="lane",reason="CredentialsRefused"} 2
"""
_SECOND = _FIRST.replace('"http"} 100', '"http"} 120').replace('accepted",reason=""} 50', 'accepted",reason=""} 80')
_SECOND = _SECOND.replace('"ServerUnavailable"} 7', '"ServerUnavailable"} 17')


def _page(text: str, pod: str = "mailtier-0") -> pages.MetricsPage:
    return pages.MetricsPage(pod=pod, part="sender", samples=metrics_pages.read(text))


def _sight(seconds: float, *found: pages.MetricsPage) -> activity.Sight:
    return activity.Sight(seconds=seconds, pages=found)


def _row(name: str, *, state: rows.RowState = rows.RowState.READY, **queue: typing.Any) -> rows.Row:
    return rows.Row(namespace="acme", name=name, state=state, reason="SomeReason", message="", queue=queue)


def _picture(*organizations: rows.Row) -> rows.Picture:
    return rows.Picture(host=None, host_missing=False, organizations=organizations, pods=None, namespace="", leader="")


def test_rates_are_what_grew_between_two_looks() -> None:
    """A second each, whatever the interval; before a second look there are none."""
    first, second = _sight(10, _page(_FIRST)), _sight(20, _page(_SECOND))
    assert activity.between(None, first, _picture()).rates == {}
    found = activity.between(first, second, _picture())
    assert found.rates == {"taken": 2.0, "delivered": 3.0, "failed": 0.0, "attempts": 4.0}
    assert found.met == {"ServerUnavailable": 1.0}


def test_a_sender_that_began_anew_counts_from_its_beginning() -> None:
    """No rate is below nothing, and one that was not seen before counts for none."""
    began = _SECOND.replace('"http"} 120', '"http"} 5')
    found = activity.between(
        _sight(0, _page(_FIRST)), _sight(10, _page(began), _page(_SECOND, "mailtier-1")), _picture()
    )
    assert found.rates["taken"] == 0.5


def test_senders_that_share_a_queue_are_one_queue() -> None:
    """Each tells of all of it; what each has of its own is summed up."""
    found = activity.between(None, _sight(0, _page(_FIRST), _page(_FIRST, "mailtier-1")), _picture())
    assert found.states == {"held": 2, "queued": 40}
    assert found.oldest_seconds == 7300
    assert (found.sessions, found.destinations) == (8, {"closed": 6, "open": 2})
    assert found.holds == {"CredentialsRefused": 6}


def test_the_largest_backlog_comes_first() -> None:
    """Of those that are as large, the oldest; what has none is left out."""
    old, new = ((NOW - dt.timedelta(minutes=age)).isoformat() for age in (50, 5))
    picture = _picture(
        _row("small", queued=1, oldest=old),
        _row("well"),
        _row("new", queued=100, deferred=0, held=100, oldest=new),
        _row("old", deferred=200, oldest=old, state=rows.RowState.STALLED),
    )
    found = activity.between(None, _sight(0), picture)
    assert [each.name for each in found.organizations] == ["old", "new", "small"]
    assert [each.reason for each in found.organizations] == ["SomeReason", "", ""]


def test_people_see_the_whole_and_then_whose_it_is() -> None:
    """A title a line, without those that there is nothing to say of; a pod that does not answer is told."""
    silent = pages.MetricsPage(pod="mailtier-1", part="sender", problem="connection refused")
    found = activity.between(
        _sight(0, _page(_FIRST)), _sight(10, _page(_SECOND), silent), _picture(_row("big", queued=2000, oldest="?"))
    )
    lines = showing.text(found, now=NOW, painter=_PLAIN, width=120)
    assert [line.split("  ")[0] for line in lines] == [
        "Queue",
        "Rates",
        "Met",
        "Servers",
        "Held",
        "Pods",
        "",
        "ORGANIZATION",
        "acme/big",
    ]
    assert lines[0].endswith("42 recipients: 2 held, 40 queued   the oldest for 2h")
    assert lines[1].endswith("2.0/s taken   3.0/s delivered   0.0/s failed   4.0/s attempts")
    assert lines[5].endswith("mailtier-1: connection refused")
    assert lines[-1].split() == ["acme/big", "2,000", "-", "-"]
    idle = activity.between(None, _sight(0, _page("mailtier_sessions_open 0\n")), _picture())
    told = showing.text(idle, now=NOW, painter=_PLAIN, width=80)
    assert [line.split("  ")[0] for line in told] == ["Queue", "Servers", "", "No organization has a backlog."]


def test_programs_get_the_same() -> None:
    """Names in camelCase, times in UTC."""
    found = activity.between(None, _sight(0, _page(_FIRST)), _picture(_row("big", queued=2, oldest=NOW.isoformat())))
    document = showing.document(found)
    assert document["recipients"] == {"held": 2, "queued": 40}
    assert document["oldestSeconds"] == 7300.0
    assert document["organizations"] == [
        {
            "namespace": "acme",
            "name": "big",
            "queued": 2,
            "deferred": 0,
            "held": 0,
            "oldest": "2026-11-24T10:00:00Z",
        }
    ]
