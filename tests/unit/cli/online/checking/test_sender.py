"""What operator and sender say of themselves, and the intake's certificate."""

import datetime as dt

import pytest

from mailtier.cli.online.checking import findings, sender
from mailtier.cli.online.measuring import pages
from mailtier.telemetry import metrics_pages

NOW = dt.datetime(2026, 11, 24, 10, 0, tzinfo=dt.UTC)
V = findings.Verdict

_WELL = {
    "mailtier_build_info": '{python="3.13",version="1.0"} 1',
    "mailtier_leader": " 1",
    "mailtier_feed_connected": " 1",
    "mailtier_sender_up": '{part="intake"} 1',
    "mailtier_queue_up": " 1",
    "mailtier_queue_volume_used_ratio": " 0.4",
    "mailtier_recipients": '{state="queued"} 2',
    "mailtier_oldest_recipient_age_seconds": " 30",
}


def _page(part: str, **changes: str) -> pages.MetricsPage:
    text = "".join(f"{name}{value}\n" for name, value in {**_WELL, **changes}.items())
    return pages.MetricsPage(pod="mailtier-0", part=part, samples=metrics_pages.read(text))


def _verdicts(page: pages.MetricsPage) -> dict[str, findings.Verdict]:
    found = sender.operator(page, own_version="1.0") if page.part == "operator" else sender.sender(page)
    return {each.check: each.verdict for each in found}


def test_a_page_is_read_by_series_and_labels() -> None:
    """The version is that of its container."""
    page = _page("sender")
    assert page.version == "1.0"
    assert page.values("mailtier_recipients") == {(("state", "queued"),): 2.0}
    assert (page.value("mailtier_queue_up"), page.value("nothing")) == (1.0, None)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, V.OK),
        ({"mailtier_feed_connected": " 0"}, V.FAILED),
        ({"mailtier_feed_connected": " 0", "mailtier_leader": " 0"}, V.OK),
        ({"mailtier_build_info": '{version="0.9"} 1'}, V.WARNING),
    ],
)
def test_an_operator_that_leads_reaches_the_sender(changes: dict[str, str], verdict: findings.Verdict) -> None:
    """A standby does not ask it for anything; one of another version is another program's."""
    assert _verdicts(_page("operator", **changes)) == {"Operator": verdict}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, {}),
        ({"mailtier_sender_up": '{part="intake"} 1\nmailtier_sender_up{part="delivery"} 0'}, {"Sender": V.FAILED}),
        ({"mailtier_queue_up": '{part="intake"} 1\nmailtier_queue_up{part="delivery"} 0'}, {"Queue": V.FAILED}),
        ({"mailtier_oldest_recipient_age_seconds": " 7200"}, {"Queue": V.WARNING}),
        ({"mailtier_queue_volume_used_ratio": " 0.7"}, {"Volume": V.WARNING}),
        ({"mailtier_queue_volume_used_ratio": " 0.81"}, {"Volume": V.FAILED}),
    ],
)
def test_what_a_sender_says_is_judged(changes: dict[str, str], told: dict[str, findings.Verdict]) -> None:
    """Each of its parts, its queue and its volume; a volume is spoken of only as it fills."""
    assert _verdicts(_page("sender", **changes)) == {"Sender": V.OK, "Queue": V.OK, **told}


@pytest.mark.parametrize("part", ["operator", "sender"])
def test_one_that_does_not_answer_has_failed_and_one_that_may_not_be_asked_is_unknown(part: str) -> None:
    """The reason is told in both cases."""
    silent = pages.MetricsPage(pod="mailtier-0", part=part, problem="connection refused")
    assert _verdicts(silent) == {part.capitalize(): V.FAILED}
    hidden = pages.MetricsPage(pod="mailtier-0", part=part, problem="you may not", is_forbidden=True)
    assert _verdicts(hidden) == {part.capitalize(): V.UNKNOWN}


@pytest.mark.parametrize(
    ("days", "problem", "has_authority", "verdict"),
    [
        (30, "", True, V.OK),
        (6, "", True, V.WARNING),
        (None, "self-signed certificate", True, V.FAILED),
        (None, "", False, V.FAILED),
    ],
)
def test_the_intake_s_certificate_fits_to_what_is_published(
    days: int | None, problem: str, has_authority: bool, verdict: findings.Verdict
) -> None:
    """And is valid for more than a week."""
    expires_at = None if days is None else NOW + dt.timedelta(days=days)
    told = sender.certificate(expires_at, problem=problem, has_authority=has_authority, now=NOW)
    assert (told.verdict, problem in told.message) == (verdict, True)
