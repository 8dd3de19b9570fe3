"""Who may send, judged from settings alone."""

import dataclasses
import datetime as dt

import pytest

from kit import sending
from mailtier.api import reasons, vocabulary
from mailtier.mail import reasons as delivery_reasons
from mailtier.sender import lanes, standing
from mailtier.settings import effective

_R = delivery_reasons.DeliveryReason
_ENDPOINT = effective.Endpoint(
    host="smtp.example.com",
    port=587,
    tls=sending.PLAIN,
    addresses=sending.PUBLIC,
    origin=vocabulary.Origin.HOST,
    is_host_s=True,
)
_SETTINGS = sending.settings("team-a", _ENDPOINT)
_LANE = sending.lane(_SETTINGS)


def test_active_settings_may_be_used() -> None:
    """Active settings are handed on with everything that delivery needs."""
    judged = standing.judge(_SETTINGS, _LANE)
    assert isinstance(judged, standing.Usable)
    assert judged.endpoint == _ENDPOINT


def test_the_namespace_s_rate_is_for_the_host_s_endpoint() -> None:
    """The host's quota holds on the host's server, however it is named; elsewhere only an organization's own rate."""
    own = dataclasses.replace(_ENDPOINT, origin=vocabulary.Origin.ORG, is_host_s=False)
    once_more = dataclasses.replace(_ENDPOINT, origin=vocabulary.Origin.ORG)
    for endpoint, namespace in ((_ENDPOINT, 7), (once_more, 7), (own, None)):
        settings = sending.settings("team-a", endpoint, rate_per_minute=3, namespace_rate=7)
        judged = standing.judge(settings, _LANE)
        assert isinstance(judged, standing.Usable)
        assert judged.rates() == lanes.Rates(organization=3, namespace=namespace)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (effective.State.BLOCKED, _R.SETTINGS_BLOCKED),
        (effective.State.UNRESOLVED, _R.SETTINGS_UNRESOLVED),
        (effective.State.SUSPENDED, _R.SUSPENDED),
    ],
)
def test_other_states_hold_until_they_change(state: effective.State, reason: _R) -> None:
    """Blocked, unresolved and suspended settings hold, and give nothing up."""
    judged = standing.judge(dataclasses.replace(_SETTINGS, state=state), _LANE)
    assert isinstance(judged, standing.Held)
    assert judged.reason is reason
    assert judged.fails_after is None


def test_the_findings_reasons_are_told() -> None:
    """A tenant reads which findings hold its messages, by reason and without the host's values."""
    finding = effective.Finding(
        reason=reasons.FROM_NOT_ALLOWED, field="spec.from.address", message="host@internal.example"
    )
    blocked = dataclasses.replace(_SETTINGS, state=effective.State.BLOCKED, findings=(finding,))
    judged = standing.judge(blocked, _LANE)
    assert isinstance(judged, standing.Held)
    assert judged.message == (
        f"The organization's settings are blocked: FromNotAllowed. {reasons.FROM_NOT_ALLOWED.meaning}"
    )


@pytest.mark.parametrize("field", ["endpoint", "auth", "from_"])
def test_settings_that_lack_something_hold(field: str) -> None:
    """Whatever the state says, nothing is sent without endpoint, auth and sender."""
    lacking = dataclasses.replace(_SETTINGS, **{field: None})  # type: ignore[arg-type]
    assert isinstance(standing.judge(lacking, _LANE), standing.Held)


def test_an_unknown_organization_is_given_an_hour() -> None:
    """Without settings messages are held for an hour, because GitOps may replace the object."""
    judged = standing.judge(None, _LANE)
    assert isinstance(judged, standing.Held)
    assert judged.fails_after == dt.timedelta(hours=1)
    assert judged.fails_with is _R.ORGANIZATION_DELETED


def test_another_namespace_of_the_same_name_gets_nothing() -> None:
    """Messages of a namespace that was recreated fail at once (R11)."""
    judged = standing.judge(_SETTINGS, dataclasses.replace(_LANE, namespace_uid="former"))
    assert isinstance(judged, standing.Held)
    assert judged.fails_after == dt.timedelta(0)
    assert judged.fails_with is _R.NAMESPACE_DELETED
