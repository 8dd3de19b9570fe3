"""The same job and snapshot are the same bytes."""

import dataclasses
import datetime as dt
import json

import pytest

from mailtier.api import addresses, vocabulary
from mailtier.mail import render
from mailtier.sender import builder, ports, templates
from mailtier.settings import effective

_FROM = effective.From(
    address="noreply@example.com", display_name="Beispiel GmbH", reply_to=None, envelope="bounce@example.com"
)
_OTHER = effective.From(
    address="new@example.com", display_name=None, reply_to="help@example.com", envelope="new@example.com"
)
_JOB = ports.Job(
    recipient=1,
    notification_id="n-1",
    lane=ports.LaneKey(namespace_uid="uid", namespace="team-a", organization="default"),
    category=vocabulary.Category.JOB_ALERT,
    severity=vocabulary.Severity.ERROR,
    rcpt_to="a@example.org",
    subject="Nightly failed",
    text="It ran out of memory.",
    data={},
    message_id="1@example.com",
    accepted_at=dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC),
    expires_at=dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC),
    attempts=0,
    doubts=0,
    snapshot=None,
)


@pytest.fixture(scope="module")
def messages() -> builder.Builder:
    """Return a builder with the templates of the package."""
    return builder.Builder(templates.Templates())


def test_envelope_and_header_are_told_apart(messages: builder.Builder) -> None:
    """MAIL FROM is the envelope address, the From header the sender's."""
    built = messages.build(_JOB, _FROM)
    assert (built.mail_from, built.rcpt_to) == ("bounce@example.com", "a@example.org")
    assert b"From: Beispiel GmbH <noreply@example.com>" in built.data
    assert b"bounce@" not in built.data


def test_a_snapshot_gives_the_same_bytes_under_other_settings(messages: builder.Builder) -> None:
    """What was in doubt is built from what it was built with first, in another process too."""
    first = messages.build(_JOB, _FROM)
    again = builder.Builder(templates.Templates()).build(dataclasses.replace(_JOB, snapshot=first.snapshot), _OTHER)
    assert again == first
    assert messages.build(_JOB, _OTHER).data != first.data


def test_a_snapshot_outlives_its_templates(messages: builder.Builder) -> None:
    """An upgrade that changes a template does not change a message that is resent."""
    first = messages.build(_JOB, _FROM)
    document = json.loads(first.snapshot.settings)
    document["template"]["text"] = "Former wording: {{ text }}"
    former = ports.Snapshot(settings=json.dumps(document))
    assert b"Former wording: It ran" in messages.build(dataclasses.replace(_JOB, snapshot=former), _FROM).data


def test_a_snapshot_holds_nothing_of_the_notification(messages: builder.Builder) -> None:
    """Snapshots are shared and kept; no recipient, subject or text is in them (R11)."""
    told = messages.build(_JOB, _FROM).snapshot.settings
    for part in ("a@example.org", "Nightly", "memory"):
        assert part not in told


def test_organizations_share_snapshots(messages: builder.Builder) -> None:
    """The same sender and template are one snapshot, however many messages there are."""
    other = dataclasses.replace(_JOB, recipient=2, text="Other", rcpt_to="b@example.org")
    assert messages.build(_JOB, _FROM).snapshot is messages.build(other, _FROM).snapshot


@pytest.mark.parametrize("category", list(vocabulary.Category))
def test_every_category_has_templates(category: vocabulary.Category) -> None:
    """English is complete, and stands in for locales that there are no templates for."""
    sources = templates.Templates()
    assert isinstance(sources.find(category), render.Sources)
    assert sources.find(category, locale="tlh") == sources.find(category)


def test_an_address_that_is_none_is_refused(messages: builder.Builder) -> None:
    """What is no address reaches no envelope (R5)."""
    with pytest.raises(addresses.AddressError):
        messages.build(dataclasses.replace(_JOB, rcpt_to="a@example.org>\r\nRCPT TO:<b@example.org"), _FROM)
