"""Who may send, judged from settings alone."""

import dataclasses
import datetime as dt

import pytest

from kit import sending
from mailtier.api import reasons, vocabulary
from mailtier.mail import reasons as delivery_reasons
from mailtier.sender.scheduling import lanes, standing, waits
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
    assert isinstance(judged, waits.Wait)
    assert judged.reason is reason
    assert judged.fails_after is None


def _held_by(state: effective.State, *findings: effective.Finding) -> waits.Wait:
    judged = standing.judge(dataclasses.replace(_SETTINGS, state=state, findings=findings), _LANE)
    assert isinstance(judged, waits.Wait)
    return judged


def test_what_holds_messages_is_told_with_its_field_and_remedy() -> None:
    """A tenant reads the reasons of all findings, and of the first what its status says: the field and what to do."""
    held = _held_by(
        effective.State.BLOCKED,
        effective.Finding(
            reason=reasons.FROM_NOT_ALLOWED, field="spec.from.address", message="x@y.example is not allowed; use *@a"
        ),
        effective.Finding(reason=reasons.CREDENTIALS_REQUIRED, field="spec.auth", message="is required"),
    )
    assert held.message == (
        "The organization's settings are blocked: FromNotAllowed, CredentialsRequired."
        " spec.from.address: x@y.example is not allowed; use *@a."
    )


def test_a_fault_of_the_host_s_is_told_as_the_host_s() -> None:
    """Who inherits what cannot be used does not read that its own settings refer to it (R7)."""
    held = _held_by(
        effective.State.UNRESOLVED,
        effective.Finding(reason=reasons.SECRET_NOT_BOUND, field="", message="what the host's settings refer to fails"),
    )
    assert held.message == (
        "What the settings need, of the organization's own or inherited from the host, cannot be used yet:"
        " SecretNotBound. What the host's settings refer to fails."
    )


def test_what_is_told_fits_a_status() -> None:
    """The status of a Notification takes a thousand characters for each recipient."""
    finding = effective.Finding(reason=reasons.FROM_NOT_ALLOWED, field="spec.from.address", message="x" * 2000)
    assert len(_held_by(effective.State.BLOCKED, finding).message) == standing.MAXIMUM_LENGTH


@pytest.mark.parametrize("field", ["endpoint", "auth", "from_"])
def test_settings_that_lack_something_hold(field: str) -> None:
    """Whatever the state says, nothing is sent without endpoint, auth and sender."""
    lacking = dataclasses.replace(_SETTINGS, **{field: None})  # type: ignore[arg-type]
    assert isinstance(standing.judge(lacking, _LANE), waits.Wait)


def test_an_unknown_organization_is_given_an_hour() -> None:
    """Without settings messages are held for an hour, because GitOps may replace the object."""
    judged = standing.judge(None, _LANE)
    assert isinstance(judged, waits.Wait)
    assert judged.fails_after == dt.timedelta(hours=1)
    assert judged.fails_with is _R.ORGANIZATION_DELETED


def test_another_namespace_of_the_same_name_gets_nothing() -> None:
    """Messages of a namespace that was recreated fail at once (R11)."""
    judged = standing.judge(_SETTINGS, dataclasses.replace(_LANE, namespace_uid="former"))
    assert isinstance(judged, waits.Wait)
    assert judged.fails_after == dt.timedelta(0)
    assert judged.fails_with is _R.NAMESPACE_DELETED
