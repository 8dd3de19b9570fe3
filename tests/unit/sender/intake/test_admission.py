"""What is asked of a notification before it is queued."""

import dataclasses
import datetime as dt
from collections.abc import Sequence

import pytest

from mailtier.api import notification, reasons, vocabulary
from mailtier.sender import ports
from mailtier.sender.intake import admission
from mailtier.settings import effective

_NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_ALERT = vocabulary.Category.JOB_ALERT


def _settings(
    *,
    enabled: bool = True,
    recipients: Sequence[str] = (),
    max_age: dt.timedelta | None = None,
    state: effective.State = effective.State.ACTIVE,
    locale: vocabulary.Locale = vocabulary.Locale.ENGLISH,
    domains: Sequence[str] | None = None,
    enforced: bool = True,
    quota: effective.Quota | None = None,
) -> effective.Effective:
    return effective.Effective(
        organization=effective.OrganizationKey(namespace="team", name="default"),
        namespace_uid="uid-1",
        state=state,
        findings=(),
        source=vocabulary.Source.HOST,
        endpoint=None,
        auth=None,
        from_=None,
        delivery=effective.Delivery(
            helo_name=None,
            max_connections=3,
            messages_per_connection=100,
            session_timeout=dt.timedelta(seconds=30),
            envelope_timeout=dt.timedelta(seconds=60),
            message_timeout=dt.timedelta(seconds=600),
            rate_per_minute=None,
            max_age=max_age,
        ),
        notifications={
            _ALERT: effective.CategorySettings(enabled=enabled, recipients=tuple(recipients), locale=locale)
        },
        provenance={},
        quota=quota or effective.Quota(),
        recipients=effective.RecipientRules(domains=None if domains is None else tuple(domains), enforced=enforced),
    )


def _content(*, recipients: list[str] | None = None, locale: str | None = None) -> notification.NotificationRequest:
    given = {"recipients": recipients, "locale": locale}
    named = {field: value for field, value in given.items() if value is not None}
    return notification.NotificationRequest.model_validate({"category": _ALERT, "text": "it failed", **named})


def test_switched_off_category_is_refused() -> None:
    """A category that the settings switch off is refused, and the message names the setting."""
    refused = admission.refuse(_content(recipients=["a@example.com"]), _settings(enabled=False))
    assert refused is not None
    assert refused.reason is reasons.CATEGORY_DISABLED
    assert "notifications.jobAlert.enabled" in refused.message


@pytest.mark.parametrize("named", [None, []])
def test_nobody_to_tell_is_refused(named: list[str] | None) -> None:
    """Without a recipient in the notification or in the settings it is refused; an empty list means nobody."""
    refused = admission.refuse(
        _content(recipients=named), _settings(recipients=["ops@example.com"] if named == [] else [])
    )
    assert refused is not None
    assert refused.reason is reasons.NO_RECIPIENTS


def test_recipients_of_the_category_are_the_default() -> None:
    """A notification without recipients goes to its category's."""
    settings = _settings(recipients=["ops@example.com"])
    assert admission.refuse(_content(), settings) is None
    added = admission.new_notification(_content(), settings, notification_id="1", now=_NOW)
    assert added.recipients == ("ops@example.com",)
    assert added.severity is vocabulary.Severity.INFO


def test_recipients_outside_of_the_list_are_refused() -> None:
    """Each recipient that the host does not list is named by its field, and what is allowed is told."""
    settings = _settings(domains=["*.example.org", "example.com"])
    content = _content(recipients=["a@example.com", "b@evil.example", "c@x.example.org", "d@example.org"])
    refused = admission.refuse(content, settings)
    assert refused is not None
    assert refused.reason is reasons.RECIPIENT_NOT_ALLOWED
    assert refused.fields == (("recipients", "1"), ("recipients", "3"))
    assert refused.message.startswith("recipients/1, recipients/3 may not be written to")
    assert "example.com" in refused.message
    assert "evil" not in refused.message


def test_recipients_of_the_settings_are_not_judged_again() -> None:
    """The host's own recipients are its choice, whatever its list says."""
    settings = _settings(recipients=["ops@host.example"], domains=[])
    assert admission.refuse(_content(), settings) is None
    assert admission.audit(_content(), settings) is None


def test_audit_takes_what_enforcing_would_refuse() -> None:
    """In mode Audit nothing is refused for its recipients, and what would be is told."""
    settings = _settings(domains=["example.com"], enforced=False)
    stranger = _content(recipients=["a@evil.example"])
    assert admission.refuse(stranger, settings) is None
    found = admission.audit(stranger, settings)
    assert found is not None
    assert found.reason is reasons.RECIPIENT_NOT_ALLOWED
    assert admission.audit(_content(recipients=["a@example.com"]), settings) is None
    assert admission.audit(stranger, _settings(domains=["example.com"])) is None


@pytest.mark.parametrize(
    ("named", "of_the_category", "chosen"), [(None, "ja", "ja"), ("en", "ja", "en"), ("ja", "en", "ja")]
)
def test_the_notification_s_locale_wins(named: str | None, of_the_category: str, chosen: str) -> None:
    """Where the notification names no language, the category's in the settings counts."""
    settings = _settings(recipients=["ops@example.com"], locale=vocabulary.Locale(of_the_category))
    added = admission.new_notification(_content(locale=named), settings, notification_id="1", now=_NOW)
    assert added.locale == chosen


def test_another_locale_is_another_request() -> None:
    """An idempotency key stands for one language."""
    assert admission.digest(_content(locale="ja")) != admission.digest(_content())


def test_the_host_s_quota_replaces_the_sender_s() -> None:
    """Each of the two limits is the host's where it sets one, else the sender's."""
    own = ports.QueueQuota(messages=5, payload_bytes=6)
    assert admission.quota(_settings(), own) == own
    by_messages = _settings(quota=effective.Quota(queued_messages=1))
    assert admission.quota(by_messages, own) == ports.QueueQuota(messages=1, payload_bytes=6)
    by_bytes = _settings(quota=effective.Quota(queued_bytes=2))
    assert admission.quota(by_bytes, own) == ports.QueueQuota(messages=5, payload_bytes=2)


def test_what_may_be_queued_may_be_stored() -> None:
    """The share of the volume grows with a quota of the host's that would not fit into it (R15)."""
    own = ports.QueueQuota(stored_bytes=100)
    assert admission.quota(_settings(quota=effective.Quota(queued_bytes=2)), own).stored_bytes == 100
    assert admission.quota(_settings(quota=effective.Quota(queued_bytes=200)), own).stored_bytes == 400


@pytest.mark.parametrize("state", list(effective.State))
def test_settings_that_may_not_be_used_refuse_nothing(state: effective.State) -> None:
    """A blocked, unresolved or suspended organization still takes notifications; they are held."""
    assert admission.refuse(_content(recipients=["a@example.com"]), _settings(state=state)) is None


def test_max_age_of_the_settings_decides_when_it_expires() -> None:
    """The effective max age replaces the category's own."""
    settings = _settings(recipients=["ops@example.com"], max_age=dt.timedelta(minutes=5))
    added = admission.new_notification(_content(), settings, notification_id="1", now=_NOW)
    assert added.expires_at == _NOW + dt.timedelta(minutes=5)


def test_rows_are_keyed_by_the_uid_of_the_namespace() -> None:
    """The lane carries the namespace's uid, so that a recreated namespace inherits nothing (R11)."""
    settings = _settings()
    other = dataclasses.replace(settings, namespace_uid="uid-2")
    assert ports.LaneKey.of(settings) != ports.LaneKey.of(other)


def test_digest_tells_requests_apart_and_not_their_spelling() -> None:
    """The digest depends on what is asked, and not on the order of keys or on blanks."""
    one = notification.NotificationRequest.model_validate_json(
        '{"category": "JobAlert", "text": "it failed", "data": {"a": "1", "b": "2"}}'
    )
    same = notification.NotificationRequest.model_validate_json(
        '{"data":{"b":"2","a":"1"},"text":"it failed","category":"JobAlert"}'
    )
    other = notification.NotificationRequest.model_validate_json('{"category": "JobAlert", "text": "it did"}')
    assert admission.digest(one) == admission.digest(same) != admission.digest(other)


def test_a_key_beside_the_content_is_no_part_of_the_digest() -> None:
    """The same notification has the same digest alone and in a batch, under whatever key."""
    content = {"category": "JobAlert", "text": "it failed"}
    alone = notification.NotificationRequest.model_validate(content)
    batched = notification.BatchedNotification.model_validate({**content, "idempotencyKey": "a"})
    assert admission.digest(alone) == admission.digest(batched)


@pytest.mark.parametrize(
    ("key", "source", "has_one"),
    [
        (None, None, False),
        ("a", None, True),
        (None, ports.ObjectSource(name="alert", object_uid="uid", spec_hash="0" * 64), True),
    ],
)
def test_a_digest_is_made_where_a_repeat_can_be_told(
    key: str | None, source: ports.ObjectSource | None, has_one: bool
) -> None:
    """Without a key or an object nothing is a repeat, and nothing is computed for it."""
    content = _content(recipients=["a@example.com"])
    added = admission.new_notification(
        content, _settings(), notification_id="1", now=_NOW, idempotency_key=key, source=source
    )
    assert added.digest == (admission.digest(content) if has_one else "")


def test_a_recipient_whose_domain_is_no_name_is_refused_with_the_reason() -> None:
    """A domain of other letters is taken as its A-label, and one that has none is not queued only to fail."""
    taken = _content(recipients=["user@müller.example"])
    assert taken.recipients == ["user@xn--mller-kva.example"]
    assert admission.refuse(taken, _settings()) is None
    refused = admission.refuse(_content(recipients=["a@example.com", "b@☃.example"]), _settings())
    assert refused is not None
    assert refused.fields == (("recipients", "1"),)
    assert "not a valid name" in refused.message
